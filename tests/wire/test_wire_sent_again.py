"""A connection that breaks under a PUT. aiohttp may send it again; never in part."""

import contextlib
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiocouch import Database, Document, TransportError
from aiocouch.attachment import Content
from tests.wire.canned import Answer, CannedServer, json_answer

PIECES = [b"first ", b"second ", b"third"]
WHOLE = b"".join(PIECES)


async def _pieces() -> AsyncIterator[bytes]:
    for piece in PIECES:
        yield piece


async def _saved(canned: CannedServer, base: Database, content: Content) -> None:
    doc = Document.of_text(base, "a", b'{"_id":"a","_rev":"1-a"}')
    stored = json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201)
    read = json_answer({"_id": "a", "_rev": "2-b"})
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), stored, read)
    await base.info()  # so that the connection is one that was used before
    await doc.attachment("x").save(content, "text/plain")


async def test_bytes(canned: CannedServer, base: Database) -> None:
    await _saved(canned, base, WHOLE)
    assert [request.body for request in canned.requests[1:3]] == [WHOLE, WHOLE]


async def test_path(canned: CannedServer, base: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WHOLE)
    await _whole_or_not_at_all(canned, base, tmp_path / "file")


@pytest.mark.parametrize("make", [_pieces, lambda: io.BytesIO(WHOLE)])
async def test_what_can_be_read_once(
    canned: CannedServer, base: Database, make: type[io.BytesIO]
) -> None:
    await _whole_or_not_at_all(canned, base, make())
    assert len(canned.requests) == 2


async def _whole_or_not_at_all(canned: CannedServer, base: Database, content: Content) -> None:
    # Whether aiohttp tries again depends on its version.
    with contextlib.suppress(TransportError):
        await _saved(canned, base, content)
    assert {request.body for request in canned.requests if request.method == "PUT"} == {WHOLE}
    canned.answers.clear()


async def test_large_document(canned: CannedServer, base: Database) -> None:
    stored = json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201)
    canned.say(json_answer({"db_name": "db"}), Answer(silent=True), stored)
    await base.info()
    with contextlib.suppress(TransportError):
        await Document(base, "a", {"text": "x" * 3_000_000}).save()
    for request in canned.requests[1:]:
        assert request.headers["content-length"] == str(len(request.body))
        assert json.loads(request.body)["text"] == "x" * 3_000_000
    canned.answers.clear()
