"""Conflicts that replication leaves: all leaves of a document, where they part, and one in their place."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from aiocouch._hints import complete
from aiocouch._tracked import ACCEPTED, accepted, of_text
from aiocouch._transport.request import Repeat
from aiocouch._transport.stream import lost
from aiocouch._wire.codec import DECODE_ERRORS, decode, encode
from aiocouch._wire.content import md5
from aiocouch._wire.ids import quote_document_id, quote_name
from aiocouch._wire.leaves import Rank, common_ancestor, history, rank
from aiocouch._wire.options import with_query
from aiocouch._wire.revision import format_revision, next_revision, parse_revision
from aiocouch.document import Document
from aiocouch.exception import (
    ConflictError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    UnexpectedAnswerError,
    response_error,
)
from aiocouch.writing.carrier import waiting_time

if TYPE_CHECKING:
    from aiocouch.database import Database
    from aiocouch.typing import BulkRow, JsonDict

__all__ = ["Conflicted", "Leaves", "MergeVersions", "conflicted", "leaves_of", "resolved"]

Merged: TypeAlias = Mapping[str, Any] | None
MergeVersions: TypeAlias = Callable[[Document | None, list[Document]], Merged | Awaitable[Merged]]
"""Makes one of the versions of a document, of which the winner is the first.

