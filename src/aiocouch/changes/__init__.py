"""What happens to documents: the feed of a database, its events, and followers."""

from aiocouch.changes.checkpoint import (
    CallbackCheckpoint,
    Checkpoint,
    FileCheckpoint,
    LocalCheckpoint,
)
from aiocouch.changes.events import (
    BaseChangeEvent,
    ChangedEvent,
    DatabaseUpdate,
    DeletedEvent,
    FollowedChange,
    FollowedDeletion,
)
from aiocouch.changes.feed import ChangesFeed
from aiocouch.changes.follower import Follower, FollowOptions, FollowUpdatesOptions

__all__ = [
    "BaseChangeEvent",
    "CallbackCheckpoint",
    "ChangedEvent",
    "ChangesFeed",
    "Checkpoint",
    "DatabaseUpdate",
    "DeletedEvent",
    "FileCheckpoint",
    "FollowOptions",
    "FollowUpdatesOptions",
    "FollowedChange",
    "FollowedDeletion",
    "Follower",
    "LocalCheckpoint",
]
