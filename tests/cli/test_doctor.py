"""doctor: what its judges find, and what it finds in real servers."""

from __future__ import annotations

import io
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch.cli.doctor.database import Sizes, judge_copies, judge_info, judge_limit
from aiocouch.cli.doctor.holes import HOLES, holes_of, judge_version
from aiocouch.cli.doctor.indexes import (
    judge_design,
    judge_index,
    judge_indexes,
    judge_reduced,
    judge_time,
)
from aiocouch.cli.doctor.server import (
    judge_certificates,
    judge_load,
    judge_members,
    judge_queries,
    judge_replication,
    judge_url,
)
from aiocouch.cli.doctor.settings import judge_settings
from aiocouch.cli.exits import Exit
from tests.cli.test_queries import leave_conflict
from tests.support.installed import installed_couchdb, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiocouch import CouchDB, Database
    from aiocouch.answers import Membership
    from aiocouch.cli.doctor import Finding
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Ended, Run


def names(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return severities and checks."""
    return [(str(found.severity), found.check) for found in findings]


# -- judges


@pytest.mark.parametrize(
    ("version", "worst", "count"),
    [
        ("1.7.2", "problem", 10),
        ("2.1.0", "problem", 13),
        ("2.1.1", "problem", 11),
        ("2.3.1", "problem", 8),
        ("3.0.0", "problem", 9),
        ("3.0.1", "problem", 8),
        ("3.1.0", "problem", 8),
        ("3.2.0", "problem", 7),
        ("3.2.2", "warning", 6),
        ("3.2.3", "warning", 5),
        ("3.3.0", "warning", 6),
        ("3.3.2", "warning", 5),
        ("3.3.3", "warning", 4),
        ("3.5.2-abc", "warning", 4),
        ("3.5.2.1", "warning", 4),
        ("3.5.3", None, 0),
        ("3.6", None, 0),
        ("4.0", None, 0),
        ("unknown", None, 0),
    ],
)
def test_versions(version: str, worst: str | None, count: int) -> None:
    found = list(judge_version(version))
    assert names(found) == ([(worst, "version")] if worst else [])
    assert len(holes_of(version)) == count
    if found:
        assert found[0].what.count("CVE-") == count == len(found[0].measured["holes"])


def test_what_is_told_of_holes() -> None:
    (found,) = judge_version("3.2.1")
    assert found.means == "who can reach the ports of Erlang can become admin"
    assert found.measured["holes"]["CVE-2023-26268"] == ["3.2.3", "3.3.2"]
    assert found.do == "upgrade to 3.5.3 or later"


def test_holes_are_in_order_and_so_are_the_versions_that_mend_them() -> None:
    numbers = [tuple(map(int, hole.cve.split("-")[1:])) for hole in HOLES]
    assert numbers == sorted(set(numbers))
    for hole in HOLES:
        assert list(hole.mended) == sorted(hole.mended)
        assert not any(hole.is_in(version) for version in hole.mended)


@pytest.mark.parametrize(
    ("url", "count"),
    [
        ("http://127.0.0.1:5984", 0),
        ("http://localhost", 0),
        ("http://[::1]:1", 0),
        ("https://h", 0),
        ("http://h", 1),
        ("http://127.evil.org", 1),
    ],
)
def test_ways_to_a_server(url: str, count: int) -> None:
    assert len(list(judge_url(url))) == count


@pytest.mark.parametrize(
    ("section", "key", "bites", "fine"),
    [
        ("couchdb", "maintenance_mode", "true", "false"),
        ("native_query_servers", "enable_erlang_query_server", "true", "false"),
        ("couchdb", "default_security", "everyone", "admin_only"),
        ("couchdb", "users_db_security_editable", "true", "false"),
        ("chttpd_auth", "users_db_public", "true", "false"),
        ("chttpd_auth", "iterations", "10", "600000"),
        ("log", "level", "debug", "info"),
        ("smoosh", "db_channels", "", "ratio_dbs"),
        ("couchdb", "max_document_size", "4294967296", "8000000"),
        ("query_server_config", "reduce_limit", "false", "log"),
        ("uuids", "algorithm", "random", "sequential"),
        ("couch_peruser", "delete_dbs", "true", "false"),
    ],
)
def test_settings(section: str, key: str, bites: str, fine: str) -> None:
    (found,) = judge_settings({section: {key: bites}}, "n@h")
    assert (found.check, found.where) == ("setting", "n@h")
    assert f"[{section}] {key} = {bites}" in found.what
    assert not list(judge_settings({section: {key: fine}}, "n@h"))
    assert not list(judge_settings({}, "n@h"))


def test_pages_of_others() -> None:
    cors = {"origins": "*", "credentials": "true"}
    assert len(list(judge_settings({"chttpd": {"enable_cors": "true"}, "cors": cors}, ""))) == 1
    assert not list(judge_settings({"cors": cors}, ""))


def test_nodes() -> None:
    members: Membership = {"all_nodes": ["a", "c"], "cluster_nodes": ["a", "b"]}
    assert names(judge_members(members)) == [("problem", "node-down"), ("warning", "node-unknown")]
    assert not list(judge_members({"all_nodes": ["a"], "cluster_nodes": ["a"]}))


def stats(failed: int = 0, opened: int = 1, **mango: int) -> dict[str, Any]:
    """Return what a node has counted."""
    return {
        "couchdb": {
            "httpd_status_codes": {"500": {"value": failed}},
            "open_databases": {"value": opened},
        },
        "mango": {name: {"value": count} for name, count in mango.items()},
    }


def system(queue: int = 0, processes: int = 1) -> dict[str, Any]:
    """Return the figures of a node."""
    queues = {"couch_server": queue, "couch_file": {"count": 4, "max": 0}}
    return {
        "uptime": 1,
        "message_queues": queues,
        "process_count": processes,
        "process_limit": 1_000,
    }


def test_load() -> None:
    assert not list(judge_load(stats(), system(), {}, "n"))
    found = names(judge_load(stats(failed=1, opened=460), system(2_000, 950), {}, "n"))
    assert [check for _, check in found] == ["status-500", "queue", "open-databases", "processes"]
    assert not list(
        judge_load(stats(opened=460), system(), {"couchdb": {"max_dbs_open": "9999"}}, "n")
    )


def test_queries() -> None:
    assert not list(judge_queries(stats(), "n"))
    counted = stats(unindexed_queries=3, too_many_docs_scanned=2)
    assert names(judge_queries(counted, "n")) == [
        ("warning", "missing-index"),
        ("note", "poor-index"),
    ]


@pytest.mark.parametrize(
    ("state", "severity"),
    [("failed", "problem"), ("error", "problem"), ("crashing", "warning"), ("running", None)],
)
def test_replications(state: str, severity: str | None) -> None:
    row = {"id": "r", "state": state, "source": "s", "target": "t", "errors": 1, "error": "no"}
    assert names(judge_replication(row)) == ([(severity, "replication")] if severity else [])


def info(**changed: Any) -> dict[str, Any]:
    """Return what a database tells of itself, with nothing wrong."""
    return {
        "db_name": "a",
        "doc_count": 10,
        "doc_del_count": 5,
        "sizes": {"file": 1_000, "active": 900},
        "cluster": {"q": 2},
        **changed,
    }


def test_numbers_of_databases() -> None:
    assert not list(judge_info(info()))
    assert names(judge_info(info(doc_del_count=1_001))) == [("warning", "tombstones")]
    assert not list(judge_info(info(doc_del_count=1_001, doc_count=5_000)))
    sizes = {"file": 10**9, "active": 10**8}
    assert names(judge_info(info(sizes=sizes))) == [("warning", "fragmented")]
    assert not list(judge_info(info(sizes=sizes, compact_running=True)))
    assert names(judge_info(info(doc_count=30_000_000))) == [("note", "large-shards")]


def test_copies() -> None:
    assert names(judge_copies(info(cluster={"q": 2, "n": 1}), 3)) == [("problem", "one-copy")]
    assert not list(judge_copies(info(cluster={"q": 2, "n": 1}), 1))
    assert not list(judge_copies(info(cluster={"q": 2, "n": 2}), 3))


def test_certificates() -> None:
    assert names(judge_certificates("false", 2)) == [("warning", "certificates")]
    assert not list(judge_certificates("true", 2))


@pytest.mark.parametrize(("limit", "count"), [(1_000, 0), (20, 0), (19, 1), (1_001, 1)])
def test_numbers_of_revisions(limit: int, count: int) -> None:
    assert len(list(judge_limit(limit, "a"))) == count


def test_designs() -> None:
    doc = {
        "views": {
            "a": {"map": "function (doc) { emit(doc.a, doc); }", "reduce": "_sum"},
            "b": {"map": "function (doc) { emit(doc.a, doc.b); }", "reduce": "function (k, v) {}"},
        },
        "shows": {"x": "function () {}"},
        "lists": {},
    }
    found = [check for _, check in names(judge_design(doc, "d"))]
    assert found == ["emits-doc", "javascript-reduce", "old-functions"]


def test_indexes_of_views() -> None:
    fine = {
        "updates_pending": {"total": 3},
        "sizes": {"file": 2, "active": 1},
        "waiting_clients": 0,
    }
    assert not list(judge_index(fine, "a _design/b"))
    told = {
        "updates_pending": {"total": 20_000},
        "waiting_clients": 2,
        "sizes": {"file": 10**9, "active": 1},
        "collator_versions": ["1", "2"],
    }
    found = list(judge_index(told, "a _design/b"))
    assert [each.check for each in found] == [
        "index-behind",
        "index-fragmented",
        "collators",
    ]
    assert "compact a --views" in found[1].do
    assert names(judge_time(1.5, "a")) == [("warning", "slow-view")]
    assert not list(judge_time(0.5, "a"))


def test_reductions() -> None:
    error = {"error": "builtin_reduce_error", "reason": "not numbers"}
    (found,) = judge_reduced([error], "a")
    assert "not numbers" in found.what
    assert not list(judge_reduced([5, None, {"error": 1}, {"sum": 1}], "a"))


def index(name: str, *fields: str, **more: Any) -> dict[str, Any]:
    """Return an index as CouchDB lists it."""
    definition = {"fields": [{field: "asc"} for field in fields], **more}
    return {"ddoc": f"_design/{name}", "name": name, "type": "json", "def": definition}


def test_indexes_that_are_not_needed() -> None:
    special: dict[str, Any] = {
        "ddoc": None,
        "name": "_all_docs",
        "type": "special",
        "def": {"fields": []},
    }
    found = list(
        judge_indexes([special, index("x", "a"), index("y", "a", "b"), index("z", "b")], "db")
    )
    assert [each.measured for each in found] == [{"index": "x/x", "other": "y/y"}]
    partial = index("p", "a", partial_filter_selector={"t": 1})
    assert not list(judge_indexes([partial, index("y", "a", "b")], "db"))
    # Of two that are the same one is needed.
    assert len(list(judge_indexes([index("x", "a"), index("y", "a")], "db"))) == 1


@given(st.lists(st.integers(0, 20), max_size=20))
def test_the_largest(documents: list[int]) -> None:
    sizes = Sizes(10)
    for number, size in enumerate(documents):
        sizes.add(f"d{number}", size)
    large = sorted((size for size in documents if size > 10), reverse=True)
    assert sizes.count == len(large)
    assert list(sizes.largest().values()) == large[:5]


# -- servers


def rows(ended: Ended) -> list[dict[str, Any]]:
    """Return the findings."""
    return [json.loads(line) for line in ended.lines]


def checks(ended: Ended) -> list[tuple[str, str]]:
    """Return severities and checks."""
    return [(row["severity"], row["check"]) for row in rows(ended)]


async def test_a_healthy_database(run: Run, db: Database) -> None:
    await db.bulk_docs([{"_id": "a"}])
    ended = await run("doctor", db.id, "--scan")
    assert (ended.status, ended.out) == (0, "")
    assert "0 problems, 0 warnings, 0 notes" in ended.err


async def test_a_database_that_is_not_there(run: Run, fresh_name: str) -> None:
    assert (await run("doctor", fresh_name)).status == Exit.NOT_FOUND


async def test_an_open_database(run: Run, db: Database) -> None:
    security = await db.security()
    security["members"] = {"names": [], "roles": []}
    await security.save()
    ended = await run("doctor", db.id, "--json")
    assert ended.status == Exit.FOUND
    assert checks(ended) == [("problem", "open-database")]
    whole = rows(await run("doctor", "--json"))
    assert ("open-database", db.id) in [(row["check"], row["where"]) for row in whole]


async def test_a_database_with_troubles(run: Run, db: Database) -> None:
    await leave_conflict(db, "a", {"n": 1}, {"n": 2})
    await db.revisions.set_limit(5)
    for name, fields in (("x", ["n"]), ("y", ["n", "m"])):
        await db.index({"fields": fields}, name=name, ddoc=name)
    ddoc = await db.design_doc("d")
    view = {
        "map": "function (doc) { emit(doc._id, doc); }",
        "reduce": "function (k, v) { return 1; }",
    }
    texts = {"map": "function (doc) { emit(doc._id, 'text'); }", "reduce": "_sum"}
    ddoc["views"] = {"v": view, "w": texts}
    await ddoc.save()
    await db.view("d", "w").get(reduce=False)
    await db.bulk_docs([{"_id": "large", "text": "x" * 1_100_000}])
    ended = await run("doctor", db.id, "--json", "--scan")
    assert ended.status == Exit.FOUND
    assert sorted(checks(ended)) == [
        ("note", "emits-doc"),
        ("note", "javascript-reduce"),
        ("note", "unneeded-index"),
        ("warning", "broken-reduce"),
        ("warning", "conflicts"),
        ("warning", "oversized"),
        ("warning", "revs-limit"),
    ]
    measured = {row["check"]: row["measured"] for row in rows(ended)}
    assert measured["conflicts"] == {"count": 1, "some": ["a"]}
    assert list(measured["oversized"]["largest"]) == ["large"]
    assert measured["unneeded-index"] == {"index": "x/x", "other": "y/y"}
    ended = await run("doctor", db.id)
    assert f"warning\t{db.id}\tconflicts\t1 document with conflicts: a" in ended.lines
    assert "--scan" in ended.err


async def test_what_is_wrong_enough(run: Run, db: Database) -> None:
    await db.revisions.set_limit(5)
    assert (await run("doctor", db.id)).status == Exit.FOUND
    assert (await run("doctor", db.id, "--fail-on", "problem")).status == 0
    await db.revisions.set_limit(1_000)
    assert (await run("doctor", db.id)).status == 0


async def test_a_whole_server(run: Run, db: Database) -> None:
    await leave_conflict(db, "a", {"n": 1}, {"n": 2})
    ended = await run("doctor", "--json")
    assert not [row for row in rows(ended) if row["severity"] == "unknown"]
    assert (db.id, "conflicts") not in [(row["where"], row["check"]) for row in rows(ended)]
    ended = await run("doctor", "--json", "--deep")
    assert (db.id, "conflicts") in [(row["where"], row["check"]) for row in rows(ended)]
    assert ended.status == Exit.FOUND


async def test_who_may_not_look(
    run: Run, db: Database, couchdb: CouchDB, couchdb_server: CouchDBServer
) -> None:
    name = f"user-{uuid.uuid4().hex[:8]}"
    await couchdb.users.create(name, "secret")
    security = await db.security()
    security.add_member(name)
    await security.save()
    server = couchdb_server.url.replace("://", f"://{name}:secret@")
    ended = await run("doctor", f"{server}/{db.id}", "--json")
    assert ended.status in {Exit.DONE, Exit.PARTLY}
    ended = await run("doctor", f"{server}/", "--json")
    unknown = {row["check"] for row in rows(ended) if row["severity"] == "unknown"}
    assert {"settings", "load", "databases"} <= unknown
    assert ended.status in {Exit.PARTLY, Exit.FOUND}
    await couchdb.users.delete(name)


async def test_the_version_of_a_server(run: Run, couchdb: CouchDB) -> None:
    told = await couchdb.request("GET", "/")
    (version,) = json.loads(told.body)["version"].split("-")[:1]
    found = [row for row in rows(await run("doctor", "--json")) if row["check"] == "version"]
    if "(aiocouch)" in told.headers["Server"]:
        assert not found  # what CouchDB of that version has, it has not
    else:
        assert [row["measured"]["version"] for row in found] == [version] * bool(holes_of(version))


async def test_certificates_that_replications_do_not_look_at(
    run: Run, couchdb: CouchDB, fresh_name: str
) -> None:
    """The embedded server verifies them whatever the settings are."""
    doc_id = f"r-{uuid.uuid4().hex[:8]}"
    nowhere = "https://127.0.0.1:9/x"
    await couchdb.replications.create(doc_id, nowhere, f"http://127.0.0.1:9/{fresh_name}")
    while doc_id not in (await run("replications", "list")).out:
        pass
    config = couchdb.node().config
    is_ours = "(aiocouch)" in (await couchdb.request("GET", "/")).headers["Server"]
    try:
        for verifies, count in (("false", not is_ours), ("true", 0)):
            await config.set("replicator", "verify_ssl_certificates", verifies)
            found = rows(await run("doctor", "--json"))
            told = [row["measured"] for row in found if row["check"] == "certificates"]
            assert told == [{"replications": 1}] * count
    finally:
        await config.delete("replicator", "verify_ssl_certificates")
        await (await couchdb.database("_replicator").get(doc_id)).delete()


@pytest.mark.skipif(not is_installed(), reason="an embedded server has no other nodes")
async def test_a_cluster_with_a_node_that_is_away(alone: Run) -> None:
    """A database of one copy, and a node that was never there."""
    with installed_couchdb() as server:
        async with server.connect() as couchdb:
            await couchdb.create("before")
            assert checks(await alone("doctor", f"{server.auth_url}/before", "--json")) == []
            away = "couchdb@127.0.0.2"
            await couchdb.request("PUT", f"/_node/_local/_nodes/{away}", json={})
            while away not in (await couchdb.cluster.membership())["cluster_nodes"]:
                pass
            await couchdb.create("after")
        found = rows(await alone("doctor", f"{server.auth_url}/", "--json"))
        told = [(row["check"], row["where"], row["measured"]) for row in found]
        assert ("node-down", away, {}) in told
        one_copy = [row for row in told if row[0] == "one-copy" and row[1] in {"before", "after"}]
        assert one_copy == [("one-copy", "before", {"n": 1, "nodes": 2})]


async def test_for_people(run: Run, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    await db.revisions.set_limit(5)
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    await run("doctor", db.id)
    first, means, do, *_ = terminal.getvalue().splitlines()
    assert first.startswith(f"WARNING  {db.id}: the ids of 5 revisions")
    assert "false conflicts" in means
    assert do.strip() == "→ set _revs_limit to 1000"
