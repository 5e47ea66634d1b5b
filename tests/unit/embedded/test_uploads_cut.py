"""Uploads that are cut short at any moment: they take nothing with them, and leave nothing."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

from aiocouch.embedded.documents.attachment import Attachment, Content, Encoder, decode_list
from aiocouch.embedded.documents.edits import Edit
from aiocouch.embedded.documents.sent_attachments import SentAttachment
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.attachment_texts import stored_chunks
from aiocouch.embedded.store.compaction import compact
from aiocouch.embedded.store.faults import StorageError
from aiocouch.embedded.store.uploads import Uploads
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiocouch.embedded.store.database import Database

NAME = "db"
CUTS = range(0, 60, 3)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    yield server
    await server.close()


@pytest.fixture
async def database(server: Server) -> Database:
    return server.databases.create(NAME)


def content(letter: bytes) -> bytes:
    return letter * 700_000


async def pieces(data: bytes, ended: asyncio.Event) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]
    ended.set()


async def upload(
    server: Server, database: Database, doc_id: str, data: bytes, ended: asyncio.Event
) -> None:
    """Bring content and write a document that has it, as a PUT of an attachment does."""
    async with Uploads(database) as uploads:
        taken = await uploads.take(pieces(data, ended), Encoder())
        await refer(server, database, doc_id, taken)


async def refer(server: Server, database: Database, doc_id: str, taken: Content) -> None:
    member = SentAttachment("a", "x/y", content=taken)
    await server.update(database, SYSTEM).write(Edit(doc_id, {}, members=[member]))


async def cut(work: asyncio.Task[None], ended: asyncio.Event, turns: int) -> None:
    """Cancel an upload some turns of the loop after its last byte came."""
    await ended.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


def attached(database: Database, doc_id: str) -> Attachment | None:
    entry = database.get(doc_id)
    return None if entry is None else decode_list(entry.attachments)[0]


def read(database: Database, doc_id: str) -> bytes:
    found = attached(database, doc_id)
    assert found is not None
    return b"".join(stored_chunks(database.reader, found))


def count(database: Database, table: str) -> int:
    return int(database.reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@pytest.mark.parametrize("turns", CUTS)
async def test_an_upload_cut_short_takes_no_content_of_others_with_it(
    server: Server, database: Database, turns: int
) -> None:
    data = content(b"x")
    await upload(server, database, "kept", data, asyncio.Event())
    ended = asyncio.Event()
    work = asyncio.create_task(upload(server, database, "cut", data, ended))
    await cut(work, ended, turns)
    assert read(database, "kept") == data


@pytest.mark.parametrize("turns", CUTS)
async def test_of_two_uploads_of_one_content_the_other_one_stays_whole(
    server: Server, database: Database, turns: int
) -> None:
    data = content(b"x")
    ended = asyncio.Event()
    work = asyncio.create_task(upload(server, database, "cut", data, ended))
    other = asyncio.create_task(upload(server, database, "other", data, asyncio.Event()))
    await cut(work, ended, turns)
    await other
    assert read(database, "other") == data


@pytest.mark.parametrize("turns", CUTS)
async def test_compaction_at_any_moment_leaves_content_that_is_being_brought(
    server: Server, database: Database, turns: int
) -> None:
    data = content(b"x")
    ended = asyncio.Event()
    work = asyncio.create_task(upload(server, database, "d", data, ended))
    await ended.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    await compact(database)
    await work
    assert read(database, "d") == data


async def test_content_of_two_requests_is_held_until_both_are_done(
    server: Server, database: Database
) -> None:
    data = content(b"x")
    async with Uploads(database) as slow:
        taken = await slow.take(pieces(data, asyncio.Event()), Encoder())
        async with Uploads(database) as quick:
            assert (await quick.take(pieces(data, asyncio.Event()), Encoder())).blob == taken.blob
        await compact(database)
        await refer(server, database, "d", taken)
    assert read(database, "d") == data
    assert not database.uploads


@pytest.mark.parametrize("turns", CUTS)
async def test_what_was_cut_short_is_gone_after_a_compaction(
    server: Server, database: Database, turns: int
) -> None:
    ended = asyncio.Event()
    work = asyncio.create_task(upload(server, database, "d", content(b"x"), ended))
    await cut(work, ended, turns)
    assert not database.uploads
    unfinished = "SELECT count(*) FROM attachment_blobs WHERE key IS NULL"
    assert database.reader.execute(unfinished).fetchone() == (0,)
    await compact(database)
    assert count(database, "attachment_blobs") == (database.get("d") is not None)


async def test_an_upload_that_found_no_space_harms_no_other(
    server: Server, database: Database
) -> None:
    """The number that its content had in the transaction that was undone may be another's."""
    database.writer.connection.execute("PRAGMA max_page_count = 60")
    ended = asyncio.Event()
    failing = asyncio.create_task(upload(server, database, "cut", content(b"x"), ended))
    with pytest.raises(StorageError, match="no space left") as caught:
        await failing
    assert (caught.value.status, caught.value.error) == (507, "insufficient_storage")
    database.writer.connection.execute("PRAGMA max_page_count = 100000")
    await upload(server, database, "d", content(b"y"), asyncio.Event())
    assert read(database, "d") == content(b"y")
    assert not database.uploads
    assert count(database, "attachment_blobs") == 1


async def test_content_whose_upload_was_killed_goes_when_the_database_is_opened(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    database = server.databases.create(NAME)
    await upload(server, database, "d", content(b"x"), asyncio.Event())

    def begin(connection: object) -> None:
        del connection
        writer = database.writer.connection
        writer.execute("INSERT INTO attachment_blobs (blob, key) VALUES (77, NULL)")
        writer.execute("INSERT INTO attachment_chunks VALUES (?, 'half')", (77 << 24,))

    await database.write(begin)
    await server.close()
    again = Server(tmp_path)
    found = again.databases.open(NAME)
    assert found is not None
    assert (count(found, "attachment_blobs"), count(found, "attachment_chunks")) == (1, 3)
    assert read(found, "d") == content(b"x")
    await again.close()


async def test_a_slow_download_is_whole_though_its_document_is_deleted_and_compacted_away(
    tmp_path: Path,
) -> None:
    data = bytes(range(256)) * 64 * 1024  # more than all buffers on the way hold
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/db")
        found = client.embedded.server.databases.open("db")
        assert found is not None
        await upload(client.embedded.server, found, "d", data, asyncio.Event())
        rev = (await client("GET", "/db/d")).json["_rev"]
        host, port = client.embedded.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = "GET /db/d/a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YWRtaW46YWRtaW4=\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b"\r\n\r\n")
        await client("DELETE", f"/db/d?rev={rev}")
        await compact(found)
        assert count(found, "attachment_blobs") == 1
        assert await reader.readexactly(len(data)) == data
        writer.close()
        await writer.wait_closed()
        while found.uploads:
            await client("GET", "/")
        await compact(found)
        assert count(found, "attachment_blobs") == 0


@pytest.mark.parametrize("path", ["/db/d/a", "/db/d?attachments=true"])
async def test_content_that_is_not_there_is_no_short_content(tmp_path: Path, path: str) -> None:
    async with ServerClient(tmp_path) as client:
        await client("PUT", "/db")
        await client("PUT", "/db/d/a", data=content(b"x"), Content_Type="x/y")
        found = client.embedded.server.databases.open("db")
        assert found is not None
        found.writer.connection.execute("DELETE FROM attachment_chunks WHERE id & 1")
        with contextlib.suppress(aiohttp.ClientPayloadError):
            assert (await client("GET", path)).status == 500