The first argument is their common ancestor, None where the server does not have it any more. The function,
which may be async, gives the content, or None when it has changed the winner in place.
"""

_LOOK_TOGETHER = 200
_STATUS = {"forbidden": 403, "unauthorized": 401}


class Conflicted(NamedTuple):
    """A document that has conflicts."""

    id: str
    rev: str
    """The revision that wins."""
    conflicts: list[str]
    """The revisions beside it that are not deleted."""


class _Leaf(NamedTuple):
    document: Document
    rank: Rank
    history: list[str]
    deleted: bool


class Leaves:
    """All the leaves of a document: the revisions that no other follows.

    `winner` is what a read without a revision gets; it `exists` unless all leaves are deleted. `conflicts`
    are the others that are not deleted, and `deleted` those that are, as documents in the order in which
    they would win.
    """

    def __init__(self, database: Database, id: str, leaves: list[_Leaf]) -> None:
        ranked = sorted(leaves, key=lambda leaf: leaf.rank, reverse=True)
        self.database = database
        self.id = id
        self.winner: Document = ranked[0].document
        self.conflicts = [leaf.document for leaf in ranked[1:] if not leaf.deleted]
        self.deleted = [leaf.document for leaf in ranked[1:] if leaf.deleted]
        self._histories = {leaf.history[0]: leaf.history for leaf in ranked}
        self._live = [leaf for leaf in ranked if not leaf.deleted]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {list(self._histories)} of {self.winner!r}>"

    @property
    def ancestor(self) -> str | None:
        """The newest revision that the winner and its conflicts have in common.

        None when they have begun independently, or where it is too old to be known.
        """
        leaves = [leaf.history for leaf in self._live]
        return common_ancestor(leaves or self._histories.values())

    async def base(self) -> Document | None:
        """Return the document at the `ancestor` (`GET /{db}/{docid}?rev=`).

        None when there is none, or when the server has its content no longer: compaction removes it.
        """
        if self.ancestor is None:
            return None
        if not self.conflicts:
            return self.winner
        try:
            return await self.database.get(self.id, rev=self.ancestor)
        except NotFoundError:
            return None

    def history(self, document: Document) -> list[str]:
        """Return the revisions that led to one of these leaves, itself first, as far as they are known."""
        return list(self._histories[document.rev or ""])


class _Ids(msgspec.Struct):
    id: str = msgspec.field(name="_id")
    rev: str = msgspec.field(name="_rev")
    revisions: dict[str, Any] = msgspec.field(name="_revisions")
    deleted: bool = msgspec.field(name="_deleted", default=False)


class _Open(msgspec.Struct):
    ok: msgspec.Raw = msgspec.Raw(b"")


_IDS = msgspec.json.Decoder(_Ids)


async def leaves_of(database: Database, id: str) -> Leaves:
    """Return all leaves, by one request (`GET /{db}/{docid}?open_revs=all`). Raise `NotFoundError`."""
    path = f"{database.endpoint}/{quote_document_id(id)}"
    asked = with_query(path, {"open_revs": "all", "revs": True})
    found = await database.remote.json("GET", asked, into=list[_Open])
    leaves = [_leaf(database, id, bytes(each.ok)) for each in found if bytes(each.ok)]
    if not leaves:
        raise UnexpectedAnswerError(f"GET {path}: no leaf in the answer", Facts("GET", path, 200))
    return Leaves(database, id, leaves)


def _leaf(database: Database, id: str, text: bytes) -> _Leaf:
    try:
        ids = _IDS.decode(text)
        path = history(ids.revisions)
        ranked = rank(ids.rev, ids.deleted)
    except (*DECODE_ERRORS, ValueError, LookupError, TypeError) as error:
        facts = Facts("GET", f"{database.endpoint}/{quote_document_id(id)}", 200)
        raise UnexpectedAnswerError(
            f"a leaf of {id!r} without its history: {error}", facts
        ) from error
    content = decode(text)
    del content["_revisions"]  # or it would be sent again with the document
    document = of_text(Document, database, id, encode(content))
    return _Leaf(document, ranked, path, ids.deleted)


# -- one in place of all ----------------------------------------------------------------------------


async def resolved(database: Database, id: str, merge: MergeVersions, attempts: int) -> Document:
    """Return the document without conflicts, which `merge` makes of its versions."""
    if not callable(merge):
        raise InvalidTypeError(f"merge must be a function, not {type(merge).__name__}")
    if not isinstance(attempts, int):
        raise InvalidTypeError(f"attempts must be an int, not {type(attempts).__name__}")
    if attempts < 1:
        raise InvalidInputError(f"attempts={attempts} must be 1 or more")
    leaves = await leaves_of(database, id)
    attempt = 0
    while leaves.conflicts:
        if attempt == attempts:
            facts = Facts("POST", f"{database.endpoint}/_bulk_docs", 409, "conflict")
            raise ConflictError(f"{id!r} had new conflicts each time that it was resolved", facts)
        if attempt:
            await asyncio.sleep(waiting_time(attempt))
        is_accepted_only = await _resolve(leaves, merge)
        leaves = await leaves_of(database, id)
        if is_accepted_only:
            accepted(leaves.winner)
        attempt += 1
    return leaves.winner


async def _resolve(leaves: Leaves, merge: MergeVersions) -> bool:
    """Write the merged content upon the winner, and delete the others, by one request.

    Return whether it was accepted only.

    With `new_edits=false` there is no conflict for it: what somebody saves in between is kept beside it, as
    another conflict, and a request whose answer is lost may be sent again.
    """
    winner, losers = leaves.winner, leaves.conflicts
    versions = [winner, *losers]
    made = merge(await leaves.base(), versions)
    merged = await made if isinstance(made, Awaitable) else made
    content = _content(leaves, winner if merged is None else merged)
    content["_attachments"] = await _attachments(leaves, content.get("_attachments") or {})
    edit = _after(leaves, winner, content)
    ends = [_after(leaves, loser, {"_deleted": True}) for loser in losers]
    rows, status = await _write(leaves.database, [edit, *ends])
    refused = {row.get("rev"): row for row in rows}
    if edit["_rev"] in refused:
        ended = zip(losers, ends, strict=True)
        await _bring_back(leaves, [each for each in ended if each[1]["_rev"] not in refused])
    if rows:
        raise _refusal(leaves, refused.get(edit["_rev"], rows[0]))
    return status == ACCEPTED


def _content(leaves: Leaves, merged: Mapping[str, Any]) -> JsonDict:
    """Return the content to be written, which keeps the winner's attachments if it mentions none."""
    if not isinstance(merged, Mapping):
        what = type(merged).__name__
        raise InvalidTypeError(f"merge gave {what} for {leaves.winner!r}: a dict or None")
    if merged.get("_id", leaves.id) != leaves.id:
        raise InvalidInputError(f"merge gave {leaves.winner!r} the _id {merged['_id']!r}")
    kept = leaves.winner.get("_attachments")
    plain = {**({"_attachments": kept} if kept else {}), **merged}
    content: JsonDict = decode(leaves.database.remote.encode(plain))
    return content


def _after(leaves: Leaves, document: Document, content: Mapping[str, Any]) -> JsonDict:
    """Return the content as the revision that follows a leaf, computed as CouchDB does."""
    path = leaves.history(document)
    return _next(leaves.id, path, content)


def _next(id: str, path: list[str], content: Mapping[str, Any]) -> JsonDict:
    body = {name: value for name, value in content.items() if not name.startswith("_")}
    deleted = bool(content.get("_deleted"))
    attachments = content.get("_attachments") or {}
    digests = [(name, *_digest(each)) for name, each in attachments.items()]
    rev = next_revision(parse_revision(path[0]), body, deleted=deleted, attachments=digests)
    text = format_revision(rev)
    start, newest = text.split("-", 1)
    ids = [newest, *(each.split("-", 1)[1] for each in path)]
    own: JsonDict = {"_id": id, "_rev": text, "_revisions": {"start": int(start), "ids": ids}}
    if deleted:
        own["_deleted"] = True
    if attachments:
        own["_attachments"] = attachments
    return {**own, **body}


