"""Recorded answers are of the types that the client declares."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiocouch import CouchDB, Database, answers
from aiocouch.server import Replications, Session
from aiocouch.topics import DesignFunctions, Indexes, Partition
from tests.support.recorded import TASKS
from tests.support.shapes import misfits, returned

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDINGS = Path(__file__).parents[2] / "conformance" / "public"
DATABASE = r"/\{db\}[^/]*"
SHAPES: dict[str, Any] = {
    "GET /": answers.ServerInfo,
    "GET /_up": returned(CouchDB.up),
    "GET /_session": returned(Session.info),
    "POST /_replicate": returned(Replications.run),
    "GET /_scheduler/docs/[^/]+/.+": returned(Replications.doc),
    f"GET {DATABASE}": answers.DatabaseInfo,
    f"GET {DATABASE}/_partition/[^/]+": returned(Partition.info),
    f"GET {DATABASE}/_design/[^/]+/_info": returned(DesignFunctions.info),
    f"POST {DATABASE}/_index": returned(Indexes.create),
    f"POST {DATABASE}/_index/_bulk_delete": returned(Indexes.delete_many),
    f"POST {DATABASE}/_purge": returned(Database.purge),
    f"POST {DATABASE}/_bulk_docs": returned(Database.bulk_docs),
    f"POST {DATABASE}/_bulk_get": returned(Database.bulk_get),
}


def recorded() -> Iterator[tuple[str, Any]]:
    """Yield the requests that CouchDB 3.5.0 did, and what it said in JSON."""
    for file in sorted(RECORDINGS.glob("*.json")):
        for step in json.loads(file.read_bytes())["steps"]:
            request, response = step["request"], step["response"]
            if response.get("status") in {200, 201, 202} and "json" in (response.get("body") or {}):
                yield f"{request['method']} {request['path']}", response["body"]["json"]


def test_recorded_answers_are_of_their_types() -> None:
    seen, wrong = Counter[str](), list[str]()
    for request, answer in recorded():
        for pattern, shape in SHAPES.items():
            if re.fullmatch(pattern, request):
                seen[pattern] += 1
                wrong.extend(misfits(answer, shape, request))
    assert wrong == []
    assert seen.keys() == SHAPES.keys()


def test_recorded_tasks_are_of_their_type() -> None:
    assert list(misfits(TASKS, returned(CouchDB.active_tasks))) == []
