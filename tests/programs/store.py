"""A store behind a web service, with its own tests beside it. Written for aiocouch 4.0."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

from aiocouch import CouchDB, Database, Document
from aiocouch.exception import ConflictError, NotFoundError, PreconditionFailedError


class Store:
    """Items by id, with retries where another was quicker."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def put(self, id: str, content: dict[str, Any], tries: int = 3) -> dict[str, Any]:
        content = {key: value for key, value in content.items() if key not in {"_id", "_rev"}}
        for attempt in range(tries):
            try:
                try:
                    doc = await self.db[id]
                    doc.update(data=content)
                except NotFoundError:
                    doc = await self.db.create(id, data=content)
                await doc.save()
                return doc.data or {}  # noqa: TRY300
            except ConflictError:
                print("conflict, try", attempt + 1)
        raise RuntimeError(id)

    async def get(self, id: str) -> dict[str, Any] | None:
        try:
            return (await self.db[id]).json
        except NotFoundError:
            return None

    async def find(self, selector: Any, page: int = 2) -> AsyncIterator[dict[str, Any]]:
        skip = 0
        while True:
            found = [doc async for doc in self.db.find(selector, limit=page, skip=skip)]
            for doc in found:
                yield {"id": doc.id, **doc.json}
            if len(found) < page:
                return
            skip += page

    async def remove(self, id: str) -> bool:
        try:
            await (await self.db[id]).delete()
        except NotFoundError:
            return False
        return True


async def use(store: Store) -> None:
    for n in range(5):
        saved = await store.put(f"item-{n}", {"n": n, "even": n % 2 == 0, "_rev": "1-stale"})
        print(saved["_id"], saved["_rev"][:2], saved["n"])
    saved = await store.put("item-0", {"n": 10})
    print(saved["_rev"][:2], saved["n"], saved["even"])
    print(await store.get("item-1"), await store.get("none"))
    print([item["id"] async for item in store.find({"even": True})])
    print(await store.remove("item-4"), await store.remove("item-4"))
    doc = await store.db["item-1"]
    response = await doc.copy("item-9")
    print(response.status, json.loads(json.dumps(response.headers))["Content-Type"])
    print(sorted([key async for key in store.db.akeys()]))


async def entered(db: Database) -> None:
    async with await db.create("settings", data={"theme": "light"}) as doc:
        doc["lang"] = "de"
    fetched = await db["settings"]
    fetched["theme"] = "lost"
    async with fetched as doc:
        print(doc["theme"], doc["lang"])
        doc["theme"] = "dark"
    print((await db["settings"]).json)
    async with db.create_docs(["settings", "new", "new"]) as bulk:
        async for doc in bulk:
            doc["bulk"] = True
    print([doc.id for doc in bulk.ok or []], [doc.id for doc in bulk.error or []])
    try:
        async with await db.create("kept", data={"n": 1}) as doc:
            raise ValueError  # noqa: TRY301
    except ValueError:
        print("kept" in [key async for key in db.akeys()])


async def mocked(db: Database) -> None:
    doc = await db["settings"]
    doc["mocked"] = True
    with patch.object(doc, "save", AsyncMock(return_value="saved")) as save:
        print(await doc.save(), save.await_count)
    other: Any = Document(db, "other")
    other.save = AsyncMock(side_effect=ConflictError("mocked"))
    other.label = "a label of our own"
    try:
        await other.save()
    except ConflictError as error:
        print(error.args, other.label)
    base: Any = MagicMock(spec=Database)
    base.__getitem__ = AsyncMock(side_effect=NotFoundError("not there"))
    base.create = AsyncMock(return_value=other)
    other.save = AsyncMock()
    await Store(base).put("x", {"n": 1})
    base.create.assert_awaited_once_with("x", data={"n": 1})
    client: Any = MagicMock(spec=CouchDB)
    client.create = AsyncMock(side_effect=PreconditionFailedError("exists"))
    try:
        await client.create("x")
    except PreconditionFailedError as error:
        print(type(error).__name__, error)
    print("mocked" in (await db["settings"]).json)


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as client:
        try:
            db = await client[name]
        except NotFoundError:
            db = await client.create(name)
        try:
            await use(Store(db))
            await entered(db)
            await mocked(db)
        finally:
            await db.delete()


asyncio.run(main(*sys.argv[1:]))
