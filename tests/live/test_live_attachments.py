"""Bytes that belong to a document."""

import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiocouch
from aiocouch import Database, Document

EVERY_BYTE = bytes(range(256)) * 50
CONTENTS: dict[str, bytes] = {
    "empty": b"",
    "one": b"\x00",
    "every_byte": EVERY_BYTE,
    "text": "ü é 日本 🦀\r\n".encode(),
    "large": EVERY_BYTE * 200,
}


@pytest.fixture
async def doc(db: Database) -> Document:
    """A saved document."""
    doc = await db.create("butterfly", data={"n": 1})
    await doc.save()
    return doc


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("media", ["application/octet-stream", "text/plain", "image/png"])
async def test_byte_for_byte(doc: Document, kind: str, media: str) -> None:
    attachment = doc.attachment("image.png")
    assert attachment.content_type is None
    await attachment.save(CONTENTS[kind], media)
    assert attachment.content_type == media
    other = (await doc.database["butterfly"]).attachment("image.png")
    fetched = await other.fetch()
    assert isinstance(fetched, bytes)
    assert digest(fetched) == digest(CONTENTS[kind])
    assert other.content_type == media


@pytest.mark.parametrize("media", ["application/octet-stream", "text/plain"])
@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (100, 300), (5, None), (12_799, None), (12_800, None), (9, 99_999)]
)
async def test_a_part(doc: Document, media: str, start: int, stop: int | None) -> None:
    attachment = doc.attachment("a")
    await attachment.save(EVERY_BYTE, media)
    assert await attachment.fetch(start=start, stop=stop) == EVERY_BYTE[start:stop]


async def test_a_part_of_what_is_empty_or_not_there(doc: Document) -> None:
    attachment = doc.attachment("a")
    with pytest.raises(aiocouch.NotFoundError):
        await attachment.fetch(start=5)
    await attachment.save(b"", "image/png")
    assert await attachment.fetch(stop=5) == b""


async def test_save_moves_the_document_on(doc: Document) -> None:
    first = doc.rev
    await doc.attachment("a").save(b"x", "text/plain")
    assert doc.rev != first
    assert (await doc.info())["rev"] == doc.rev
    assert doc["n"] == 1
    assert doc["_attachments"]["a"]["length"] == 1
    assert await doc.save() is None
    doc["n"] = 2
    await doc.save()
    assert await doc.attachment("a").fetch() == b"x"


async def test_save_by_name_of_the_parameters(doc: Document) -> None:
    await doc.attachment(id="a").save(data=b"x", content_type="text/plain")
    assert await doc.attachment("a").fetch() == b"x"


async def test_overwrite(doc: Document) -> None:
    attachment = doc.attachment("a")
    await attachment.save(b"one", "text/plain")
    await attachment.save(b"other", "text/html")
    assert (await attachment.fetch(), attachment.content_type) == (b"other", "text/html")


async def test_several(doc: Document) -> None:
    for name in ("a", "b", "c"):
        await doc.attachment(name).save(name.encode(), "text/plain")
    assert sorted(doc["_attachments"]) == ["a", "b", "c"]
    assert [await doc.attachment(name).fetch() for name in "abc"] == [b"a", b"b", b"c"]


async def test_exists(doc: Document) -> None:
    attachment = doc.attachment("a")
    assert await attachment.exists() is False
    await attachment.save(b"x", "text/plain")
    fresh = doc.attachment("a")
    assert await fresh.exists() is True
    assert fresh.content_type == "text/plain"


async def test_exists_of_a_missing_document(db: Database) -> None:
    assert await Document(db, "none").attachment("a").exists() is False


async def test_fetch_missing(doc: Document) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await doc.attachment("none").fetch()


async def test_delete(doc: Document) -> None:
    attachment = doc.attachment("a")
    await attachment.save(b"x", "text/plain")
    before = doc.rev
    await attachment.delete()
    assert doc.rev != before
    assert await attachment.exists() is False
    assert "_attachments" not in doc
    assert await doc.save() is None


async def test_unsaved_document(db: Database) -> None:
    attachment = Document(db, "x").attachment("a")
    with pytest.raises(ValueError, match="saved"):
        await attachment.save(b"x", "text/plain")
    with pytest.raises(ValueError, match="saved"):
        await attachment.delete()


