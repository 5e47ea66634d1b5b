"""A blog with map/reduce views. Written for aiocouch 4.0: keywords everywhere."""

import asyncio
import sys
from typing import Any

import aiocouch
from aiocouch import CouchDB, View
from aiocouch.design_document import DesignDocument
from aiocouch.exception import RemoteResponseError
from aiocouch.view import AllDocsView, ViewResponse

POSTS = [
    ("hello", "ann", ["intro"], 3),
    ("couch", "bob", ["db", "howto"], 10),
    ("relax", "ann", ["db"], 7),
    ("bye", "cid", [], 1),
]
BY_TAG = "function (doc) { (doc.tags || []).forEach(function (tag) { emit(tag, doc.likes); }); }"
BY_AUTHOR = "function (doc) { if (doc.author) { emit([doc.author, doc._id], doc.likes); } }"


async def write(db: aiocouch.Database) -> None:
    for name, author, tags, likes in POSTS:
        doc = await db.create(id=name, exists_ok=False, data={"author": author})
        doc["tags"] = tags
        doc["likes"] = likes
        await doc.save()


async def design(db: aiocouch.Database) -> View:
    ddoc: DesignDocument = await db.design_doc("blog", exists_ok=True)
    view = await ddoc.create_view(view="by_tag", map_function=BY_TAG)
    await ddoc.create_view("by_author", map_function=BY_AUTHOR, reduce_function="_sum")
    try:
        await ddoc.create_view("by_tag", map_function=BY_TAG)
    except aiocouch.ConflictError:
        print("there is one")
    return view


async def read(db: aiocouch.Database, view: View) -> None:
    response: ViewResponse = await view.get(startkey='"db"', endkey='"howto"')
    print(response.total_rows, response.offset, [row["key"] for row in response.rows])
    print(list(response.keys()), list(response.values()))
    print([item async for item in view.aitems(limit=2)])
    print([value async for value in view.avalues(descending=True)])
    print([key async for key in view.ids(ids=["db"])])
    print([key async for key in view.ids(prefix="ho")])
    print([doc["author"] async for doc in view.docs(ids=["db", "intro"])])
    posted = await view.post(keys=["intro", "none"], include_docs=True)
    print([doc.id for doc in posted.docs()])
    likes = db.view("blog", "by_author")
    print([(row["key"], row["value"]) for row in (await likes.get(reduce=False)).rows][:2])


async def history(db: aiocouch.Database) -> None:
    doc = await db.get("relax", default=None)
    doc["likes"] += 1
    await doc.save()
    print(len(await doc.revs()), await doc.conflicts())
    await doc.delete(discard_changes=False)
    gone = await db.get("relax", default={"author": "nobody"})
    print(gone.exists, gone["author"])


async def errors(db: aiocouch.Database, view: View) -> None:
    wrong: list[dict[str, Any]] = [{"group": "true"}, {"limit": "-1"}]
    for options in wrong:
        try:
            await view.get(**options)
        except ValueError as error:
            print("refused:", type(error).__name__)
    try:
        await db.view("none", "none").get()
    except aiocouch.NotFoundError:
        print("no such view")
    print(issubclass(RemoteResponseError, Exception), isinstance(db.all_docs, AllDocsView))


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as session:
        db = await session.create(name, exists_ok=True)
        try:
            await write(db)
            view = await design(db)
            await read(db, view)
            await history(db)
            await errors(db, view)
        finally:
            await db.delete()


asyncio.run(main(*sys.argv[1:]))
