"""What became of a write whose answer was lost: each of these asks the server, and finds the answer.

They return the answer that was lost, or None if nothing was done; then the write may be sent again. They
raise `UnsettledError` if it cannot be told. A read that fails raises its own error.
"""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from multidict import CIMultiDict, CIMultiDictProxy

from aiocouch._transport.answer import HTTPResponse
from aiocouch._transport.request import Repeat, Request
from aiocouch._wire.codec import decode, encode, encode_sorted
from aiocouch._wire.options import with_query
from aiocouch._wire.written import (
    NOT_DONE,
    NOT_KNOWN,
    AttachmentWritten,
    Outcome,
    Verdict,
    Written,
    judge,
    leaves_of,
    read_written,
    written_of,
)
from aiocouch.exception import CouchDBError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from multidict import MultiMapping

    from aiocouch._transport.request import Ask, Settle
    from aiocouch._wire.written import Leaf

__all__ = [
    "Copy",
    "CreateDatabase",
    "DeleteDatabase",
    "Purge",
    "Register",
    "UnsettledError",
    "WriteAttachment",
    "WriteDocument",
    "WriteRelated",
    "asked",
    "database_of",
    "decided",
    "found",
    "of_deletion",
    "of_document",
    "told",
]

_LEAVES = {"open_revs": "all", "revs": True, "att_encoding_info": True}
_CLOCK = 2.0  # seconds by which the times of CouchDB may differ that are whole seconds


class UnsettledError(CouchDBError):
    """Nobody can tell what became of the write."""


def of_document(path: str, text: bytes) -> Settle:
    """Return what settles the save of a document as this JSON text, at the path of the document."""
    return Register(path, text, 201) if "/_local/" in path else WriteDocument(path, text)


def of_deletion(path: str, id: str, rev: str) -> Settle:
    """Return what settles the deletion of a document, at the path of the document."""
    if id.startswith("_local/"):
        return Register(path, None)
    return WriteDocument(path, Written(id, rev, {}, deleted=True), 200)


class WriteAttachment:
    """An attachment that was saved or deleted: the document is looked for as it must be then.

    `doc` is what the document was before. `digest` gives the MD5 of the new content; None: deleted.
    """

    def __init__(
        self,
        path: str,
        doc: Mapping[str, Any],
        name: str,
        content_type: str | None = None,
        digest: Callable[[], Awaitable[bytes]] | None = None,
    ) -> None:
        self._path = path
        self._doc = dict(doc)
        self._name = name
        self._content_type = content_type
        self._digest = digest

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        written = written_of(self._doc)
        written.attachments.pop(self._name, None)
        if self._digest is None:
            return await WriteDocument(self._path, written, 200)(ask)
        content = await self._digest()
        new = AttachmentWritten(self._content_type, content=content, is_new=True)
        written.attachments[self._name] = new
        return await WriteDocument(self._path, written)(ask)


class WriteDocument:
    """A document that was saved or deleted: its revision is looked for."""

    def __init__(self, path: str, text: bytes | Written, status: int = 201) -> None:
        self._path = path
        self._text = text
        self._status = status

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        text = self._text
        written = read_written(text, database_of(self._path)) if isinstance(text, bytes) else text
        rev = await found(ask, self._path, written)
        if rev is None:
            return None
        return told({"ok": True, "id": written.id, "rev": rev}, self._status, ETag=f'"{rev}"')


class WriteRelated:
    """A document that was saved with contents of attachments behind its text.

    `digests` gives the MD5 of each content by the name of its attachment.
    """

    def __init__(
        self, path: str, text: bytes, digests: Callable[[], Awaitable[Mapping[str, bytes]]]
    ) -> None:
        self._path = path
        self._text = text
        self._digests = digests

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        written = read_written(self._text, database_of(self._path))
        for name, digest in (await self._digests()).items():
            content_type = written.attachments[name].content_type
            written.attachments[name] = AttachmentWritten(content_type, content=digest)
        return await WriteDocument(self._path, written)(ask)


class Copy:
    """A copy: what the source has is looked for at the target."""

    def __init__(self, source: str, target: str, id: str, rev: str | None) -> None:
        self._source = source
        self._target = target
        self._written = id, rev

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        source = (await asked(ask, "GET", self._source)).body
        written = read_written(source, database_of(self._target))
        written.id, written.parent = self._written
        answer = await WriteDocument(self._target, written)(ask)
        if answer is None and _is_moved(await _leaves(ask, self._target), written.parent):
            # That may be a copy of what the source was, which it is no longer.
            raise UnsettledError("the target has another revision")
        return answer


