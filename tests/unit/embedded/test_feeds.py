"""Framing of feeds, their patience, and how they wait."""

from __future__ import annotations

import asyncio

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.feeds.feed import (
    CONTINUOUS,
    EVENTSOURCE,
    LONGPOLL,
    NORMAL,
    Patience,
    Waiting,
    framing,
    read_patience,
)


def rendered(kind: str) -> bytes:
    form = framing(kind)
    rows = [form.row(b'{"seq":"1"}', b'"1"'), form.row(b'{"seq":"2"}', b'"2"')]
    return form.head + b"".join(rows) + form.tail({"last_seq": "2", "pending": 0})


@pytest.mark.parametrize("kind", [NORMAL, LONGPOLL])
def test_a_list_is_one_object_with_a_row_a_line(kind: str) -> None:
    assert rendered(kind) == (
        b'{"results":[\n{"seq":"1"},\r\n{"seq":"2"}\n],\n"last_seq":"2","pending":0}\n\n'
    )


def test_an_empty_list_is_valid_json_too() -> None:
    form = framing(NORMAL)
    assert form.head + form.tail({"last_seq": "0"}) == b'{"results":[\n\n],\n"last_seq":"0"}\n\n'


def test_a_continuous_feed_has_one_object_a_line() -> None:
    assert rendered(CONTINUOUS) == b'{"seq":"1"}\n{"seq":"2"}\n{"last_seq":"2","pending":0}\n\n'


def test_an_event_source_has_no_end() -> None:
    assert rendered(EVENTSOURCE) == (
        b'data: {"seq":"1"}\nid: "1"\n\ndata: {"seq":"2"}\nid: "2"\n\n'
    )
    assert framing(EVENTSOURCE).beat == b"event: heartbeat\ndata: \n\n"
    assert framing(EVENTSOURCE).content_type == "text/event-stream"


@pytest.mark.parametrize(
    ("timeout", "heartbeat", "expected"),
    [
        (None, None, Patience(60)),
        ("300", None, Patience(0.3)),
        ("-5", None, Patience(0)),
        ("90000", None, Patience(60)),
        ("infinity", None, Patience(60)),
        (None, "true", Patience(60, beats=True)),
        ("300", "200", Patience(0.2, beats=True)),
        (None, "90000", Patience(60, beats=True)),
    ],
)
def test_patience(timeout: str | None, heartbeat: str | None, expected: Patience) -> None:
    assert read_patience(timeout, heartbeat, 60) == expected


@pytest.mark.parametrize("heartbeat", ["0", "-1", "x", "false"])
def test_a_bad_heartbeat_is_refused(heartbeat: str) -> None:
    with pytest.raises(CouchError) as caught:
        read_patience(None, heartbeat, 60)
    assert caught.value.status == 400


async def never() -> bool:
    await asyncio.get_running_loop().create_future()
    return True


async def no_beat() -> None:
    raise AssertionError


async def test_news_end_the_wait() -> None:
    async def news() -> bool:
        return True

    assert await Waiting().for_news(news, Patience(60), no_beat) is True


async def test_patience_ends_the_wait() -> None:
    assert await Waiting().for_news(never, Patience(0), no_beat) is False


async def test_a_beating_feed_waits_on() -> None:
    beats: list[int] = []
    enough = asyncio.get_running_loop().create_future()

    async def beat() -> None:
        beats.append(1)
        if len(beats) == 3:
            enough.set_result(None)

    async def news() -> bool:
        await asyncio.shield(enough)
        return True

    assert await Waiting().for_news(news, Patience(0.001, beats=True), beat) is True
    assert len(beats) >= 3


async def test_stopping_ends_all_that_wait_and_lets_none_wait() -> None:
    waiting = Waiting()
    tasks = [
        asyncio.create_task(waiting.for_news(never, Patience(60, beats=True), no_beat))
        for _ in range(3)
    ]
    await asyncio.sleep(0)
    waiting.stop()
    assert await asyncio.gather(*tasks) == [False] * 3
    assert await waiting.for_news(never, Patience(60), no_beat) is False
