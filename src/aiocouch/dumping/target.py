"""The database that a dump is restored into."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiocouch.dumping.lines import distinct, look
from aiocouch.exception import CouchDBError, NotFoundError
from aiocouch.replication.endpoint import Refused
from aiocouch.replication.patience import DEFAULT_PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiocouch.database import Database
    from aiocouch.dumping.portions import Spooled
    from aiocouch.replication.remote_endpoint import RemoteEndpoint

_OF_THE_DOCUMENT = frozenset({400, 401, 403, 412, 413, 415})


class Target:
    """Writes into a database. All that it does can be done twice, and is, where a failure may pass."""

    def __init__(
        self, database: Database, endpoint: RemoteEndpoint, refused: Callable[[Refused], None]
    ) -> None:
        self.endpoint = endpoint
        self.local = 0
        """How many local documents were written."""
        self._database = database
        self._refused = refused
        self._again = DEFAULT_PATIENCE.again
        self._rev: str | None = None
        self._note: dict[str, Any] = {}

    # -- how far it is, in a local document -------------------------------------------------------

    async def known(self, name: str) -> Mapping[str, Any] | None:
        """Return what a restore that was broken off has noted."""
        found = await self._again(partial(self.endpoint.checkpoint, name))
        if not found:
            return None
        self._rev = found.get("_rev")
        self._note = {key: value for key, value in found.items() if key[:1] != "_"}
        return self._note

    async def begin(self, name: str, *, is_empty: bool) -> Mapping[str, Any]:
        """Note that a restore begins, before anything is written."""
        self._note = {"documents": 0, "was_empty": is_empty}
        await self.note(name, 0)
        return self._note

    async def note(self, name: str, documents: int) -> None:
        """Note that so many documents of the dump are written."""
        self._note["documents"] = documents
        document = {**({"_rev": self._rev} if self._rev else {}), **self._note}
        self._rev = await self._again(partial(self.endpoint.save_checkpoint, name, document))

    async def forget(self, name: str) -> None:
        """Remove the note: all is written."""
        try:
            await (await self._database.local.get(name)).delete()
        except NotFoundError:
            return

    # -- documents --------------------------------------------------------------------------------

    async def lacking(self, texts: Sequence[bytes]) -> list[bytes]:
        """Return those of some documents that the database does not know."""
        seen = [look(text) for text in texts]
        revs = distinct(seen)
        unknown = await self._again(partial(self.endpoint.revs_diff, revs))
        missing = {(name, rev) for name, found in unknown.items() for rev in found.missing}
        pairs = zip(texts, seen, strict=True)
        return [text for text, each in pairs if (each.id, each.rev) in missing]

    async def write(self, texts: Sequence[bytes]) -> int:
        """Write some documents; tell how many the server has taken."""
        try:
            refused = await self._again(partial(self.endpoint.write, texts))
        except CouchDBError as error:
            if error.status not in _OF_THE_DOCUMENT:
                raise
            if len(texts) > 1:  # one of them, or all together
                middle = len(texts) // 2
                return await self.write(texts[:middle]) + await self.write(texts[middle:])
            refused = [_refusal(texts[0], error)]
        for each in refused:
            self._refused(each)
        return len(texts) - len(refused)

    async def write_large(self, document: Spooled) -> int:
        """Write a document with large attachments; tell how many the server has taken."""
        seen = look(document.text)
        try:
            await self._again(partial(self.endpoint.put, seen.id, document))
        except CouchDBError as error:
            if error.status not in _OF_THE_DOCUMENT:
                raise
            self._refused(_refusal(document.text, error))
            return 0
        return 1

    async def write_local(self, document: Mapping[str, Any]) -> None:
        """Write a local document in the place of the one that is there."""
        doc_id = str(document["_id"]).removeprefix("_local/")
        content = {key: value for key, value in document.items() if key not in {"_id", "_rev"}}
        known = await self._again(partial(self.endpoint.checkpoint, doc_id))
        rev = {"_rev": known["_rev"]} if "_rev" in known else {}
        await self._again(partial(self.endpoint.save_checkpoint, doc_id, {**rev, **content}))
        self.local += 1

    async def write_security(self, security: Mapping[str, Any]) -> None:
        """Write the security object, unless it is there. Raise `ForbiddenError` for who may not."""
        document = await self._database.security()
        document.clear()
        document.update(security)
        await document.save()


def _refusal(text: bytes, error: CouchDBError) -> Refused:
    seen = look(text)
    return Refused(seen.id, seen.rev, error.error or "", error.reason or str(error), error.status)
