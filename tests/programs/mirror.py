"""Mirror a database into a dict by its changes feed. Written for aiocouch 3.0."""

import asyncio
import sys
from typing import Any

from aiocouch import CouchDB, Database
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent


class Mirror:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.content: dict[str, Any] = {}
        self.sequence: str | None = None
        self.changed = asyncio.Event()

    async def apply(self, event: BaseChangeEvent) -> None:
        if isinstance(event, DeletedEvent):
            self.content.pop(event.id, None)
        elif isinstance(event, ChangedEvent):
            doc = await event.doc()
            self.content[event.id] = doc.json
        self.sequence = event.sequence
        self.changed.set()

    async def catch_up(self) -> int:
        count = 0
        async for event in self.database.changes(last_event_id=self.sequence):
            await self.apply(event)
            count += 1
        return count

    async def follow(self) -> None:
        async for event in self.database.changes(
            last_event_id=self.sequence, feed="continuous", include_docs=True
        ):
            await self.apply(event)

    async def until(self, name: str, present: bool) -> None:
        while (name in self.content) != present:
            self.changed.clear()
            await self.changed.wait()


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as couchdb:
        db = await couchdb.create(name)
        try:
            for letter in "abc":
                await (await db.create(letter, data={"letter": letter})).save()
            await (await db["b"]).delete()
            mirror = Mirror(db)
            print("caught up with", await mirror.catch_up())
            print(sorted(mirror.content))
            print("and then", await mirror.catch_up())

            task = asyncio.create_task(mirror.follow())
            await (await db.create("ü", data={"letter": "ü"})).save()
            await mirror.until("ü", True)
            doc = await db["a"]
            await doc.delete()
            await mirror.until("a", False)
            print(sorted(mirror.content.items()))
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                print("stopped")
            async for event in db.changes(feed="longpoll", limit=1):
                print("longpoll:", isinstance(event, BaseChangeEvent), isinstance(event.json, dict))
        finally:
            await db.delete()


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 60))