def _digest(attachment: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return type and digest. Of inline data the server may compute another, which does no harm."""
    kind = attachment.get("content_type", "")
    if "data" in attachment:
        return kind, md5(str(attachment["data"]).encode())
    return kind, b64decode(attachment["digest"].removeprefix("md5-"))


async def _attachments(leaves: Leaves, wanted: Mapping[str, Any]) -> JsonDict:
    """Return the attachments of the merged content. The stubs of a version that ends become their data."""
    kept = leaves.winner.get("_attachments") or {}
    found: JsonDict = {}
    for name, each in wanted.items():
        if not isinstance(each, Mapping):
            raise InvalidInputError(
                f"merge gave {leaves.winner!r} the attachment {name!r}: {each!r}"
            )
        is_kept = "data" in each or _is_same(kept.get(name), each)
        found[name] = each if is_kept else await _copied(leaves, name, each)
    return found


def _is_same(stub: Mapping[str, Any] | None, other: Mapping[str, Any]) -> bool:
    return stub is not None and stub.get("digest") == other.get("digest")


async def _copied(leaves: Leaves, name: str, stub: Mapping[str, Any]) -> JsonDict:
    for version in leaves.conflicts:
        for theirs, each in (version.get("_attachments") or {}).items():
            if _is_same(each, stub):
                path = f"{version.endpoint}/{quote_name(theirs, 'attachment name')}"
                asked = with_query(path, {"rev": version.rev})
                content = (await leaves.database.remote.request("GET", asked)).body
                data = b64encode(content).decode()
                return {"content_type": each["content_type"], "data": data}
    raise InvalidInputError(f"no version of {leaves.winner!r} has the attachment {name!r}")


async def _write(database: Database, docs: list[JsonDict]) -> tuple[list[BulkRow], int]:
    """Return the rows of what was refused, and the status."""
    path = f"{database.endpoint}/_bulk_docs"
    body = encode({"new_edits": False, "docs": docs})
    answer = await database.remote.request("POST", path, body=body, repeat=Repeat.FREELY)
    return answer.json(list[dict[str, Any]]), answer.status


async def _bring_back(leaves: Leaves, ended: list[tuple[Document, JsonDict]]) -> None:
    """Write versions anew that were deleted while what should take their place was refused."""
    docs = [
        _next(leaves.id, [end["_rev"], *leaves.history(version)], await _whole(version))
        for version, end in ended
    ]
    if docs:
        await _write(leaves.database, docs)


async def _whole(version: Document) -> Document:
    """Return the version with its attachments, for a tombstone on top of it has none."""
    if "_attachments" not in version:
        return version
    whole = Document(version.database, version.id)
    await whole.fetch(True, rev=version.rev, attachments=True)
    return whole


def _refusal(leaves: Leaves, row: BulkRow) -> Exception:
    path = f"{leaves.database.endpoint}/_bulk_docs"
    error, reason = row.get("error"), row.get("reason")
    return response_error(Facts("POST", path, _STATUS.get(str(error), 500), error, reason))


# -- the conflicts of a database --------------------------------------------------------------------


class _Change(msgspec.Struct):
    id: str
    changes: list[Any]
    deleted: bool = False


class _Looked(msgspec.Struct):
    rev: str = msgspec.field(name="_rev")
    conflicts: list[str] = msgspec.field(name="_conflicts", default_factory=list)


class _Row(msgspec.Struct):
    id: str | None = None
    doc: _Looked | None = None


_CHANGES = msgspec.json.Decoder(list[_Change])


class _Rows(msgspec.Struct):
    rows: list[_Row]


async def conflicted(database: Database) -> AsyncGenerator[Conflicted, None]:
    """Yield the documents of a database that have conflicts.

    The feed of changes tells of all leaves without reading a document, which takes CouchDB a third of the
    time of `_all_docs?include_docs=true&conflicts=true`. It does not tell which of them are deleted.
    """
    several: list[str] = []
    path = f"{database.endpoint}/_changes?style=all_docs"
    async with database.remote.stream("GET", path) as stream:
        while batch := await stream.batch(_CHANGES, lost):
            several += [row.id for row in batch if len(row.changes) > 1 and not row.deleted]
            while len(several) >= _LOOK_TOGETHER:
                for found in await _looked_at(database, several[:_LOOK_TOGETHER]):
                    yield found
                del several[:_LOOK_TOGETHER]
    for found in await _looked_at(database, several):
        yield found


async def _looked_at(database: Database, ids: list[str]) -> list[Conflicted]:
    """Return those of some documents that have conflicts."""
    if not ids:
        return []
    path = f"{database.endpoint}/_all_docs?include_docs=true&conflicts=true"
    answer = await database.remote.json(
        "POST", path, into=_Rows, body=encode({"keys": ids}), repeat=Repeat.FREELY
    )
    return [
        Conflicted(row.id or "", row.doc.rev, row.doc.conflicts)
        for row in answer.rows
        if row.doc is not None and row.doc.conflicts
    ]


complete("aiocouch")
