"""What hangs from a session: node, cluster, replications, users, and the rest of the server."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import (
    BadRequestError,
    ConflictError,
    CouchDB,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    RemoteResponseError,
    UnauthorizedError,
)
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer


@pytest.fixture
async def fresh() -> str:
    """A name that nothing has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def user(couchdb: CouchDB, fresh: str) -> AsyncIterator[str]:
    """The name of a user whose password is `first`."""
    await couchdb.users.create(fresh, "first", ["reader"], {"theme": "dark"})
    yield fresh
    with contextlib.suppress(NotFoundError):
        await couchdb.users.delete(fresh)


async def test_a_server_is_up(couchdb: CouchDB) -> None:
    assert (await couchdb.up())["status"] == "ok"


async def test_uuids_are_new(couchdb: CouchDB) -> None:
    found = await couchdb.uuids(5)
    assert len(set(found)) == 5
    assert all(len(each) == 32 for each in found)


async def test_info_of_many_databases(couchdb: CouchDB, db: Database, fresh: str) -> None:
    there, missing = await couchdb.dbs_info([db.id, fresh])
    assert there["key"] == db.id
    assert "info" in there
    assert there["info"]["doc_count"] == 0
    assert missing == {"key": fresh, "error": "not_found"}
    listed = await couchdb.dbs_info(startkey=f'"{db.id}"', endkey=f'"{db.id}"')
    assert [row["key"] for row in listed] == [db.id]


async def test_dbs_info_takes_names_or_options(couchdb: CouchDB) -> None:
    with pytest.raises(InvalidTypeError):
        await couchdb.dbs_info("name")
    with pytest.raises(InvalidTypeError):
        await couchdb.dbs_info(["name"], limit=1)


async def test_active_tasks_is_a_list(couchdb: CouchDB) -> None:
    assert isinstance(await couchdb.active_tasks(), list)


async def test_query_servers_are_reloaded(couchdb: CouchDB) -> None:
    await couchdb.reload_query_servers()


async def test_a_node_tells_of_itself(couchdb: CouchDB) -> None:
    node = couchdb.node()
    name = await node.name()
    assert "@" in name
    assert name in (await couchdb.cluster.membership())["all_nodes"]
    assert await couchdb.node(name).name() == name
    assert (await node.stats("couchdb", "httpd", "requests"))["type"] == "counter"
    assert "couchdb" in await node.stats()
    assert (await node.system())["uptime"] >= 0
    if name.startswith("nonode@"):
        # without a name of its own CouchDB cannot look for its search service
        with pytest.raises(RemoteResponseError, match="500"):
            await node.versions()
    else:
        assert "javascript_engine" in await node.versions()
    assert "channels" in await node.smoosh()
    assert "couchdb_httpd_requests_total" in await node.prometheus()


async def test_a_node_that_is_not_there(couchdb: CouchDB) -> None:
    with pytest.raises(NotFoundError):
        await couchdb.node("nobody@127.0.0.1").name()


async def test_settings(couchdb: CouchDB, fresh: str) -> None:
    config = couchdb.node().config
    assert await config.get(fresh, "key") is None
    assert await config.get(fresh, "key", "else") == "else"
    assert await config.section(fresh) == {}
    assert await config.set(fresh, "key", "one", persist=False) == ""
    assert await config.set(fresh, "key", "x / y", persist=False) == "one"
    assert await config.get(fresh, "key") == "x / y"
    assert await config.section(fresh) == {"key": "x / y"}
    assert await config[fresh] == {"key": "x / y"}
    assert await config[fresh, "key"] == "x / y"
    assert (await config.all())[fresh] == {"key": "x / y"}
    assert await config.delete(fresh, "key", persist=False) == "x / y"
    with pytest.raises(NotFoundError):
        await config.delete(fresh, "key", persist=False)
    with pytest.raises(KeyError):
        await config[fresh, "key"]


async def test_settings_are_text(couchdb: CouchDB) -> None:
    config = couchdb.node().config
    wrong: Any = 5
    with pytest.raises(InvalidTypeError):
        await config.set("section", "key", wrong)
    with pytest.raises(InvalidInputError):
        await config.section("_reload")


async def test_settings_are_read_again(couchdb: CouchDB) -> None:
    await couchdb.node().config.reload()


async def test_a_cluster_tells_its_state(couchdb_server: CouchDBServer, couchdb: CouchDB) -> None:
    states = {"single_node_enabled", "cluster_finished"}
    if isinstance(couchdb_server, Cluster):
        # so CouchDB calls one whose nodes listen on the loopback address only
        states.add("cluster_disabled")
    assert await couchdb.cluster.state() in states
    assert await couchdb.cluster.state(["_users", "_replicator"]) in states


async def test_reshard_tells_its_state(couchdb: CouchDB) -> None:
    assert (await couchdb.reshard.summary())["state"] == "running"
    assert (await couchdb.reshard.state())["state"] == "running"
    assert isinstance(await couchdb.reshard.jobs(), list)
    with pytest.raises(NotFoundError):
        await couchdb.reshard.job("none")
    with pytest.raises(InvalidInputError):
        await couchdb.reshard.split()


async def test_who_we_are(couchdb: CouchDB, couchdb_server: CouchDBServer) -> None:
    assert await couchdb.session.name() == couchdb_server.user
    assert "_admin" in await couchdb.session.roles()
    assert (await couchdb.session.info())["ok"] is True
    await couchdb.session.end()


