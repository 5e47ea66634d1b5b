"""What happens to documents: the feed of a database, and its events."""

from aiocouch.changes.events import BaseChangeEvent, ChangedEvent, DeletedEvent
from aiocouch.changes.feed import ChangesFeed

__all__ = ["BaseChangeEvent", "ChangedEvent", "ChangesFeed", "DeletedEvent"]
