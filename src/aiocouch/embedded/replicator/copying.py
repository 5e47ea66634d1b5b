"""Copying revisions from one peer to another: plain ones in bulk, attachments as a stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch.embedded.codec import decode_any, encode
from aiocouch.embedded.multipart.multipart import (
    boundary_of,
    closing,
    new_boundary,
    opening,
    part_head,
    quoted_parameter,
    separator,
)
from aiocouch.embedded.multipart.part_reader import PartReader
from aiocouch.embedded.replicator.peer import RefusedError, glance

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    import aiohttp

    from aiocouch.embedded.replicator.peer import FetchedRevision, Peer
    from aiocouch.embedded.replicator.progress import Counts

GROUP = 100
"""Documents that one `_bulk_get` asks for."""

AT_ONCE = 4
"""Groups of a batch, and documents with attachments of a group, that are under way at once."""

_REVS_AT_ONCE = 40
_BULK_BYTES = 4 << 20
_LARGEST_DOCUMENT = 256 << 20
_NO_BULK_GET = frozenset({400, 404, 405, 415, 501})
_REFUSALS = frozenset({401, 403, 413})
_MISSING_STUB = 412


class Wanted(NamedTuple):
    """Revisions of one document that the target misses, and those of it that it may have."""

    revs: Sequence[str]
    ancestors: Sequence[str]


class Copier:
    """Copies revisions that are missing. `counts` is kept up to date.

    A document that the target refuses (401, 403, 413) is counted and left out. Anything else
    raises: RefusedError, ReplicationError or an error of aiohttp.
    """

    def __init__(self, source: Peer, target: Peer, counts: Counts, *, bulk_get: bool) -> None:
        self._source = source
        self._target = target
        self._counts = counts
        self._bulk_get = bulk_get

    async def copy(self, wanted: Mapping[str, Wanted]) -> None:
        """Copy the revisions of many documents."""
        await _gather(self._copy_group(dict(group)) for group in _groups(wanted.items(), GROUP))

    async def _copy_group(self, wanted: dict[str, Wanted]) -> None:
        plain, streamed = await self._fetch(wanted)
        if plain:
            await self._write(plain)
        await _gather(
            self._stream(doc_id, revs, wanted[doc_id].ancestors)
            for doc_id, revs in streamed.items()
        )

    async def _fetch(
        self, wanted: dict[str, Wanted]
    ) -> tuple[list[FetchedRevision], dict[str, Sequence[str]]]:
        """Fetch what has no attachments; name the revisions to be streamed, by document."""
        everything = {doc_id: item.revs for doc_id, item in wanted.items()}
        # CouchDB reads design documents one by one, and its counts tell so
        asked = {doc_id: revs for doc_id, revs in everything.items() if not _is_design(doc_id)}
        if not self._bulk_get or not asked:
            return [], everything
        try:
            fetched = await self._source.bulk_get(asked)
        except RefusedError as error:
            if error.status not in _NO_BULK_GET:
                raise
            self._bulk_get = False
            return [], everything
        self._counts.bulk_get_attempts += sum(map(len, asked.values()))
        plain: list[FetchedRevision] = []
        streamed = {doc_id: revs for doc_id, revs in everything.items() if _is_design(doc_id)}
        for doc_id, revisions in fetched.found.items():
            plain += [item for item in revisions if not item.has_attachments]
            with_data = [item.rev for item in revisions if item.has_attachments]
            if with_data:
                streamed[doc_id] = with_data
        self._counts.bulk_get_docs += len(plain)
        return plain, streamed

    # documents in bulk

    async def _write(self, revisions: Sequence[FetchedRevision]) -> None:
        self._counts.docs_read += len(revisions)
        for part in _by_size([item.text for item in revisions]):
            await self._write_part(part)

    async def _write_part(self, texts: Sequence[bytes]) -> None:
        try:
            errors = await self._target.bulk_docs(texts)
        except RefusedError as error:
            if error.status == 413 and len(texts) > 1:
                # Too much at once: each half may do.
                middle = len(texts) // 2
                await self._write_part(texts[:middle])
                await self._write_part(texts[middle:])
                return
            if error.status not in _REFUSALS:
                raise
            self._counts.doc_write_failures += len(texts)
            return
        self._counts.doc_write_failures += len(errors)
        self._counts.docs_written += len(texts) - len(errors)

    # documents with attachments

    async def _stream(self, doc_id: str, revs: Sequence[str], ancestors: Sequence[str]) -> None:
        for part in _groups(revs, _REVS_AT_ONCE):
            if await self._stream_part(doc_id, part, ancestors):
                # The target lacks attachments that its revisions should have: send all.
                await self._stream_part(doc_id, part, ())

    async def _stream_part(
        self, doc_id: str, revs: Sequence[str], ancestors: Sequence[str]
    ) -> bool:
        """Copy some revisions of a document; True when attachments were missing as stubs."""
        async with self._source.open_revs(doc_id, revs, ancestors) as response:
            if response.status != 200:
                raise RefusedError(response.status, "open_revs", await response.text())
            boundary = boundary_of(response.headers.get("Content-Type"))
            if boundary is None:
                await self._write_inline(await response.json())
                return False
            return await self._stream_parts(doc_id, response, boundary)

    async def _write_inline(self, answer: Sequence[Mapping[str, Any]]) -> None:
        texts = [encode(item["ok"]) for item in answer if "ok" in item]
        await self._write([glance(text) for text in texts])

    async def _stream_parts(
        self, doc_id: str, response: aiohttp.ClientResponse, boundary: str
    ) -> bool:
        reader = PartReader(response.content.iter_any(), boundary)
        stubs_missing = False
        while (headers := await reader.next_part()) is not None:
            kind = headers.get("content-type", "")
            if "error=" in kind:
                continue
            inner = boundary_of(kind)
            try:
                if inner is None:
                    await self._target.put(doc_id, await reader.body(_LARGEST_DOCUMENT))
                else:
                    await self._forward(doc_id, PartReader(reader.pieces(), inner))
            except RefusedError as error:
                stubs_missing |= error.status == _MISSING_STUB
                self._count_refusal(error)
            else:
                self._counts.docs_read += 1
                self._counts.docs_written += 1
        return stubs_missing

    def _count_refusal(self, error: RefusedError) -> None:
        if error.status == _MISSING_STUB:
            return
        if error.status not in _REFUSALS:
            raise error
        self._counts.docs_read += 1
        self._counts.doc_write_failures += 1

    async def _forward(self, doc_id: str, parts: PartReader) -> None:
        """Send a document to the target while it is still coming from the source."""
        await parts.next_part()
        text = await parts.body(_LARGEST_DOCUMENT)
        outgoing = _Outgoing(text)
        await self._target.put(doc_id, outgoing.body(parts), outgoing.headers())


class _Outgoing:
    """A `multipart/related` body: the text of a document, then the attachments that follow it."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._boundary = new_boundary()
        members = decode_any(text).get("_attachments", {})
        self._following = [
            (part_head(_headers(name, member)), _stored_length(member))
            for name, member in members.items()
            if member.get("follows")
        ]
        self._start = (
            opening(self._boundary) + part_head([("Content-Type", "application/json")]) + text
        )

    def headers(self) -> dict[str, str]:
        """Give the headers of the request; the length is known beforehand."""
        size = len(self._start) + len(closing(self._boundary))
        for head, length in self._following:
            size += len(separator(self._boundary)) + len(head) + length
        return {
            "Content-Type": f'multipart/related; boundary="{self._boundary}"',
            "Content-Length": str(size),
            "Accept": "application/json",
        }

    async def body(self, parts: PartReader) -> AsyncIterator[bytes]:
        """Yield the body, with the attachments out of the parts that are coming in."""
        yield self._start
        for head, _ in self._following:
            await parts.next_part()
            yield separator(self._boundary) + head
            async for piece in parts.pieces():
                yield piece
        yield closing(self._boundary)


