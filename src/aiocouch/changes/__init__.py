"""What happens to documents: the feed of a database, its events, and followers."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from aiocouch._hints import complete as _complete
from aiocouch.changes.events import (
    BaseChangeEvent,
    ChangedEvent,
    DatabaseUpdate,
    DeletedEvent,
    FollowedChange,
    FollowedDeletion,
)
from aiocouch.changes.feed import ChangesFeed, EventFeed

if TYPE_CHECKING:
    from aiocouch.changes.checkpoint import (
        CallbackCheckpoint,
        Checkpoint,
        FileCheckpoint,
        LocalCheckpoint,
    )
    from aiocouch.changes.follower import Follower, FollowOptions, FollowUpdatesOptions

__all__ = [
    "BaseChangeEvent",
    "CallbackCheckpoint",
    "ChangedEvent",
    "ChangesFeed",
    "Checkpoint",
    "DatabaseUpdate",
    "DeletedEvent",
    "EventFeed",
    "FileCheckpoint",
    "FollowOptions",
    "FollowUpdatesOptions",
    "FollowedChange",
    "FollowedDeletion",
    "Follower",
    "LocalCheckpoint",
]

if not TYPE_CHECKING:
    # Loaded when they are first used.
    _LATE = {
        **dict.fromkeys(("Follower", "FollowOptions", "FollowUpdatesOptions"), "follower"),
        **dict.fromkeys(("CallbackCheckpoint", "Checkpoint"), "checkpoint"),
        **dict.fromkeys(("FileCheckpoint", "LocalCheckpoint"), "checkpoint"),
    }

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _import_module(f"{__name__}.{_LATE[name]}")
        found = globals()[name] = getattr(module, name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_LATE})


_complete("aiocouch")
