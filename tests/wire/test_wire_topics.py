"""What hangs from a session: the exact requests, most of all of what only a cluster serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDBError, InvalidInputError, InvalidTypeError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch import CouchDB, Database
    from tests.wire.canned import CannedServer

OK = {"ok": True}


@pytest.mark.parametrize(
    ("call", "line", "body"),
    [
        (lambda c: c.node().restart(), "POST /_node/_local/_restart", b""),
        (lambda c: c.node("a@b").config.reload(), "POST /_node/a%40b/_config/_reload", b""),
        (lambda c: c.reshard.start(), "PUT /_reshard/state", b'{"state":"running"}'),
        (
            lambda c: c.reshard.stop("night"),
            "PUT /_reshard/state",
            b'{"state":"stopped","reason":"night"}',
        ),
        (lambda c: c.reshard.remove("j/1"), "DELETE /_reshard/jobs/j%2F1", b""),
        (lambda c: c.reshard.job("1"), "GET /_reshard/jobs/1", b""),
        (lambda c: c.reshard.job_state("1"), "GET /_reshard/jobs/1/state", b""),
        (
            lambda c: c.reshard.start_job("1"),
            "PUT /_reshard/jobs/1/state",
            b'{"state":"running"}',
        ),
        (
            lambda c: c.reshard.stop_job("1", "x"),
            "PUT /_reshard/jobs/1/state",
            b'{"state":"stopped","reason":"x"}',
        ),
        (
            lambda c: c.cluster.enable(bind_address="0.0.0.0", node_count=3),
            "POST /_cluster_setup",
            b'{"action":"enable_cluster","bind_address":"0.0.0.0","node_count":3}',
        ),
        (
            lambda c: c.cluster.enable_single_node(username="a", password="b"),
            "POST /_cluster_setup",
            b'{"action":"enable_single_node","username":"a","password":"b"}',
        ),
        (
            lambda c: c.cluster.add_node(host="b", port=5984),
            "POST /_cluster_setup",
            b'{"action":"add_node","host":"b","port":5984}',
        ),
        (lambda c: c.cluster.finish(), "POST /_cluster_setup", b'{"action":"finish_cluster"}'),
        (lambda c: c.session.end(), "DELETE /_session", b""),
        (
            lambda c: c.replications.docs(states=["failed", "crashing"], limit=3),
            "GET /_scheduler/docs?limit=3&states=failed%2Ccrashing",
            b"",
        ),
        (lambda c: c.replications.job("a+b"), "GET /_scheduler/jobs/a%2Bb", b""),
        (
            lambda c: c.replications.run("a", "b", continuous=True, cancel=True),
            "POST /_replicate",
            b'{"source":"a","target":"b","continuous":true,"cancel":true}',
        ),
    ],
)
async def test_requests(
    canned: CannedServer,
    session: CouchDB,
    call: Callable[[CouchDB], Awaitable[object]],
    line: str,
    body: bytes,
) -> None:
    canned.say_json(OK)
    await call(session)
    assert canned.lines == [line]
    assert canned.requests[0].body == body


async def test_shards_are_split(canned: CannedServer, session: CouchDB) -> None:
    row = {"ok": True, "id": "001", "db": "x", "node": "a@b", "shard": "shards/0-7/x.1"}
    canned.say_json([row], 201)
    assert await session.reshard.split("x", range="0-7") == [row]
    assert canned.only().json() == {"type": "split", "db": "x", "range": "0-7"}


@pytest.mark.parametrize(
    ("nouveau", "path"), [(False, "/_search_analyze"), (True, "/_nouveau_analyze")]
)
async def test_words_of_a_text(
    canned: CannedServer, session: CouchDB, nouveau: bool, path: str
) -> None:
    canned.say_json({"tokens": ["run", "fox"]})
    assert await session.analyze("running foxes", "english", nouveau=nouveau) == ["run", "fox"]
    assert canned.only().path == path
    assert canned.only().json() == {"analyzer": "english", "text": "running foxes"}


async def test_a_setting_of_this_run_says_so(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json("old")
    assert await session.node().config.set("log", "level", "debug", persist=False) == "old"
    assert canned.only().headers["x-couch-persist"] == "false"
    assert canned.only().body == b'"debug"'


async def test_a_replication_that_has_failed_raises(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"state": "crashing", "doc_id": "r", "info": {"error": "timeout"}})
    canned.say_json({"state": "failed", "doc_id": "r", "info": {"error": "no such filter"}})
    seen: list[str | None] = []
    with pytest.raises(CouchDBError, match=r"'r' has failed: no such filter"):
        await session.replications.wait(
            "r", progress=lambda state: seen.append(state["state"]), every=0
        )
    assert seen == ["crashing", "failed"]


async def test_a_misspelt_option_is_refused(canned: CannedServer, session: CouchDB) -> None:
    misspelt: Any = {"create_traget": True}
    with pytest.raises(InvalidTypeError, match="did you mean 'create_target'"):
        await session.replications.run("a", "b", **misspelt)
    assert canned.requests == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.up(),
        lambda c: c.active_tasks(),
        lambda c: c.uuids(),
        lambda c: c.dbs_info(),
        lambda c: c.analyze("a", "b"),
        lambda c: c.node().stats(),
        lambda c: c.node().config.all(),
        lambda c: c.node().config.get("a", "b"),
        lambda c: c.cluster.membership(),
        lambda c: c.cluster.state(),
        lambda c: c.reshard.jobs(),
        lambda c: c.session.name(),
        lambda c: c.replications.doc("a"),
    ],
)
async def test_what_was_not_asked_for_is_told(
    canned: CannedServer, session: CouchDB, call: Callable[[CouchDB], Awaitable[object]]
) -> None:
    canned.say_json(5)
    with pytest.raises(UnexpectedAnswerError, match="not what was asked for"):
        await call(session)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.uuids(),
        lambda c: c.analyze("a", "b"),
        lambda c: c.cluster.state(),
        lambda c: c.reshard.jobs(),
        lambda c: c.session.roles(),
    ],
)
async def test_members_that_are_not_there_are_told(
    canned: CannedServer, session: CouchDB, call: Callable[[CouchDB], Awaitable[object]]
) -> None:
    canned.say_json({})
    with pytest.raises(UnexpectedAnswerError, match="not what was asked for"):
        await call(session)


@pytest.mark.parametrize(
    "call",
    [
        lambda d: d.explain({}),
        lambda d: d.indexes.list(),
        lambda d: d.indexes.delete("a", "b"),
        lambda d: d.maintenance.compact(),
        lambda d: d.maintenance.shards(),
        lambda d: d.maintenance.shard_of("a"),
        lambda d: d.revisions.diff({}),
        lambda d: d.revisions.missing({}),
        lambda d: d.revisions.purged(),
    ],
)
async def test_what_was_not_asked_of_a_database_is_told(
    canned: CannedServer, session: CouchDB, call: Callable[[Database], Awaitable[object]]
) -> None:
    canned.say_json(5)
    with pytest.raises(UnexpectedAnswerError, match="not what was asked for"):
        await call(session.database("db"))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda d: d.maintenance.clean_search(), "POST /db/_search_cleanup"),
        (lambda d: d.maintenance.clean_search(nouveau=True), "POST /db/_nouveau_cleanup"),
        (lambda d: d.maintenance.sync_shards(), "POST /db/_sync_shards"),
        (lambda d: d.indexes.delete("a/b", "c", "text"), "DELETE /db/_index/a%2Fb/text/c"),
    ],
)
async def test_requests_of_a_database(
    canned: CannedServer,
    session: CouchDB,
    call: Callable[[Database], Awaitable[object]],
    line: str,
) -> None:
    canned.say_json(OK)
    await call(session.database("db"))
    assert canned.lines == [line]


async def test_both_searches_give_one_kind_of_page(canned: CannedServer, session: CouchDB) -> None:
    row = {"id": "a", "order": [1.5, 0], "fields": {"name": "x"}}
    canned.say_json({"total_rows": 9, "bookmark": "g1", "rows": [row], "counts": {"t": {"x": 2}}})
    canned.say_json(
        {"total_hits": 9, "total_hits_relation": "EQUAL_TO", "bookmark": "g1", "hits": [row]}
    )
    clouseau = await session.database("db").search("d", "i/1").page("name:x", limit=1, counts=["t"])
    nouveau = await session.database("db").search("d", "i/1", nouveau=True).page("name:x", limit=1)
    assert clouseau.rows == nouveau.rows == [row]
    assert (clouseau.total, clouseau.bookmark) == (nouveau.total, nouveau.bookmark) == (9, "g1")
    assert clouseau.counts == {"t": {"x": 2}}
    assert canned.lines == ["POST /db/_design/d/_search/i%2F1", "POST /db/_design/d/_nouveau/i%2F1"]
    first, second = [request.json() for request in canned.requests]
    assert first == {"query": "name:x", "limit": 1, "counts": ["t"]}
    assert second == {"q": "name:x", "limit": 1}


async def test_searches_by_get(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"total_rows": 1, "bookmark": "g1", "rows": [{"id": "a"}]})
    canned.say_json({"total_hits": 1, "bookmark": "g1", "hits": [{"id": "a"}]})
    index = session.database("db").search("d", "i/1")
    page = await index.page(
        "name:x y",
        method="GET",
        limit=1,
        sort="-age<number>",
        counts=["t"],
        drilldown=[["t", "x"]],
        ranges={"n": {"low": "[0 TO 5]"}},
        include_docs=True,
        stale="ok",
        bookmark="g0",
        highlight_pre_tag="<b>",
    )
    assert page.rows == [{"id": "a"}]
    nouveau = session.database("db").search("d", "i", nouveau=True)
    assert (await nouveau.page("x", method="GET", sort=["a"], top_n=2)).total == 1
    first, second = canned.requests
    assert (first.method, first.path) == ("GET", "/db/_design/d/_search/i%2F1")
    assert first.query == {
        "q": "name:x y",
        "limit": "1",
        "sort": '"-age<number>"',
        "counts": '["t"]',
        "drilldown": '[["t","x"]]',
        "ranges": '{"n":{"low":"[0 TO 5]"}}',
        "include_docs": "true",
        "stale": "ok",
        "bookmark": "g0",
        "highlight_pre_tag": '"<b>"',
    }
    assert second.line == "GET /db/_design/d/_nouveau/i?q=x&sort=%5B%22a%22%5D&top_n=2"


async def test_all_rows_by_get(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"total_rows": 2, "bookmark": "1", "rows": [{"id": "a"}]})
    canned.say_json({"total_rows": 2, "bookmark": "1", "rows": []})
    rows = session.database("db").search("d", "i").rows("x", method="GET")
    assert [row["id"] async for row in rows] == ["a"]
    assert canned.lines == [
        "GET /db/_design/d/_search/i?q=x",
        "GET /db/_design/d/_search/i?q=x&bookmark=1",
    ]


async def test_searches_by_no_other_method(canned: CannedServer, session: CouchDB) -> None:
    options: Any = {"method": "PUT"}
    with pytest.raises(InvalidInputError, match="method='PUT': GET or POST"):
        await session.database("db").search("d", "i").page("x", **options)
    assert canned.requests == []


async def test_a_search_goes_on_behind_its_bookmark(canned: CannedServer, session: CouchDB) -> None:
    canned.say_json({"total_rows": 2, "bookmark": "1", "rows": [{"id": "a"}]})
    canned.say_json({"total_rows": 2, "bookmark": "2", "rows": [{"id": "b"}]})
    canned.say_json({"total_rows": 2, "bookmark": "2", "rows": []})
    index = session.database("db").search("d", "i", partition="p")
    assert [row["id"] async for row in index.rows("x", limit=1)] == ["a", "b"]
    assert canned.lines == ["POST /db/_partition/p/_design/d/_search/i"] * 3
    assert [request.json().get("bookmark") for request in canned.requests] == [None, "1", "2"]


async def test_groups_are_no_rows(canned: CannedServer, session: CouchDB) -> None:
    with pytest.raises(InvalidInputError, match=r"page\(\)"):
        async for _ in session.database("db").search("d", "i").rows("x", group_field="f"):
            pass
    canned.say_json({"total_rows": 2, "groups": [{"by": "x", "total_rows": 2, "rows": []}]})
    page = await session.database("db").search("d", "i").page("x", group_field="f")
    assert page.groups == [{"by": "x", "total_rows": 2, "rows": []}]
    assert canned.only().json() == {"query": "x", "group_field": "f"}


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda d: d.search("d", "i").info(), "GET /db/_design/d/_search_info/i"),
        (lambda d: d.search("d", "i").disk_size(), "GET /db/_design/d/_search_disk_size/i"),
        (lambda d: d.search("d", "i", nouveau=True).info(), "GET /db/_design/d/_nouveau_info/i"),
        (lambda d: d.maintenance.auto_purge(), "GET /db/_auto_purge"),
        (lambda d: d.maintenance.set_auto_purge("3_hour"), "PUT /db/_auto_purge"),
        (lambda d: d.maintenance.time_seq(), "GET /db/_time_seq"),
        (lambda d: d.maintenance.reset_time_seq(), "DELETE /db/_time_seq"),
    ],
)
async def test_requests_of_newer_servers_and_searches(
    canned: CannedServer,
    session: CouchDB,
    call: Callable[[Database], Awaitable[object]],
    line: str,
) -> None:
    canned.say_json(OK)
    await call(session.database("db"))
    assert canned.lines == [line]
