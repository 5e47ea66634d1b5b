"""A loop that is suspended while others wait for its connection: what was read on is what had come."""

import asyncio
import gzip
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import IO, Any

import aiohttp
import pytest

from aiocouch import CouchDB, Database, TruncatedError
from tests.wire.canned import Answer, CannedServer, cut_up, doc_row, json_answer, rows_text

NAMES = ["a", "b", "c"]
TEXT = rows_text([doc_row(name, text=name * 300_000) for name in NAMES])
FIRST = TEXT.index(b'\n{"id": "b"') + 1
FILES = tempfile.TemporaryFile


@pytest.fixture
async def narrow(canned: CannedServer) -> AsyncIterator[Database]:
    """The database through one connection."""
    async with CouchDB(canned.url, connector=aiohttp.TCPConnector(limit=1)) as couchdb:
        yield Database(couchdb, "db")


class Rows:
    """Rows whose first comes at once, and whose rest waits until it may come."""

    def __init__(self, rest: bytes, *, packed: bool = False, cut: bool = False) -> None:
        self.may_go_on = asyncio.Event()
        self.answer = Answer(pieces=self._pieces(rest, packed), cut=cut)
        if packed:
            self.answer.headers["Content-Encoding"] = "gzip"

    async def _pieces(self, rest: bytes, packed: bool) -> AsyncGenerator[bytes, None]:
        # Members of a gzip file can follow each other.
        yield gzip.compress(TEXT[:FIRST]) if packed else TEXT[:FIRST]
        await self.may_go_on.wait()
        for piece in cut_up(gzip.compress(rest) if packed else rest, 50_000):
            yield piece


@pytest.mark.parametrize("packed", [False, True])
async def test_all_rows_come(canned: CannedServer, narrow: Database, packed: bool) -> None:
    rows = Rows(TEXT[FIRST:], packed=packed)
    canned.say(rows.answer, *[json_answer({"_id": "x", "_rev": "1-a"})] * 3)
    seen = []
    async with asyncio.timeout(60):
        async for doc in narrow.docs():
            seen.append(doc["text"])
            rows.may_go_on.set()
            await narrow["x"]
    assert seen == [name * 300_000 for name in NAMES]


async def test_a_cut_is_raised_behind_the_rows_before_it(
    canned: CannedServer, narrow: Database
) -> None:
    rows = Rows(TEXT[FIRST : TEXT.index(b'\n{"id": "c"') + 9], cut=True)
    canned.say(rows.answer, *[json_answer({"_id": "x", "_rev": "1-a"})] * 2)
    seen = []

    async def read() -> None:
        async for doc in narrow.docs():
            seen.append(doc.id)
            rows.may_go_on.set()
            await narrow["x"]

    async with asyncio.timeout(60):
        with pytest.raises(TruncatedError):
            await read()
    assert seen == ["a", "b"]


async def test_a_full_disk_is_raised_in_the_loop_and_not_where_others_wait(
    canned: CannedServer, narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**options: Any) -> IO[bytes]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    rows = Rows(TEXT[FIRST:].replace(b"b" * 1000, b"b" * 20_000))
    canned.say(rows.answer, json_answer({"_id": "x", "_rev": "1-a"}))
    async with asyncio.timeout(60), aclosing(narrow.docs()) as docs:
        await anext(docs)
        rows.may_go_on.set()
        assert (await narrow["x"]).id == "x"
        with pytest.raises(OSError, match="No space left on device"):
            async for _ in docs:
                pass


async def test_the_file_goes_when_the_loop_is_left(
    canned: CannedServer, narrow: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[IO[bytes]] = []

    def watched(**options: Any) -> IO[bytes]:
        files.append(FILES(**options))
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    rows = Rows(TEXT[FIRST:].replace(b"b" * 1000, b"b" * 20_000))
    canned.say(rows.answer, json_answer({"_id": "x", "_rev": "1-a"}))
    async with asyncio.timeout(60), aclosing(narrow.docs()) as docs:
        await anext(docs)
        rows.may_go_on.set()
        await narrow["x"]
        assert [file.closed for file in files] == [False]
    assert [file.closed for file in files] == [True]


async def test_who_waits_may_be_cancelled(canned: CannedServer, narrow: Database) -> None:
    rows = Rows(TEXT[FIRST:])
    canned.say(rows.answer)
    async with asyncio.timeout(60), aclosing(narrow.docs()) as docs:
        seen = [(await anext(docs)).id]
        waiting = asyncio.create_task(narrow.info())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        rows.may_go_on.set()
        seen += [doc.id async for doc in docs]
    assert seen == NAMES
    canned.say(json_answer({"db_name": "db"}))
    assert (await narrow.info())["db_name"] == "db"


async def test_deleting_the_database_ends_a_loop_that_hears_nothing_more(
    canned: CannedServer,
) -> None:
    rows = Rows(TEXT[FIRST:])
    canned.say(rows.answer, json_answer({"ok": True}))
    async with CouchDB(canned.url) as couchdb, asyncio.timeout(60):
        base = Database(couchdb, "db")
        async with aclosing(base.docs()) as docs:
            await anext(docs)
            await base.delete()
            with pytest.raises(TruncatedError, match="the database was deleted"):
                await anext(docs)
