"""The same edits give the revisions that Apache CouchDB 3.5.0 gave (recorded in revisions.json)."""

from __future__ import annotations

import base64
import http.client
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiocouch.testing import CouchDBServer

DOCUMENTS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "revisions.json").read_text(encoding="utf-8")
)["documents"]


class Database:
    """A database reached with the standard library: its JSON texts are sent as they stand."""

    def __init__(self, server: CouchDBServer, name: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
        credentials = f"{server.user}:{server.password}".encode()
        self._authorization = f"Basic {base64.b64encode(credentials).decode()}"
        self._name = name

    def send(self, method: str, path: str = "", body: str | None = None) -> dict[str, Any]:
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        data = None if body is None else body.encode()
        self._connection.request(method, f"/{self._name}{path}", data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        result: dict[str, Any] = json.loads(text)
        return result

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def database(couchdb_server: CouchDBServer) -> Iterator[Database]:
    database = Database(couchdb_server, f"test-{uuid.uuid4().hex}")
    database.send("PUT")
    yield database
    database.send("DELETE")
    database.close()


def with_revision(body: str, revision: str) -> str:
    """Put `_rev` into the text of an object, and leave the rest of the text alone."""
    rest = body.strip()[1:]
    comma = "" if rest.strip() == "}" else ","
    return f'{{"_rev":"{revision}"{comma}{rest}'


def bodies_of(document: dict[str, Any]) -> list[str | None]:
    """What is sent after the first edit; None is a DELETE."""
    if "deleted_with" in document:
        return [document["deleted_with"]]
    return [document["body"], '{"z":[1,{"y":2.5}]}', None, '{"back":true}']


def edit(database: Database, name: str, body: str | None, revision: str) -> str:
    if body is None:
        return str(database.send("DELETE", f"/{name}?rev={revision}")["rev"])
    # After a deletion (the fourth edit) the document is new again and needs no revision.
    text = body if revision.startswith("4-") else with_revision(body, revision)
    return str(database.send("PUT", f"/{name}", text)["rev"])


def test_every_revision_is_the_recorded_one(database: Database) -> None:
    for number, document in enumerate(DOCUMENTS):
        name = f"d{number}"
        revisions = [database.send("PUT", f"/{name}", document["body"])["rev"]]
        for body in bodies_of(document):
            revisions.append(edit(database, name, body, revisions[-1]))
        assert revisions == document["revs"], document["body"][:200]


def test_there_are_recordings() -> None:
    assert len(DOCUMENTS) == 27
