"""Portions of a stream, written by `POST /{db}/_bulk_docs`, with a decision about each conflict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aiocouch._bulk_docs import write_texts
from aiocouch._tracked import accepted, saved
from aiocouch._transport.settle_bulk import WriteTogether
from aiocouch._wire.codec import decode
from aiocouch._wire.texts import Texts
from aiocouch.document import Document
from aiocouch.exception import (
    ConflictError,
    CouchDBError,
    Facts,
    TransportError,
)
from aiocouch.writing.items import Item, Items, plain_of
from aiocouch.writing.outcome import WriteOutcome, WriteProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch._transport.request import Request
    from aiocouch.database import Database
    from aiocouch.remote import HTTPResponse
    from aiocouch.typing import BulkRow
    from aiocouch.writing.flow import Portion
    from aiocouch.writing.outcome import State

__all__ = ["Carrier", "Merge", "Merged", "OnConflict", "waiting_time"]

Merged: TypeAlias = Mapping[str, Any] | Item | None
Merge: TypeAlias = Callable[[Any, Document], Merged | Awaitable[Merged]]
"""Takes the document of the stream and the one on the server; gives what is to be written, or None."""

OnConflict: TypeAlias = Literal["report", "skip", "overwrite", "raise"] | Merge

# Its own: programs that have seeded the common one alike would all come back at once.
_RANDOM = Random()  # noqa: S311
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 2.0
_SOME_ARE_WRITTEN = 412  # one refers to an attachment that is not there
_WHOLE_REQUEST = (400, _SOME_ARE_WRITTEN, 413)  # one document of many was refused
_CONFLICT = {"error": "conflict", "reason": "Document update conflict."}
_NO_ANSWER = (502, 503, 504)


def waiting_time(attempt: int) -> float:
    """Return the seconds before the next attempt, at random, up to twice as long each time."""
    return _RANDOM.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt))


def _refusal(item: Item, row: BulkRow) -> BulkRow | None:
    """Return the row, if it tells of an error. The revision of an equal change by another is a conflict."""
    if "error" in row:
        return row
    is_ours = item.made is None or item.made.take(row.get("rev"))
    return None if is_ours else _CONFLICT


class Carrier:
    """Writes portions, and does with conflicts as it was told."""

    def __init__(
        self,
        database: Database,
        items: Items,
        progress: WriteProgress,
        on_conflict: OnConflict,
        attempts: int,
    ) -> None:
        self._database = database
        self._items = items
        self._progress = progress
        self._on_conflict = on_conflict
        self._attempts = attempts

    async def carry_out(self, portion: Portion) -> None:
        """Write all items of the portion, and put their outcomes in their places.

        Raise `ConflictError`, when all is written, if that is what conflicts are to do.
        """
        conflicts = await self._write(portion, dict(enumerate(portion.items)))
        for attempt in range(1, self._attempts):
            todo = await self._decided(portion, conflicts, attempt) if conflicts else {}
            if not todo:
                break
            conflicts = await self._write(portion, todo)
        open_ones = {at: row for at, row in conflicts.items() if portion.outcomes[at] is None}
        for at, row in open_ones.items():
            self._failed(portion, at, row)
        if open_ones and self._on_conflict == "raise":
            raise self._conflict(portion.items[next(iter(open_ones))], len(open_ones))

    async def _write(self, portion: Portion, todo: dict[int, Item]) -> dict[int, BulkRow]:
        """Write items. Return the rows of those that have met a conflict."""
        conflicts: dict[int, BulkRow] = {}
        for at in [at for at, item in todo.items() if item.text is None]:
            item = todo.pop(at)
            rev = item.doc.rev if isinstance(item.doc, Document) else None
            skipped = WriteOutcome(item.doc, item.id, "skipped", rev)
            self._put(portion, at, item.outcome or skipped)
        rows = await self._send(list(todo.values()))
        for (at, item), row in zip(todo.items(), rows, strict=True):
            refused = _refusal(item, row)
            if refused is None:
                self._written(portion, at, item, row)
            elif refused.get("error") == "conflict":
                conflicts[at] = refused
            else:
                self._failed(portion, at, refused)
        return conflicts

    async def _send(self, items: Sequence[Item], is_unclear: bool = False) -> list[BulkRow]:
        """Return CouchDB's rows. A request that is refused for one of its documents goes in halves.

        When it `is_unclear` whether some of them are written, that is found out first.
        """
        if not items:
            return []
        texts = [item.text for item in items if item.text is not None]
        self._progress.requests += 1
        self._progress.bytes += sum(map(len, texts))
        try:
            rows = await (self._settled(texts) if is_unclear else self._written_once(items, texts))
        except CouchDBError as error:
            if error.status not in _WHOLE_REQUEST:
                raise
            if len(items) == 1:
                return [{"id": items[0].id, "error": error.error, "reason": error.reason}]
            half = len(items) // 2
            is_unclear = is_unclear or error.status == _SOME_ARE_WRITTEN
            return [
                *await self._send(items[:half], is_unclear),
                *await self._send(items[half:], is_unclear),
            ]
        return rows

    async def _written_once(self, items: Sequence[Item], texts: list[bytes]) -> list[BulkRow]:
        try:
            return await write_texts(self._database, texts, [item.id for item in items])
        except CouchDBError as error:
            lost = isinstance(error, TransportError) or error.status in _NO_ANSWER
            if not lost or not self._database.remote.tries_again:
                raise
        # One call has had its tries. This takes several, and each of them has as many.
        return await self._settled(texts)

    async def _settled(self, texts: list[bytes]) -> list[BulkRow]:
        """Return the rows of documents some of which may be written already."""
        settle = WriteTogether(self._database.endpoint, texts)
        answer = await settle(self._ask)
        rows: list[BulkRow] = [] if answer is None else answer.json()
        return rows

    async def _ask(self, request: Request) -> HTTPResponse:
        """Send a request of `_settled`, which may lose its answer as well."""
        endpoint, body, settle = self._database.endpoint, request.body, None
        if request.path == f"{endpoint}/_bulk_docs" and isinstance(body, bytes | Texts):
            settle = WriteTogether(endpoint, bytes(body))
        return await self._database.remote.request(
            request.method, request.path, body=body, repeat=request.repeat, settle=settle
        )

    # -- outcomes ---------------------------------------------------------------------------------

    def _written(self, portion: Portion, at: int, item: Item, row: BulkRow) -> None:
        rev, is_accepted = row["rev"], "accepted" in row
        if isinstance(item.doc, Document) and item.text is not None:
            saved(item.doc, item.text, rev)
            if is_accepted:
                accepted(item.doc)
        outcome = WriteOutcome(item.doc, item.id, "written", rev, accepted_only=is_accepted)
        self._put(portion, at, outcome)

    def _skipped(self, portion: Portion, at: int, item: Item, rev: str | None) -> None:
        self._put(portion, at, WriteOutcome(item.doc, item.id, "skipped", rev))

    def _failed(self, portion: Portion, at: int, row: BulkRow) -> None:
        item = portion.items[at]
        error, reason = row.get("error"), row.get("reason")
        state: State = "unknown" if error == "unknown" else "failed"
        self._put(portion, at, WriteOutcome(item.doc, item.id, state, None, error, reason))

    def _put(self, portion: Portion, at: int, outcome: WriteOutcome) -> None:
        portion.outcomes[at] = outcome
        progress = self._progress
        name = outcome.state if outcome.ok else "failed"
        setattr(progress, name, getattr(progress, name) + 1)

    # -- conflicts --------------------------------------------------------------------------------

    async def _decided(
        self, portion: Portion, conflicts: Mapping[int, BulkRow], attempt: int
    ) -> dict[int, Item]:
        """Return what is to be written in place of items that have met a conflict; the others are skipped."""
        how = self._on_conflict
        if how in ("report", "raise"):
            return {}
        found: dict[str, Document] = {}
        if how != "skip":
            await asyncio.sleep(waiting_time(attempt))
            found = await self._theirs([portion.items[at].id for at in conflicts])
        todo = {}
        for at in conflicts:
            item = portion.items[at]
            theirs = found.get(item.id)
            new = None if theirs is None else await self._made(item, theirs)
            if new is not None:
                todo[at] = new
            else:
                self._skipped(portion, at, item, None if theirs is None else theirs.rev)
        return todo

    async def _theirs(self, ids: list[str]) -> dict[str, Document]:
        """Return what the server has, new documents where it has nothing."""
        docs = self._database.all_docs.docs(ids, True, None, True)
        return {doc.full_id: doc async for doc in docs}

    async def _made(self, item: Item, theirs: Document) -> Item | None:
        """Return the item in place of one that has met a conflict with `theirs`; None: theirs stays."""
        how, content = self._on_conflict, item.doc
        if callable(how):
            mine = decode(content) if isinstance(content, str | bytes) else content
            made = how(mine, theirs)
            merged = await made if isinstance(made, Awaitable) else made
            if merged is None or isinstance(merged, Item):
                return merged
            return self._items.over(item, merged, theirs)
        if not theirs.exists and plain_of(content).get("_deleted"):
            return None  # gone already
        return self._items.over(item, content, theirs)

    def _conflict(self, item: Item, count: int) -> ConflictError:
        path = f"{self._database.endpoint}/_bulk_docs"
        facts = Facts("POST", path, 409, "conflict", "Document update conflict.")
        others = f" and {count - 1} more" if count > 1 else ""
        return ConflictError(f"{item.id!r}{others} of the stream: Document update conflict.", facts)
