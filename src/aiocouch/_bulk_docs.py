"""Documents that are written together (`POST /{db}/_bulk_docs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._transport.request import Repeat
from aiocouch._transport.settle_bulk import WriteTogether
from aiocouch._wire.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.database import Database
    from aiocouch.typing import BulkRow

__all__ = ["write", "write_texts"]


async def write(database: Database, body: bytes, *, is_edit: bool = True) -> list[BulkRow]:
    """CouchDB's rows for a whole body. All its documents have an `_id`, if they are edits."""
    if not is_edit:  # what is replicated can be stored any number of times
        return await _send(database, body, None)
    return await _send(database, body, WriteTogether(database.endpoint, body))


async def write_texts(database: Database, texts: Sequence[bytes]) -> list[BulkRow]:
    """CouchDB's rows for documents that are JSON text already. All of them have an `_id`."""
    body = Texts(texts)
    settle = WriteTogether(database.endpoint, texts)
    return await _send(database, bytes(body) if body.is_short else body, settle)


async def _send(
    database: Database, body: bytes | Texts, settle: WriteTogether | None
) -> list[BulkRow]:
    path, repeat = f"{database.endpoint}/_bulk_docs", None if settle else Repeat.FREELY
    response = await database.remote.request("POST", path, body=body, repeat=repeat, settle=settle)
    rows: list[BulkRow] = response.json()
    return rows
