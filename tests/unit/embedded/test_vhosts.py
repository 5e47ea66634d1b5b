"""Virtual hosts: the section `vhosts`, as CouchDB 3.5.2 reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ADMIN, ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOSTS = {
    "ex.ample": "/vdb",
    "*.ex.ample": "/vdb/doc",
    ":d.na.me": "/:d",
    "r.ex.ample": "/vdb/_design/d/_rewrite",
    "p.ex.ample/sub": "/vdb",
    "p2.ex.ample:77": "/vdb",
    "*.wild": "/*",
    ":dd.:db.two": "/:db/_design/:dd/_show",
    "root.x": "/",
    "u.x": "/:nosuch",
    "e.x": "",
}
SHOW = (
    "function (doc, req) { return JSON.stringify([req.path, req.requested_path, req.raw_path]); }"
)


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A server with a database under many names."""
    async with ServerClient(vhosts=HOSTS) as client:
        await client("PUT", "/vdb")
        await client("PUT", "/vdb/doc", {"here": True})
        rewrites = [{"from": "x", "to": "../../doc"}]
        await client("PUT", "/vdb/_design/d", {"shows": {"s": SHOW}, "rewrites": rewrites})
        yield client


async def _what(client: ServerClient, host: str, path: str) -> str:
    """Tell what a path is on a host: the server, a database, the document, or a status."""
    answer = await client("GET", path, auth=ADMIN, Host=host)
    if answer.status != 200:
        return str(answer.status)
    for member in ("couchdb", "db_name", "here", "userCtx", "uuids"):
        if member in answer.json:
            return member
    return answer.body.decode()


@pytest.mark.parametrize(
    ("host", "path", "what"),
    [
        ("other", "/", "couchdb"),
        ("ex.ample", "/", "db_name"),
        ("ex.ample", "/doc", "here"),
        ("ex.ample:6990", "/doc", "here"),
        ("EX.AMPLE", "/", "couchdb"),
        ("ex.ample", "/nosuch", "404"),
        ("ex.ample", "/_session", "userCtx"),
        ("ex.ample", "/_uuids?count=0", "uuids"),
        ("a.ex.ample", "/", "here"),
        ("a.b.ex.ample", "/", "here"),
        ("vdb.na.me", "/doc", "here"),
        ("r.ex.ample", "/x", "here"),
        ("p.ex.ample", "/sub/doc", "here"),
        ("p.ex.ample", "/sub", "db_name"),
        ("p2.ex.ample:77", "/doc", "here"),
        ("p2.ex.ample", "/", "here"),
        ("vdb.wild", "/doc", "here"),
        ("doc.vdb.wild", "/", "here"),
        ("wild", "/", "couchdb"),
        ("root.x", "/", "couchdb"),
        ("root.x", "/vdb/doc", "here"),
        ("u.x", "/", "404"),
        ("e.x", "/", "couchdb"),
    ],
)
async def test_what_a_path_is_on_a_host(
    client: ServerClient, host: str, path: str, what: str
) -> None:
    assert await _what(client, host, path) == what


async def test_functions_learn_which_path_was_asked_for(client: ServerClient) -> None:
    answer = await client("GET", "/s/doc?x=y", auth=ADMIN, Host="d.vdb.two")
    raw = "/vdb/_design/d/_show/s/doc?x=y"
    assert answer.json == [
        ["vdb", "_design", "d", "_show", "s", "doc"],
        ["s", "doc?x=y"],
        raw,
    ]


async def test_a_proxy_names_the_host(client: ServerClient) -> None:
    answer = await client("GET", "/doc", auth=ADMIN, X_Forwarded_Host="ex.ample")
    assert answer.json["here"] is True


async def test_documents_are_written_and_settings_count_at_once(client: ServerClient) -> None:
    saved = await client("PUT", "/new", {"n": 1}, auth=ADMIN, Host="ex.ample")
    assert saved.status == 201
    assert (await client("GET", "/vdb/new")).json["n"] == 1
    await client("PUT", "/_node/_local/_config/vhosts/late.host", "/vdb/new")
    assert (await client("GET", "/", auth=ADMIN, Host="late.host")).json["n"] == 1
    await client("DELETE", "/_node/_local/_config/vhosts/late.host")
    assert "couchdb" in (await client("GET", "/", auth=ADMIN, Host="late.host")).json
