"""Documents that are written together (`POST /{db}/_bulk_docs`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._transport.request import Repeat
from aiocouch._wire.texts import Texts
from aiocouch.exception import Facts, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch._transport.request import Settle
    from aiocouch.database import Database
    from aiocouch.typing import BulkRow

__all__ = ["write", "write_texts"]


async def write(
    database: Database, body: bytes, ids: Sequence[str] | None, *, is_edit: bool = True
) -> list[BulkRow]:
    """Return CouchDB's rows for a whole body, one for each of the `ids` in their order.

    Without `ids` there may be any rows, as for what is not an edit but replicated (`new_edits=False`).
    Raise `UnexpectedAnswerError` for rows that are not those of the documents sent.
    """
    from aiocouch._transport.settle_bulk import WriteTogether

    if not is_edit:  # what is replicated can be stored any number of times
        return await _send(database, body, ids, None)
    return await _send(database, body, ids, WriteTogether(database.endpoint, body))


async def write_texts(
    database: Database, texts: Sequence[bytes], ids: Sequence[str]
) -> list[BulkRow]:
    """Write documents that are JSON text already, as `write` does."""
    from aiocouch._transport.settle_bulk import WriteTogether

    body = Texts(texts)
    settle = WriteTogether(database.endpoint, texts)
    return await _send(database, bytes(body) if body.is_short else body, ids, settle)


async def _send(
    database: Database,
    body: bytes | Texts,
    ids: Sequence[str] | None,
    settle: Settle | None,
) -> list[BulkRow]:
    path, repeat = f"{database.endpoint}/_bulk_docs", None if settle else Repeat.FREELY
    response = await database.remote.request("POST", path, body=body, repeat=repeat, settle=settle)
    rows = response.json(list[dict[str, Any]])
    if ids is not None:
        _check(rows, ids, Facts("POST", path, response.status))
    return rows


def _check(rows: list[BulkRow], ids: Sequence[str], facts: Facts) -> None:
    if len(rows) != len(ids):
        raise _unexpected(f"{len(rows)} rows for {len(ids)} documents", facts)
    for row, id in zip(rows, ids, strict=True):
        if "id" not in row or row["id"] != id:
            raise _unexpected(f"a row of {row.get('id')!r} for the document {id!r}", facts)
        if "error" not in row and ("rev" not in row or type(row["rev"]) is not str):
            raise _unexpected(f"no revision for the document {id!r}", facts)


def _unexpected(what: str, facts: Facts) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(
        f"{facts.method} {facts.path}: the answer is not what was asked for: {what}", facts
    )
