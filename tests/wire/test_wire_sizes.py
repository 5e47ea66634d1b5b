"""How much one answer may take, and in what pieces a compressed one comes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiocouch import (
    CouchDB,
    Database,
    Document,
    InvalidInputError,
    NotFoundError,
    TruncatedError,
    UnexpectedAnswerError,
)
from tests.wire.canned import Answer, CannedServer, cut_up, doc_row, json_answer, rows_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MOST = 100_000
MILLION = b"x" * 1_000_000
GZIP = {"Content-Encoding": "gzip"}


def raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


LARGE = json.dumps({"_id": "a", "_rev": "1-a", "db_name": "db", "text": "x" * 1_000_000}).encode()
ANSWERS: dict[str, Callable[[], Answer]] = {
    "of a known length": lambda: Answer(body=LARGE),
    "in chunks": lambda: Answer(pieces=cut_up(LARGE, 50_000)),
    "compressed": lambda: Answer(body=gzip.compress(LARGE), headers=GZIP),
    "compressed in chunks": lambda: Answer(pieces=cut_up(gzip.compress(LARGE), 100), headers=GZIP),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_too_large(canned: CannedServer, name: str) -> None:
    canned.say(ANSWERS[name]())
    async with CouchDB(canned.url, max_size=MOST) as couchdb:
        with pytest.raises(
            UnexpectedAnswerError, match="GET /db: the answer has more than max_size=1"
        ):
            await Database(couchdb, "db").info()
    assert len(canned.requests) == 1


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("most", [None, len(LARGE)])
async def test_an_answer_that_may_be_so_large(
    canned: CannedServer, name: str, most: int | None
) -> None:
    canned.say(ANSWERS[name]())
    async with CouchDB(canned.url, max_size=most) as couchdb:
        assert (await Database(couchdb, "db")["a"])["text"] == "x" * 1_000_000


STREAMS: dict[str, Callable[[Database], Awaitable[Any]]] = {
    "a row": lambda db: anext(db.docs()),
    "a row of a query": lambda db: anext(db.find({})),
    "a row of a feed": lambda db: anext(db.changes()),
    "a line": lambda db: anext(db.changes(feed="continuous")),
}


@pytest.mark.parametrize("name", STREAMS)
async def test_a_row_that_is_too_large(canned: CannedServer, name: str) -> None:
    heads = {
        "a row of a query": b'{"docs":[\n',
        "a row of a feed": b'{"results":[\n',
        "a line": b"",
    }
    head = heads.get(name, b'{"total_rows":1,"offset":0,"rows":[\r\n')
    row = b'{"id":"a","key":"a","value":{"rev":"1-a"},"doc":{"_id":"a","text":"'
    canned.handler = lambda request: Answer(pieces=[head + row, *cut_up(MILLION, 10_000), b'"}}\n'])
    async with CouchDB(canned.url, max_size=MOST) as couchdb:
        what = "a line" if name == "a line" else "a row"
        with pytest.raises(
            UnexpectedAnswerError, match=f"/db/_.*: {what} has more than max_size=1"
        ):
            await STREAMS[name](Database(couchdb, "db"))


async def test_many_rows_are_not_too_large(canned: CannedServer) -> None:
    rows = [doc_row(f"{number}", text="x" * 10_000) for number in range(100)]
    canned.say(Answer(pieces=cut_up(rows_text(rows), 3_000)))
    async with CouchDB(canned.url, max_size=MOST) as couchdb:
        assert len([doc async for doc in Database(couchdb, "db").docs()]) == 100


def attachment(content: bytes, packed: bytes) -> Answer:
    digest = base64.b64encode(hashlib.md5(packed, usedforsecurity=False).digest()).decode()
    return Answer(body=packed, headers={**GZIP, "Content-MD5": digest})


async def test_an_attachment_that_is_too_large_can_be_streamed(canned: CannedServer) -> None:
    canned.handler = lambda request: attachment(MILLION, gzip.compress(MILLION))
    async with CouchDB(canned.url, max_size=MOST) as couchdb:
        found = Document(Database(couchdb, "db"), "a").attachment("x")
        with pytest.raises(UnexpectedAnswerError, match=r"more than max_size=100000 bytes: stream"):
            await found.fetch()
        assert b"".join([piece async for piece in found]) == MILLION


async def test_compressed_attachments_come_in_small_pieces(canned: CannedServer) -> None:
    content = b"x" * 50_000_000
    canned.say(attachment(content, gzip.compress(content)))
    async with CouchDB(canned.url) as couchdb:
        found = Document(Database(couchdb, "db"), "a").attachment("x")
        sizes = [len(piece) async for piece in found]
    assert sum(sizes) == len(content)
    assert max(sizes) <= 1 << 18


ROWS = [doc_row(f"{number}", text="x" * 100_000) for number in range(100)]
PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "two members of gzip": (
        "gzip",
        lambda text: gzip.compress(text[:7_000]) + gzip.compress(text[7_000:]),
    ),
    "gzip with something behind": ("gzip", lambda text: gzip.compress(text) + b"\0\0"),
    "deflate": ("deflate", zlib.compress),
    "deflate without its head": ("deflate", raw_deflate),
    "identity": ("identity", bytes),
}


@pytest.mark.parametrize("name", PACKERS)
async def test_compressed_rows_come_in_small_pieces(
    canned: CannedServer, base: Database, name: str
) -> None:
    encoding, pack = PACKERS[name]
    canned.handler = lambda request: Answer(
        body=pack(rows_text(ROWS)), headers={"Content-Encoding": encoding}
    )
    assert [doc.id async for doc in base.docs()] == [row["id"] for row in ROWS]
    async with base.remote.stream("GET", "/db/_all_docs") as stream:
        sizes = []
        while piece := await stream.chunk():
            sizes.append(len(piece))
    assert max(sizes) <= 1 << 18
    assert canned.requests[0].headers["accept-encoding"] == "gzip, deflate"


async def test_compressed_rows_that_are_cut(canned: CannedServer, base: Database) -> None:
    packed = gzip.compress(rows_text(ROWS))
    canned.handler = lambda request: Answer(body=packed[:-9], headers=GZIP)
    async with CouchDB(canned.url, retry=None, resume=False) as couchdb:
        with pytest.raises(TruncatedError, match="compressed answer ended before"):
            assert [doc async for doc in Database(couchdb, "db").docs()] == []


async def test_what_is_not_compressed_as_it_says(canned: CannedServer) -> None:
    canned.handler = lambda request: Answer(body=rows_text(ROWS), headers=GZIP)
    async with CouchDB(canned.url, retry=None, resume=False) as couchdb:
        with pytest.raises(TruncatedError, match="incorrect header"):
            await anext(Database(couchdb, "db").docs())


async def test_an_encoding_that_nobody_asked_for(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(headers={"Content-Encoding": "br"}))
    with pytest.raises(UnexpectedAnswerError, match="its encoding is br"):
        await anext(base.docs())


async def test_a_compressed_refusal_tells_its_reason(canned: CannedServer, base: Database) -> None:
    refused = json.dumps({"error": "not_found", "reason": "no_db_file"}).encode()
    canned.say(Answer(404, gzip.compress(refused), GZIP))
    with pytest.raises(NotFoundError, match="no_db_file"):
        await anext(base.docs())


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "many"])
def test_a_size_that_is_none(size: Any) -> None:
    with pytest.raises(InvalidInputError, match="max_size="):
        CouchDB("http://127.0.0.1:1", max_size=size)


async def test_what_is_small_is_read_at_once(canned: CannedServer, base: Database) -> None:
    canned.say(json_answer({"db_name": "db"}))
    assert await base.info() == {"db_name": "db"}


async def test_who_counts_what_is_read_is_told_of_each_answer(canned: CannedServer) -> None:
    read: list[bytes] = []

    async def note(_: object, __: object, chunk: aiohttp.TraceResponseChunkReceivedParams) -> None:
        read.append(chunk.chunk)

    trace = aiohttp.TraceConfig()
    trace.on_response_chunk_received.append(note)
    canned.say(Answer(body=b'{"db_name":"db"}'))
    async with CouchDB(canned.url, trace_configs=[trace]) as couchdb:
        await Database(couchdb, "db").info()
    assert read == [b'{"db_name":"db"}']
