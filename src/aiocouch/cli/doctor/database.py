"""Checks of a database by what it tells of itself, and by its documents."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch import ForbiddenError, UnauthorizedError
from aiocouch.cli.doctor.finding import Finding, Severity
from aiocouch.cli.output import several
from aiocouch.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from aiocouch.cli.doctor.patient import Check, Patient

__all__ = ["CHECKS", "DEEP", "SCANS", "Sizes", "judge_copies", "judge_info", "judge_limit"]

_TOMBSTONES = 1_000
_WASTE = 50_000_000  # bytes
_SHARD_DOCS, _SHARD_BYTES = 10_000_000, 20_000_000_000
_REVISIONS = (20, 1_000)
_SHOWN = 5
_LARGE, _LARGE_ATTACHMENTS = 1_000_000, 100_000_000  # bytes of one document


async def _access(patient: Patient) -> AsyncGenerator[Finding, None]:
    name = patient.name or ""
    security = await patient.db.security()
    try:
        await patient.anonymous.database(name).info()
        is_open = True
    except (UnauthorizedError, ForbiddenError):
        is_open = False
    if is_open:
        yield Finding(
            Severity.PROBLEM,
            "open-database",
            "it can be read without a login",
            "everybody who can reach the server gets all its documents, and may write new ones",
            f"name members: `aiocouch security add {name} --member-role …`",
            name,
        )
    elif not (security.members or security.member_roles):
        yield Finding(
            Severity.WARNING,
            "no-members",
            "it has no members",
            "everybody who can log in may read and write it",
            f"name members: `aiocouch security add {name} --member-role …`",
            name,
        )


async def _info(patient: Patient) -> AsyncGenerator[Finding, None]:
    info = await patient.db.info()
    for finding in [*judge_info(info), *judge_copies(info, patient.nodes or 1)]:
        yield finding


def judge_info(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what the numbers and sizes of a database tell."""
    name, count, deleted = info["db_name"], info["doc_count"], info["doc_del_count"]
    file, active = info["sizes"]["file"], info["sizes"]["active"]
    shards = info.get("cluster", {}).get("q") or 1
    if deleted > max(count, _TOMBSTONES):
        yield Finding(
            Severity.WARNING,
            "tombstones",
            f"{several(deleted, 'tombstone')} for {several(count, 'document')}",
            "they take room, and every new index, changes feed and replication reads them all",
            "purge them, or replicate without them into a new database, if no other needs to learn of them",
            name,
            {"deleted": deleted, "documents": count},
        )
    if file > 3 * active and file - active > _WASTE and not info.get("compact_running"):
        yield Finding(
            Severity.WARNING,
            "fragmented",
            f"{(file - active) / 1e6:,.0f} MB of {file / 1e6:,.0f} MB are old revisions",
            "the disk fills, and backups of files take longer",
            f"`aiocouch compact {name}`; if this comes again, look at [smoosh]",
            name,
            {"file": file, "active": active},
        )
    if count / shards > _SHARD_DOCS or active / shards > _SHARD_BYTES:
        yield Finding(
            Severity.NOTE,
            "large-shards",
            f"{count / shards:,.0f} documents and {active / shards / 1e9:,.1f} GB in each of {shards} shards",
            "indexing and compaction of one shard take long, and use one core",
            "split shards: POST /_reshard/jobs",
            name,
            {"q": shards, "documents": count, "active": active},
        )


def judge_copies(info: Mapping[str, Any], nodes: int) -> Iterator[Finding]:
    """Yield a database that is lost with one node."""
    copies = info.get("cluster", {}).get("n") or 1
    if nodes > 1 and copies < 2:
        yield Finding(
            Severity.PROBLEM,
            "one-copy",
            f"there is one copy of each shard, in a cluster of {nodes} nodes",
            "when a node is away, so is a part of its documents",
            "set [cluster] n to 3, and add copies to its shards, or replicate it into a new database",
            info["db_name"],
            {"n": copies, "nodes": nodes},
        )


