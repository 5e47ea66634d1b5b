"""What a server says of itself and to whom, on every server: CouchDB 3.5.2 is the measure."""

from __future__ import annotations

import base64
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from aiocouch.embedded.node.statistics import known_metrics
from tests.support.cluster import Cluster, everywhere

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from aiocouch.testing import CouchDBServer

Who = tuple[str, str] | None


class Asker:
    """Sends plain requests to one server."""

    def __init__(self, session: aiohttp.ClientSession, server: CouchDBServer) -> None:
        self._session = session
        self._server = server

    async def ask(
        self, method: str, path: str, json: Any = None, *, who: Who = ("", "")
    ) -> tuple[int, Any]:
        """Give the status and the answer; asks as the admin unless `who` names another."""
        if who == ("", ""):
            who = (self._server.user, self._server.password)
        headers = {}
        if who is not None:
            text = base64.b64encode(":".join(who).encode()).decode()
            headers["Authorization"] = f"Basic {text}"
        url = URL(f"{self._server.url}/{path}", encoded=True)
        to_all = (everywhere,) if isinstance(self._server, Cluster) else ()
        async with self._session.request(
            method, url, json=json, headers=headers, middlewares=to_all
        ) as response:
            is_json = response.content_type == "application/json" and method != "HEAD"
            return response.status, await (response.json() if is_json else response.text())


@pytest.fixture
async def asker(couchdb_server: CouchDBServer) -> AsyncIterator[Asker]:
    """Somebody who asks the server of the test."""
    async with aiohttp.ClientSession() as session:
        yield Asker(session, couchdb_server)


async def _require_version(asker: Asker) -> None:
    _, welcome = await asker.ask("GET", "")
    if welcome["version"] != "3.5.2":
        pytest.skip("other versions have other metrics")


def _leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if "desc" in tree:
        yield path, tree["type"], tree["desc"]
        return
    for name, branch in tree.items():
        yield from _leaves(branch, (*path, name))


async def test_metrics_are_those_of_couchdb(asker: Asker) -> None:
    await _require_version(asker)
    _, tree = await asker.ask("GET", "_node/_local/_stats")
    known = {(metric.path, metric.kind, metric.description) for metric in known_metrics()}
    assert set(_leaves(tree)) == known


SOMETIMES = ("message_queue_couch_", "erlang_distribution_", "membership_nodes")


async def test_prometheus_has_a_head_for_every_family(
    couchdb_server: CouchDBServer, asker: Asker
) -> None:
    await _require_version(asker)
    _, text = await asker.ask("GET", "_node/_local/_prometheus")
    heads = [line.split(" ", 3) for line in text.splitlines() if line.startswith("#")]
    types = {name: kind for _, word, name, kind in heads if word == "TYPE"}
    told = {name for _, word, name, _ in heads if word == "HELP"}
    # these are there while processes of Erlang hold a database, or other nodes are connected
    own = {name for name in told if any(part in name for part in SOMETIMES)}
    assert told == set(types)
    assert len(told - own) == 191
    assert types["couchdb_open_databases"] == "gauge"
    assert types["couchdb_request_time_seconds"] == "summary"
    nodes = 3 if isinstance(couchdb_server, Cluster) else 1
    assert f'couchdb_membership{{nodes="all_nodes"}} {nodes}' in text.splitlines()


@pytest.mark.parametrize(
    ("setup", "status", "reason"),
    [
        ({"action": "nosuch"}, 400, "Invalid Action'"),
        ({"action": "finish_cluster"}, 400, "Cluster is already finished"),
        ({"action": "enable_single_node"}, 500, "badarg"),
        ({"action": "enable_single_node", "bind_address": "nonsense"}, 500, "ok"),
        ({"action": "add_node"}, 400, "Cluster is not enabled."),
        ("no object", 400, "Missing JSON body'"),
    ],
)
async def test_set_up_that_is_refused(
    asker: Asker, setup: object, status: int, reason: str
) -> None:
    answer = await asker.ask("POST", "_cluster_setup", setup)
    assert (answer[0], answer[1]["reason"]) == (status, reason)


