"""The changes feed: three kinds, heartbeats, long lines, the closing line, bad lines."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import aiocouch
from aiocouch import Database
from aiocouch.changes.options import feed_options, patience
from aiocouch.event import BaseChangeEvent, ChangedEvent, DeletedEvent
from aiocouch.exception import CouchDBError
from aiocouch.typing import Feed
from tests.wire.canned import Answer, CannedServer, cut_up, error_answer, json_answer


def change(seq: str, name: str, **more: Any) -> dict[str, Any]:
    return {"seq": seq, "id": name, "changes": [{"rev": "1-a"}], **more}


CHANGES = [change("1-x", "a"), change("2-x", "b", deleted=True), change("3-x", "ü]}")]


def feed(changes: list[dict[str, Any]]) -> bytes:
    """A normal or longpoll feed, as CouchDB writes it."""
    lines = ",\n".join(json.dumps(one) for one in changes)
    return f'{{"results":[\n{lines}\n],\n"last_seq":"9-z","pending":4}}\n'.encode()


def lines_of(changes: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in changes)


CLOSING = b'{"last_seq":"9-z","pending":4}\n'
STILL_THERE = Answer()
"""To the question that follows a closing line which came before it had to: is the database gone?"""


async def collect(rows: Any) -> list[Any]:
    return [row async for row in rows]


EVENT_STREAM = {"Content-Type": "text/event-stream"}


async def gather(rows: Any, seen: list[Any]) -> None:
    """Put events into a list until there are no more, or an error."""
    async for row in rows:
        seen.append(row)  # noqa: PERF401 - those before an error, too


def facts(events: list[BaseChangeEvent]) -> list[tuple[str, str, str, type]]:
    return [(event.sequence, event.id, event.rev, type(event)) for event in events]


EXPECTED = [
    ("1-x", "a", "1-a", ChangedEvent),
    ("2-x", "b", "1-a", DeletedEvent),
    ("3-x", "ü]}", "1-a", ChangedEvent),
]


@pytest.mark.parametrize("kind", ["normal", "longpoll"])
@pytest.mark.parametrize("size", [1, 5, 10**6])
async def test_feed_that_ends(canned: CannedServer, base: Database, kind: Feed, size: int) -> None:
    canned.say(Answer(pieces=cut_up(feed(CHANGES), size)))
    events = await collect(base.changes(feed=kind))
    assert facts(events) == EXPECTED
    assert [event.json for event in events] == CHANGES
    assert canned.only().query["feed"] == kind


async def test_default_feed_is_normal_and_ends(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=feed(CHANGES)))
    assert facts(await collect(base.changes())) == EXPECTED
    assert canned.only().query.get("feed", "normal") == "normal"


async def test_reformatted_feed(canned: CannedServer, base: Database) -> None:
    body = json.dumps({"pending": 0, "last_seq": "9-z", "results": CHANGES}, indent=2)
    canned.say(Answer(pieces=cut_up(body.encode(), 11)))
    assert facts(await collect(base.changes())) == EXPECTED


@pytest.mark.parametrize("size", [1, 5, 10**6])
async def test_continuous_feed(canned: CannedServer, base: Database, size: int) -> None:
    canned.say(Answer(pieces=cut_up(lines_of(CHANGES) + CLOSING, size)), STILL_THERE)
    assert facts(await collect(base.changes(feed="continuous"))) == EXPECTED


def events_of(changes: list[dict[str, Any]]) -> bytes:
    """An event source, as CouchDB writes it."""
    texts = [(json.dumps(one), json.dumps(one["seq"])) for one in changes]
    return b"".join(f"data: {text}\nid: {seq}\n\n".encode() for text, seq in texts)


BEAT = b"event: heartbeat\ndata: \n\n"


@pytest.mark.parametrize("size", [1, 5, 10**6])
async def test_event_source(canned: CannedServer, base: Database, size: int) -> None:
    body = b"\n" + BEAT + events_of(CHANGES[:2]) + BEAT + BEAT + events_of(CHANGES[2:])
    canned.say(Answer(pieces=cut_up(body, size), headers=EVENT_STREAM), STILL_THERE)
    feed = base.changes(feed="eventsource", timeout=5)
    events = await collect(feed)
    assert facts(events) == EXPECTED
    assert [event.json for event in events] == CHANGES
    assert (feed.last_sequence, feed.pending) == ("3-x", None)
    assert canned.requests[0].query == {"feed": "eventsource", "timeout": "5"}


async def test_event_source_as_others_write_it(canned: CannedServer, base: Database) -> None:
    text = json.dumps(CHANGES[0])
    body = f": hello\r\nretry: 5\r\nid: 1\r\ndata:{text}\r\n\r\n".encode()
    canned.say(Answer(body=body, headers=EVENT_STREAM))
    assert facts(await collect(base.changes(feed="eventsource", limit=1))) == EXPECTED[:1]


async def test_event_source_that_ends_by_itself_raises(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(body=events_of(CHANGES), headers=EVENT_STREAM), STILL_THERE)
    feed = base.changes(feed="eventsource")
    seen: list[Any] = []
    with pytest.raises(aiocouch.TruncatedError, match="ended by itself"):
        await gather(feed, seen)
    assert facts(seen) == EXPECTED
    assert canned.requests[0].query == {"feed": "eventsource", "heartbeat": "true"}
    assert feed.last_sequence == "3-x"


@pytest.mark.parametrize("left_out", [1, 30, 60])
async def test_event_source_that_is_cut_raises(
    canned: CannedServer, base: Database, left_out: int
) -> None:
    body = events_of(CHANGES)[:-left_out]
    canned.say(Answer(pieces=[body], cut=True, headers=EVENT_STREAM))
    seen: list[Any] = []
    with pytest.raises(aiocouch.TransportError):
        await gather(base.changes(feed="eventsource", timeout=5), seen)
    assert facts(seen) == EXPECTED[: len(seen)]
    assert len(seen) >= 2


@pytest.mark.parametrize(
    "line", [b'{"error":"x","reason":"y"}', b"data: {", b"<html>", b'data: {"a":1}', b"data: 5"]
)
async def test_event_source_with_a_bad_line_raises(
    canned: CannedServer, base: Database, line: bytes
) -> None:
    canned.say(Answer(body=events_of(CHANGES[:1]) + line + b"\n\n", headers=EVENT_STREAM))
    seen: list[Any] = []
    with pytest.raises(CouchDBError):
        await gather(base.changes(feed="eventsource", timeout=5), seen)
    assert facts(seen) == EXPECTED[:1]


async def test_continuous_feed_with_windows_lines_and_heartbeats(
    canned: CannedServer, base: Database
) -> None:
    body = b"\n\n" + lines_of(CHANGES).replace(b"\n", b"\r\n\n\r\n") + b"\n" + CLOSING
    canned.say(Answer(pieces=cut_up(body, 9)), STILL_THERE)
    assert facts(await collect(base.changes(feed="continuous"))) == EXPECTED


async def test_events_come_as_they_are_sent(canned: CannedServer, base: Database) -> None:
    more = asyncio.Event()

    async def live() -> AsyncGenerator[bytes, None]:
        yield b"\n" + lines_of(CHANGES[:1])
        await more.wait()
        yield lines_of(CHANGES[1:]) + CLOSING

    canned.say(Answer(pieces=live()), STILL_THERE)
    events = base.changes(feed="continuous")
    assert (await anext(events)).id == "a"
    more.set()
    assert [event.id async for event in events] == ["b", "ü]}"]


async def test_closing_line_is_no_event(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(pieces=[CLOSING]), STILL_THERE, Answer(body=feed([])), STILL_THERE)
    assert await collect(base.changes(feed="continuous")) == []
    assert await collect(base.changes(feed="longpoll")) == []


@pytest.mark.parametrize("kind", ["normal", "longpoll", "continuous"])
@pytest.mark.parametrize("size", [600_000, 2_000_000])
async def test_line_of_any_length(
    canned: CannedServer, base: Database, kind: Feed, size: int
) -> None:
    text = "ü" * size
    long = [change("1-x", "a", doc={"_id": "a", "_rev": "1-a", "text": text})]
    body = lines_of(long) + CLOSING if kind == "continuous" else feed(long)
    canned.say(Answer(pieces=cut_up(body, 60_000)))
    if kind == "continuous":
        canned.say(STILL_THERE)
    (event,) = await collect(base.changes(feed=kind, include_docs=True))
    assert (await event.doc())["text"] == text


@pytest.mark.parametrize("bad", [b"{no json}\n", b"[1]\n", b'"text"\n', b'{"seq":"2-x"}\n'])
async def test_bad_line_raises_after_the_good_ones(
    canned: CannedServer, base: Database, bad: bytes
) -> None:
    canned.say(Answer(pieces=[lines_of(CHANGES[:1]), bad]))
    events = base.changes(feed="continuous")
    assert (await anext(events)).id == "a"
    with pytest.raises(CouchDBError):
        await anext(events)


async def test_error_line_raises(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(pieces=[lines_of(CHANGES[:1]), b'{"error":"timeout","reason":"slow"}\n']))
    events = base.changes(feed="continuous")
    assert (await anext(events)).id == "a"
    with pytest.raises(CouchDBError, match="timeout"):
        await anext(events)


@pytest.mark.parametrize("kind", ["normal", "continuous"])
@pytest.mark.parametrize("honest", [True, False])
async def test_feed_cut_in_the_middle_raises(
    canned: CannedServer, base: Database, kind: Feed, honest: bool
) -> None:
    body = lines_of(CHANGES) if kind == "continuous" else feed(CHANGES)
    canned.say(Answer(pieces=[body[: len(body) // 2]], cut=not honest))
    with pytest.raises(CouchDBError):
        await collect(base.changes(feed=kind))


async def test_event_with_null_document(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=feed([change("1-x", "a", doc=None)])))
    (event,) = await collect(base.changes(include_docs=True))
    # Neither in the revision of the event nor in any other.
    canned.say_json({"error": "not_found", "reason": "missing"}, 404)
    canned.handler = lambda request: error_answer(404)
    with pytest.raises(aiocouch.NotFoundError):
        await event.doc()


async def test_event_with_document_is_clean_until_changed(
    canned: CannedServer, base: Database
) -> None:
    doc = {"_id": "a", "_rev": "1-a", "n": 1}
    canned.say(Answer(body=feed([change("1-x", "a", doc=doc)])))
    (event,) = await collect(base.changes(include_docs=True))
    found = await event.doc()
    assert (found.id, found.rev, found["n"], found.exists) == ("a", "1-a", 1, True)
    assert await found.save() is None
    canned.say_json({"ok": True, "id": "a", "rev": "2-b"}, 201)
    found["n"] = 2
    assert await found.save() is not None


async def test_sequences_may_be_null_or_numbers(canned: CannedServer, base: Database) -> None:
    # seq_interval leaves null; CouchDB 1.x and some proxies send numbers.
    body = {"results": [{**change("", "a"), "seq": None}, {**change("", "b"), "seq": 5}]}
    canned.say(json_answer(body | {"last_seq": 5, "pending": 0}))
    assert [event.sequence for event in await collect(base.changes())] == [None, 5]


async def test_two_leaves_in_one_event(canned: CannedServer, base: Database) -> None:
    both = {"seq": "1-x", "id": "a", "changes": [{"rev": "2-b"}, {"rev": "2-a"}]}
    canned.say(Answer(body=feed([both])))
    (event,) = await collect(base.changes(style="all_docs"))
    assert event.rev == "2-b"
    assert event.json["changes"][1]["rev"] == "2-a"


async def test_leaving_the_loop_ends_the_request(canned: CannedServer, base: Database) -> None:
    gone = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield lines_of(CHANGES[:1])
                await asyncio.sleep(0)
        finally:
            gone.set()

    canned.say(Answer(pieces=endless()))
    events = base.changes(feed="continuous")
    await anext(events)
    await events.aclose()
    async with asyncio.timeout(5):
        await gone.wait()


@pytest.mark.parametrize(
    ("beat", "sent"), [(True, "true"), ("true", "true"), (500, "500"), ("500", "500")]
)
async def test_heartbeat_is_a_flag_or_milliseconds(
    canned: CannedServer, base: Database, beat: Any, sent: str
) -> None:
    canned.say(Answer(pieces=[CLOSING]), STILL_THERE)
    assert await collect(base.changes(feed="continuous", heartbeat=beat)) == []
    assert canned.requests[0].query["heartbeat"] == sent


async def test_heartbeat_that_is_neither_is_refused(canned: CannedServer, base: Database) -> None:
    beat: Any = "often"
    with pytest.raises(ValueError, match="heartbeat"):
        await collect(base.changes(feed="continuous", heartbeat=beat))
    assert canned.requests == []


async def leave(events: Any) -> str:
    """The id of the first event, after which the loop is left."""
    async for event in events:
        return str(event.id)
    return ""


async def test_another_loop_goes_on_behind_the_last_event(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(body=feed(CHANGES)), Answer(body=feed(CHANGES[1:])))
    events = base.changes("0-a", limit=3)
    assert await leave(events) == "a"
    assert facts(await collect(events)) == EXPECTED[1:]
    assert await collect(events) == []
    first, second = canned.requests
    assert first.query == {"last-event-id": "0-a", "limit": "3"}
    assert second.query == {"since": "1-x", "limit": "2"}


async def test_a_limit_that_is_reached_asks_no_more(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=feed(CHANGES[:1])))
    events = base.changes(limit=1)
    assert await leave(events) == "a"
    assert await collect(events) == []


async def test_a_descending_feed_cannot_go_on(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=feed(CHANGES)))
    events = base.changes(descending=True)
    assert await leave(events) == "a"
    with pytest.raises(aiocouch.InvalidInputError, match="descending"):
        await collect(events)


# -- what is handled, and what is in hand


async def test_the_event_in_hand_is_handled_when_the_next_is_asked_for(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(body=feed(CHANGES)))
    events = base.changes()
    seen = [(event.sequence, events.last_sequence) async for event in events]
    assert seen == [("1-x", None), ("2-x", "1-x"), ("3-x", "2-x")]
    assert events.last_sequence == "9-z"


async def test_a_break_in_hand_is_not_handled(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(pieces=[lines_of(CHANGES[:2])], cut=True))
    events = base.changes(feed="continuous")
    await anext(events)
    await anext(events)
    assert events.last_sequence == "1-x"
    with pytest.raises(aiocouch.TruncatedError):
        await anext(events)
    assert events.last_sequence == "2-x"


@pytest.mark.parametrize("kind", ["longpoll", "continuous"])
@pytest.mark.parametrize("name", ["since", "last_event_id"])
async def test_now_is_a_sequence_before_anything_happens(
    canned: CannedServer, base: Database, kind: Feed, name: str
) -> None:
    canned.say(
        json_answer({"results": [], "last_seq": "7-n", "pending": 0}),
        Answer(pieces=[b"\n"], cut=True),
    )
    options: Any = {name: "now", "feed": kind}
    events = base.changes(**options)
    with pytest.raises(aiocouch.TruncatedError):
        await anext(events)
    assert events.last_sequence == "7-n"
    first, second = canned.requests
    assert first.line == "GET /db/_changes?since=now&limit=1"
    assert second.query["since"] == "7-n"
    assert "last-event-id" not in second.query


async def test_now_of_a_feed_that_does_not_wait_needs_no_request(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(body=feed([])))
    events = base.changes(since="now")
    assert await collect(events) == []
    assert canned.only().query == {"since": "now"}
    assert events.last_sequence == "9-z"


# -- the end


@pytest.mark.parametrize("more", [{}, {"timeout": 50}])
@pytest.mark.parametrize("kind", ["longpoll", "continuous"])
async def test_a_deleted_database_is_an_error(
    canned: CannedServer, base: Database, kind: Feed, more: Any
) -> None:
    body = CLOSING if kind == "continuous" else feed([])
    canned.say(Answer(pieces=[body]), Answer(404))
    with pytest.raises(aiocouch.NotFoundError):
        await collect(base.changes(feed=kind, **more))
    assert canned.requests[1].line == "HEAD /db"


async def test_a_limit_that_is_reached_is_a_reason_to_end(
    canned: CannedServer, base: Database
) -> None:
    canned.say(Answer(pieces=[lines_of(CHANGES) + CLOSING]))
    assert facts(await collect(base.changes(feed="continuous", limit=3))) == EXPECTED
    assert canned.only().query["limit"] == "3"


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({"feed": "normal"}, None),
        ({"feed": "longpoll"}, 300),
        ({"feed": "longpoll", "timeout": 2000}, 32),
        ({"feed": "continuous", "timeout": "2000"}, 32),
        ({"feed": "continuous"}, 180),
        ({"feed": "continuous", "heartbeat": 10_000}, 30),
        ({"feed": "continuous", "heartbeat": 10_000, "timeout": 1}, 30),
        ({"feed": "longpoll", "heartbeat": 20}, 5),
    ],
)
def test_how_long_a_feed_may_be_silent(options: Any, seconds: float | None) -> None:
    limits = patience(feed_options(options))
    assert (limits and limits.sock_read) == seconds


async def test_a_timeout_that_is_no_number_is_refused(canned: CannedServer, base: Database) -> None:
    often: Any = "soon"
    with pytest.raises(ValueError, match="timeout='soon'"):
        await collect(base.changes(feed="longpoll", timeout=often))
    assert canned.requests == []
