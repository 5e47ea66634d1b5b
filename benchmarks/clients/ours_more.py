"""What only aiocouch is asked: how it behaves when there is very much of something."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ours import Client, close, open_client
from work import BATCH, Job, Program, Tally, document, peak_kb, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_PIECE = bytes(range(256)) * 1024


async def docs(client: Client, job: Job, _: Any) -> Tally:
    """Read and decode so many documents."""
    tally = Tally()
    async for found in client.database.docs(limit=job.count + 1):
        if tally.count < job.count:
            tally.documents((found,))
    return tally


async def dump(client: Client, job: Job, _: Any) -> Tally:
    """Read so many documents, and do not look inside."""
    tally = Tally()
    async for found in client.database.docs(limit=job.count + 1):
        if tally.count < job.count:
            tally.ids((found.id,))
    return tally


async def sliced(client: Client, job: Job, _: Any) -> Tally:
    """Read and decode every document, by some requests at a time."""
    tally = Tally()
    async for found in client.database.docs(streams=job.more["streams"]):
        tally.documents((found,))
    return tally


async def one_bulk(client: Client, job: Job, _: Any) -> Tally:
    """Write all documents with one operation."""
    tally = Tally()
    async with client.database.create_docs() as operation:
        for number in range(job.count):
            data = document(number)
            operation.create(data["_id"], data=data)
    tally.ids(saved.id for saved in operation.ok or ())
    return tally


async def streamed_bulk(client: Client, job: Job, _: Any) -> Tally:
    """Write documents that come one by one, a thousand at a time."""
    tally = Tally()
    for start in range(0, job.count, BATCH):
        batch = map(document, range(start, min(start + BATCH, job.count)))
        tally.ids(row["id"] for row in await client.database.bulk_docs(batch))
    return tally


async def _pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // len(_PIECE)):
        yield _PIECE


async def upload(client: Client, job: Job, _: Any) -> Tally:
    """Store a large attachment; the count is bytes."""
    size = job.count // len(_PIECE) * len(_PIECE)
    doc = await client.database.create("d0000000")
    await doc.save()
    await doc.attachment("large").save(_pieces(size), "application/octet-stream")
    return _bytes(size)


async def download(client: Client, _: Job, __: Any) -> Tally:
    """Read a large attachment; the count is bytes."""
    doc = await client.database["d0000000"]
    size = 0
    async for piece in doc.attachment("large").stream():
        size += len(piece)
    return _bytes(size)


def _bytes(size: int) -> Tally:
    tally = Tally()
    tally.count = size
    return tally


async def idle(client: Client, job: Job, _: Any) -> Tally:
    """Hold many continuous feeds open; the total is bytes of memory for each."""
    before = _memory()
    feeds = [
        asyncio.ensure_future(anext(client.database.changes(feed="continuous", since="now")))
        for _ in range(job.count)
    ]
    await asyncio.sleep(job.more["seconds"])
    tally = Tally()
    tally.total = (_memory() - before) // job.count
    tally.count = sum(not feed.done() for feed in feeds)
    for feed in feeds:
        feed.cancel()
    await asyncio.gather(*feeds, return_exceptions=True)
    return tally


def _memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return int(peak_kb()) * 1024


async def open_many(job: Job) -> Client:
    """A session that may have any number of connections."""
    if job.work != "idle":
        return await open_client(job)
    import aiohttp

    from aiocouch import CouchDB

    connector = aiohttp.TCPConnector(limit=0)
    couchdb = CouchDB(job.url, user=job.user, password=job.password, connector=connector)
    return Client(couchdb, await couchdb[job.database])


async def first(job: Job) -> float:
    """Seconds from no session to the first answer."""
    start = time.perf_counter()
    client = await open_client(job)
    seconds = time.perf_counter() - start
    await close(client)
    return seconds


WORKS: dict[str, Any] = {
    "docs": docs,
    "dump": dump,
    "sliced": sliced,
    "one-bulk": one_bulk,
    "streamed-bulk": streamed_bulk,
    "upload": upload,
    "download": download,
    "idle": idle,
}

if __name__ == "__main__":
    if sys.argv[1] == "cold":
        url, user, password, database = sys.argv[2:]
        print(asyncio.run(first(Job("cold", url, user, password, database, 0))))
    else:
        run(Program(open_many, close, WORKS))
