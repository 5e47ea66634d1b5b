"""Let people into a database, and see that the others stay outside. Written for aiocouch 3.0."""

import asyncio
import sys
from collections.abc import Awaitable

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch.document import SecurityDocument


async def add_user(couchdb: CouchDB, name: str, password: str, roles: list[str]) -> Document:
    users = await couchdb.create("_users", exists_ok=True)
    doc = await users.create(
        f"org.couchdb.user:{name}",
        data={"name": name, "password": password, "roles": roles, "type": "user"},
    )
    await doc.save()
    return doc


async def attempt(what: str, call: Awaitable[object]) -> None:
    try:
        await call
    except PermissionError as error:
        print(what, "refused with", type(error).__name__)
    except KeyError as error:
        print(what, "failed with", type(error).__name__)
    else:
        print(what, "allowed")


async def as_user(url: str, name: str, password: str, database: str) -> None:
    async with CouchDB(url, user=name, password=password) as couchdb:
        await couchdb.check_credentials()
        db = Database(couchdb, database)
        label = name.partition("-")[0]
        await attempt(f"{label} reading", db["welcome"])
        await attempt(f"{label} writing", Document(db, label, data={"by": label}).save())
        await attempt(f"{label} design", db.design_doc("d", exists_ok=True))
        await attempt(f"{label} missing", db["nothing"])


async def main(url: str, user: str, password: str, name: str) -> None:
    async with CouchDB(url, user=user, password=password) as couchdb:
        db = await couchdb.create(name)
        people = [
            await add_user(couchdb, f"bond-{name}", "shaken", []),
            await add_user(couchdb, f"felix-{name}", "cigar", ["agents"]),
            await add_user(couchdb, f"blofeld-{name}", "cat", []),
        ]
        try:
            await (await db.create("welcome", data={"text": "hello"})).save()
            async with SecurityDocument(db) as security:
                security.add_member(f"bond-{name}")
                security.add_member_role("agents")
                security.add_admin("m")
            security = await db.security()
            print(
                len(security.members or []),
                security.admins,
                "agents" in security["members"]["roles"],
            )
            for who, secret in (("bond", "shaken"), ("felix", "cigar"), ("blofeld", "cat")):
                await as_user(url, f"{who}-{name}", secret, name)
            security.remove_member_role("agents")
            security.remove_admin("m")
            await security.save()
            await as_user(url, f"felix-{name}", "cigar", name)
            try:
                security.remove_member("nobody")
            except KeyError:
                print("nobody was no member")
            async with CouchDB(url, user=f"bond-{name}", password="stirred") as wrong:
                try:
                    await wrong.check_credentials()
                except aiocouch.UnauthorizedError:
                    print("wrong password")
        finally:
            await db.delete()
            for person in people:
                await person.delete()


asyncio.run(main(*sys.argv[1:]))