async def test_users_come_and_go(
    couchdb: CouchDB, couchdb_server: CouchDBServer, user: str
) -> None:
    document = await couchdb.users[user]
    assert document["roles"] == ["reader"]
    assert document["theme"] == "dark"
    assert "password" not in document
    assert user in [name async for name in couchdb.users.names()]
    with pytest.raises(ConflictError):
        await couchdb.users.create(user, "x")

    answer = await couchdb.users.set_password(user, "second")
    assert answer is not None
    assert (answer.status, answer.etag) == (201, (await couchdb.users[user]).rev)
    assert await couchdb.users.set_roles(user, ["writer", "reader"]) is not None
    assert await couchdb.users.set_roles(user, ["writer", "reader"]) is None
    async with CouchDB(couchdb_server.url, user, "second") as session:
        assert await session.session.name() == user
        assert set(await session.session.roles()) == {"writer", "reader"}
    async with CouchDB(couchdb_server.url, user, "first") as session:
        with pytest.raises(UnauthorizedError):
            await session.session.name()

    await couchdb.users.delete(user)
    with pytest.raises(NotFoundError):
        await couchdb.users.get(user)


async def test_users_have_names_and_passwords(couchdb: CouchDB) -> None:
    wrong: Any = None
    with pytest.raises(InvalidInputError):
        await couchdb.users.get("")
    with pytest.raises(InvalidTypeError):
        await couchdb.users.create(wrong, "x")
    with pytest.raises(InvalidTypeError):
        await couchdb.users.create("x", wrong)
    with pytest.raises(InvalidTypeError):
        await couchdb.users.set_roles("x", "admin")


@pytest.fixture
async def place(couchdb_server: CouchDBServer, db: Database) -> dict[str, Any]:
    """The database of the test as a replicator reaches it."""
    who = {"username": couchdb_server.user, "password": couchdb_server.password}
    return {"url": f"{couchdb_server.url}/{db.id}", "auth": {"basic": who}}


@pytest.fixture
async def target(
    couchdb: CouchDB, couchdb_server: CouchDBServer, fresh: str
) -> AsyncIterator[dict[str, Any]]:
    """A database that is not there yet."""
    who = {"username": couchdb_server.user, "password": couchdb_server.password}
    yield {"url": f"{couchdb_server.url}/{fresh}", "auth": {"basic": who}}
    with contextlib.suppress(NotFoundError):
        await couchdb.database(fresh).delete()


async def test_the_server_replicates_once(
    couchdb: CouchDB, db: Database, place: dict[str, Any], target: dict[str, Any], fresh: str
) -> None:
    await db.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    done = await couchdb.replications.run(place, target, create_target=True, doc_ids=["a", "b"])
    assert done["ok"] is True
    assert sorted([id async for id in couchdb.database(fresh).akeys()]) == ["a", "b"]


async def test_a_checkpoint_of_an_earlier_replication_is_told_of(
    couchdb: CouchDB, db: Database, place: dict[str, Any], target: dict[str, Any]
) -> None:
    run = couchdb.replications.run
    await db.bulk_docs([{"_id": "a"}])
    before = await run(place, target, create_target=True)
    again = await run(place, target, create_target=True, use_checkpoints=False)
    assert again == {**before, "no_changes": True}
    await db.bulk_docs([{"_id": "b"}])
    again = await run(place, target, create_target=True, use_checkpoints=False)
    assert again == {"ok": True, "use_checkpoints": False}


async def replicated(couchdb: CouchDB, id: str) -> list[str]:
    """The documents of replications that are done, once one is among them: nodes tell later of it."""
    ids: list[str] = []
    async with asyncio.timeout(60):
        while id not in ids:
            found = await couchdb.replications.docs("_replicator", states=["completed"], limit=1000)
            ids = [row["doc_id"] for row in found["docs"]]
    return ids


async def test_the_server_replicates_by_a_document(
    couchdb: CouchDB, db: Database, place: dict[str, Any], target: dict[str, Any], fresh: str
) -> None:
    await db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    states = []
    document = await couchdb.replications.create(fresh, place, target, create_target=True)
    done = await couchdb.replications.wait(
        fresh, progress=lambda state: states.append(state["state"]), every=0.1
    )
    assert done["state"] == "completed" == states[-1]
    assert done["info"] is not None
    assert done["info"].get("docs_written") == 2
    assert (await couchdb.replications.doc(fresh))["doc_id"] == fresh
    assert fresh in await replicated(couchdb, fresh)
    assert "jobs" in await couchdb.replications.jobs(limit=1)
    await document.fetch(discard_changes=True)
    await document.delete()


async def test_a_replication_that_nobody_began(couchdb: CouchDB, fresh: str) -> None:
    with pytest.raises(NotFoundError):
        await couchdb.replications.wait(fresh, every=0.01, patience=0.05)
    with pytest.raises(NotFoundError):
        await couchdb.replications.job(fresh)
    wrong: Any = "ids"
    with pytest.raises(InvalidTypeError):
        await couchdb.replications.run("a", "b", doc_ids=wrong)


async def test_the_raw_door(couchdb: CouchDB, db: Database) -> None:
    answer = await couchdb.request("PUT", f"{db.endpoint}/x%2Fy", json={"n": 2**80})
    assert answer.status == 201
    answer = await couchdb.request("GET", f"{db.endpoint}/x%2Fy", params={"revs": True})
    assert answer.json()["n"] == 2**80
    assert "_revisions" in answer.json()
    with pytest.raises(NotFoundError):
        await couchdb.request("GET", f"{db.endpoint}/missing")
    with pytest.raises(BadRequestError):
        await couchdb.request("PUT", f"{db.endpoint}/z", body=b"{", headers={"X-A": "b"})
    with pytest.raises(InvalidInputError):
        await couchdb.request("GET", "no-slash")
    with pytest.raises(InvalidTypeError):
        await couchdb.request("PUT", "/x", json={}, body=b"")
