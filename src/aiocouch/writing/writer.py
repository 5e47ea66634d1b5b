"""The bulk writer: documents of a stream of any length, many requests at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from aiocouch._wire.options import checked
from aiocouch._wire.uuids import SequentialIds
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.writing.carrier import Carrier
from aiocouch.writing.flow import Flow, Limits
from aiocouch.writing.items import Item, Items
from aiocouch.writing.outcome import WriteOutcome, WriteProgress

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Unpack

    from aiocouch.database import Database
    from aiocouch.writing.carrier import OnConflict
    from aiocouch.writing.items import Given

__all__ = ["DELAY", "BulkWriter", "StreamOptions", "WriteOptions"]

DELAY = 1.0
_ANSWERS = ("report", "skip", "overwrite", "raise")


class StreamOptions(TypedDict, total=False):
    """Options of `Database.write`, `update_many` and `upsert_many`. None is as good as left out."""

    window: int
    """How many requests are under way at a time, 4 when it is left out."""
    batch_size: int
    """How many documents a request has at most, 1,000 when it is left out."""
    batch_bytes: int
    """How many bytes of documents a request has at most, 4 MiB when it is left out."""
    delay: float
    """How many seconds a document waits for others at most, 1 when it is left out."""
    ordered: bool
    """Whether outcomes come in the order of the stream (the default), or as soon as they are known."""
    attempts: int
    """How often a document that meets conflicts is written at most, 10 when it is left out."""


class WriteOptions(StreamOptions, total=False):
    """Options of `Database.write`."""

    on_conflict: OnConflict
    """What to do when the server has another revision of a document.

    "report" (the default) gives the outcome "failed", "skip" leaves what is there, "overwrite" puts the
    document in its place, "raise" ends the stream with a `ConflictError`. A function, which may be async,
    gets the document of the stream and the one on the server (a new one, if that was deleted), and gives
    what is to be written, or None to leave what is there.
    """


_OPTIONS = frozenset({*StreamOptions.__annotations__, *WriteOptions.__annotations__})


class BulkWriter:
    """Writes a stream of documents, and tells what became of each: `async for outcome in writer`.

    It is made by `Database.write`. Nothing is read or sent before the loop begins. `await writer` runs
    to the end by itself, and gives the `WriteProgress`.

    An error of the stream, or a document that JSON cannot hold, is raised when all before it is written
    and told. An error of a request is raised when the others that are under way have ended. A loop that is
    left, or cancelled, ends the requests that are under way. In each of these cases `left` tells about the
    documents that were read from the stream and not told of.
    """

    def __init__(
        self,
        database: Database,
        docs: AsyncIterable[Given | Item] | Iterable[Given | Item],
        **options: Unpack[WriteOptions],
    ) -> None:
        if isinstance(docs, str | bytes | Mapping) or not isinstance(
            docs, AsyncIterable | Iterable
        ):
            raise InvalidTypeError(f"the documents must be a stream, not {type(docs).__name__}")
        self.database = database
        self.progress = WriteProgress()
        """How far it has come. Is kept up to date."""
        self._items = Items(database, SequentialIds().new)
        self._begun = False
        on_conflict, attempts, limits = _checked(options)
        carrier = Carrier(database, self._items, self.progress, on_conflict, attempts)
        self._flow = Flow(docs, self._item, carrier.carry_out, limits)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.database!r}: {self.progress}>"

    async def __aiter__(self) -> AsyncGenerator[WriteOutcome, None]:
        """Yield what became of each document. Raise `InvalidInputError` the second time."""
        if self._begun:
            raise InvalidInputError(f"{self!r} was begun already: a stream can be written once")
        self._begun = True
        flow = self._flow.outcomes()
        try:
            async for outcome in flow:
                yield outcome
        finally:
            await flow.aclose()

    def __await__(self) -> Generator[Any, None, WriteProgress]:
        return self._finish().__await__()

    async def _finish(self) -> WriteProgress:
        async for _ in self:
            pass
        return self.progress

    @property
    def left(self) -> list[WriteOutcome]:
        """What became of the documents that the loop was not told of, when it has ended early."""
        return self._flow.left

    def _item(self, doc: Given | Item) -> Item:
        self.progress.taken += 1
        if isinstance(doc, Item):  # a change that was made
            return doc
        return self._items.of(doc, self.progress.taken)


def _checked(options: Mapping[str, Any]) -> tuple[OnConflict, int, Limits]:
    given = checked(options, _OPTIONS)
    how: OnConflict = given.get("on_conflict", "report")
    if not callable(how) and how not in _ANSWERS:
        raise InvalidInputError(f"on_conflict={how!r}: {', '.join(_ANSWERS)} or a function")
    for name in ("window", "batch_size", "batch_bytes", "attempts"):
        _check_count(name, given.get(name, 1))
    limits = Limits(
        given.get("window", 4),
        given.get("batch_size", 1_000),
        given.get("batch_bytes", 4 << 20),
        given.get("delay", DELAY),
        given.get("ordered", True),
    )
    if not isinstance(limits.delay, int | float):
        raise InvalidTypeError(f"delay must be seconds, not {type(limits.delay).__name__}")
    if limits.delay < 0:
        raise InvalidInputError(f"delay={limits.delay} cannot be waited for")
    return how, given.get("attempts", 10), limits


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidTypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise InvalidInputError(f"{name}={value} must be 1 or more")