def _headers(name: str, member: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = [
        ("Content-Disposition", f"attachment; filename={quoted_parameter(name)}"),
        ("Content-Type", str(member.get("content_type", "application/octet-stream"))),
        ("Content-Length", str(_stored_length(member))),
    ]
    if "encoding" in member:
        headers.append(("Content-Encoding", str(member["encoding"])))
    return headers


def _stored_length(member: Mapping[str, Any]) -> int:
    return int(member.get("encoded_length", member.get("length", 0)))


def _is_design(doc_id: str) -> bool:
    return doc_id.startswith("_design/")


def _groups(items: Iterable[Any], size: int) -> list[list[Any]]:
    everything = list(items)
    return [everything[at : at + size] for at in range(0, len(everything), size)]


def _by_size(texts: Sequence[bytes]) -> list[list[bytes]]:
    """Divide documents into requests of a few megabytes."""
    parts: list[list[bytes]] = []
    size = _BULK_BYTES
    for text in texts:
        if size >= _BULK_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(text)
        size += len(text)
    return parts


async def _gather(jobs: Iterable[Any]) -> None:
    """Run jobs, a few at once; the first error ends them all."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def run(job: Any) -> None:
        async with gate:
            await job

    waiting = list(jobs)
    try:
        async with asyncio.TaskGroup() as group:
            for job in waiting:
                group.create_task(run(job))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        # those that never had their turn; to the others it does nothing
        for job in waiting:
            job.close()