class Register:
    """What has no history, such as `_local` documents and `_security`: is it what was written?

    Who writes there overwrites. If it is another content, it is written again.
    """

    def __init__(self, path: str, text: bytes | None, status: int = 200) -> None:
        self._path = path
        self._text = text
        self._status = status

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        sent = None if self._text is None else decode(self._text)
        if sent is not None and sent.get("_deleted"):
            sent = None
        try:
            now = (await asked(ask, "GET", self._path)).json()
        except NotFoundError as error:
            is_done = sent is None and error.reason == "missing"
            id = unquote(self._path.partition("/_local/")[2])
            gone = {"ok": True, "id": f"_local/{id}", "rev": "0-0"}
            return told(gone, self._status) if is_done else None
        if sent is None or _plain(sent) != _plain(now):
            return None
        answer = {"ok": True} | {name[1:]: now[name] for name in ("_id", "_rev") if name in now}
        return told(answer, self._status)


class CreateDatabase:
    """A database that was created: is it there, and not older than this call?"""

    def __init__(self, path: str) -> None:
        self._path = path
        self._since = time.monotonic()

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        age = await _age(ask, self._path)
        if age is None or age > time.monotonic() - self._since + _CLOCK:
            return None
        return told({"ok": True}, 201)


class DeleteDatabase:
    """A database that was deleted: is it gone, or a younger one of that name there?"""

    def __init__(self, path: str) -> None:
        self._path = path
        self._since = time.monotonic()

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        age = await _age(ask, self._path)
        since = time.monotonic() - self._since
        if age is None or age < since - _CLOCK:
            return told({"ok": True}, 200)
        if age < since + _CLOCK:
            raise UnsettledError("the database is as old as the call that was to delete it")
        return None


class Purge:
    """Revisions that were purged: are they all gone?"""

    def __init__(self, database: str, revs: dict[str, list[str]]) -> None:
        self._path = f"{database}/_revs_diff"
        self._revs = revs

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """See the module."""
        missing = (await asked(ask, "POST", self._path, encode(self._revs))).json()
        gone = {id: missing.get(id, {}).get("missing", []) for id in self._revs}
        if any(set(revs) - set(gone[id]) for id, revs in self._revs.items()):
            return None
        return told({"purge_seq": None, "purged": self._revs}, 201)


async def found(ask: Ask, path: str, written: Written) -> str | None:
    """Return the revision that a write has made; None: none."""
    verdict = judge(written, await _leaves(ask, path))
    return await decided(ask, path, written, verdict)


async def decided(ask: Ask, path: str, written: Written, verdict: Verdict) -> str | None:
    """Return the revision of a verdict, after a look at the documents where it needs one."""
    if verdict.outcome is Outcome.LOOK:
        verdict = await _look(ask, path, written, verdict.revs)
    if verdict.outcome is Outcome.NOT_KNOWN:
        raise UnsettledError("what the server has does not tell whether it was written")
    return verdict.revs[0] if verdict.outcome is Outcome.DONE else None


async def asked(ask: Ask, method: str, path: str, body: bytes | None = None) -> HTTPResponse:
    """Return the answer to a read."""
    request = Request(method, path, body, repeat=Repeat.FREELY)
    return cast("HTTPResponse", await ask(request))


def told(value: Any, status: int, **headers: str) -> HTTPResponse:
    """Return the answer that the server had given, or would have."""
    return HTTPResponse(_Head(status, headers), encode(value))


def database_of(path: str) -> str:
    """Return the name of the database that a path begins with."""
    return unquote(path.split("/")[1])


class _Head:
    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.status = status
        named = CIMultiDict({"Content-Type": "application/json", **headers})
        self.headers: MultiMapping[str] = CIMultiDictProxy(named)


async def _leaves(ask: Ask, path: str) -> list[Leaf]:
    try:
        answer = await asked(ask, "GET", with_query(path, _LEAVES))
    except NotFoundError:
        return []
    return leaves_of(answer.json(list[dict[str, Any]]))


async def _look(ask: Ask, path: str, written: Written, revs: Sequence[str]) -> Verdict:
    """Read revisions with their attachments, and compare."""
    verdict = NOT_DONE
    for rev in revs:
        try:
            answer = await asked(ask, "GET", with_query(path, {"rev": rev, "attachments": True}))
        except NotFoundError:
            verdict = NOT_KNOWN  # it was compacted away
            continue
        # In a thread, for a password is hashed again as often as CouchDB does.
        if await asyncio.to_thread(written.is_it, answer.json()):
            return Verdict(Outcome.DONE, (rev,))
    return verdict


async def _age(ask: Ask, path: str) -> float | None:
    """Return the age of a database in seconds, by the clock of its server; None if there is none."""
    try:
        answer = await asked(ask, "GET", path)
    except NotFoundError:
        return None
    try:
        created = float(answer.json()["instance_start_time"])
        now = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        created = now = 0.0
    if not created:  # as CouchDB 2 says
        raise UnsettledError("the server does not tell how old the database is")
    return now - created


def _is_moved(leaves: list[Leaf], parent: str | None) -> bool:
    living = [leaf["_rev"] for leaf in leaves if not leaf.get("_deleted")]
    return bool(living) and parent not in living


def _plain(doc: Any) -> bytes:
    return encode_sorted({name: value for name, value in doc.items() if name[:1] != "_"})
