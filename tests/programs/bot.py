"""Users and groups of a chat bot, with documents that are brought up to date. Written for aiocouch 3.0."""

import asyncio
import sys
from typing import Any

from aiocouch import CouchDB, Database, Document
from aiocouch.exception import NotFoundError

VERSION = 3
couchdb: CouchDB | None = None
DB: Database | None = None


async def get_db(url: str = "", user: str = "", password: str = "", name: str = "") -> Database:
    global DB, couchdb  # noqa: PLW0603
    if DB:
        return DB
    couchdb = CouchDB(url, user=user, password=password)
    await couchdb.check_credentials()
    try:
        DB = await couchdb[name]
    except NotFoundError:
        await couchdb.create(name)
        DB = await couchdb[name]
    return DB


def default_user(id: int, version: int = VERSION) -> dict[str, Any]:
    return {"DocVer": version, "ID": id, "Settings": {}, "Roles": [], "Chats": {}, "Name": "Ünal"}


async def get_user(id: int, create: bool = True, version: int = VERSION) -> Document:
    db = await get_db()
    try:
        user = await db[f"user_{id}"]
    except NotFoundError:
        if not create:
            raise NotFoundError(f"the user {id} is not known") from None
        user = await db.create(f"user_{id}", exists_ok=False, data=default_user(id, version))
        await user.save()
        return user
    while user["DocVer"] < VERSION:
        if user["DocVer"] == 1:
            user["Groups"] = []
        user["DocVer"] += 1
    await user.save()
    return user


class BotUser:
    """What the rest of the bot sees."""

    def __init__(self, raw: Document) -> None:
        self.raw = raw
        self.roles: list[str] = raw["Roles"]

    async def save_setting(self, path: str, value: object) -> None:
        if value is None:
            self.raw["Settings"].pop(path, None)
        else:
            self.raw["Settings"].update({path: value})
        await self.raw.save()

    async def give(self, role: str) -> None:
        self.roles.append(role)
        await self.raw.save()


async def session(id: int) -> None:
    user = BotUser(await get_user(id))
    await user.save_setting("lang", "de")
    await user.save_setting("mute", True)
    await user.save_setting("mute", None)
    await user.give("tester")
    user.raw["Chats"].update({0: {"Name": "all", "Pin": 7}})  # a number as the name
    await user.raw.save()
    again = await get_user(id)
    print(again["Settings"], again["Roles"], again["Chats"])
    print(again.json == {key: again[key] for key in again.keys() if key[0] != "_"})  # noqa: SIM118
    print(await again.save())


async def old_users(db: Database) -> None:
    await get_user(2, version=1)
    user = await get_user(2)
    print(user["DocVer"], user["Groups"], user.rev is not None and user.rev[:2])
    try:
        await get_user(3, create=False)
    except NotFoundError as error:
        print(type(error).__name__, error.args)
    async with Document(db, "stats", data={"started": 1}) as stats:
        stats["users"] = 0
        async for doc in db.docs(prefix="user_"):
            stats["users"] += 1
            stats.setdefault("names", []).append(doc["Name"])
    async with Document(db, "stats", data={"started": 2}) as stats:
        print(stats["started"], stats["users"], stats["names"])
        stats["started"] = 3
    print((await db["stats"]).json)


async def main(url: str, user: str, password: str, name: str) -> None:
    db = await get_db(url, user, password, name)
    try:
        await session(1)
        await old_users(db)
    finally:
        await db.delete()
        if couchdb:
            await couchdb.close()


asyncio.run(main(*sys.argv[1:]))
