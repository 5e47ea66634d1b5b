"""A program that follows a database and says what it does, a line each, until it is killed.

    telling.py URL DATABASE CHECKPOINT

It says `start`, `event SEQUENCE ID` when an event is handled, and `checkpoint SEQUENCE` when one is on
the disk.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiocouch import CouchDB
from aiocouch.changes import FileCheckpoint


def say(*words: str) -> None:
    """One line, at once."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


class Told(FileCheckpoint):
    """A checkpoint that says when it is written."""

    async def save(self, sequence: str) -> None:
        await super().save(sequence)
        say("checkpoint", sequence)


async def follow(url: str, name: str, path: Path) -> None:
    say("start")
    async with CouchDB(url) as couchdb:
        database = couchdb.database(name)
        async for event in database.follow(
            checkpoint=Told(path), checkpoint_every=100, checkpoint_seconds=0.5, heartbeat=1000
        ):
            say("event", event.sequence, event.id)


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
