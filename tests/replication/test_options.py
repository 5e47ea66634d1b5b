"""What a replication can be told, on one embedded server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.replication.site import fresh_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.replication.site import Site

FILTER = "function (doc, req) { return doc.n % 2 == (req.query.r || 1) }"


@pytest.fixture
async def source(here: Site, near: str) -> str:
    """A database with four small documents and a filter."""
    documents: list[dict[str, Any]] = [{"_id": "abcd"[n], "n": n} for n in range(4)]
    design = {"_id": "_design/f", "filters": {"odd": FILTER}}
    await here.must("POST", f"{near}/_bulk_docs", {"docs": [*documents, design]})
    return near


@pytest.fixture
async def target(here: Site) -> AsyncIterator[str]:
    """An empty database."""
    async with fresh_database(here) as name:
        yield name


async def ids(site: Site, name: str) -> list[str]:
    return [row["id"] for row in (await site.get(f"{name}/_all_docs"))["rows"]]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"doc_ids": ["c", "a", "none"]}, ["a", "c"]),
        ({"doc_ids": ["%63", "a", "_design%2ff"]}, ["_design/f", "a", "c"]),
        ({"selector": {"n": {"$gte": 2}}}, ["c", "d"]),
        ({"filter": "f/odd"}, ["b", "d"]),
        ({"filter": "f/odd", "query_params": {"r": 0}}, ["a", "c"]),
        ({"use_bulk_get": False}, ["_design/f", "a", "b", "c", "d"]),
        ({"worker_batch_size": 1}, ["_design/f", "a", "b", "c", "d"]),
    ],
)
async def test_what_is_copied(
    here: Site, source: str, target: str, options: dict[str, Any], expected: list[str]
) -> None:
    await here.replicate({"source": here.end(source), "target": here.end(target), **options})
    assert await ids(here, target) == expected


async def test_names_are_databases_of_this_server(here: Site, source: str, target: str) -> None:
    answer = await here.replicate({"source": source, "target": target})
    assert answer["history"][0]["docs_written"] == 5
    # the design document comes by itself
    assert answer["history"][0]["bulk_get_docs"] == 4


async def test_since_seq_skips_what_was_before(here: Site, source: str, target: str) -> None:
    changes = await here.get(f"{source}/_changes?limit=3")
    body = {"source": source, "target": target, "since_seq": changes["last_seq"]}
    await here.replicate(body)
    assert await ids(here, target) == ["c", "d"]


async def test_a_checkpoint_wins_over_since_seq(here: Site, source: str, target: str) -> None:
    changes = await here.get(f"{source}/_changes?limit=3")
    body = {"source": source, "target": target, "since_seq": changes["last_seq"]}
    first = await here.replicate(body)
    assert first["history"][0]["start_last_seq"] == changes["last_seq"]
    again = await here.replicate(body)
    assert again == {**first, "no_changes": True}
    # another since_seq is another replication
    whole = await here.replicate({"source": source, "target": target})
    assert whole["history"][0]["docs_written"] == 3


async def test_the_target_is_created(here: Site, source: str) -> None:
    body = {"source": here.end(source), "target": here.end("made-here"), "create_target": True}
    answer = await here.replicate(body)
    assert answer["history"][0]["docs_written"] == 5
    await here.must("DELETE", "made-here")


async def test_winning_revs_only(here: Site, near: str, target: str) -> None:
    for letter in "ab":
        body = {"_rev": f"1-{letter * 32}"}
        await here.must("PUT", f"{near}/d?new_edits=false", body)
    await here.replicate({"source": near, "target": target, "winning_revs_only": True})
    (leaf,) = (await here.trees(target))["d"]["leaves"]
    assert leaf["_rev"] == f"1-{'b' * 32}"


async def test_without_checkpoints_nothing_is_written(here: Site, source: str, target: str) -> None:
    body = {"source": source, "target": target, "use_checkpoints": False}
    for _ in range(2):
        assert await here.replicate(body) == {"ok": True, "use_checkpoints": False}
    assert await ids(here, target) == ["_design/f", "a", "b", "c", "d"]
    for name in (source, target):
        assert (await here.get(f"{name}/_local_docs"))["rows"] == []


async def test_a_checkpoint_of_an_earlier_one_is_told_of(
    here: Site, source: str, target: str
) -> None:
    body = {"source": source, "target": target}
    before = await here.replicate(body)
    without = {**body, "use_checkpoints": False}
    assert await here.replicate(without) == {**before, "no_changes": True}
    await here.must("PUT", f"{source}/new", {})
    assert await here.replicate(without) == {"ok": True, "use_checkpoints": False}


async def test_nothing_to_do(here: Site, near: str, target: str) -> None:
    assert await here.replicate({"source": near, "target": target}) == {
        "ok": True,
        "no_changes": True,
    }


async def test_what_the_target_refuses_is_counted(here: Site, near: str, target: str) -> None:
    await here.validate(target, "if (doc.n == 1) { throw({forbidden: 'no'}) }")
    inline = {"x": {"data": "AAEC"}}
    docs = [
        {"_id": "a", "n": 1},
        {"_id": "b", "n": 2},
        {"_id": "c", "n": 1, "_attachments": inline},
    ]
    await here.must("POST", f"{near}/_bulk_docs", {"docs": docs})
    session = (await here.replicate({"source": near, "target": target}))["history"][0]
    assert (session["docs_written"], session["doc_write_failures"]) == (1, 2)
    assert await ids(here, target) == ["_design/v", "b"]


async def test_the_rights_of_the_one_who_asks_count(here: Site, source: str, target: str) -> None:
    user = {"name": "jan", "password": "x", "roles": [], "type": "user"}
    await here.must("PUT", "_users/org.couchdb.user:jan", user)
    body = {"source": source, "target": target}
    jan = "Basic amFuOng="
    status, answer = await here.ask("POST", "_replicate", body, Authorization=jan)
    assert (status, answer["error"]) == (403, "forbidden")
    members = {"members": {"names": ["jan"]}, "admins": {"names": ["jan"]}}
    for name in (source, target):
        await here.must("PUT", f"{name}/_security", members)
    status, answer = await here.ask("POST", "_replicate", body, Authorization=jan)
    assert (status, answer.get("ok")) == (200, True)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 500, "error"),
        ({"source": "x"}, 500, "error"),
        ({"source": "nosuch", "target": "nosuch2"}, 500, "db_not_found"),
        ({"source": {}, "target": "x"}, 400, "invalid_replication"),
        ({"source": "x", "target": "y", "continuous": 1}, 400, "bad_request"),
        ({"source": "x", "target": "y", "doc_ids": "a"}, 400, "bad_request"),
        ({"source": "x", "target": "y", "doc_ids": [], "selector": {}}, 400, "bad_request"),
        ({"source": "x", "target": "y", "filter": "odd"}, 500, "error"),
        ({"source": "x", "target": "y", "filter": "f/odd"}, 404, "not_found"),
        ({"source": "x", "target": "y", "cancel": True}, 404, "not_found"),
        ({"cancel": True, "replication_id": "none"}, 404, "not_found"),
    ],
)
async def test_what_is_refused(here: Site, body: dict[str, Any], status: int, error: str) -> None:
    got, answer = await here.ask("POST", "_replicate", body)
    assert (got, answer["error"]) == (status, error)


async def test_an_end_that_is_not_there(here: Site, near: str) -> None:
    body = {"source": "http://127.0.0.1:1/x", "target": near}
    status, answer = await here.ask("POST", "_replicate", body)
    assert (status, answer["error"]) == (500, "error")
    assert "127.0.0.1:1" in answer["reason"]


async def test_no_password_is_shown(here: Site, source: str, target: str) -> None:
    body = {"source": here.end(source), "target": here.end(target), "continuous": True}
    await here.replicate(body)
    shown = [await here.get("_scheduler/jobs"), await here.get("_active_tasks")]
    assert "admin:admin" not in str(shown)
    assert here.server.url in str(shown[0])
    (task,) = shown[1]
    assert (task["type"], task["continuous"]) == ("replication", True)


@pytest.mark.parametrize("end", ["source", "target"])
async def test_a_continuous_one_ends_with_its_databases(
    here: Site, source: str, target: str, end: str
) -> None:
    body = {"source": source, "target": target, "continuous": True}
    await here.must("POST", "_replicate", body)
    await here.wait_for(target, "d")
    (task,) = await here.get("_active_tasks")
    while task["through_seq"] == "0":
        (task,) = await here.get("_active_tasks")
    assert task["through_seq"] == task["source_seq"]
    (job,) = (await here.get("_scheduler/jobs"))["jobs"]
    assert job["info"]["through_seq"] == task["through_seq"]
    await here.must("DELETE", source if end == "source" else target)
    if end == "target":
        await here.must("PUT", f"{source}/another", {})
    while (await here.get("_scheduler/jobs"))["total_rows"]:
        pass
    assert await here.get("_active_tasks") == []
    await here.must("PUT", source if end == "source" else target)
