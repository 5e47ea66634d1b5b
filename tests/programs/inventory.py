"""Keep the stock of a small shop in CouchDB. Written for aiocouch 3.0."""

import asyncio
import sys

import aiocouch
from aiocouch import CouchDB

STOCK = {
    "pencil": {"price": 1.2, "count": 100, "tags": ["office", "wood"]},
    "eraser": {"price": 0.8, "count": 40, "tags": ["office"]},
    "easel": {"price": 59, "count": 2, "tags": ["art", "wood"]},
    "canvas": {"price": 12.5, "count": 0, "tags": ["art"]},
}


async def fill(db: aiocouch.Database) -> None:
    for name, data in STOCK.items():
        doc = await db.create(name, data=data)
        await doc.save()


async def sell(db: aiocouch.Database, name: str, count: int) -> bool:
    doc = await db[name]
    if doc["count"] < count:
        return False
    doc["count"] -= count
    response = await doc.save()
    assert response is not None
    assert response.status in (201, 202)
    assert response.etag == doc.rev
    return True


async def restock(db: aiocouch.Database, name: str, count: int) -> None:
    doc = await db.get(name, {"price": None, "count": 0, "tags": []})
    doc["count"] = doc.get("count", 0) + count
    doc.setdefault("note", "restocked")
    await doc.save()


async def report(db: aiocouch.Database) -> None:
    await db.index({"fields": ["price"]}, name="by-price")
    selector = {"price": {"$gt": 1}, "count": {"$gt": 0}}
    async for doc in db.find(selector, limit=10, sort=[{"price": "asc"}]):
        print(doc.id, doc["price"], doc["count"])
    ids = [key async for key in db.akeys()]
    print(len([key for key in ids if not key.startswith("_design/")]), "articles")


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as couchdb:
        await couchdb.check_credentials()
        db = await couchdb.create(name)
        try:
            await fill(db)
            print("sold:", await sell(db, "pencil", 30), await sell(db, "canvas", 1))
            await restock(db, "canvas", 5)
            await restock(db, "ruler", 7)
            await report(db)
            try:
                await db["stapler"]
            except aiocouch.NotFoundError:
                print("no stapler")
            easel = await db["easel"]
            await easel.delete()
            print("easel exists:", easel.exists, easel.data)
            print("ruler:", sorted((await db["ruler"]).json.items()))
            try:
                await couchdb.create(name)
            except aiocouch.PreconditionFailedError:
                print("there already")
            print((await db.info())["doc_del_count"], "deleted")
        finally:
            await db.delete()
        print(name in await couchdb.keys())


asyncio.run(main(*sys.argv[1:]))
