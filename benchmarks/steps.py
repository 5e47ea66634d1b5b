"""What single steps of the client take, on prepared documents."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch import CouchDB, Database
from aiocouch._tracked import of_text
from aiocouch._wire.codec import decode, encode, encode_checked
from aiocouch._wire.rows import RowSplitter
from aiocouch.document import Document
from aiocouch.event import ChangedEvent
from benchmarks.clients.work import documents

if TYPE_CHECKING:
    from collections.abc import Callable

COUNT = 10_000
_ROUNDS = 5
_CHUNK = 1 << 16


def steps() -> dict[str, Callable[[], Any]]:
    """The steps, each of them taken for `COUNT` documents."""
    database = Database(CouchDB("http://localhost"), "bench")
    data = list(documents(COUNT))
    texts = [msgspec.json.encode(each) for each in data]
    rows = [b'{"id":"%d","key":"%d","doc":%b}' % (at, at, text) for at, text in enumerate(texts)]
    body = b'{"total_rows":1,"offset":0,"rows":[\r\n' + b",\r\n".join(rows) + b"\r\n]}\n"
    chunks = [body[start : start + _CHUNK] for start in range(0, len(body), _CHUNK)]
    splitter = RowSplitter
    return {
        "cut the rows of `_all_docs` out of the body": lambda: _feed(splitter(), chunks),
        "make a `Document` of a text": lambda: [
            of_text(Document, database, "d", text) for text in texts
        ],
        "decode a document": lambda: [decode(text) and None for text in texts],
        "make an event of a row": lambda: [
            ChangedEvent(json=each, database=database) for each in data
        ],
        "make a `Document` of a dict": lambda: [
            Document(database, each["_id"], each) for each in data
        ],
        "encode a document": lambda: [msgspec.json.encode(each) for each in data],
        "encode it and look whether JSON can hold it": lambda: [
            encode_checked(each) for each in data
        ],
        "the same with `fast`": lambda: [encode(each) for each in data],
    }


def _feed(splitter: RowSplitter, chunks: list[bytes]) -> None:
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()


def measure() -> list[tuple[str, float]]:
    """Each step and its µs of CPU for one document, the best of some rounds."""
    return [(name, min(_taken(step) for _ in range(_ROUNDS))) for name, step in steps().items()]


def _taken(step: Callable[[], Any]) -> float:
    gc.collect()
    start = time.process_time()
    step()
    return (time.process_time() - start) / COUNT * 1e6
