"""The follower against a server that breaks: it goes on, waits, gives up, and keeps its checkpoint."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

import aiocouch
from aiocouch import Database
from aiocouch._transport.policy import RetryPolicy
from aiocouch.changes import (
    CallbackCheckpoint,
    FileCheckpoint,
    FollowedChange,
    FollowedDeletion,
    Follower,
)
from aiocouch.changes.keeper import Keeper
from tests.wire.canned import Answer, CannedServer, Request, error_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

AT_ONCE = RetryPolicy(tries=10**6, first_wait=0, longest_wait=0, deadline=None)
PATIENCE = 20


def change(number: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    rev = more.pop("rev", f"1-{number}")
    return {"seq": f"{number}-x", "id": name or f"d{number}", "changes": [{"rev": rev}], **more}


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


class Feeds:
    """A database whose feed is cut as it is told, and which keeps `_local` documents."""

    def __init__(self, *feeds: Answer | Callable[[Request], Answer]) -> None:
        self.feeds = list(feeds)
        self.asked: list[dict[str, str]] = []
        self.local: list[dict[str, Any]] = []
        self.birth = "1"

    def __call__(self, request: Request) -> Answer:
        if request.path == "/db":
            return json_answer({"instance_start_time": self.birth})
        if "/_local/" in request.path:
            return self._local_document(request)
        assert request.path == "/db/_changes", request.line
        self.asked.append(request.query)
        if not self.feeds:
            return error_answer(404, "not_found", "no feed is left")
        feed = self.feeds.pop(0)
        return feed(request) if callable(feed) else feed

    def _local_document(self, request: Request) -> Answer:
        rev = f"0-{len(self.local)}"
        if request.method == "GET":
            return json_answer({"_rev": rev, **self.local[-1]}) if self.local else error_answer(404)
        sent = request.json()
        if sent.pop("_rev", "0-0") != rev:
            return error_answer(409, "conflict")
        self.local.append(sent)
        return json_answer({"ok": True, "rev": f"0-{len(self.local)}"}, 201)


def cut(rows: list[dict[str, Any]], rest: bytes = b"") -> Answer:
    return Answer(pieces=[b"\n", lines_of(rows) + rest], cut=True)


async def live(rows: list[dict[str, Any]]) -> AsyncGenerator[bytes, None]:
    """Some rows, behind which nothing happens."""
    yield lines_of(rows)
    await asyncio.Event().wait()


def follow(base: Database, **options: Any) -> Follower[FollowedChange | FollowedDeletion]:
    asked: Any = {"retry": AT_ONCE, **options}
    return base.follow(**asked)


async def until_not_found(follower: Follower[Any]) -> list[Any]:
    """All events, until no feed is left."""
    events = []
    try:
        async with asyncio.timeout(PATIENCE):
            async for event in follower:
                events.append(event)  # noqa: PERF401 - an error ends it
    except aiocouch.NotFoundError:
        return events
    raise AssertionError("the loop has ended without an error")


def sequences(events: list[Any]) -> list[str]:
    return [event.sequence for event in events]


async def test_it_goes_on_behind_the_last_row(canned: CannedServer, base: Database) -> None:
    canned.handler = feeds = Feeds(
        cut([change(1), change(2, deleted=True)]),
        cut([], b'{"seq":"3-x","id'),
        Answer(silent=True),
        error_answer(503),
        cut([change(3)], lines_of([{"last_seq": "5-x", "pending": 0}])),
        cut([change(6)]),
    )
    follower = follow(base, since="0", heartbeat=3000)
    events = await until_not_found(follower)
    assert sequences(events) == ["1-x", "2-x", "3-x", "6-x"]
    assert [type(event) for event in events[:2]] == [FollowedChange, FollowedDeletion]
    since = [query["since"] for query in feeds.asked]
    assert list(dict.fromkeys(since)) == ["0", "2-x", "5-x", "6-x"]
    assert {query["feed"] for query in feeds.asked} == {"continuous"}
    assert {query["heartbeat"] for query in feeds.asked} == {"3000"}
    assert follower.sequence == "6-x"
    assert follower.reconnects >= 5


@pytest.mark.parametrize("bad", [b"{no json}\n", b"[1]\n", b'{"seq":"2-x"}\n', b'{"a":[1\n2]}\n'])
async def test_rows_before_a_bad_line_come_once(
    canned: CannedServer, base: Database, bad: bytes
) -> None:
    canned.handler = Feeds(cut([change(1)], bad + lines_of([change(2)])), cut([change(2)]))
    assert sequences(await until_not_found(follow(base))) == ["1-x", "2-x"]


async def test_nonsense_without_an_end_is_raised(canned: CannedServer, base: Database) -> None:
    html = Answer(body=b"<html>", headers={"Content-Type": "text/html"})
    canned.handler = feeds = Feeds(*[html] * 100)
    with pytest.raises(aiocouch.UnexpectedAnswerError):
        async for _ in follow(base):
            pass
    assert len(feeds.asked) == 11


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, aiocouch.BadRequestError),
        (401, aiocouch.UnauthorizedError),
        (403, aiocouch.ForbiddenError),
        (404, aiocouch.NotFoundError),
    ],
)
async def test_what_is_refused_is_raised(
    canned: CannedServer, base: Database, status: int, error: type[Exception]
) -> None:
    canned.handler = feeds = Feeds(cut([change(1)]), error_answer(status))
    with pytest.raises(error):
        async for _ in follow(base):
            pass
    assert len(feeds.asked) == 2


async def test_a_silent_connection_is_dead(
    canned: CannedServer, base: Database, caplog: pytest.LogCaptureFixture
) -> None:
    canned.handler = feeds = Feeds(Answer(pieces=live([change(1)])), cut([change(2)]))
    with caplog.at_level(logging.WARNING, "aiocouch"):
        events = await until_not_found(follow(base, heartbeat=1))  # five seconds at least
    assert sequences(events) == ["1-x", "2-x"]
    assert feeds.asked[1]["since"] == "1-x"
    assert "after the sequence 1-x" in caplog.text


async def test_now_is_a_sequence_and_in_the_checkpoint_before_the_first_event(
    canned: CannedServer, base: Database
) -> None:
    now = json_answer({"results": [], "last_seq": "7-n", "pending": 0})
    canned.handler = feeds = Feeds(now, Answer(silent=True), cut([change(8)]))
    await until_not_found(follow(base, since="now", checkpoint="me"))
    assert [query["since"] for query in feeds.asked][:1] == ["now"]
    assert feeds.asked[1]["since"] == "7-n"
    assert [each["sequence"] for each in feeds.local] == ["7-n", "8-x"]


async def test_an_event_whose_loop_is_left_comes_again(
    canned: CannedServer, base: Database
) -> None:
    rows = [change(number) for number in range(1, 6)]
    canned.handler = feeds = Feeds(cut(rows), cut(rows[2:]))
    async with follow(base, checkpoint="me") as follower:
        async for event in follower:
            if event.id == "d3":
                break
    assert follower.sequence == "2-x"
    assert feeds.local[-1] == {"sequence": "2-x", "follower": "me"}
    again = follow(base, checkpoint="me", since="now")  # the checkpoint comes first
    assert sequences(await until_not_found(again)) == ["3-x", "4-x", "5-x"]
    assert feeds.asked[1]["since"] == "2-x"


async def test_another_loop_goes_on(canned: CannedServer, base: Database) -> None:
    rows = [change(number) for number in range(1, 4)]
    canned.handler = Feeds(cut(rows), cut(rows[1:]))
    follower = follow(base)
    async with aclosing(aiter(follower)) as events:
        async for event in events:
            if event.id == "d2":
                break
    assert sequences(await until_not_found(follower)) == ["2-x", "3-x"]


async def test_the_checkpoint_is_what_is_acknowledged_without_a_gap(
    canned: CannedServer, base: Database
) -> None:
    rows = [change(number) for number in range(1, 6)]
    canned.handler = Feeds(cut(rows))
    follower = follow(base, explicit_acks=True)
    events = await until_not_found(follower)
    assert (follower.sequence, follower.unacknowledged) == (None, 5)
    assert follower.lag >= 0
    for at, sequence in [(1, None), (2, None), (0, "3-x"), (4, "3-x"), (3, "5-x"), (0, "5-x")]:
        events[at].ack()
        assert follower.sequence == sequence
    assert (follower.unacknowledged, follower.lag) == (0, 0.0)


async def test_no_more_is_read_than_may_be_unacknowledged(
    canned: CannedServer, base: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sent = 0

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal sent
        while True:
            sent += 1
            yield lines_of([change(sent, text="x" * 10_000)])

    canned.handler = Feeds(Answer(pieces=endless()))
    async with follow(base, explicit_acks=True, max_unacknowledged=10) as follower:
        events = aiter(follower)
        given = [await anext(events) for _ in range(10)]
        waiting = asyncio.ensure_future(anext(events))
        while "not acknowledged" not in caplog.text:
            await asyncio.wait({waiting}, timeout=0.01)
            if waiting.done():  # the piece that was there already
                given.append(waiting.result())
                waiting = asyncio.ensure_future(anext(events))
        assert len(given) < 2000
        for event in given:
            event.ack()
        async with asyncio.timeout(PATIENCE):
            assert (await waiting).sequence == f"{len(given) + 1}-x"


async def test_a_row_that_a_cluster_sends_again_comes_once(
    canned: CannedServer, base: Database
) -> None:
    before = [change(5, "a", rev="1-a"), change(6, "b", rev="1-b"), change(7, "a", rev="2-a")]
    again = [
        change(3, "b", rev="1-b"),
        change(4, "a", rev="2-a"),
        change(5, "new", rev="1-n"),
        change(6, "b", rev="2-b"),
        change(7, "b", rev="1-b"),  # it has returned to what it was
        change(8, "a", rev="2-a"),  # later than all: an edit of another leaf
    ]
    canned.handler = Feeds(cut(before), cut(again))
    events = await until_not_found(follow(base))
    assert [(event.id, event.rev) for event in events[3:]] == [
        ("new", "1-n"),
        ("b", "2-b"),
        ("b", "1-b"),
        ("a", "2-a"),
    ]


async def test_rows_of_a_database_that_was_created_anew_all_come(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = feeds = Feeds(cut([change(1, "a", rev="1-a")]))

    def anew(request: Request) -> Answer:
        return cut([change(1, "a", rev="1-a")])

    def born(request: Request) -> Answer:
        feeds.birth = "2"
        return Answer(silent=True)

    feeds.feeds += [born, anew]
    assert [event.id for event in await until_not_found(follow(base))] == ["a", "a"]


async def test_checkpoints_are_written_each_so_many_events(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = feeds = Feeds(cut([change(number) for number in range(1, 8)]))
    await until_not_found(follow(base, checkpoint="me", checkpoint_every=3))
    assert [each["sequence"] for each in feeds.local] == ["3-x", "6-x", "7-x"]


async def test_checkpoints_are_written_after_a_time(canned: CannedServer, base: Database) -> None:
    saved: list[str] = []
    done = asyncio.Event()

    def save(sequence: str) -> None:
        saved.append(sequence)
        done.set()

    canned.handler = Feeds(Answer(pieces=live([change(1), change(2)])))
    checkpoint = CallbackCheckpoint(lambda: None, save)
    async with follow(base, checkpoint=checkpoint, checkpoint_seconds=0.01) as follower:
        events = aiter(follower)
        await anext(events)
        await anext(events)
        async with asyncio.timeout(PATIENCE):
            await done.wait()
        assert saved == ["1-x"]


async def test_a_checkpoint_that_fails_ends_the_loop(canned: CannedServer, base: Database) -> None:
    def save(sequence: str) -> None:
        raise KeyError("full")

    canned.handler = Feeds(Answer(pieces=live([change(1), change(2)])))
    checkpoint = CallbackCheckpoint(lambda: None, save)
    follower = follow(base, checkpoint=checkpoint, checkpoint_seconds=0.01)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(KeyError, match="full"):
            async for _ in follower:
                pass


async def test_somebody_else_writes_the_same_checkpoint(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = feeds = Feeds(cut([change(1), change(2)]))
    follower = follow(base, checkpoint="me", checkpoint_every=1)

    async def loop() -> None:
        async for _ in follower:
            feeds.local.append({"sequence": "77-x"})

    with pytest.raises(aiocouch.ConflictError, match="'me'"):
        await loop()


async def test_a_file_keeps_the_sequence(
    canned: CannedServer, base: Database, tmp_path: Path
) -> None:
    canned.handler = feeds = Feeds(cut([change(1)]), cut([change(2)]))
    path = tmp_path / "where"
    await until_not_found(follow(base, checkpoint=path))
    assert names_in(tmp_path) == ["where"]
    assert await FileCheckpoint(path).load() == "2-x"
    await until_not_found(follow(base, checkpoint=path))
    assert feeds.asked[-1]["since"] == "2-x"
    path.write_text("{}")
    with pytest.raises(aiocouch.InvalidInputError, match="not a checkpoint"):
        await FileCheckpoint(path).load()


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


# -- handlers


async def run(
    canned: CannedServer, base: Database, rows: list[Any], handler: Any, **how: Any
) -> Any:
    canned.handler = Feeds(cut(rows))
    follower = follow(base)
    try:
        async with asyncio.timeout(PATIENCE):
            await follower.run(handler, **how)
    except aiocouch.NotFoundError:
        pass
    return follower


async def test_a_handler_that_fails_stops(canned: CannedServer, base: Database) -> None:
    seen: list[str] = []

    async def handler(event: Any) -> None:
        seen.append(event.id)
        if event.id == "d2":
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await run(canned, base, [change(1), change(2), change(3)], handler)
    assert seen == ["d1", "d2"]


async def test_an_event_may_be_skipped(canned: CannedServer, base: Database) -> None:
    done = asyncio.Event()
    follower: Any = None

    def handler(event: Any) -> None:
        if event.id == "d2":
            raise KeyError("mine")
        if event.id == "d3":
            follower.stop()
            done.set()

    canned.handler = Feeds(cut([change(1), change(2), change(3)]))
    follower = follow(base)
    async with asyncio.timeout(PATIENCE):
        await follower.run(handler, on_error="skip")
    assert follower.sequence == "3-x"


async def test_a_function_says_what_is_done(canned: CannedServer, base: Database) -> None:
    tries: list[tuple[str, int]] = []

    def handler(event: Any) -> None:
        raise KeyError(event.id)

    async def on_error(event: Any, error: Exception, count: int) -> str:
        tries.append((event.id, count))
        return "retry" if count < 2 else "skip" if event.id == "d1" else "stop"

    with pytest.raises(KeyError, match="d2"):
        await run(canned, base, [change(1), change(2)], handler, on_error=on_error)
    assert tries == [("d1", 1), ("d1", 2), ("d2", 1), ("d2", 2)]


async def test_workers_keep_the_order_of_each_document(
    canned: CannedServer, base: Database
) -> None:
    rows = [change(number, f"d{number % 7}") for number in range(1, 400)]
    seen: dict[str, list[int]] = {}
    working = most = 0
    follower: Any = None

    async def handler(event: Any) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        for _ in range(hash(event.sequence) % 5):
            await asyncio.sleep(0)
        seen.setdefault(event.id, []).append(int(event.sequence[:-2]))
        working -= 1
        if sum(map(len, seen.values())) == len(rows):
            follower.stop()

    canned.handler = Feeds(Answer(pieces=live(rows)))
    follower = follow(base)
    async with asyncio.timeout(PATIENCE):
        await follower.run(handler, workers=4)
    assert all(numbers == sorted(numbers) for numbers in seen.values())
    assert sum(map(len, seen.values())) == len(rows)
    assert follower.sequence == "399-x"
    assert most > 1


@pytest.mark.parametrize("when", ["waiting", "handling", "before"])
async def test_stop_ends_the_loop(canned: CannedServer, base: Database, when: str) -> None:
    canned.handler = Feeds(Answer(pieces=live([change(1), change(2)])))
    follower = follow(base)
    if when == "before":
        follower.stop()
    seen: list[str] = []
    both = asyncio.Event()

    async def loop() -> None:
        async for event in follower:
            seen.append(event.id)
            if event.id == "d2":
                both.set()
            if when == "handling":
                follower.stop()

    async with asyncio.timeout(PATIENCE):
        task = asyncio.ensure_future(loop())
        if when == "waiting":
            await both.wait()
            follower.stop()
        await task
    assert seen == {"waiting": ["d1", "d2"], "handling": ["d1"], "before": []}[when]


@pytest.mark.parametrize(
    "options",
    [
        {"feed": "longpoll"},
        {"limit": 3},
        {"descending": True},
        {"timeout": 1},
        {"heartbeat": 0},
        {"window": -1},
        {"checkpoint": 5},
        {"checkpoint_every": 0},
        {"hartbeat": 5},
        {"doc_ids": 5},
    ],
)
async def test_bad_options_are_refused(
    canned: CannedServer, base: Database, options: dict[str, Any]
) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        base.follow(**options)
    assert canned.requests == []


async def test_filters(canned: CannedServer, base: Database) -> None:
    canned.handler = feeds = Feeds()
    await until_not_found(follow(base, selector={"a": 1}))
    await until_not_found(follow(base, doc_ids=["a"]))
    await until_not_found(follow(base, filter="_view", view="d/v"))
    await until_not_found(follow(base, filter="d/f", mine="5", include_docs=True))
    assert [query.get("filter") for query in feeds.asked] == [
        "_selector",
        "_doc_ids",
        "_view",
        "d/f",
    ]
    assert feeds.asked[3]["mine"] == "5"
    assert feeds.asked[3]["include_docs"] == "true"


async def test_pending(canned: CannedServer, base: Database) -> None:
    canned.handler = feeds = Feeds(json_answer({"results": [], "last_seq": "0", "pending": 9}))
    assert await follow(base).pending() == 9
    assert feeds.asked == [{"since": "0", "limit": "0"}]


async def test_a_checkpoint_that_waits_for_another_does_not_go_back() -> None:
    saved: list[str] = []
    free = asyncio.Event()
    now = ["1-x"]

    async def save(sequence: str) -> None:
        await free.wait()
        saved.append(sequence)

    keeper = Keeper(CallbackCheckpoint(lambda: None, save), 1)
    first, second = (asyncio.ensure_future(keeper.save(lambda: now[0])) for _ in range(2))
    await asyncio.wait({first}, timeout=0)
    now[0] = "2-x"
    free.set()
    await asyncio.gather(first, second)
    assert saved == ["1-x", "2-x"]


async def test_updates_of_a_server_that_keeps_none(
    canned: CannedServer, session: aiocouch.CouchDB
) -> None:
    canned.handler = lambda request: error_answer(404, "not_found", "Database does not exist.")
    with pytest.raises(aiocouch.NotFoundError, match="_global_changes, where updates are kept"):
        await anext(aiter(session.follow_updates()))
    with pytest.raises(aiocouch.NotFoundError, match="_global_changes, where updates are kept"):
        await anext(session.db_updates("5-a"))
    assert canned.lines[-1] == "GET /_db_updates?since=5-a"
