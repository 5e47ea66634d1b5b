"""Holding the leaves of a database against those of a dump, in bounded memory.

Sums of hashes tell at once that both are the same. They are not where a dump has a leaf twice, since it was
taken up after a kill, or a leaf and an ancestor of it, since the document was edited meanwhile. Then the
database is what the dump says if it knows every leaf of it, and has none that is not in it: for of two
leaves, one an ancestor of the other, a database that knows both has the latter only.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from aiocouch.dumping.choice import Fingerprint, digest_of
from aiocouch.dumping.lines import distinct, is_control, look
from aiocouch.dumping.portions import lines_of
from aiocouch.replication.patience import DEFAULT_PATIENCE
from aiocouch.replication.together import ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiocouch.dumping.choice import Choice
    from aiocouch.dumping.portions import Portions
    from aiocouch.replication.endpoint import Change
    from aiocouch.replication.remote_endpoint import RemoteEndpoint

PAGE = 5_000
AT_ONCE = 500_000  # leaves whose hashes are in memory, some 50 MB
_SILENCE = 300.0


class Page(NamedTuple):
    """Changes with all leaves, the sequence behind them, and how many are left."""

    rows: list[Change]
    seq: Any
    pending: int | None
    is_last: bool


async def pages_of(endpoint: RemoteEndpoint, since: Any) -> AsyncGenerator[Page, None]:
    """Yield the changes behind a sequence, page by page. The next page is read meanwhile."""
    reading = _reading(endpoint, since)
    try:
        while not (page := await reading).is_last:
            reading = _reading(endpoint, page.seq)
            yield page
        yield page
    finally:
        await ended(reading)


def _reading(endpoint: RemoteEndpoint, since: Any) -> asyncio.Task[Page]:
    return asyncio.create_task(DEFAULT_PATIENCE.again(partial(_page_of, endpoint, since)))


async def _page_of(endpoint: RemoteEndpoint, since: Any) -> Page:
    """Return the page behind a sequence.

    Rows have no sequences: to compute one for each is what takes CouchDB most of the time.
    """
    query = {"style": "all_docs", "since": since, "limit": PAGE, "seq_interval": PAGE}
    rows: list[Change] = []
    async with endpoint.changes(query, None, patience=_SILENCE) as page:
        while found := await page.rows():
            rows.extend(found)
    pending = page.end.pending
    is_last = not rows or pending == 0 or (pending is None and len(rows) < PAGE)
    return Page(rows, page.end.last_seq, pending, is_last)


async def fingerprint_of(endpoint: RemoteEndpoint, tell: Callable[[int], None]) -> Fingerprint:
    """Return what leaves a database has. `tell` is called with how many were seen."""
    found = Fingerprint()
    async with aclosing(pages_of(endpoint, "0")) as pages:
        async for page in pages:
            for row in page.rows:
                for leaf in row.changes:
                    found.add(row.id, leaf.rev)
            tell(found.count)
    return found


async def has_no_others(
    endpoint: RemoteEndpoint, file: IO[bytes], choice: Choice, count: int
) -> bool:
    """Return whether each leaf of a database, which are `count`, is a chosen one of a dump.

    The dump may have it twice, and its ancestors, too. A part of the leaves is looked at at a time, so that
    memory is bounded; each takes the changes of the database and the whole file.
    """
    parts = count // AT_ONCE + 1
    for part in range(parts):
        left: set[int] = set()
        async with aclosing(pages_of(endpoint, "0")) as pages:
            async for page in pages:
                digests = (digest_of(row.id, leaf.rev) for row in page.rows for leaf in row.changes)
                left.update(digest for digest in digests if digest % parts == part)
        await asyncio.to_thread(_strike_out, left, file, choice)
        if left:
            return False
    return True


def _strike_out(left: set[int], file: IO[bytes], choice: Choice) -> None:
    """Remove the leaves that a dump has."""
    lines = lines_of(file)
    while left and (found := lines.lines()):
        for line in found:
            if not is_control(line):
                seen = look(line)
                if choice.takes(seen, line):
                    left.discard(digest_of(seen.id, seen.rev))


async def contained(
    endpoint: RemoteEndpoint, portions: Portions, tell: Callable[[int], None]
) -> list[tuple[str, str]]:
    """Return the chosen leaves of a dump that the database does not know. `tell` hears how many were seen."""
    missing: list[tuple[str, str]] = []
    while (portion := await portions.take()) is not None:
        large = [] if portion.large is None else [portion.large.text]
        portion.close()
        if revs := distinct(look(text) for text in [*portion.texts, *large]):
            found = await DEFAULT_PATIENCE.again(partial(endpoint.revs_diff, revs))
            missing += [(doc_id, rev) for doc_id, each in found.items() for rev in each.missing]
        tell(portion.through)
    return missing
