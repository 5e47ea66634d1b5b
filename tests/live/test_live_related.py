"""A document and its attachments in one request."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiocouch import ConflictError, Database, Document, InvalidInputError, InvalidTypeError

EVERY_BYTE = bytes(range(256)) * 20_000


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield EVERY_BYTE[:1000]


async def contents(doc: Document) -> dict[str, tuple[str | None, bytes]]:
    """All attachments, by one request."""
    found = {}
    async for attachment, content in doc.fetch_with_attachments():
        found[attachment.id] = attachment.content_type, b"".join([piece async for piece in content])
    return found


async def test_all_kinds_of_contents(db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(EVERY_BYTE)
    doc = await db.create("x", data={"n": 2**70})
    response = await doc.save_with(
        {
            "bytes": (b"", "image/png"),
            "text \u00e9.txt": ("\u00e9" * 100, "text/plain"),
            "path": (path, "application/octet-stream"),
            "file": (io.BytesIO(EVERY_BYTE), "text/plain"),
            "pieces": (pieces(), "audio/basic"),
        }
    )
    assert response.status == 201
    assert (await doc.info())["rev"] == doc.rev
    assert not doc.is_dirty()
    other = await db["x"]
    assert other["n"] == 2**70
    assert await contents(other) == {
        "bytes": ("image/png", b""),
        "text \u00e9.txt": ("text/plain", ("\u00e9" * 100).encode()),
        "path": ("application/octet-stream", EVERY_BYTE),
        "file": ("text/plain", EVERY_BYTE),
        "pieces": ("audio/basic", EVERY_BYTE[:1000] * 3),
    }
    assert other["n"] == 2**70
    assert other["_attachments"]["path"]["stub"] is True


ODD_NAMES = [
    *('a"b', "a\\b", "a\r\nb: c", "\U0001f600", " ", ".", "..", "a/b/c", "%41+", "\x00", "\x7f"),
    *('filename="x"', "a; b=c", "\u2028", "e\u0301", "\u00e9", "--", "A", "a"),
]


async def test_names_of_any_kind(db: Database) -> None:
    given = {name: (name.encode(), "image/png") for name in ODD_NAMES}
    await (await db.create("x")).save_with(given)
    found = await contents(await db["x"])
    assert found == {name: ("image/png", name.encode()) for name in ODD_NAMES}
    for name in ODD_NAMES:
        assert await (await db["x"]).attachment(name).fetch() == name.encode()


async def test_other_attachments_stay(db: Database) -> None:
    doc = await db.create("x", data={"n": 1})
    await doc.save_with({"a": (b"1", "image/png"), "b": (b"2", "image/png")})
    doc["n"] = 2
    await doc.save_with({"b": (b"3", "text/plain"), "c": (b"4", "image/png")})
    assert {name: data for name, (_, data) in (await contents(doc)).items()} == {
        "a": b"1",
        "b": b"3",
        "c": b"4",
    }
    assert doc["n"] == 2
    assert await doc.save() is None
    doc["n"] = 3
    await doc.save()
    assert len(await contents(doc)) == 3


async def test_a_document_without_attachments(db: Database) -> None:
    doc = await db.create("x", data={"n": 1})
    await doc.save()
    assert await contents(await db["x"]) == {}


async def test_what_is_not_read_is_skipped(db: Database) -> None:
    doc = await db.create("x")
    await doc.save_with({"a": (EVERY_BYTE, "image/png"), "b": (b"2", "image/png")})
    names = [attachment.id async for attachment, _ in doc.fetch_with_attachments()]
    assert names == ["a", "b"]


async def test_a_conflict_changes_nothing(db: Database) -> None:
    doc = await db.create("x", data={"n": 1})
    await doc.save()
    other = await db["x"]
    other["n"] = 2
    await other.save()
    doc["n"] = 3
    with pytest.raises(ConflictError):
        await doc.save_with({"a": (b"1", "image/png")})
    assert doc["n"] == 3
    assert "_attachments" not in doc
    assert doc.is_dirty()


async def test_unsaved_changes_are_not_lost(db: Database) -> None:
    doc = await db.create("x", data={"n": 1})
    with pytest.raises(ConflictError, match="unsaved"):
        doc.fetch_with_attachments()
    with pytest.raises(InvalidInputError, match="no attachments"):
        await doc.save_with({})
    with pytest.raises(InvalidInputError, match="content type"):
        await doc.save_with({"a": (b"1", "a\nb")})


async def sizes(doc: Document, **options: Any) -> dict[str, int]:
    """The bytes of each attachment that comes."""
    found = {}
    async for attachment, content in doc.fetch_with_attachments(**options):
        found[attachment.id] = sum([len(piece) async for piece in content])
    return found


async def test_attachments_of_a_revision_and_since_one(db: Database) -> None:
    doc, other = db.document("x"), db.document("x")
    await doc.save_with({"a": (b"1", "text/plain")})
    first = doc.rev
    await doc.save_with({"a": (b"22", "text/plain"), "b": (b"3", "image/png")})
    second = doc.rev
    assert await sizes(other, rev=first) == {"a": 1}
    assert other.rev == first
    assert await sizes(other) == {"a": 2, "b": 1}
    assert await sizes(other, atts_since=[first]) == {"a": 2, "b": 1}
    await doc.attachment("c").save(b"4444", "text/plain")
    assert await sizes(other, atts_since=[first, second]) == {"c": 4}
    assert await sizes(other, atts_since=[doc.rev]) == {}
    assert sorted(other["_attachments"]) == ["a", "b", "c"]
    assert other.rev == doc.rev
    with pytest.raises(InvalidTypeError, match="atts_since must be a list"):
        await sizes(other, atts_since=first)
