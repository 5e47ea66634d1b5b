"""The least that anyone would write by hand: aiohttp, orjson, a body read and decoded at once."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
from work import PAGE, Job, Program, Tally, in_parts, run

JSON = {"Content-Type": "application/json"}


async def open_session(job: Job) -> aiohttp.ClientSession:
    """A session whose connection is open already."""
    authorization = aiohttp.encode_basic_auth(job.user, job.password)
    session = aiohttp.ClientSession(headers={"Authorization": authorization})
    await _json(session, "GET", f"{job.url}/{job.database}")
    return session


async def _json(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else orjson.dumps(body)
    async with session.request(method, url, data=data, headers=JSON if data else None) as response:
        response.raise_for_status()
        return orjson.loads(await response.read())


async def bulk(session: aiohttp.ClientSession, job: Job, batches: Any) -> Tally:
    """Write documents, 1,000 in a request."""
    tally = Tally()
    for batch in batches:
        rows = await _json(session, "POST", f"{job.url}/{job.database}/_bulk_docs", {"docs": batch})
        tally.ids(row["id"] for row in rows if row["ok"])
    return tally


async def _get(session: aiohttp.ClientSession, job: Job, ids: list[str]) -> Tally:
    tally = Tally()
    for id in ids:
        tally.documents([await _json(session, "GET", f"{job.url}/{job.database}/{id}")])
    return tally


async def get1(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read documents one after the other."""
    return await _get(session, job, job.ids())


async def get32(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read documents one by one, 32 at a time."""
    tally = Tally()
    parts = [_get(session, job, part) for part in in_parts(job.ids())]
    for part in await asyncio.gather(*parts):
        tally.count += part.count
        tally.total += part.total
    return tally


async def all_documents(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read every document."""
    tally = Tally()
    url = f"{job.url}/{job.database}/_all_docs?include_docs=true"
    answer = await _json(session, "GET", url)
    for row in answer["rows"]:
        if row["id"][0] != "_":
            tally.count += 1
            tally.total += row["doc"]["serial"]
    return tally


async def ids(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read every id."""
    tally = Tally()
    answer = await _json(session, "GET", f"{job.url}/{job.database}/_all_docs")
    tally.ids(row["id"] for row in answer["rows"])
    return tally


async def changes(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read the whole normal feed."""
    tally = Tally()
    answer = await _json(session, "GET", f"{job.url}/{job.database}/_changes")
    tally.ids(row["id"] for row in answer["results"])
    return tally


async def find(session: aiohttp.ClientSession, job: Job, _: Any) -> Tally:
    """Read documents by index."""
    tally = Tally()
    url = f"{job.url}/{job.database}/_find"
    query: dict[str, Any] = {"selector": {"type": "city"}, "limit": PAGE}
    while tally.count < job.count:
        answer = await _json(session, "POST", url, query)
        tally.documents(answer["docs"])
        query["bookmark"] = answer["bookmark"]
    return tally


async def save(session: aiohttp.ClientSession, job: Job, documents: Any) -> Tally:
    """Write documents one by one."""
    tally = Tally()
    for document in documents:
        url = f"{job.url}/{job.database}/{document['_id']}"
        tally.ids([(await _json(session, "PUT", url, document))["id"]])
    return tally


async def close(session: aiohttp.ClientSession) -> None:
    """Close the session."""
    await session.close()


WORKS: dict[str, Any] = {
    "bulk": bulk,
    "bulk-made": bulk,
    "get1": get1,
    "get32": get32,
    "all": all_documents,
    "ids": ids,
    "changes": changes,
    "find": find,
    "save": save,
}

if __name__ == "__main__":
    run(Program(open_session, close, WORKS))
