"""An embedded server on a thread, and where a server is."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest

from aiocouch.testing import BackgroundCouchDB, CouchDBServer

if TYPE_CHECKING:
    from pathlib import Path


def get(url: str | urllib.request.Request) -> object:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_runs_while_the_block_lasts() -> None:
    with BackgroundCouchDB() as server:
        greeting = get(server.url)
    assert isinstance(greeting, dict)
    assert greeting["couchdb"] == "Welcome"
    with pytest.raises(OSError, match="refused"):
        get(server.url)


async def test_keeps_data_in_a_folder_and_can_be_started_again(tmp_path: Path) -> None:
    background = BackgroundCouchDB(tmp_path, admin=("ada", "secret"))
    for exists in (False, True):
        with background as server:
            async with server.connect() as session:
                assert ("kept" in await session.keys()) is exists
                await session.create("kept", exists_ok=True)


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def _replicate(server: CouchDBServer, source: str, target: str) -> object:
    body = json.dumps({"source": source, "target": target}).encode()
    login = base64.b64encode(f"{server.user}:{server.password}".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {login}"}
    return get(urllib.request.Request(f"{server.url}/_replicate", body, headers))


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_an_address_of_ipv6_has_brackets_in_urls(host: str) -> None:
    with BackgroundCouchDB(host=host) as server:
        assert re.fullmatch(r"http://\[::1\]:\d+", server.url)
        async with server.connect() as session:
            notes = await session.create("notes")
            await (await notes.create("a", data={"n": 1})).save()
            await session.create("copy")
            for source, target in (("notes", "copy"), (f"{server.auth_url}/copy", "notes")):
                told = await asyncio.to_thread(_replicate, server, source, target)
                assert isinstance(told, dict)
                assert told["ok"] is True
            assert (await (await session["copy"])["a"])["n"] == 1


def test_tells_why_it_cannot_start() -> None:
    with BackgroundCouchDB() as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), BackgroundCouchDB(port=port):
            pass


@pytest.mark.parametrize(
    ("url", "where", "user", "password"),
    [
        ("http://localhost:5984/", "http://localhost:5984", "admin", "admin"),
        ("http://kim:s%2Fe@[::1]:1/couch/", "http://[::1]:1/couch", "kim", "s/e"),
        ("https://kim:p%40w@couch.example", "https://couch.example", "kim", "p@w"),
    ],
)
def test_takes_a_url_apart(url: str, where: str, user: str, password: str) -> None:
    server = CouchDBServer.from_url(url)
    assert (server.url, server.user, server.password) == (where, user, password)
    assert CouchDBServer.from_url(server.auth_url) == server
