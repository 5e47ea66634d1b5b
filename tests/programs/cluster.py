"""Look after a server by hand, as backup tools do. Written for aiocouch 4.0, with its private requests."""

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

import aiocouch

warnings.simplefilter("ignore", DeprecationWarning)


async def names_of_databases(couch: aiocouch.CouchDB, prefix: str) -> AsyncIterator[str]:
    last = None
    while True:
        found = await couch.keys(start_key=last, limit=2)
        if not found:
            return
        for name in found:
            if name.startswith(prefix):
                yield name
        last = '"' + found[-1] + '\\u0020"'


async def settings(couch: Any) -> None:
    _, config = await couch._server._get("/_node/_local/_config")
    print("configured:", {"couchdb", "chttpd"} <= config.keys())
    _, members = await couch._server._get("/_membership")
    print("nodes:", len(members["cluster_nodes"]), sorted(members))
    _, session = await couch._server._get("/_session")
    print("user:", session["userCtx"]["name"], session["userCtx"]["roles"])
    response, up = await couch._server._request("GET", "/_up")
    print(response.status, up["status"])


async def by_hand(couch: Any, name: str) -> None:
    server = couch._server
    response, answer = await server._put(f"/{name}-b", params={"q": 1, "partitioned": False})
    print(response.status, answer)
    response, answer = await server._put(f"/{name}-b/doc", data={"n": 1})
    print(response.status, answer["id"], response.etag == answer["rev"])
    response, found = await server._get(f"/{name}-b/doc", params={"revs": True, "rev": None})
    print(found["n"], found["_revisions"]["start"], "_revs_info" in found)
    response, nothing = await server._head(f"/{name}-b/doc")
    print(response.status, nothing, response.etag == answer["rev"])
    _, found = await server._post(f"/{name}-b/_all_docs", data={"keys": ["doc", "none"]})
    print([row.get("error") for row in found["rows"]])
    _, gone = await server._delete(f"/{name}-b/doc", params={"rev": answer["rev"]})
    print(gone["ok"])
    for path in (f"/{name}-b/doc", f"/{name}-none"):
        try:
            await server._get(path)
        except aiohttp.ClientResponseError as error:
            print("refused:", error.status)
    try:
        await server._put(f"/{name}-b")
    except aiohttp.ClientResponseError as error:
        print("refused:", error.status)


async def indexes(couch: Any, name: str) -> None:
    db = await couch[name]
    for field in ("email", "name"):
        _, made = await db._remote._post(
            f"/{name}/_index",
            data={"index": {"fields": [{field: "asc"}]}, "name": f"{field}-idx", "type": "json"},
        )
        print(made["result"], made["name"])
    _, listed = await db._remote._get(f"{db.endpoint}/_index")
    print([index["name"] for index in listed["indexes"]])
    print(sorted((await db._get())["sizes"]), await db._exists())
    print(await db._put_security({"admins": {"names": ["ann"], "roles": []}, "members": {}}))
    print((await db._get_security())["admins"])
    print((await db.security()).admins)


async def main(url: str, user: str, password: str, name: str) -> None:
    async with aiocouch.CouchDB(url, user=user, password=password) as couch:
        await couch.create(name)
        try:
            await settings(couch)
            await by_hand(couch, name)
            await indexes(couch, name)
            print([found.removeprefix(name) async for found in names_of_databases(couch, name)])
        finally:
            for found in await couch.keys():
                if found.startswith(name):
                    await (await couch[found]).delete()


asyncio.run(main(*sys.argv[1:]))
