"""Read, change, save; and again when somebody else was faster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch._hints import complete
from aiocouch._tracked import to_send
from aiocouch._wire.ids import check_document_id
from aiocouch.document import Document
from aiocouch.exception import ConflictError, Facts, InvalidInputError, InvalidTypeError
from aiocouch.writing import BulkWriter, WriteOutcome
from aiocouch.writing.carrier import waiting_time
from aiocouch.writing.items import Item
from aiocouch.writing.made import made_of
from aiocouch.writing.writer import DELAY

if TYPE_CHECKING:
    from aiocouch.database import Database
    from aiocouch.writing import StreamOptions
    from aiocouch.writing.made import Made

__all__ = ["Change", "Changed", "Edit", "changed_many", "changed_one", "replace_content"]

_READ_TOGETHER = 500
_IDENTITY = ("_id", "_rev")
_LOCAL = "_local/"


class Edit(Enum):
    """What a change may give instead of content."""

    LEAVE = "leave"
    """The document stays as it is: nothing is written."""

    DELETE = "delete"
    """The document is to be deleted."""


Changed: TypeAlias = Mapping[str, Any] | Edit | None
"""What a change gives: None when it has changed the document in place, or the new content, or an `Edit`."""

Change: TypeAlias = Callable[[Document], Changed | Awaitable[Changed]]
"""A change of a document, a function that may be async. It may be called several times."""


async def changed_one(
    database: Database,
    id: str,
    change: Change | Mapping[str, Any],
    default: Mapping[str, Any] | None,
    attempts: int,
) -> Document:
    """Return the document as it is after the change. Without `default` it must exist."""
    function = _function(change)
    if not isinstance(attempts, int):
        raise InvalidTypeError(f"attempts must be an int, not {type(attempts).__name__}")
    if attempts < 1:
        raise InvalidInputError(f"attempts={attempts} must be 1 or more")
    made = made_of(database, id)
    attempt = 1
    while True:
        document = await database.get(id, None if default is None else dict(default))
        edit = await _apply(function, document)
        try:
            await _carry_out(edit, document, made)
        except ConflictError:
            if attempt == attempts:
                raise
        else:
            return document
        await asyncio.sleep(waiting_time(attempt))
        attempt += 1


def changed_many(
    database: Database,
    ids: AsyncIterable[str] | Iterable[str],
    change: Change,
    default: Mapping[str, Any] | None,
    options: StreamOptions,
) -> BulkWriter:
    """Return the writer that changes the documents of these ids. Without `default` they must exist."""
    if isinstance(ids, str | bytes | Mapping) or not isinstance(ids, AsyncIterable | Iterable):
        raise InvalidTypeError(f"the ids must be a stream, not {type(ids).__name__}")
    several = _Several(database, _function(change), default)
    delay = options.get("delay")
    return BulkWriter(
        database,
        several.items(ids, DELAY if delay is None else delay),
        on_conflict=several.again,
        **options,
    )


async def _carry_out(edit: Edit | None, document: Document, made: Made) -> None:
    if edit is Edit.DELETE and document.exists:
        await document.delete(discard_changes=True)
    if edit is None and await document.save() is not None and not made.take(document.rev):
        facts = Facts("PUT", document.endpoint, 409, "conflict")
        raise ConflictError(f"{document!r}: another call has made the same change", facts)


async def _apply(function: Change, document: Document) -> Edit | None:
    """Call the function, and put what it gives into the document."""
    made = function(document)
    changed = await made if isinstance(made, Awaitable) else made
    if isinstance(changed, Edit):
        return changed
    if changed is not None and changed is not document:
        replace_content(document, changed)
    return None


def replace_content(document: Document, content: Mapping[str, Any]) -> None:
    """Replace the content of the document. It keeps its id, its revision, and attachments not mentioned."""
    if not isinstance(content, Mapping):
        what = type(content).__name__
        raise InvalidTypeError(f"the change of {document!r} gave {what}: a dict, an Edit or None")
    if content.get("_id", document.full_id) != document.full_id:
        raise InvalidInputError(f"the change of {document!r} gave it the _id {content['_id']!r}")
    for name in document.keys() - content.keys():
        if not name.startswith("_"):
            del document[name]
    document.update({name: value for name, value in content.items() if name not in _IDENTITY})


def _function(change: Change | Mapping[str, Any]) -> Change:
    if isinstance(change, Mapping):
        return lambda document: change
    if not callable(change):
        raise InvalidTypeError(f"a change must be a function, not {type(change).__name__}")
    return change


class _Several:
    """Makes the items of a writer of documents that are changed."""

    def __init__(
        self, database: Database, function: Change, default: Mapping[str, Any] | None
    ) -> None:
        self._database = database
        self._function = function
        self._default = default

    async def items(
        self, ids: AsyncIterable[str] | Iterable[str], delay: float
    ) -> AsyncGenerator[Item, None]:
        """Yield the changed documents of these ids. They are read some hundred at a time."""
        async with aclosing(_portions(ids, delay)) as portions:
            async for portion in portions:
                for document in await self._read(portion):
                    yield await self._item(document)

    async def again(self, item: Item, theirs: Document) -> Item:
        """Return the change anew, of what another has written."""
        return await self._item(theirs if theirs.exists else self._new(item.id))

    async def _read(self, ids: list[str]) -> list[Document]:
        """Return the documents in the order of the ids, new ones for those that do not exist."""
        for id in ids:
            check_document_id(id)
        listed = [id for id in ids if not id.startswith(_LOCAL)]
        found: list[Document] = []
        if listed:
            docs = self._database.all_docs.docs(listed, True, None, True)
            found = [doc if doc.exists else self._new(doc.id) async for doc in docs]
        rest = iter(found)
        return [await self._local(id) if id.startswith(_LOCAL) else next(rest) for id in ids]

    async def _local(self, id: str) -> Document:
        return await self._database.get(id, dict(self._default or {}))  # no view has them

    def _new(self, id: str) -> Document:
        return Document(self._database, id, self._default)

    async def _item(self, document: Document) -> Item:
        id = document.full_id
        if not document.exists and self._default is None:
            missing = WriteOutcome(document, id, "failed", None, "not_found", "missing")
            return Item(document, id, None, missing)
        edit = await _apply(self._function, document)
        if edit is Edit.LEAVE or (edit is Edit.DELETE and not document.exists):
            return Item(document, id, None, WriteOutcome(document, id, "skipped", document.rev))
        if edit is Edit.DELETE:
            for name in document.keys() - set(_IDENTITY):
                del document[name]
            document["_deleted"] = True
        made = made_of(self._database, id)
        return Item(document, id, to_send(document), made=made)


async def _portions(
    ids: AsyncIterable[str] | Iterable[str], delay: float
) -> AsyncGenerator[list[str], None]:
    """Yield the ids some hundred at a time, or those that came within the delay."""
    if not isinstance(ids, AsyncIterable):
        iterator = iter(ids)
        while portion := list(islice(iterator, _READ_TOGETHER)):
            yield portion
        return
    async with aclosing(_Gathered(ids, delay)) as gathered:
        while portion := await gathered.portion():
            yield portion


class _Gathered:
    """The ids of an async stream, which may pause: a task reads it, up to a portion ahead."""

    def __init__(self, ids: AsyncIterable[str], delay: float) -> None:
        self._ids: list[str] = []
        self._delay = delay
        self._changed = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._gather(ids))
        self._task.add_done_callback(lambda _: self._changed.set())

    async def _gather(self, ids: AsyncIterable[str]) -> None:
        async for id in ids:
            while len(self._ids) >= 2 * _READ_TOGETHER:
                await self._change()
            self._ids.append(id)
            self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def portion(self) -> list[str]:
        """Return the next ids; none at the end. Raise what the stream raises."""
        while not self._ids and not self._task.done():
            await self._change()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._delay):
                while len(self._ids) < _READ_TOGETHER and not self._task.done():
                    await self._change()
        portion, self._ids = self._ids[:_READ_TOGETHER], self._ids[_READ_TOGETHER:]
        self._changed.set()
        if not portion:
            self._task.result()
        return portion

    async def aclose(self) -> None:
        """End the task that reads."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


complete("aiocouch")
