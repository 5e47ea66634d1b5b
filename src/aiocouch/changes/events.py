"""What happened to a document: the events of a changes feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from aiocouch._tracked import of_text
from aiocouch._wire.codec import encode
from aiocouch.document import Document
from aiocouch.exception import NotFoundError
from aiocouch.typing import JsonDict  # noqa: TC001 - msgspec looks it up

if TYPE_CHECKING:
    from aiocouch.answers import DatabaseEvent
    from aiocouch.changes.ledger import Ledger
    from aiocouch.database import Database

__all__ = [
    "BaseChangeEvent",
    "ChangedEvent",
    "DatabaseUpdate",
    "DeletedEvent",
    "FollowedChange",
    "FollowedDeletion",
]


class BaseChangeEvent(msgspec.Struct, weakref=True, dict=True):
    """What all events have. `json` is the row of the feed as CouchDB sent it."""

    json: JsonDict

    @property
    def id(self) -> str:
        """The id of the document."""
        found: str = self.json["id"]
        return found

    @property
    def rev(self) -> str:
        """The new revision (with `style="all_docs"` the winner; `json["changes"]` has all)."""
        found: str = self.json["changes"][0]["rev"]
        return found

    @property
    def sequence(self) -> str:
        """Where the event stands in the feed: opaque, to be given back as `last_event_id`."""
        found: str = self.json["seq"]
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}(json={self.json!r})"


class DeletedEvent(BaseChangeEvent):
    """The document was deleted."""


class ChangedEvent(BaseChangeEvent):
    """The document was created or changed."""

    database: Database

    async def doc(self) -> Document:
        """Return the document after the change.

        With `include_docs` it is what came in the event; else it is fetched, in the revision of the
        event while the server still has it, and otherwise as it is now. Raise `NotFoundError`.
        """
        included = self.json.get("doc")
        if included is not None:
            return of_text(Document, self.database, self.id, encode(included))
        try:
            return await self.database.get(self.id, rev=self.rev)
        except NotFoundError:  # compacted meanwhile
            return await self.database.get(self.id)


class FollowedChange(ChangedEvent):
    """A document was created or changed; given by a follower."""

    ledger: Ledger
    place: int

    def ack(self) -> None:
        """Note that it is handled, and need not come again. Sends nothing: checkpoints are written later."""
        self.ledger.acknowledge(self.place)


class FollowedDeletion(DeletedEvent):
    """A document was deleted; given by a follower."""

    ledger: Ledger
    place: int

    def ack(self) -> None:
        """Note that it is handled, and need not come again. Sends nothing: checkpoints are written later."""
        self.ledger.acknowledge(self.place)


class DatabaseUpdate(msgspec.Struct, weakref=True, dict=True):
    """A database was created, changed or deleted. `json` is the row of the feed as CouchDB sent it."""

    json: DatabaseEvent
    ledger: Ledger
    place: int

    @property
    def id(self) -> str:
        """The name of the database."""
        return self.json["db_name"]

    @property
    def type(self) -> Literal["created", "updated", "deleted"]:
        """What happened."""
        return self.json["type"]

    @property
    def sequence(self) -> str:
        """Where the event stands in the feed: opaque."""
        return self.json["seq"]

    def ack(self) -> None:
        """Note that it is handled, and need not come again. Sends nothing: checkpoints are written later."""
        self.ledger.acknowledge(self.place)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(json={self.json!r})"
