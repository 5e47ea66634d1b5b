"""aiocouch. The same program runs on this one and on 4.0.1: it is a drop-in."""

from __future__ import annotations

import asyncio
from typing import Any

from work import Job, Program, Tally, in_parts, run

from aiocouch import CouchDB, Database
from aiocouch.document import Document


class Client:
    """A session and its database, with an open connection."""

    def __init__(self, couchdb: CouchDB, database: Database) -> None:
        self.couchdb = couchdb
        self.database = database


async def open_client(job: Job) -> Client:
    """A session whose connection is open already."""
    couchdb = CouchDB(job.url, user=job.user, password=job.password)
    database = await couchdb[job.database]
    await database.info()
    return Client(couchdb, database)


async def bulk(client: Client, _: Job, batches: Any) -> Tally:
    """Write documents, 1,000 in a request."""
    tally = Tally()
    for batch in batches:
        async with client.database.create_docs() as operation:
            for document in batch:
                operation.create(document["_id"], data=document)
        tally.ids(document["_id"] for document in operation.ok or ())
    return tally


async def bulk_docs(client: Client, _: Job, batches: Any) -> Tally:
    """Write plain documents, 1,000 in a request."""
    tally = Tally()
    for batch in batches:
        rows = await client.database.bulk_docs(batch)
        tally.ids(row["id"] for row in rows if "error" not in row)
    return tally


async def _get(client: Client, ids: list[str]) -> Tally:
    tally = Tally()
    for id in ids:
        tally.documents([await client.database[id]])
    return tally


async def get1(client: Client, job: Job, _: Any) -> Tally:
    """Read documents one after the other."""
    return await _get(client, job.ids())


async def get32(client: Client, job: Job, _: Any) -> Tally:
    """Read documents one by one, 32 at a time."""
    tally = Tally()
    for part in await asyncio.gather(*(_get(client, part) for part in in_parts(job.ids()))):
        tally.count += part.count
        tally.total += part.total
    return tally


async def get32_batched(client: Client, job: Job, _: Any) -> Tally:
    """Read documents one by one, 32 at a time, of which those that wait go together."""
    return await get32(Client(client.couchdb, client.database.batched()), job, _)


async def all_documents(client: Client, _: Job, __: Any) -> Tally:
    """Read every document."""
    tally = Tally()
    async for document in client.database.docs():
        tally.count += 1
        tally.total += document["serial"]
    return tally


async def ids(client: Client, _: Job, __: Any) -> Tally:
    """Read every id."""
    tally = Tally()
    async for id in client.database.akeys():
        tally.ids((id,))
    return tally


async def changes(client: Client, _: Job, __: Any) -> Tally:
    """Read the whole normal feed."""
    tally = Tally()
    async for event in client.database.changes():
        tally.ids((event.id,))
    return tally


async def find(client: Client, _: Job, __: Any) -> Tally:
    """Read documents by index."""
    tally = Tally()
    async for document in client.database.find({"type": "city"}):
        tally.count += 1
        tally.total += document["serial"]
    return tally


async def save(client: Client, _: Job, documents: Any) -> Tally:
    """Write documents one by one."""
    tally = Tally()
    for data in documents:
        document = Document(client.database, data["_id"], data=data)
        await document.save()
        tally.ids((document["_id"],))
    return tally


async def close(client: Client) -> None:
    """Close the session."""
    await client.couchdb.close()


WORKS: dict[str, Any] = {
    "bulk": bulk,
    "bulk-docs": bulk_docs,
    "bulk-made": bulk,
    "get1": get1,
    "get32": get32,
    "get32-batched": get32_batched,
    "all": all_documents,
    "ids": ids,
    "changes": changes,
    "find": find,
    "save": save,
}

if __name__ == "__main__":
    run(Program(open_client, close, WORKS))
