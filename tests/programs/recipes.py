"""A cook book with pictures, after the documentation of aiocouch 3.0."""

import asyncio
import contextlib
import sys

import aiocouch
from aiocouch import CouchDB, Document
from aiocouch.attachment import Attachment

PICTURE = bytes(range(256)) * 40


async def first_steps(db: aiocouch.Database) -> None:
    new_doc = await db.create("cookies", data={"title": "Granny's cookies", "rating": "★★★★★"})
    await new_doc.save()
    doc = await db["cookies"]
    print(doc["title"], doc["rating"])
    async with Document(db, "apple_pie") as pie:
        pie["incredients"] = ["apples", "flour", "Süßrahm"]
    print((await db["apple_pie"])["incredients"])


async def two_cooks(db: aiocouch.Database) -> None:
    one = await db["apple_pie"]
    other = Document(db, "apple_pie")
    await other.fetch()
    one["sugar"] = "a lot"
    other["sugar"] = "none"
    await one.save()
    with contextlib.suppress(aiocouch.ConflictError):
        await other.save()
    print("after one:", (await db["apple_pie"])["sugar"])
    try:
        await other.save()
    except aiocouch.ConflictError:
        info = await other.info()
        other.rev = info["rev"]
        await other.save()
    print("after other:", (await db["apple_pie"])["sugar"])
    try:
        one["sugar"] = "some"
        await one.fetch()
    except KeyError as error:
        print("not lost:", type(error).__name__)
    await one.fetch(discard_changes=True)
    print("fetched:", one["sugar"])


async def pictures(db: aiocouch.Database) -> None:
    doc = await db["apple_pie"]
    picture: Attachment = doc.attachment("pie.png")
    print("before:", await picture.exists())
    await picture.save(PICTURE, "image/png")
    again = (await db["apple_pie"]).attachment("pie.png")
    print("same:", await again.fetch() == PICTURE, again.content_type)
    await doc.fetch()
    doc["rating"] = "★"
    await doc.save()
    print("still there:", await doc.attachment("pie.png").exists())
    await doc.attachment("pie.png").delete()
    try:
        await again.fetch()
    except aiocouch.NotFoundError:
        print("picture gone")


async def copies(db: aiocouch.Database) -> None:
    doc = await db["apple_pie"]
    response = await doc.copy("cherry_pie")
    copy = await db["cherry_pie"]
    print("copied:", response.etag == copy.rev, copy["sugar"])
    first = copy.rev
    copy.update({"sugar": "brown", "fruit": "cherries"})
    await copy.save()
    old = await db.get("cherry_pie", rev=first)
    print("old:", old["sugar"], "new:", (await db["cherry_pie"])["sugar"], "fruit" in old)
    print(sorted(copy.keys()))
    for key, value in sorted(copy.items()):
        if not key.startswith("_"):
            print("-", key, value)


async def main(url: str, user: str, password: str, name: str) -> None:
    couchdb = CouchDB(url, user=user, password=password)
    await couchdb.check_credentials()
    db = await couchdb.create(name, exists_ok=True)
    try:
        await first_steps(db)
        await two_cooks(db)
        await pictures(db)
        await copies(db)
    finally:
        await db.delete()
        await couchdb.close()


asyncio.run(main(*sys.argv[1:]))
