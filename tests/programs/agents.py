"""The examples of the documentation of aiocouch 3.0, one after the other."""

import asyncio
import contextlib
import sys

import aiocouch
from aiocouch import CouchDB
from aiocouch.bulk import BulkOperation
from aiocouch.document import Document, SecurityDocument

SERVER_URL, USER, PASSWORD, NAME = sys.argv[1:]


async def sessions() -> None:
    async with aiocouch.CouchDB(SERVER_URL) as couchdb:
        await couchdb.check_credentials()
    couchdb = aiocouch.CouchDB(SERVER_URL)
    await couchdb.check_credentials()
    await couchdb.close()


async def documents() -> None:
    async with CouchDB(SERVER_URL, USER, PASSWORD) as client:
        my_database = await client.create(NAME, exists_ok=True)
        async with Document(my_database, "secret_agents") as document:
            document["name"] = "James Bond"
            document["code"] = "007"
        document = await my_database["secret_agents"]
        print(document["name"], document["code"])


async def security() -> None:
    async with CouchDB(SERVER_URL, USER, PASSWORD) as client:
        my_database = await client.create(NAME, exists_ok=True)
        async with SecurityDocument(my_database) as security_doc:
            security_doc.add_member("bond")
            security_doc.add_admin("fleming")
        security_doc = await my_database.security()
        print(security_doc.members, security_doc.admins)


async def life() -> None:
    async with CouchDB(SERVER_URL, USER, PASSWORD) as session:
        database = await session[NAME]
        doc = await database.create("new_doc")
        doc["name"] = "The new document"
        await doc.save()
        doc = await database["new_doc"]
        doc["name"] = "The modified document"
        await doc.save()
        other = Document(database, "new_doc")
        await other.fetch()
        print(other["name"])
        wolpertinger = await database.get("wolpertinger", {"horns": 2})
        print(wolpertinger.exists, wolpertinger["horns"])
        doc.rev = "1-00000000000000000000000000000000"
        doc["name"] = "lost"
        with contextlib.suppress(aiocouch.ConflictError):
            await doc.save()
        try:
            await doc.save()
        except aiocouch.ConflictError:
            info = await doc.info()
            doc.rev = info["rev"]
            await doc.save()
        print((await database["new_doc"])["name"])
        image_of_a_butterfly = doc.attachment("image.png")
        await image_of_a_butterfly.save(b"not really", "image/png")
        data = await image_of_a_butterfly.fetch()
        print(data, image_of_a_butterfly.content_type)


async def bulks() -> None:
    async with CouchDB(SERVER_URL, USER, PASSWORD) as session:
        database = await session[NAME]
        async with database.update_docs(["foo", "baz"], create=True) as bulk:
            async for doc in bulk:
                doc["llama"] = "awesome"
        print([doc["llama"] async for doc in database.docs(["foo", "baz"])])
        the_document = Document(database, "the_document", {"llama": "fine"})
        async with BulkOperation(database=database) as bulk_operation:
            bulk_operation.append(the_document)
        if len(bulk_operation.error or []) == 0:
            print(f"Saved all {len(bulk_operation.ok or [])} documents")
        my_doc = await database["foo"]
        async with database.update_docs() as update:
            update.append(my_doc)
            for doc in update:
                doc["llama"] = "old"
        print((await database["foo"])["llama"])
        await database.delete()
        print(NAME in await session.keys())


async def main() -> None:
    await sessions()
    await documents()
    await security()
    await life()
    await bulks()


if __name__ == "__main__":
    asyncio.run(main())