@asynccontextmanager
async def _users(asker: Asker, *names: str) -> AsyncIterator[str]:
    """Make users who can log in, and an open database with the rules of `_users`; give its path."""
    database = f"t{uuid.uuid4().hex}/_users"
    path = quote(database, safe="")
    assert (await asker.ask("PUT", path))[0] == 201
    assert (await asker.ask("PUT", f"{path}/_security", {}))[0] == 200
    revisions = {}
    for name in names:
        user = {"name": name, "type": "user", "roles": [], "password": "pw"}
        status, answer = await asker.ask("PUT", f"_users/org.couchdb.user:{name}", user)
        assert status == 201
        revisions[name] = answer["rev"]
    try:
        yield path
    finally:
        for name, rev in revisions.items():
            await asker.ask("DELETE", f"_users/org.couchdb.user:{name}?rev={rev}")
        await asker.ask("DELETE", path)


async def test_users_see_and_change_their_own_documents_only(asker: Asker) -> None:
    mia, pia = f"mia-{uuid.uuid4().hex}", f"pia-{uuid.uuid4().hex}"
    async with _users(asker, mia, pia) as path:
        document = f"{path}/org.couchdb.user:{pia}"
        user = {"name": pia, "type": "user", "roles": [], "password": "pw"}
        status, saved = await asker.ask("PUT", document, user)
        assert status == 201
        other, own = (mia, "pw"), (pia, "pw")
        stored = (await asker.ask("GET", document, who=own))[1]
        assert "password" not in stored
        assert stored["password_scheme"] == "pbkdf2"
        rev = saved["rev"]
        for who in (other, None):
            for method, target in (
                ("GET", document),
                ("HEAD", document),
                ("DELETE", document),
                ("DELETE", f"{document}?rev={rev}"),
            ):
                assert (await asker.ask(method, target, who=who))[0] == 404, (method, target)
        assert (await asker.ask("PUT", document, {**user, "_rev": rev}, who=other))[0] == 404
        assert (await asker.ask("PUT", document, {**user, "_rev": rev}, who=own))[0] == 201


async def test_design_documents_of_users_are_for_admins(asker: Asker) -> None:
    mia = f"mia-{uuid.uuid4().hex}"
    async with _users(asker, mia) as path:
        document = f"{path}/org.couchdb.user:{mia}"
        user = {"name": mia, "type": "user", "roles": [], "password": "pw"}
        assert (await asker.ask("PUT", document, user))[0] == 201
        design = {
            "views": {"all": {"map": "function (doc) { emit(doc._id, null); }"}},
            "shows": {"name": "function (doc) { return doc ? doc.name : 'nobody'; }"},
        }
        assert (await asker.ask("PUT", f"{path}/_design/d", design))[0] == 201
        reason = "Only administrators can view design docs in the users database."
        for who in ((mia, "pw"), None):
            for rest in ("", "/_view/all"):
                status, answer = await asker.ask("GET", f"{path}/_design/d{rest}", who=who)
                assert (status, answer["reason"]) == (403, reason)
            for rest in ("/_view/all", "/_list/a/all", "/a.txt", "/_nothing/x"):
                status, answer = await asker.ask("GET", f"{path}/_design/no{rest}", who=who)
                assert (status, answer["reason"]) == (404, "missing")
        show = f"{path}/_design/d/_show/name/org.couchdb.user:{mia}"
        assert await asker.ask("GET", show, who=(mia, "pw")) == (200, mia)
        assert await asker.ask("GET", show, who=None) == (200, "nobody")
        status, answer = await asker.ask("GET", f"{path}/_design/d/_view/all")
        assert (status, answer["total_rows"]) == (200, 1)


async def test_hashes_are_counted(asker: Asker) -> None:
    name = f"mia-{uuid.uuid4().hex}"

    async def slow() -> int:
        path = "_node/_local/_stats/couchdb/password_hashing_slow/value"
        counted: int = (await asker.ask("GET", path))[1]
        return counted

    before = await slow()
    async with _users(asker, name):
        assert await slow() > before
        before = await slow()
        assert (await asker.ask("GET", "_session", who=(name, "no")))[0] == 401
        assert await slow() > before
