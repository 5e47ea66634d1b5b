"""Load many measurements in bulk and change them again. Written for aiocouch 3.0."""

import asyncio
import sys
import warnings

from aiocouch import CouchDB, Database, Document, NotFoundError
from aiocouch.bulk import BulkCreateOperation, BulkOperation

SENSORS = ["north", "south", "east"]


async def load(db: Database) -> None:
    ids = [f"{sensor}:{hour:02}" for sensor in SENSORS for hour in range(24)]
    async with db.create_docs(ids) as bulk:
        for doc in bulk:
            sensor, hour = doc.id.split(":")
            doc["sensor"] = sensor
            doc["value"] = int(hour) * 2
    assert bulk.ok is not None
    assert bulk.error is not None
    print(f"saved {len(bulk.ok)}, failed {len(bulk.error)}")


async def correct(db: Database) -> None:
    async with db.update_docs(["north:01", "north:02", "west:01"], create=True) as bulk:
        async for doc in bulk:
            doc["corrected"] = True
    print("corrected:", sorted(doc.id for doc in bulk.ok or []))
    try:
        async with db.update_docs(["nowhere:01"]) as other:
            print("not reached", other)
    except NotFoundError:
        print("nowhere is not known")


async def collide(db: Database) -> None:
    async with BulkCreateOperation(db, ids=["north:01", "up:01"]) as bulk:
        for doc in bulk:
            doc["value"] = 0
    print("ok:", [doc.id for doc in bulk.ok or []], "error:", [doc.id for doc in bulk.error or []])
    for row in bulk.response or []:
        if "error" in row:
            print(row["id"], row["error"])


async def by_hand(db: Database) -> None:
    async with BulkOperation(database=db) as bulk:
        mine = Document(db, "down:01", data={"value": 1})
        bulk.append(mine)
        bulk.create("down:02", {"value": 2})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bulk.update(Document(db, "down:03", data={"value": 3}))
        print("warned:", caught[0].category.__name__)
        try:
            bulk.append(Document(db, "down:01"))
        except ValueError:
            print("twice is refused")
    print(mine.exists, mine.rev is not None, await mine.save())


async def read(db: Database) -> None:
    total = 0
    async for doc in db.docs(prefix="south:"):
        total += doc["value"]
    print("south:", total)
    docs = [doc async for doc in db.docs(["east:23", "north:02"])]
    print([(doc.id, doc.get("corrected", False)) for doc in docs])
    print("values:", len([doc async for doc in db.values(include_docs=True)]))
    print("page:", [key async for key in db.akeys(limit=2, skip=1)])
    response = await db.all_docs.get(startkey='"down:"', endkey='"down:\ufff0"')
    print("down:", list(response.keys()), response.total_rows)


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as couchdb:
        db = await couchdb.create(name)
        try:
            await load(db)
            await correct(db)
            await collide(db)
            await by_hand(db)
            await read(db)
        finally:
            await (await couchdb[name]).delete()


asyncio.run(main(*sys.argv[1:]))