async def _limit(patient: Patient) -> AsyncGenerator[Finding, None]:
    for finding in judge_limit(await patient.db.revisions.limit(), patient.name or ""):
        yield finding


def judge_limit(limit: int, name: str) -> Iterator[Finding]:
    """Yield a number of revisions that does harm."""
    few, many = _REVISIONS
    if few <= limit <= many:
        return
    yield Finding(
        Severity.WARNING,
        "revs-limit",
        f"the ids of {several(limit, 'revision')} of a document are kept",
        "databases that replicate after long make false conflicts"
        if limit < few
        else "documents that change often cost more at each read and write",
        f"set _revs_limit to {many}",
        name,
        {"revs_limit": limit},
    )


async def _conflicts(patient: Patient) -> AsyncGenerator[Finding, None]:
    count, some, name = 0, list[str](), patient.name or ""
    async for found in patient.db.conflicts():
        count += 1
        if len(some) < _SHOWN:
            some.append(found.id)
    if count:
        yield Finding(
            Severity.WARNING,
            "conflicts",
            f"{several(count, 'document')} with conflicts: {', '.join(some)}{' …' * (count > len(some))}",
            "readers see one version only, and do not learn of what the others have",
            f"`aiocouch conflicts list {name}`, show, and resolve",
            name,
            {"count": count, "some": some},
        )


class Sizes:
    """How large documents are: how many are too large, and the largest of them."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most
        self._largest: list[tuple[int, str]] = []

    def add(self, doc_id: str, size: int) -> None:
        """Take note of a document."""
        if size > self._most:
            self.count += 1
            heapq.heappush(self._largest, (size, doc_id))
            if len(self._largest) > _SHOWN:
                heapq.heappop(self._largest)

    def largest(self) -> dict[str, int]:
        """Return the largest, and their sizes."""
        return {doc_id: size for size, doc_id in sorted(self._largest, reverse=True)}


async def _sizes(patient: Patient) -> AsyncGenerator[Finding, None]:
    documents, attachments = Sizes(_LARGE), Sizes(_LARGE_ATTACHMENTS)
    total = (await patient.db.info())["doc_count"]
    with progress(patient.given, f"reading {patient.name}", total) as shown:
        async for doc in patient.db.docs(include_ddocs=True):
            stubs = doc.get("_attachments") or {}
            documents.add(doc.id, len(msgspec.json.encode(dict(doc))))
            attachments.add(doc.id, sum(stub.get("length", 0) for stub in stubs.values()))
            shown.advance()
    for found, what in ((documents, "content"), (attachments, "attachments")):
        if found.count:
            yield _oversized(found, what, patient.name or "")


def _oversized(found: Sizes, what: str, name: str) -> Finding:
    most = _LARGE if what == "content" else _LARGE_ATTACHMENTS
    largest = ", ".join(
        f"{doc_id} ({size / 1e6:,.1f} MB)" for doc_id, size in found.largest().items()
    )
    return Finding(
        Severity.WARNING,
        "oversized",
        f"{several(found.count, 'document')} with more than {most / 1e6:,.0f} MB of {what}: {largest}",
        "each read, change, index and replication handles all of it",
        "split them"
        if what == "content"
        else "keep what is large elsewhere, or in documents of its own",
        name,
        {"count": found.count, "largest": found.largest()},
    )


CHECKS: tuple[tuple[str, Check], ...] = (
    ("access", _access),
    ("sizes", _info),
    ("revs-limit", _limit),
)
"""What is looked at in every database: it costs some requests."""

DEEP: tuple[tuple[str, Check], ...] = (("conflicts", _conflicts),)
"""What reads the changes of a database."""

SCANS: tuple[tuple[str, Check], ...] = (("documents", _sizes),)
"""What reads all documents."""
