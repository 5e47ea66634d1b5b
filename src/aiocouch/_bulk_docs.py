"""Documents that are written together (`POST /{db}/_bulk_docs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._wire.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.database import Database
    from aiocouch.typing import BulkRow

__all__ = ["write", "write_texts"]


async def write(database: Database, body: bytes | Texts) -> list[BulkRow]:
    """CouchDB's rows for a whole body."""
    path = f"{database.endpoint}/_bulk_docs"
    response = await database.remote.request("POST", path, body=body)
    rows: list[BulkRow] = response.json()
    return rows


async def write_texts(database: Database, texts: Sequence[bytes]) -> list[BulkRow]:
    """CouchDB's rows for documents that are JSON text already."""
    body = Texts(texts)
    return await write(database, bytes(body) if body.is_short else body)
