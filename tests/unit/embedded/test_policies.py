"""Headers for browsers, and settings that look at headers; as the old sections have them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.embedded.server_client import ADMIN, ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG = "/_node/_local/_config"


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A fresh server."""
    async with ServerClient() as client:
        yield client


async def _set(client: ServerClient, setting: str, value: str) -> None:
    assert (await client("PUT", f"{CONFIG}/{setting}", value)).status == 200


async def _header(
    client: ServerClient, name: str, path: str = "/_up", sent: dict[str, str] | None = None
) -> str | None:
    return (await client("GET", path, auth=ADMIN, **(sent or {}))).headers.get(name)


@pytest.mark.parametrize("section", ["chttpd", "httpd"])
async def test_frames(client: ServerClient, section: str) -> None:
    name = "X-Frame-Options"
    assert await _header(client, name) is None
    await _set(client, f"{section}/enable_xframe_options", "true")
    assert await _header(client, name) == "DENY"
    assert await _header(client, name, "/nosuch") == "DENY"
    await _set(client, "x_frame_options/hosts", "http://a.b , https://c.d")
    assert await _header(client, name) == "DENY"
    assert await _header(client, name, sent={"Host": "a.b"}) == "ALLOW-FROM http://a.b"
    secure = {"Host": "c.d", "X_Forwarded_Proto": "https"}
    assert await _header(client, name, sent=secure) == "ALLOW-FROM https://c.d"
    await _set(client, "x_frame_options/hosts", "*")
    assert await _header(client, name, sent={"Host": "x.y"}) == "ALLOW-FROM http://x.y"
    await _set(client, "x_frame_options/same_origin", "true")
    assert await _header(client, name) == "SAMEORIGIN"


@pytest.mark.parametrize("section", ["chttpd", "httpd"])
async def test_only_known_hosts(client: ServerClient, section: str) -> None:
    await _set(client, f"{section}/valid_hosts", "127.0.0.1,a.b")
    await _set(client, f"{section}/validate_host", "true")
    assert (await client("GET", "/_up")).status == 200
    assert (await client("GET", "/_up", Host="a.b:99")).status == 200
    answer = await client("GET", "/_up", Host="x.y")
    assert (answer.status, answer.json["reason"]) == (400, "Invalid host header")


@pytest.mark.parametrize("section", ["chttpd", "httpd"])
async def test_the_server_may_keep_its_version_to_itself(
    client: ServerClient, section: str
) -> None:
    assert str(await _header(client, "Server")).startswith("CouchDB/3.5.2")
    await _set(client, f"{section}/server_header_versions", "false")
    assert await _header(client, "Server") == "CouchDB"


async def test_browsers_are_asked_for_a_password(client: ServerClient) -> None:
    name = "WWW-Authenticate"
    assert (await client("GET", "/_all_dbs", auth=None)).headers.get(name) is None
    # where it stood before, it requires nothing any more
    await _set(client, "httpd/require_valid_user", "true")
    assert (await client("GET", "/_up", auth=None)).status == 200
    answer = await client("GET", "/_all_dbs", auth=None)
    assert answer.headers[name] == 'Basic realm="server"'
    await _set(client, "httpd/WWW-Authenticate", 'Basic realm="x"')
    answer = await client("GET", "/_all_dbs", auth=None)
    assert answer.headers[name] == 'Basic realm="x"'


async def test_requests_of_another_origin_by_the_old_name(client: ServerClient) -> None:
    await _set(client, "httpd/enable_cors", "true")
    await _set(client, "cors/origins", "http://a.b")
    allowed = "Access-Control-Allow-Origin"
    assert await _header(client, allowed, sent={"Origin": "http://a.b"}) == "http://a.b"
    await _set(client, "chttpd/enable_cors", "false")
    assert await _header(client, allowed, sent={"Origin": "http://a.b"}) is None


async def test_policies_of_content(client: ServerClient) -> None:
    name = "Content-Security-Policy"
    await client("PUT", "/db")
    design = {
        "shows": {
            "plain": "function () { return 'x'; }",
            "own": "function () { return {body: 'x', headers: {'Content-Security-Policy': 'own'}}; }",
        },
        "_attachments": {"a": {"content_type": "text/plain", "data": "YQ=="}},
    }
    assert (await client("PUT", "/db/_design/d", design)).status == 201
    paths = [f"/db/_design/d/{rest}" for rest in ("_show/plain", "_show/own", "a")]

    async def policies() -> list[str | None]:
        return [await _header(client, name, path) for path in paths]

    assert await policies() == ["sandbox", "sandbox, own", "sandbox"]
    await _set(client, "csp/showlist_header_value", "s")
    await _set(client, "csp/attachments_header_value", "a")
    assert await policies() == ["s", "s, own", "a"]
    await _set(client, "csp/showlist_enable", "false")
    await _set(client, "csp/attachments_enable", "false")
    assert await policies() == [None, "own", None]
    utils = "/_utils/nosuch"
    assert "default-src 'self'" in str(await _header(client, name, utils))
    await _set(client, "csp/utils_enable", "false")
    await _set(client, "csp/header_value", "old")
    assert await _header(client, name, utils) == "old"
    await _set(client, "csp/enable", "false")
    assert await _header(client, name, utils) is None


async def test_functions_do_not_learn_how_a_client_proves_who_it_is(client: ServerClient) -> None:
    source = (
        "function (doc, req) { var h = req.headers; return JSON.stringify([req.cookie, "
        "h.Authorization, h.Cookie, h['X-Auth-Couchdb-Token'], h['X-Foo']]); }"
    )
    await client("PUT", "/db")
    await client("PUT", "/db/_design/d", {"shows": {"s": source}})
    sent = {"Cookie": 'a=b; c="d"; a=e; f', "X_Auth_CouchDB_Token": "t", "X_Foo": "1"}
    answer = await client("GET", "/db/_design/d/_show/s", auth=ADMIN, **sent)
    assert answer.json == [{}, None, None, None, "1"]
    await _set(client, "chttpd/scrub_json_request", "false")
    told = (await client("GET", "/db/_design/d/_show/s", auth=ADMIN, **sent)).json
    assert told[0] == {"a": "e", "c": "d", "f": ""}
    assert told[1].startswith("Basic ")
    assert told[2:] == [sent["Cookie"], "t", "1"]
