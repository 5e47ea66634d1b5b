"""Holding the leaves of a database against those of a dump, in constant memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from aiocouch.dumping.choice import Fingerprint
from aiocouch.dumping.lines import distinct, look
from aiocouch.replication.patience import DEFAULT_PATIENCE

if TYPE_CHECKING:
    from aiocouch.dumping.portions import Portions
    from aiocouch.replication.endpoint import Change
    from aiocouch.replication.remote_endpoint import RemoteEndpoint

PAGE = 10_000
_SILENCE = 300.0


async def page_of(
    endpoint: RemoteEndpoint, since: Any
) -> tuple[list[Change], Any, int | None, bool]:
    """Return a page of changes with all leaves, its sequence, how many are left, and whether it is the last.

    Rows have no sequences: to compute one for each is what takes CouchDB most of the time.
    """
    query = {"style": "all_docs", "since": since, "limit": PAGE, "seq_interval": PAGE}
    rows: list[Change] = []
    async with endpoint.changes(query, None, patience=_SILENCE) as page:
        while found := await page.rows():
            rows.extend(found)
    pending = page.end.pending
    is_last = not rows or pending == 0 or (pending is None and len(rows) < PAGE)
    return rows, page.end.last_seq, pending, is_last


async def fingerprint_of(endpoint: RemoteEndpoint) -> Fingerprint:
    """Return what leaves a database has."""
    found = Fingerprint()
    since: Any = "0"
    while True:
        rows, since, _, is_last = await DEFAULT_PATIENCE.again(partial(page_of, endpoint, since))
        for row in rows:
            for leaf in row.changes:
                found.add(row.id, leaf.rev)
        if is_last:
            return found


async def contained(endpoint: RemoteEndpoint, portions: Portions) -> list[tuple[str, str]]:
    """Return the chosen leaves of a dump that the database does not know."""
    missing: list[tuple[str, str]] = []
    while (portion := await asyncio.to_thread(portions.next)) is not None:
        large = [] if portion.large is None else [portion.large.text]
        portion.close()
        if revs := distinct(look(text) for text in [*portion.texts, *large]):
            found = await DEFAULT_PATIENCE.again(partial(endpoint.revs_diff, revs))
            missing += [(doc_id, rev) for doc_id, each in found.items() for rev in each.missing]
    return missing