async def test_old_revision_conflicts(db: Database, doc: Document) -> None:
    other = await db["butterfly"]
    other["n"] = 2
    await other.save()
    with pytest.raises(aiocouch.ConflictError):
        await doc.attachment("a").save(b"x", "text/plain")
    assert await other.attachment("a").exists() is False


NAMES = ["a b", "a/b.txt", "a+b", "ü", "日本", "%41", "?#", "..", ".", "a&b=c", "🦀"]


@pytest.mark.parametrize("name", NAMES)
async def test_any_name(doc: Document, name: str) -> None:
    await doc.attachment(name).save(b"x", "text/plain")
    assert list(doc["_attachments"]) == [name]
    assert await doc.attachment(name).exists()
    assert await doc.attachment(name).fetch() == b"x"
    await doc.attachment(name).delete()
    assert "_attachments" not in doc


@pytest.mark.parametrize("name", ["a/b", "a+b", "..", "_design/x", "ü 1"])
async def test_any_document_id(db: Database, name: str) -> None:
    doc = Document(db, name)
    await doc.save()
    await doc.attachment("f").save(b"x", "text/plain")
    assert await (await db[name]).attachment("f").fetch() == b"x"


async def test_inline_attachment(db: Database) -> None:
    doc = await db.create("x")
    doc["_attachments"] = {"a.txt": {"content_type": "text/plain", "data": "aGVsbG8="}}
    await doc.save()
    assert await doc.attachment("a.txt").fetch() == b"hello"


# -- streamed in


async def pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(EVERY_BYTE), 1000):
        yield EVERY_BYTE[start : start + 1000]


class Chunks:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return pieces()


@pytest.mark.parametrize(
    "kind",
    ["bytes", "bytearray", "memoryview", "file", "path", "open_path", "iterator", "iterable"],
)
async def test_content_from_anywhere(doc: Document, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "content"
    path.write_bytes(EVERY_BYTE)
    with path.open("rb") as opened:
        contents: dict[str, Any] = {
            "bytes": EVERY_BYTE,
            "bytearray": bytearray(EVERY_BYTE),
            "memoryview": memoryview(EVERY_BYTE),
            "file": io.BytesIO(EVERY_BYTE),
            "path": path,
            "open_path": opened,
            "iterator": pieces(),
            "iterable": Chunks(),
        }
        await doc.attachment("a").save(contents[kind], "application/x-thing")
    assert await doc.attachment("a").fetch() == EVERY_BYTE
    assert doc["_attachments"]["a"]["length"] == len(EVERY_BYTE)


async def test_file_is_read_from_where_it_stands(doc: Document) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    await doc.attachment("a").save(file, "application/x-thing")
    assert await doc.attachment("a").fetch() == b"456789"


async def test_file_for_text_is_refused(doc: Document) -> None:
    before = doc.rev
    text: Any = io.StringIO("text")
    with pytest.raises(TypeError):
        await doc.attachment("a").save(text, "text/plain")
    assert (await doc.info())["rev"] == before


async def test_missing_path(doc: Document, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await doc.attachment("a").save(tmp_path / "none", "text/plain")
    assert await doc.attachment("a").exists() is False


async def test_iterator_that_fails(doc: Document) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 10
        raise ZeroDivisionError

    with pytest.raises((ZeroDivisionError, aiocouch.CouchDBError)):
        await doc.attachment("a").save(broken(), "application/x-thing")
    assert await doc.attachment("a").exists() is False


# -- streamed out


async def test_async_for(doc: Document) -> None:
    content = CONTENTS["large"]
    await doc.attachment("a").save(content, "application/x-thing")
    attachment = doc.attachment("a")
    received = [chunk async for chunk in attachment]
    assert len(received) > 1
    assert b"".join(received) == content
    assert attachment.content_type == "application/x-thing"


async def test_async_for_twice(doc: Document) -> None:
    await doc.attachment("a").save(b"x", "text/plain")
    attachment = doc.attachment("a")
    for _ in range(2):
        assert b"".join([chunk async for chunk in attachment]) == b"x"


async def test_async_for_of_a_missing_one(doc: Document) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        async for _ in doc.attachment("none"):
            pass


async def test_from_one_document_to_another(db: Database, doc: Document) -> None:
    await doc.attachment("a").save(CONTENTS["large"], "application/x-thing")
    copy = Document(db, "copy")
    await copy.save()
    await copy.attachment("a").save(aiter(doc.attachment("a")), "application/x-thing")
    assert digest(await copy.attachment("a").fetch()) == digest(CONTENTS["large"])
