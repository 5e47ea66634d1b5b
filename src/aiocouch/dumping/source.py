"""Reading all leaves of a database with their histories, groups of revisions at a time.

Rows of changes come without documents, and with a sequence for the last row of a page only: to compute one
for each row is what takes CouchDB most of the time. Documents come by `_bulk_get`, those with small
attachments once more with these, or at once where all that were seen are small, and those with large ones
one by one, into a temporary file while they come.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aiocouch._wire.related import attachments_of
from aiocouch.dumping.compare import pages_of
from aiocouch.dumping.errors import DumpError
from aiocouch.dumping.lines import data_lines, document_line, document_lines
from aiocouch.replication.endpoint import (
    LargeRevisionError,
    MissingRevisionError,
    NoBulkGetError,
)
from aiocouch.replication.patience import DEFAULT_PATIENCE
from aiocouch.replication.planning import InOrder, groups
from aiocouch.replication.texts import glance
from aiocouch.replication.together import Crew

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from aiocouch._wire.related import IncomingDocument
    from aiocouch.dumping.compare import Page
    from aiocouch.replication.endpoint import Fetched
    from aiocouch.replication.remote_endpoint import RemoteEndpoint

GROUP = 500
"""Revisions that one `_bulk_get` asks for."""

INLINE = 1 << 20
"""Bytes of attachments of a document that are held in memory. More go through a file."""

_INLINE_TOGETHER = 4 << 20
_SMALL = 64 << 10
_SOME = 20  # documents with attachments, all of them small: then they come with the next
_MOST_AT_ONCE = 16 << 20  # bytes of a document that comes so
_MEMORY = 4 << 20  # of such a file, before it is one
_PIECE = 3 << 18


class _Group(NamedTuple):
    number: int
    revs: list[tuple[str, str]]


@dataclass
class Totals:
    """What was read: leaves, those of them that are deleted, and attachments."""

    leaves: int = 0
    deleted: int = 0
    attachments: int = 0


class Leaves:
    """Reads leaves from `since` on. `write` takes lines that belong together, `reached` a sequence."""

    def __init__(
        self,
        endpoint: RemoteEndpoint,
        totals: Totals,
        write: Callable[[Iterable[bytes], Callable[[], None]], Awaitable[None]],
        reached: Callable[[Any], Awaitable[None]],
        *,
        window: int,
        attachments: bool,
        inline: float = INLINE,
    ) -> None:
        self.pending: int | None = None
        """How many changes are left to be read."""
        self._endpoint = endpoint
        self._totals = totals
        self._write = write
        self._reached = reached
        self._window = window
        self._inline = inline
        self._sizes = _Sizes(inline) if attachments else None
        self._again = DEFAULT_PATIENCE.again
        self._groups: asyncio.Queue[_Group | None] = asyncio.Queue(window)
        self._in_order = InOrder()
        self._open: dict[int, int] = {}

    async def read(self, since: Any) -> None:
        """Read all leaves that changed after a sequence, and hand them on."""
        async with Crew() as crew:
            pages = crew.start(self._pages(since))
            workers = [crew.start(self._work()) for _ in range(self._window)]
            await crew.until(pages)
            for worker in workers:
                await crew.until(worker)

    # -- pages of changes -------------------------------------------------------------------------

    async def _pages(self, since: Any) -> None:
        async with aclosing(pages_of(self._endpoint, since)) as pages:
            async for page in pages:
                self.pending = page.pending
                await self._hand_out(page)
        for _ in range(self._window):
            await self._groups.put(None)

    async def _hand_out(self, page: Page) -> None:
        some = groups([(row.id, leaf.rev) for row in page.rows for leaf in row.changes], GROUP)
        number = self._in_order.begin(page.seq)
        self._open[number] = len(some) or 1
        for revs in some:
            await self._groups.put(_Group(number, revs))
        if not some:
            await self._did(number)

    async def _did(self, number: int) -> None:
        """Note that a part of a page is written."""
        self._open[number] -= 1
        if not self._open[number]:
            del self._open[number]
            if (seq := self._in_order.end(number)) is not None:
                await self._reached(seq)

    # -- revisions --------------------------------------------------------------------------------

    async def _work(self) -> None:
        while (group := await self._groups.get()) is not None:
            await self._copy(group.revs)
            await self._did(group.number)

    async def _copy(self, asked: list[tuple[str, str]]) -> None:
        """Write some revisions. What was not answered was purged meanwhile, or raises at last."""
        got = _Got(self._sizes)
        await self._again(partial(self._fetch_at_once, asked, got))
        for part in got.small_together():
            await self._again(partial(self._fetch, part, _Got(None), inline=True))
        for doc_id, rev in got.large:
            await self._again(partial(self._stream, doc_id, rev))

    async def _fetch_at_once(self, asked: Sequence[tuple[str, str]], got: _Got) -> None:
        """Write some revisions, with their attachments where all are small, as far as it was seen."""
        if self._sizes is not None and self._sizes.are_small:
            try:
                await self._fetch(asked, got, inline=True)
            except LargeRevisionError:
                self._sizes.saw(_MOST_AT_ONCE)
            else:
                return
        await self._fetch(asked, got, inline=False)

    async def _fetch(self, asked: Sequence[tuple[str, str]], got: _Got, *, inline: bool) -> None:
        answered: list[str] = []
        try:
            most = _MOST_AT_ONCE if inline and self._inline == INLINE else math.inf
            bulk = self._endpoint.bulk_get(asked, attachments=inline, most=most)
            async with aclosing(bulk) as answer:
                async for found in answer:
                    answered += [doc_id for doc_id, each in found if not isinstance(each, str)]
                    if taken := got.take(found, inline=inline):
                        await self._take(taken)
        except NoBulkGetError as error:
            raise DumpError("a dump needs _bulk_get, which the server does not know") from error
        if not got.seen.issuperset(asked):
            given, wanted = Counter(answered), Counter(doc_id for doc_id, _ in asked)
            if lost := [doc_id for doc_id, count in wanted.items() if given[doc_id] < count]:
                await self._must_be_gone(lost, asked, got)

    async def _must_be_gone(
        self, lost: Sequence[str], asked: Sequence[tuple[str, str]], got: _Got
    ) -> None:
        """Raise for revisions that the server knows, but does not give; others were purged."""
        left: dict[str, list[str]] = {doc_id: [] for doc_id in lost}
        for doc_id, rev in asked:
            if doc_id in left and (doc_id, rev) not in got.seen:
                left[doc_id].append(rev)
        unknown = await self._endpoint.revs_diff(left)
        for doc_id, revs in left.items():
            missing = unknown[doc_id].missing if doc_id in unknown else []
            if kept := sorted(set(revs) - set(missing)):
                raise MissingRevisionError(
                    f"{self._endpoint.name}: {doc_id} has {kept[0]}, but the server does not give it"
                )

    async def _take(self, taken: Sequence[Fetched]) -> None:
        """Write documents that are whole."""
        lines = document_lines([each.text for each in taken])
        await self._write(lines, partial(self._count, taken))

    def _count(self, written: Sequence[Fetched]) -> None:
        totals = self._totals
        totals.leaves += len(written)
        totals.deleted += sum([each.deleted for each in written])
        attached = [each.text for each in written if each.has_attachments]
        totals.attachments += sum(len(attachments_of(text)) for text in attached)

    # -- large attachments ------------------------------------------------------------------------

    async def _stream(self, doc_id: str, rev: str) -> None:
        """Write one revision whose attachments are large."""
        async with self._endpoint.open_revs(doc_id, [rev], ()) as documents:
            async for document in documents:
                if isinstance(document, str):
                    raise MissingRevisionError(
                        f"{self._endpoint.name}: {doc_id} {rev} is not given"
                    )
                with tempfile.SpooledTemporaryFile(_MEMORY) as contents:
                    await _keep(document, contents)
                    counted = partial(self._count, [glance(document.text)])
                    await self._write(_with_data(document.text, contents), counted)


class _Sizes:
    """Whether attachments are so small that documents may come with them, judged by those that were seen."""

    def __init__(self, inline: float | None) -> None:
        self.are_small = inline == math.inf
        self._inline = inline
        self._seen = 0
        self._largest = 0

    def saw(self, size: int) -> None:
        """Take in how large the attachments of a document are together, in bytes."""
        self._seen += 1
        self._largest = max(self._largest, size)
        if self._inline != math.inf:
            self.are_small = self._seen >= _SOME and self._largest <= _SMALL


class _Got:
    """What `_bulk_get` has given of a group, in one try or several."""

    def __init__(self, sizes: _Sizes | None) -> None:
        """Begin. Attachments are not looked at where there are no `sizes`."""
        self.seen: set[tuple[str, str]] = set()
        self.large: list[tuple[str, str]] = []
        self._small: list[tuple[str, str, int]] = []
        self._sizes = sizes

    def take(self, found: Sequence[tuple[str, Fetched | str]], *, inline: bool) -> list[Fetched]:
        """Return what is to be written, of what was not seen yet."""
        # two revisions asked for may have the same latest one
        new = {(doc_id, each.rev): each for doc_id, each in found if not isinstance(each, str)}
        for key in self.seen.intersection(new):
            del new[key]
        self.seen.update(new)
        if self._sizes is None:
            return list(new.values())
        for (doc_id, _), each in new.items():
            if each.has_attachments:
                self._sort(doc_id, each, self._sizes, inline=inline)
        return [each for each in new.values() if inline or not each.has_attachments]

    def _sort(self, doc_id: str, revision: Fetched, sizes: _Sizes, *, inline: bool) -> None:
        """Note how the attachments of a document are to be got, if they have not come with it."""
        if inline:
            sizes.saw(len(revision.text))
            return
        size = sum(stub.length for stub in attachments_of(revision.text).values())
        sizes.saw(size)
        if size > INLINE:
            self.large.append((doc_id, revision.rev))
        else:
            self._small.append((doc_id, revision.rev, size))

    def small_together(self) -> Iterator[list[tuple[str, str]]]:
        """Yield the documents with small attachments, in groups whose attachments fit into memory."""
        part: list[tuple[str, str]] = []
        room = _INLINE_TOGETHER
        for doc_id, rev, size in self._small:
            if part and size > room:
                yield part
                part, room = [], _INLINE_TOGETHER
            part.append((doc_id, rev))
            room -= size
        if part:
            yield part


async def _keep(document: IncomingDocument, contents: IO[bytes]) -> None:
    """Take the attachments that follow a document into a file."""
    async with aclosing(document.attachments()) as attachments:
        async for attachment in attachments:
            async for piece in attachment:
                await asyncio.to_thread(contents.write, piece)


def _with_data(text: bytes, contents: IO[bytes]) -> Iterator[bytes]:
    """Yield a document, and behind it lines with the data of its attachments."""
    yield document_line(text)
    contents.seek(0)
    while piece := contents.read(_PIECE):
        yield from data_lines(piece)
