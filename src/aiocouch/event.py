"""The events of a changes feed, under the name that they have always had. See `aiocouch.changes`."""

from aiocouch.changes import BaseChangeEvent, ChangedEvent, ChangesFeed, DeletedEvent
from aiocouch.typing import JsonDict  # noqa: F401 - it was here in aiocouch 4

__all__ = ["BaseChangeEvent", "ChangedEvent", "ChangesFeed", "DeletedEvent"]
