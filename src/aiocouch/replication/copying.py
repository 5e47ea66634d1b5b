"""Copying what a batch of changes names: plain documents in bulk, those with attachments as a stream."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from aiocouch._wire.rows import document_id
from aiocouch.exception import CouchDBError
from aiocouch.replication.endpoint import Missing, MissingRevisionError, NoBulkGetError, Refused
from aiocouch.replication.planning import (
    MOST_ANCESTORS,
    Wanted,
    by_size,
    groups,
    leaves_of,
    wanted_of,
)
from aiocouch.replication.texts import glance, whole_first
from aiocouch.replication.together import together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiocouch._wire.related import IncomingDocument
    from aiocouch.replication.endpoint import Change, Endpoint, Fetched
    from aiocouch.replication.options import Options
    from aiocouch.replication.planning import Forecast
    from aiocouch.replication.progress import Counts

GROUP = 100
"""Revisions that one `_bulk_get` asks for."""

BULK_BYTES = 4 << 20
"""Bytes of one `_bulk_docs`, unless a single document has more."""

_REFUSALS = frozenset({401, 403, 413, 415})
_MISSING_STUB = 412


class _Sorted(NamedTuple):
    """How the revisions of a batch are to be got: they are here, or by `_bulk_get`, or one by one."""

    here: list[bytes]
    in_bulk: list[tuple[str, str]]
    streamed: dict[str, Wanted]


class _Got:
    """What `_bulk_get` has given of a group, in one try or several."""

    def __init__(self) -> None:
        self.copied: set[tuple[str, str]] = set()
        self._streamed: dict[str, set[str]] = {}
        self._answered: Counter[str] = Counter()

    def begin(self) -> None:
        """Note that a try begins, which gives everything again."""
        self._streamed.clear()
        self._answered.clear()

    def take(self, found: Sequence[tuple[str, Fetched | str]]) -> list[bytes]:
        """Return the texts to be written, of what was not written yet."""
        texts = []
        for doc_id, revision in found:
            self._answered[doc_id] += 1
            if isinstance(revision, str):
                self._streamed.setdefault(doc_id, set()).add(revision)
            elif revision.has_attachments:
                self._streamed.setdefault(doc_id, set()).add(revision.rev)
            elif (doc_id, revision.rev) not in self.copied:
                # Two revisions asked for may have the same latest one.
                self.copied.add((doc_id, revision.rev))
                texts.append(revision.text)
        return texts

    @property
    def attached(self) -> int:
        """How many revisions are left to be streamed."""
        return sum(map(len, self._streamed.values()))

    def left(self, asked: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
        """Return what is to be streamed: attachments, what was not found, what was not answered."""
        every: dict[str, list[str]] = {}
        for doc_id, rev in asked:
            every.setdefault(doc_id, []).append(rev)
        left = {doc_id: sorted(revs) for doc_id, revs in self._streamed.items() if doc_id in every}
        for doc_id, revs in every.items():
            if self._answered[doc_id] < len(revs) or "" in left.get(doc_id, ()):
                left[doc_id] = [rev for rev in revs if (doc_id, rev) not in self.copied]
        return left


class Copier:
    """Copies what changes name from a source to a target. `counts` is kept up to date.

    What the target refuses (401, 403, 413, 415 for a document) is counted, told, and left out. Anything
    else raises, after some tries if it may pass.
    """

    def __init__(
        self,
        source: Endpoint,
        target: Endpoint,
        options: Options,
        counts: Counts,
        forecast: Forecast,
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._counts = counts
        self._forecast = forecast
        self._again = options.patience.again
        self._bulk_get = options.use_bulk_get
        self._bulk_gate = asyncio.Semaphore(options.window)
        self._stream_gate = asyncio.Semaphore(options.streams)

    async def copy(self, changes: Sequence[Change]) -> None:
        """Copy the revisions that the target misses."""
        leaves = leaves_of(changes)
        wanted = await self._missing(leaves)
        ways = self._sort(changes, wanted)
        if ways.here:
            await self._write(ways.here)
        await together(partial(self._fetch, part, wanted) for part in groups(ways.in_bulk, GROUP))
        await self._stream_all(ways.streamed)

    async def _missing(self, leaves: dict[str, list[str]]) -> dict[str, Wanted]:
        checked = sum(map(len, leaves.values()))
        if self._forecast.is_to_compare():
            answer = await self._again(partial(self._target.revs_diff, leaves))
        else:
            answer = {doc_id: Missing(revs) for doc_id, revs in leaves.items()}
        wanted = wanted_of(answer)
        found = sum(len(item.revs) for item in wanted.values())
        self._forecast.compared(checked, found)
        self._counts.missing_checked += checked
        self._counts.missing_found += found
        return wanted

    def _sort(self, changes: Sequence[Change], wanted: Mapping[str, Wanted]) -> _Sorted:
        """Choose how to get each document. What came with the changes need not be fetched."""
        ways = _Sorted([], [], {})
        whole = 0
        bulk_get = self._bulk_get and self._forecast.is_to_bulk_get()
        for change in changes:
            first = whole_first(change)
            may_be_whole = len(change.changes) == 1 and change.changes[0].rev[:2] == "1-"
            whole += first is not None if change.doc else may_be_whole
            revisions = wanted.get(change.id)
            if revisions is None:
                continue
            if change.id.startswith("_design/") or not (first or bulk_get):
                # CouchDB reads design documents one by one, and its counts tell so
                ways.streamed[change.id] = revisions
            elif first is not None:
                ways.here.append(first.text)
            elif change.doc and _has_attachments(bytes(change.doc)):
                ways.streamed[change.id] = revisions
            else:
                ways.in_bulk.extend((change.id, rev) for rev in revisions.revs)
        self._forecast.saw(len(changes), whole)
        return ways

    # documents in bulk

    async def _fetch(self, asked: list[tuple[str, str]], wanted: Mapping[str, Wanted]) -> None:
        """Copy some revisions by `_bulk_get`, those with attachments one by one."""
        got = _Got()
        async with self._bulk_gate:
            await self._again(partial(self._bulk, asked, got))
        await self._stream_all(
            {
                doc_id: Wanted(revs, wanted[doc_id].ancestors)
                for doc_id, revs in got.left(asked).items()
            }
        )

    async def _bulk(self, asked: list[tuple[str, str]], got: _Got) -> None:
        """Copy revisions without attachments. May be done again with what it has got so far."""
        if not self._bulk_get:
            return
        got.begin()
        try:
            async with aclosing(self._source.bulk_get(asked)) as answer:
                async for found in answer:
                    if texts := got.take(found):
                        await self._write(texts)
        except NoBulkGetError:
            self._bulk_get = False
            return
        self._counts.bulk_get_attempts += len(asked)
        self._counts.bulk_get_docs += len(got.copied)
        self._forecast.fetched(len(asked), got.attached)

    async def _write(self, texts: Sequence[bytes]) -> None:
        for part in by_size(texts, BULK_BYTES):
            await self._write_part(part)

    async def _write_part(self, texts: Sequence[bytes]) -> None:
        try:
            refused = await self._again(partial(self._target.write, texts))
        except CouchDBError as error:
            if error.status != 413:
                raise
            if len(texts) > 1:
                # Too much at once: each half may do.
                middle = len(texts) // 2
                await self._write_part(texts[:middle])
                await self._write_part(texts[middle:])
                return
            refused = [_refusal(texts[0], error)]
        self._counts.docs_read += len(texts)
        self._counts.docs_written += len(texts) - len(refused)
        self._tell(refused)

    def _tell(self, refused: Sequence[Refused]) -> None:
        self._counts.doc_write_failures += len(refused)
        for item in refused:
            self._options.on_refused(item)

    # documents with attachments

    async def _stream_all(self, wanted: Mapping[str, Wanted]) -> None:
        await together(
            partial(self._stream, doc_id, revs, item.ancestors)
            for doc_id, item in wanted.items()
            for revs in groups(item.revs, MOST_ANCESTORS)
        )

    async def _stream(self, doc_id: str, revs: Sequence[str], ancestors: Sequence[str]) -> None:
        """Copy some revisions of a document with their attachments, one after the other."""
        left = list(revs)
        taken: set[str] = set()

        async def once() -> None:
            if await self._stream_left(doc_id, left, taken, ancestors):
                # The target lacks attachments that its revisions should have: send all.
                await self._stream_left(doc_id, left, taken, ())

        async with self._stream_gate:
            await self._again(once)

    async def _stream_left(
        self, doc_id: str, left: Sequence[str], taken: set[str], since: Sequence[str]
    ) -> bool:
        """Copy what is not `taken`; True when attachments were missing as stubs."""
        stubs_missing = False
        not_found: list[str] = []
        async with self._source.open_revs(doc_id, left, since) as documents:
            async for document in documents:
                if isinstance(document, str):
                    not_found.append(document)
                    continue
                rev = glance(document.text).rev
                if rev not in taken:
                    stubs_missing |= not await self._put(doc_id, rev, document, taken)
        if not_found and not stubs_missing:
            await self._must_be_gone(doc_id, not_found)
        return stubs_missing

    async def _put(
        self, doc_id: str, rev: str, document: IncomingDocument, taken: set[str]
    ) -> bool:
        """Write a revision while it comes; False when the target lacks attachments for it."""
        try:
            await self._target.put(doc_id, document)
        except CouchDBError as error:
            if error.status == _MISSING_STUB:
                return False
            if not _is_of_the_document(error):
                raise
            self._tell([Refused(doc_id, rev, error.error or "", error.reason or "", error.status)])
        else:
            self._counts.docs_written += 1
        taken.add(rev)
        self._counts.docs_read += 1
        return True

    async def _must_be_gone(self, doc_id: str, revs: Sequence[str]) -> None:
        """Raise for revisions that the source knows, but does not give; others were purged."""
        unknown = await self._source.revs_diff({doc_id: revs})
        gone = unknown[doc_id].missing if doc_id in unknown else []
        if kept := [rev for rev in revs if rev not in gone]:
            raise MissingRevisionError(f"{self._source.name}: {doc_id!r} does not come in {kept}")


def _has_attachments(text: bytes) -> bool:
    return text[:1] == b"{" and glance(text).has_attachments


def _refusal(text: bytes, error: CouchDBError) -> Refused:
    words = error.error or "", error.reason or ""
    return Refused(document_id(text), glance(text).rev, *words, error.status)


def _is_of_the_document(error: CouchDBError) -> bool:
    """Return whether another document may be taken, as in CouchDB's replicator."""
    if error.status == 400:
        return (error.reason or "").startswith("Attachment name ")
    return error.status in _REFUSALS
