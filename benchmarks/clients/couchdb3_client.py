"""couchdb3, its asynchronous half."""

from __future__ import annotations

import asyncio
from typing import Any

import couchdb3
from work import PAGE, Job, Program, Tally, in_parts, run


class Client:
    """A server and its database, with an open connection."""

    def __init__(self, server: Any, database: Any) -> None:
        self.server = server
        self.database = database


async def open_client(job: Job) -> Client:
    """A server whose connection is open already."""
    server = couchdb3.AsyncServer(job.url, user=job.user, password=job.password)
    database = await server.get(job.database)
    await database.all_docs(limit=1)
    return Client(server, database)


async def bulk(client: Client, _: Job, batches: Any) -> Tally:
    """Write documents, 1,000 in a request."""
    tally = Tally()
    for batch in batches:
        tally.ids(row["id"] for row in await client.database.bulk_docs(batch) if row["ok"])
    return tally


async def _get(client: Client, ids: list[str]) -> Tally:
    tally = Tally()
    for id in ids:
        tally.documents([await client.database.get(id)])
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


async def all_documents(client: Client, _: Job, __: Any) -> Tally:
    """Read every document."""
    tally = Tally()
    found = await client.database.all_docs(include_docs=True)
    tally.documents(row.doc for row in found.rows if row.id[0] != "_")
    return tally


async def ids(client: Client, _: Job, __: Any) -> Tally:
    """Read every id."""
    tally = Tally()
    tally.ids(row.id for row in (await client.database.all_docs()).rows)
    return tally


async def changes(client: Client, _: Job, __: Any) -> Tally:
    """Read the whole normal feed."""
    tally = Tally()
    tally.ids(row["id"] for row in (await client.database.changes())["results"])
    return tally


async def find(client: Client, job: Job, _: Any) -> Tally:
    """Read documents by index."""
    tally = Tally()
    bookmark = None
    while tally.count < job.count:
        answer = await client.database.find({"type": "city"}, limit=PAGE, bookmark=bookmark)
        tally.documents(answer["docs"])
        bookmark = answer["bookmark"]
    return tally


async def save(client: Client, _: Job, documents: Any) -> Tally:
    """Write documents one by one."""
    tally = Tally()
    for document in documents:
        tally.ids([(await client.database.save(document))[0]])
    return tally


async def close(client: Client) -> None:
    """Nothing: the process ends."""


WORKS: dict[str, Any] = {
    "bulk": bulk,
    "get1": get1,
    "get32": get32,
    "all": all_documents,
    "ids": ids,
    "changes": changes,
    "find": find,
    "save": save,
}

if __name__ == "__main__":
    run(Program(open_client, close, WORKS))
