"""An embedded server on a thread, and where a server is."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from aiocouch.testing import BackgroundCouchDB, CouchDBServer

if TYPE_CHECKING:
    from pathlib import Path


def get(url: str) -> object:
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
