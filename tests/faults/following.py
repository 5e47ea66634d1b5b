"""A follower that is killed: it says what it has handled, and only then acknowledges.

`python -m tests.faults.following URL DATABASE NAME` writes a line `sequence id` for each change.
"""

from __future__ import annotations

import asyncio
import os
import sys

from aiocouch import CouchDB, Database, RetryPolicy

EVERY = 20
SOON = RetryPolicy(tries=10**6, first_wait=0.05, longest_wait=0.2, deadline=None)


async def main(url: str, name: str, checkpoint: str) -> None:
    """Follow until the end of the process."""
    async with (
        CouchDB(url, "admin", "admin") as couchdb,
        Database(couchdb, name).follow(
            checkpoint=checkpoint,
            checkpoint_every=EVERY,
            checkpoint_seconds=0.2,
            explicit_acks=True,
            heartbeat=300,
            retry=SOON,
        ) as follower,
    ):
        async for event in follower:
            # In one system call: half a line is nothing that was handled.
            os.write(1, f"{event.sequence} {event.id}\n".encode())
            event.ack()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
