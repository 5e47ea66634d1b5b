"""The changes feed of a server that lives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from aiocouch.changes import ChangesFeed, presence
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
from aiocouch.testing import CouchDBServer
from aiocouch.typing import Feed

PATIENCE = 20


async def write(db: Database, name: str, **data: Any) -> Document:
    doc = Document(db, name, data=data)
    await doc.save()
    return doc


async def collect(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


async def names(events: AsyncIterator[Any]) -> list[str]:
    return sorted([event.id async for event in events])


async def test_normal_feed(db: Database) -> None:
    doc = await write(db, "a")
    gone = await write(db, "b")
    await gone.delete()
    events = {event.id: event for event in await collect(db.changes())}
    assert sorted(events) == ["a", "b"]
    assert isinstance(events["a"], ChangedEvent)
    assert isinstance(events["b"], DeletedEvent)
    assert all(isinstance(event, BaseChangeEvent) for event in events.values())
    assert events["a"].rev == doc.rev
    assert events["a"].json["id"] == "a"
    assert events["b"].json["deleted"] is True


async def test_empty_database(db: Database) -> None:
    assert await collect(db.changes()) == []
    assert await collect(db.changes(feed="normal")) == []


async def test_each_document_once_with_its_last_revision(db: Database) -> None:
    doc = await write(db, "a", n=1)
    doc["n"] = 2
    await doc.save()
    (event,) = await collect(db.changes())
    assert event.rev == doc.rev


async def test_last_event_id(db: Database) -> None:
    await write(db, "a")
    (event,) = await collect(db.changes())
    await write(db, "b")
    assert await names(db.changes(last_event_id=event.sequence)) == ["b"]
    assert await names(db.changes(event.sequence)) == ["b"]
    assert await names(db.changes(since=event.sequence)) == ["b"]
    assert await names(db.changes(since="now")) == []


async def test_doc_is_fetched(db: Database) -> None:
    await write(db, "a", n=1)
    (event,) = await collect(db.changes())
    doc = await event.doc()
    assert isinstance(doc, Document)
    assert (doc.id, doc["n"], doc.rev) == ("a", 1, event.rev)
    assert await doc.save() is None


async def test_doc_is_included(db: Database) -> None:
    await write(db, "a", n=1)
    (event,) = await collect(db.changes(include_docs=True))
    assert event.json["doc"]["n"] == 1
    doc = await event.doc()
    assert doc["n"] == 1
    assert await doc.save() is None
    doc["n"] = 2
    await doc.save()
    assert (await db["a"])["n"] == 2


async def test_doc_of_a_revision_that_is_not_the_last(db: Database) -> None:
    doc = await write(db, "a", n=1)
    (event,) = await collect(db.changes())
    doc["n"] = 2
    await doc.save()
    assert (await event.doc())["n"] in (1, 2)


async def test_doc_of_a_document_that_is_gone(db: Database) -> None:
    doc = await write(db, "a", n=1)
    (event,) = await collect(db.changes())
    await doc.delete()
    try:
        found = await event.doc()
    except aiocouch.NotFoundError:
        return  # compacted: also an answer
    assert found.rev == event.rev


async def test_options(db: Database) -> None:
    for name in "abc":
        await write(db, name)
    assert len(await names(db.changes(limit=2))) == 2
    assert len(await names(db.changes(descending=True))) == 3
    await write(db, "_design/d")
    assert "_design/d" in await names(db.changes())
    assert await names(db.changes(filter="_design")) == ["_design/d"]


async def test_chosen_documents(db: Database) -> None:
    for name in "abc":
        await write(db, name, letter=name)
    assert await names(db.changes(doc_ids=["a", "c"])) == ["a", "c"]
    assert await names(db.changes(selector={"letter": "b"})) == ["b"]
    assert await names(db.changes(filter="_doc_ids", doc_ids=["b"])) == ["b"]


async def test_all_leaves(db: Database) -> None:
    for rev in ("aa", "bb"):
        await db.bulk_docs([{"_id": "x", "_rev": f"1-{rev * 16}"}], new_edits=False)
    with pytest.raises(aiocouch.InvalidInputError, match="the style must be one of"):
        db.changes(style="all")
    (event,) = await collect(db.changes(style="all_docs"))
    assert event.rev == f"1-{'bb' * 16}"
    assert len(event.json["changes"]) == 2


async def test_feed_knows_where_it_ended(db: Database) -> None:
    for name in "abc":
        await write(db, name)
    feed = db.changes(limit=2)
    events = await collect(feed)
    assert feed.pending == 1
    assert len(await collect(db.changes(last_event_id=feed.last_sequence))) == 1
    assert feed.last_sequence == events[-1].sequence


async def test_unknown_feed_is_refused(db: Database) -> None:
    kind: Any = "sse"
    with pytest.raises(ValueError, match="feed"):
        await collect(db.changes(feed=kind))


async def test_missing_database(missing: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await collect(missing.changes())
    with pytest.raises(aiocouch.NotFoundError):
        await collect(missing.changes(feed="continuous"))


async def test_unknown_filter(db: Database) -> None:
    with pytest.raises(aiocouch.CouchDBError):
        await collect(db.changes(filter="none/none"))


# -- feeds that wait

ENDLESS: list[Feed] = ["continuous", "eventsource"]


async def test_longpoll_answers_once(db: Database) -> None:
    await write(db, "a")
    async with asyncio.timeout(PATIENCE):
        assert await names(db.changes(feed="longpoll")) == ["a"]


async def test_longpoll_waits_for_a_change(db: Database) -> None:
    await write(db, "a")
    waiting = asyncio.create_task(names(db.changes(feed="longpoll", since="now")))
    async with asyncio.timeout(PATIENCE):
        for at in range(1000):  # the feed may begin after the first of them
            await write(db, f"b{at}")
            if waiting.done():
                break
        found = await waiting
    assert found
    assert "a" not in found


async def test_longpoll_times_out_without_an_event(db: Database) -> None:
    feed = db.changes(feed="longpoll", since="now", timeout=50)
    async with asyncio.timeout(PATIENCE):
        assert await collect(feed) == []
    assert feed.last_sequence is not None


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_follows(db: Database, kind: Feed) -> None:
    await write(db, "a", n=1)
    async with asyncio.timeout(PATIENCE), aclosing(db.changes(feed=kind)) as events:
        assert (await anext(events)).id == "a"
        doc = await write(db, "ü")
        event = await anext(events)
        assert (event.id, event.rev) == ("ü", doc.rev)
        await doc.delete()
        assert isinstance(await anext(events), DeletedEvent)
        await write(db, "c", text="x" * 200_000)
        assert (await anext(events)).id == "c"


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_with_documents(db: Database, kind: Feed) -> None:
    text = "ü" * 400_000
    async with (
        asyncio.timeout(PATIENCE),
        aclosing(db.changes(feed=kind, include_docs=True)) as events,
    ):
        await write(db, "a", text=text)
        event = await anext(events)
        assert isinstance(event, ChangedEvent)
        assert (await event.doc())["text"] == text


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_from_an_event_on(db: Database, kind: Feed) -> None:
    await write(db, "a")
    (event,) = await collect(db.changes())
    await write(db, "b")
    feed = db.changes(event.sequence, feed=kind)
    async with asyncio.timeout(PATIENCE), aclosing(feed) as events:
        assert (await anext(events)).id == "b"


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_with_a_limit_ends(db: Database, kind: Feed) -> None:
    for name in "abc":
        await write(db, name)
    feed = db.changes(feed=kind, limit=2)
    async with asyncio.timeout(PATIENCE):
        assert len(await collect(feed)) == 2
    assert feed.last_sequence is not None


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_with_a_timeout_ends(db: Database, kind: Feed) -> None:
    await write(db, "a")
    async with asyncio.timeout(PATIENCE):
        assert await names(db.changes(feed=kind, timeout=50)) == ["a"]


@pytest.mark.parametrize("kind", ENDLESS)
async def test_continuous_feed_survives_heartbeats(db: Database, kind: Feed) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        aclosing(db.changes(feed=kind, heartbeat=20)) as events,
    ):
        waiting = asyncio.create_task(anext(events))
        await asyncio.wait({waiting}, timeout=0.2)  # some heartbeats pass by
        assert not waiting.done()
        await write(db, "a")
        assert (await waiting).id == "a"


async def test_program_stops_listening(db: Database) -> None:
    await write(db, "a")
    async with asyncio.timeout(PATIENCE):
        async for event in db.changes(feed="continuous"):
            assert event.id == "a"
            break
        assert (await db["a"]).exists


async def test_listener_is_cancelled(db: Database) -> None:
    seen = asyncio.Event()

    async def listen() -> None:
        async for _ in db.changes(feed="continuous"):
            seen.set()

    task = asyncio.create_task(listen())
    await write(db, "a")
    async with asyncio.timeout(PATIENCE):
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await db["a"]).exists


async def test_doc_ids_as_text_of_old(db: Database) -> None:
    for id in "abc":
        await (await db.create(id)).save()
    as_text: Any = '["a","c"]'
    feed = db.changes(filter="_doc_ids", doc_ids=as_text)
    assert sorted([event.id async for event in feed]) == ["a", "c"]


async def begun(feed: ChangesFeed) -> None:
    """Wait until a feed since now knows its sequence."""
    for _ in range(100_000):
        if feed.last_sequence is not None:
            return
        await asyncio.sleep(0)
    raise AssertionError("the feed has not begun")


@pytest.mark.parametrize("kind", ["longpoll", "continuous"])
@pytest.mark.parametrize("limit", [{}, {"timeout": 30_000}, {"heartbeat": 20}])
async def test_a_database_that_somebody_else_deletes_ends_a_feed_with_an_error(
    db: Database,
    couchdb_server: CouchDBServer,
    kind: Feed,
    limit: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "SECONDS", 0.5)
    feed = db.changes(since="now", feed=kind, **limit)
    waiting = asyncio.create_task(collect(feed))
    async with (
        CouchDB(couchdb_server.url, couchdb_server.user, couchdb_server.password) as other,
        asyncio.timeout(PATIENCE),
    ):
        await begun(feed)
        await (await other[db.id]).delete()
        with pytest.raises(aiocouch.NotFoundError):
            await waiting


@pytest.mark.parametrize("kind", ["longpoll", "continuous"])
async def test_now_is_when_the_feed_began(db: Database, kind: Feed) -> None:
    await write(db, "a")
    feed = db.changes(since="now", feed=kind)
    async with asyncio.timeout(PATIENCE):
        waiting = asyncio.create_task(anext(feed))
        await begun(feed)
        began = feed.last_sequence
        await write(db, "b")
        assert (await waiting).id == "b"
        assert feed.last_sequence == began
        assert await names(db.changes(began)) == ["b"]
        await feed.aclose()


async def test_an_event_source_goes_on_after_the_last_event(db: Database) -> None:
    for name in "abc":
        await write(db, name)
    feed = db.changes(feed="eventsource", timeout=50, limit=2)
    seen = await names(feed)
    assert len(seen) == 2
    assert feed.pending is None
    rest = await names(db.changes(feed.last_sequence, feed="eventsource", timeout=50))
    assert sorted([*seen, *rest]) == ["a", "b", "c"]


async def test_an_event_source_of_chosen_documents(db: Database) -> None:
    for name in "abc":
        await write(db, name)
    feed = db.changes(feed="eventsource", timeout=50, doc_ids=["b"])
    assert await names(feed) == ["b"]
    feed = db.changes(feed="eventsource", timeout=50, seq_interval=2)
    assert await names(feed) == ["a", "b", "c"]
    assert feed.last_sequence is not None


async def test_an_event_source_of_a_database_that_is_deleted(db: Database) -> None:
    await write(db, "a")
    async with asyncio.timeout(PATIENCE), aclosing(db.changes(feed="eventsource")) as events:
        assert (await anext(events)).id == "a"
        await db.delete()
        with pytest.raises((aiocouch.NotFoundError, aiocouch.TruncatedError)):
            await anext(events)
