"""A disk fuller than `[disk_monitor]` allows: 507, as CouchDB 3.5.2 answered with these settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.node.disk_monitor import DiskMonitor
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MONITOR = "/_node/_local/_config/disk_monitor/"
WRITES = "interactive_database_writes_threshold"
INDEXING = "interactive_view_indexing_threshold"
FULL = (507, "insufficient_storage", "database_dir is too full")
NO_ROOM = (507, "insufficient_storage", "not enough room to update index")
MAP = "function (doc) { emit(doc.n, 1) }"


@pytest.fixture(params=["memory", "folder"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServerClient]:
    folder = tmp_path if request.param == "folder" else None
    async with ServerClient(folder) as client:
        await client("PUT", "/db")
        views = {"m": {"map": MAP}, "r": {"map": MAP, "reduce": "_count"}}
        await client("PUT", "/db/_design/d", {"views": views})
        await client("POST", "/db/_index", {"index": {"fields": ["n"]}})
        yield client


async def set_up(client: ServerClient, **settings: str) -> None:
    for key, value in settings.items():
        answer = await client("PUT", MONITOR + key, value)
        assert answer.status == 200


async def test_nothing_is_refused_unless_it_is_enabled(client: ServerClient) -> None:
    await set_up(client, **{WRITES: "-1", INDEXING: "-1"})
    assert (await client("PUT", "/db/a", {})).status == 201
    assert (await client("GET", "/db/_design/d/_view/m")).status == 200
    await set_up(client, enable="perhaps")
    assert (await client("PUT", "/db/b", {})).status == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/db/new", {}),
        ("POST", "/db", {}),
        ("PUT", "/db/a", {}),
        ("PUT", "/db/_local/l", {}),
        ("PUT", "/db/_design/e", {}),
        ("PUT", "/db/a/attachment", None),
        ("DELETE", "/db/a", None),
        ("PUT", "/new", None),
    ],
)
async def test_writes_of_clients_are_refused(
    client: ServerClient, method: str, path: str, body: Any
) -> None:
    rev = (await client("PUT", "/db/a", {})).json["rev"]
    await set_up(client, enable="true", **{WRITES: "-1"})
    query = f"?rev={rev}" if body is None and path != "/new" else ""
    assert (await client(method, path + query, body)).told == FULL
    await set_up(client, enable="false")
    assert (await client("GET", "/db/a")).json["_rev"] == rev
    assert (await client("GET", "/_all_dbs")).json == ["_replicator", "_users", "db"]


async def test_each_document_of_a_bulk_request_is_refused(client: ServerClient) -> None:
    await set_up(client, enable="true", **{WRITES: "-1"})
    docs = [{"_id": "a"}, {"_id": "_local/l"}]
    answer = await client("POST", "/db/_bulk_docs", {"docs": docs})
    error = {"error": "insufficient_storage", "reason": "database_dir is too full"}
    assert answer.status == 201
    assert answer.json == [{"id": doc["_id"], **error} for doc in docs]
    told = "Unknown error while saving the design document: insufficient_storage"
    answer = await client("POST", "/db/_index", {"index": {"fields": ["k"]}})
    assert answer.told == (500, "error_saving_ddoc", told)


async def test_what_is_wrong_by_itself_is_told_first(client: ServerClient) -> None:
    await set_up(client, enable="true", **{WRITES: "-1"})
    assert (await client("PUT", "/db/_x", {})).json["error"] == "illegal_docid"
    assert (await client("PUT", "/db")).json["error"] == "file_exists"


async def test_replicated_documents_are_written(client: ServerClient) -> None:
    await set_up(client, enable="true", **{WRITES: "-1"})
    docs = {"docs": [{"_id": "a", "_rev": "1-b"}], "new_edits": False}
    assert (await client("POST", "/db/_bulk_docs", docs)).json == []
    assert (await client("GET", "/db/a")).json["_rev"] == "1-b"


async def test_an_index_that_is_not_up_to_date_is_not_brought_so(client: ServerClient) -> None:
    await client("PUT", "/db/a", {"n": 1})
    await set_up(client, enable="true", **{INDEXING: "-1"})
    for name in ("m", "r"):
        path = f"/db/_design/d/_view/{name}"
        assert (await client("GET", path)).told == NO_ROOM
        assert (await client("GET", f"{path}?limit=0")).told == NO_ROOM
        assert (await client("GET", f"{path}?update=false")).json["rows"] == []
    assert (await client("POST", "/db/_find", {"selector": {"n": 1}})).told == NO_ROOM
    found = await client("POST", "/db/_find", {"selector": {"_id": "a"}})
    assert [doc["n"] for doc in found.json["docs"]] == [1]


async def test_an_index_that_is_up_to_date_answers(client: ServerClient) -> None:
    await client("PUT", "/db/a", {"n": 1})
    before = (await client("GET", "/db/_design/d/_view/m")).json
    await set_up(client, enable="true", **{INDEXING: "-1"})
    assert (await client("GET", "/db/_design/d/_view/m")).json == before
    assert (await client("PUT", "/db/b", {})).status == 201
    assert (await client("GET", "/db/_design/d/_view/m")).told == NO_ROOM


@pytest.mark.parametrize(
    ("free", "usable", "threshold", "is_full"),
    [
        (100, 100, "0", False),
        (99, 99, "0", True),
        (11, 11, "89", False),
        (11, 11, "88", True),
        # what only root may use is not there for others: 90 of 95
        (10, 5, "94", True),
        (10, 5, "95", False),
        (9, 9, None, True),
        (10, 10, None, False),
        (9, 9, "ninety", True),
    ],
)
def test_how_full_a_disk_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    free: int,
    usable: int,
    threshold: str | None,
    is_full: bool,
) -> None:
    # blocks: 4096 bytes each, 100 of them
    disk = os.statvfs_result((4096, 4096, 100, free, usable, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", {tmp_path: disk}.__getitem__)
    settings = {"enable": "true"}
    if threshold is not None:
        settings |= {WRITES: threshold, INDEXING: threshold}
    monitor = DiskMonitor(Configuration(None, {"disk_monitor": settings}), tmp_path)
    assert (monitor.blocks_writes(), monitor.blocks_indexing()) == (is_full, is_full)
