"""Changes of documents of a model, with their values."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from aiocouch.event import DeletedEvent
from aiocouch.models import ChangedValue, FollowedValue, MisfitError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from aiocouch import Database
    from aiocouch.models import Collection

T = TypeVar("T")
PATIENCE = 20


class Book(msgspec.Struct):
    title: str
    pages: int = 0


class Film(msgspec.Struct, tag="film"):
    title: str


class Song(msgspec.Struct, tag="song"):
    title: str


@pytest.fixture
def books(db: Database) -> Collection[Book]:
    return db.collection(Book, type="book")


async def fill(db: Database, *docs: dict[str, Any]) -> None:
    for doc in docs:  # one after the other, so that their order is known on one shard or two
        await db.bulk_docs([doc])


async def gather(rows: AsyncIterable[T], seen: list[T]) -> None:
    async for row in rows:
        seen.append(row)  # noqa: PERF401 - those before an error, too


def told(events: list[Any]) -> dict[str, Any]:
    return {e.id: None if isinstance(e, DeletedEvent) else e.value for e in events}


EMMA = {"_id": "emma", "type": "book", "title": "Emma", "pages": 474}
FILM = {"_id": "alien", "type": "film", "title": "Alien"}
ODD = {"_id": "odd", "type": "book", "title": 5}


async def test_changes_have_values(db: Database, books: Collection[Book]) -> None:
    await fill(
        db, EMMA, FILM, {"_id": "gone", "type": "book"}, {"_id": "_design/d", "type": "book"}
    )
    await (await db["gone"]).delete()
    feed = books.changes()
    events = [event async for event in feed]
    assert told(events) == {"emma": Book("Emma", 474), "gone": None}
    (event,) = [event for event in events if isinstance(event, ChangedValue)]
    assert (event.id, event.rev[:2]) == ("emma", "1-")
    assert feed.last_sequence is not None
    assert feed.pending == 0
    event.value.pages = 475
    await books.save(event.stored)
    (again,) = [event async for event in books.changes(feed.last_sequence)]
    assert told([again]) == {"emma": Book("Emma", 475)}


async def test_a_document_that_does_not_fit_ends_nothing(
    db: Database, books: Collection[Book]
) -> None:
    await fill(db, ODD, EMMA)
    events = {event.id: event async for event in books.changes()}
    event = events["odd"]
    assert isinstance(event, ChangedValue)
    with pytest.raises(MisfitError) as caught:
        _ = event.value
    assert (caught.value.document_id, caught.value.place) == ("odd", "$.title")
    assert told([events["emma"]]) == {"emma": Book("Emma", 474)}


async def test_a_document_that_does_not_fit_can_end_the_loop(
    db: Database, books: Collection[Book]
) -> None:
    await fill(db, ODD)
    with pytest.raises(MisfitError, match="'odd' does not fit"):
        await gather(books.changes(on_misfit="raise"), [])


async def test_a_document_that_does_not_fit_can_be_told(
    db: Database, books: Collection[Book]
) -> None:
    await fill(db, ODD, EMMA)
    misfits: list[MisfitError] = []
    events = [event async for event in books.changes(on_misfit=misfits.append)]
    assert told(events) == {"emma": Book("Emma", 474)}
    assert [error.document_id for error in misfits] == ["odd"]


async def test_documents_can_be_chosen(db: Database, books: Collection[Book]) -> None:
    await fill(db, EMMA, FILM, {**EMMA, "_id": "ubik", "title": "Ubik"})
    chosen = books.changes(selector={"title": "Ubik"})
    assert [event.id async for event in chosen] == ["ubik"]
    chosen = books.changes(doc_ids=["alien", "emma"])
    assert [event.id async for event in chosen] == ["emma"]


async def test_values_of_several_types(db: Database) -> None:
    await fill(db, FILM, {"_id": "help", "type": "song", "title": "Help!"}, EMMA)
    events = [event async for event in db.collection(Film | Song).changes()]
    assert told(events) == {"alien": Film("Alien"), "help": Song("Help!")}


async def test_values_of_any_type(db: Database) -> None:
    await fill(db, EMMA, FILM, {"_id": "_design/d"})
    events = [event async for event in db.collection(Book).changes()]
    assert told(events) == {"emma": Book("Emma", 474), "alien": Book("Alien")}


@pytest.mark.parametrize("kind", ["continuous", "eventsource"])
async def test_a_feed_that_goes_on(db: Database, books: Collection[Book], kind: str) -> None:
    async with asyncio.timeout(PATIENCE), aclosing(books.changes(feed=kind)) as events:
        await fill(db, FILM, EMMA)
        assert told([await anext(events)]) == {"emma": Book("Emma", 474)}
        await (await db["alien"]).delete()
        assert told([await anext(events)]) == {"alien": None}


async def test_a_follower_of_values(db: Database, books: Collection[Book]) -> None:
    await fill(db, EMMA, FILM, ODD)
    misfits: list[MisfitError] = []
    seen: list[Any] = []
    async with (
        asyncio.timeout(PATIENCE),
        books.follow(checkpoint="books", on_misfit=misfits.append, heartbeat=1000) as follower,
    ):
        async for event in follower:
            seen.append(event)
            if isinstance(event, FollowedValue):
                assert event.value == Book("Emma", 474)
                await (await db["alien"]).delete()
            else:
                follower.stop()
    assert [event.id for event in seen] == ["emma", "alien"]
    assert [error.document_id for error in misfits] == ["odd"]
    checkpoint = await db.local.get("aiocouch-follower-books")
    assert checkpoint["sequence"] == follower.sequence


async def test_what_a_follower_passes_over_is_acknowledged(
    db: Database, books: Collection[Book]
) -> None:
    await fill(db, ODD, EMMA)
    follower = books.follow(
        explicit_acks=True, doc_ids=["odd", "emma"], on_misfit=lambda error: None, heartbeat=1000
    )
    async with asyncio.timeout(PATIENCE), follower:
        async for event in follower:
            assert event.id == "emma"
            event.ack()
            assert follower.unacknowledged == 0
            break


async def test_a_follower_can_end_with_a_misfit(db: Database, books: Collection[Book]) -> None:
    await fill(db, ODD)
    async with asyncio.timeout(PATIENCE), books.follow(on_misfit="raise") as follower:
        with pytest.raises(MisfitError, match="'odd' does not fit"):
            await gather(follower, [])


async def test_a_bad_option(books: Collection[Book]) -> None:
    options: Any = {"on_misfit": "shout"}
    for method in (books.changes, books.follow):
        with pytest.raises(ValueError, match="on_misfit='shout'"):
            method(**options)
