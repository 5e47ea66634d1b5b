"""Classes of one's own on aiocouch 4.0: with its decorators, its private data and its remote classes."""

import asyncio
import json
import sys
import warnings
from collections.abc import AsyncGenerator
from typing import Any

warnings.simplefilter("ignore", DeprecationWarning)

from aiocouch import CouchDB, Database, Document  # noqa: E402
from aiocouch.couchdb import JsonDict  # type: ignore[attr-defined,unused-ignore]  # noqa: E402
from aiocouch.exception import NotFoundError, generator_raises, raises  # noqa: E402
from aiocouch.remote import RemoteDocument, RemoteServer, _stringify_params  # type: ignore[attr-defined]  # noqa: E402
from aiocouch.typing import Json, JsonList  # noqa: E402


class Queue:
    """Jobs of a queue, which are documents."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.id = "queue"
        self.endpoint = db.endpoint

    @raises(404, "there is no job in {id}: {reason}")
    @raises(409, "another has the job")
    async def take(self, id: str) -> JsonDict:
        _, job = await self.db._remote._get(f"{self.endpoint}/{id}")
        _, answer = await self.db._remote._put(f"{self.endpoint}/{id}", data={**job, "taken": True})
        taken: JsonDict = {**job, "rev": answer["rev"][:2]}
        return taken

    @raises(400, "nonsense", RuntimeError)
    async def nonsense(self) -> object:
        return await self.db._remote._get(f"{self.endpoint}/_all_docs", params={"limit": "x"})

    @generator_raises(404, "no queue {id}")
    async def waiting(self, path: str) -> AsyncGenerator[str, None]:
        for skip in range(10):
            params = {"limit": 1, "skip": skip, "include_docs": True, "key": None}
            _, found = await self.db._remote._get(path, params=params)
            if not found["rows"]:
                return
            if not found["rows"][0]["doc"].get("taken"):
                yield found["rows"][0]["id"]


class Note(Document):
    """A document with attributes, kept in its private data."""

    @property
    def text(self) -> str:
        content: Any = self._data
        return str(content.get("text", ""))

    @text.setter
    def text(self, text: str) -> None:
        content: Any = self._data
        content["text"] = text


async def jobs(db: Database) -> None:
    for n in range(3):
        await Document(db, f"job-{n}", data={"n": n}).save()
    queue = Queue(db)
    print(await queue.take("job-1"))
    print([id async for id in queue.waiting(f"{db.endpoint}/_all_docs")])
    try:
        await queue.take("job-9")
    except NotFoundError as error:
        print(error.args, error.__cause__ is not None)
    try:
        await queue.nonsense()
    except RuntimeError as error:
        print("RuntimeError", error)
    try:
        print([id async for id in queue.waiting("/no-such-database/_all_docs")])
    except NotFoundError as error:
        print(error.args)


async def notes(db: Database) -> None:
    note = Note(db, "note", data={"text": "one"})
    await note.save()
    note.text = note.text + " and two"
    await note.save()
    print((await db["note"])["text"])
    fetched: Any = await db["note"]
    print(json.loads(json.dumps(fetched._data)) == fetched.data, isinstance(fetched._data, dict))
    fetched._data["three"] = 3
    await fetched.save()
    print((await db["note"]).json)
    print(await fetched._exists(), await fetched._head(), (await fetched._info())["id"])
    missing: Any = Document(db, "missing")
    print(await missing._exists())
    _, answer = await fetched._put({**fetched.data, "four": 4})
    _, answer = await fetched._copy("copy")
    print(answer["id"], len(await fetched._revs()), await fetched._conflicts())
    attachment: Any = fetched.attachment("a.txt")
    await fetched.fetch()
    answer = await attachment._put(rev=fetched.rev, data=b"text", content_type="text/plain")
    print(await attachment._get(), await attachment._exists())
    await attachment._delete(rev=answer["rev"])
    print(await attachment._exists())


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as session:
        old: Any = session
        print(isinstance(old._server, RemoteServer), JsonDict is not None, Json != JsonList)
        print(_stringify_params({"a": True, "b": None, "c": 1, "d": "x"}), _stringify_params(None))
        db = await session.create(name)
        print(isinstance(Document(db, "x"), RemoteDocument))
        try:
            await jobs(db)
            await notes(db)
        finally:
            await db.delete()


asyncio.run(main(*sys.argv[1:]))
