"""The store of attachments' bytes: once for each content, in chunks, and cleaned up."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded.documents.attachment import Attachment, Content, Encoder
from aiocouch.embedded.store import attachments as store
from aiocouch.embedded.store.attachments import CHUNK, Spool

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    store.create(connection)
    yield connection
    connection.close()


def read(connection: sqlite3.Connection, blob: int, start: int, end: int) -> bytes:
    return b"".join(
        store.read_chunk(connection, blob, number)[part]
        for number, part in store.chunk_numbers(start, end)
    )


def count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17])
def test_any_size_comes_back_whole_and_in_ranges(connection: sqlite3.Connection, size: int) -> None:
    data = pattern(size)
    blob = store.save_bytes(connection, data)
    assert read(connection, blob, 0, size) == data
    for start, end in [(0, min(5, size)), (size // 2, size), (max(size - 3, 0), size)]:
        assert read(connection, blob, start, end) == data[start:end]


def test_equal_content_is_stored_once(connection: sqlite3.Connection) -> None:
    first = store.save_bytes(connection, b"same")
    assert store.save_bytes(connection, b"same") == first
    assert store.save_bytes(connection, b"other") != first
    assert count(connection, "attachment_chunks") == 2


def spool(connection: sqlite3.Connection, data: bytes, piece: int) -> Content:
    upload = Spool(Encoder())
    for start in range(0, len(data), piece):
        for write in upload.feed(data[start : start + piece]):
            write(connection)
    return upload.finish()(connection)


def test_a_small_upload_waits_for_its_document(connection: sqlite3.Connection) -> None:
    content = spool(connection, b"hello", 2)
    assert content.data == b"hello"
    assert count(connection, "attachment_blobs") == 0


@pytest.mark.parametrize("piece", [1000, CHUNK, CHUNK * 3])
def test_a_large_upload_is_written_as_it_comes(connection: sqlite3.Connection, piece: int) -> None:
    data = pattern(2 * CHUNK + 100)
    content = spool(connection, data, piece)
    assert content.data is None
    assert read(connection, content.blob, 0, len(data)) == data
    assert content.blob == spool(connection, data, 4096).blob
    assert content.blob == store.save_bytes(connection, data)
    assert count(connection, "attachment_blobs") == 1
    assert count(connection, "attachment_chunks") == 3


def test_an_upload_that_fails_leaves_nothing(connection: sqlite3.Connection) -> None:
    upload = Spool(Encoder())
    for write in upload.feed(pattern(2 * CHUNK)):
        write(connection)
    assert count(connection, "attachment_chunks") == 2
    upload.abandon(connection)
    assert count(connection, "attachment_chunks") == count(connection, "attachment_blobs") == 0


def test_saving_a_document_keeps_what_is_there(connection: sqlite3.Connection) -> None:
    old = Attachment("a", "x/y", 1, "d", 1, 1, blob=store.save_bytes(connection, b"a"))
    new = Attachment("b", "x/y", 2, "d", 1, 1)
    kept, made = store.save(connection, [(old, None), (new, b"b")])
    assert kept == old
    assert read(connection, made.blob, 0, 1) == b"b"


def test_garbage_is_what_nobody_uses(connection: sqlite3.Connection) -> None:
    used = store.save_bytes(connection, b"used")
    store.save_bytes(connection, b"unused")
    unfinished = store.begin(connection)
    assert store.collect_garbage(connection, {used, unfinished}) == 1
    assert store.collect_garbage(connection, {used}) == 1
    assert read(connection, used, 0, 4) == b"used"
