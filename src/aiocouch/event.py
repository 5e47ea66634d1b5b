"""The events of a changes feed, under the name that they have always had. See `aiocouch.changes`."""

from aiocouch.changes import BaseChangeEvent, ChangedEvent, ChangesFeed, DeletedEvent

__all__ = ["BaseChangeEvent", "ChangedEvent", "ChangesFeed", "DeletedEvent"]
