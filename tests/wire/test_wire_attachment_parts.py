"""Parts of attachments, and contents that break off."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database, RetryPolicy
from aiocouch.exception import (
    DigestError,
    InvalidInputError,
    RemoteResponseError,
    TransportError,
    UnexpectedAnswerError,
)
from tests.wire.canned import Answer, error_answer
from tests.wire.test_wire_attachments import CONTENT, content_answer, md5

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch import Attachment
    from tests.wire.canned import CannedServer

ETAG = f'"{md5(CONTENT)}"'
QUICK = RetryPolicy(first_wait=0.001, longest_wait=0.002)


@pytest.fixture
async def image(canned: CannedServer) -> AsyncIterator[Attachment]:
    """An attachment, in a session that tries again. Nothing is sent for it."""
    async with CouchDB(canned.url, retry=QUICK) as couchdb:
        yield Database(couchdb, "db").document("x").attachment("a")


def cut(data: bytes = CONTENT, *, at: int = 5000, **headers: str) -> Answer:
    return Answer(pieces=[data[:at]], headers={"ETag": ETAG, **headers}, cut=True)


def part(start: int, stop: int | None = None, **headers: str) -> Answer:
    return Answer(206, CONTENT[start:stop], {"ETag": ETAG, **headers})


def ranges(canned: CannedServer) -> list[str | None]:
    named = [{name.lower(): text for name, text in r.headers.items()} for r in canned.requests]
    return [headers.get("range") for headers in named]


async def test_it_goes_on_where_it_was(canned: CannedServer, image: Attachment) -> None:
    canned.say(cut(), Answer(206, pieces=[CONTENT[5000:7000]], headers={"ETag": ETAG}, cut=True))
    canned.say(part(7000))
    assert await image.fetch() == CONTENT
    assert ranges(canned) == [None, "bytes=5000-", "bytes=7000-"]


async def test_what_comes_again_is_left_out(canned: CannedServer, image: Attachment) -> None:
    canned.say(cut(), content_answer())
    assert await image.fetch() == CONTENT


async def test_compressed_content_goes_on(canned: CannedServer, image: Attachment) -> None:
    stored = gzip.compress(CONTENT)
    headers = {"Content-Encoding": "gzip", "ETag": f'"{md5(stored)}"'}
    canned.say(cut(stored, at=100, **headers), content_answer(stored, headers=headers))
    assert await image.fetch() == CONTENT


@pytest.mark.parametrize(
    "headers", [{"ETag": '"another"'}, {"ETag": ETAG, "Content-Encoding": "gzip"}]
)
async def test_another_content_does_not_go_on(
    canned: CannedServer, image: Attachment, headers: dict[str, str]
) -> None:
    canned.say(cut(), Answer(206, CONTENT[5000:], headers))
    with pytest.raises(TransportError) as caught:
        await image.fetch()
    assert "changed meanwhile" in str(caught.value.__notes__)


async def test_content_without_an_etag_does_not_go_on(
    canned: CannedServer, image: Attachment
) -> None:
    canned.say(Answer(pieces=[CONTENT[:100]], cut=True), Answer(206, CONTENT[100:]))
    with pytest.raises(TransportError):
        await image.fetch()


async def test_damage_is_found_across_the_break(canned: CannedServer, image: Attachment) -> None:
    canned.say(cut(), Answer(206, b"x" * len(CONTENT[5000:]), {"ETag": ETAG}))
    with pytest.raises(DigestError):
        await image.fetch()


async def test_the_server_is_gone(canned: CannedServer, image: Attachment) -> None:
    canned.say(cut(), error_answer(404, "not_found", "Document is missing attachment"))
    with pytest.raises(TransportError) as caught:
        await image.fetch()
    assert "could not go on" in str(caught.value.__notes__)


async def test_a_session_that_does_not_resume(canned: CannedServer) -> None:
    canned.say(cut())
    async with CouchDB(canned.url, retry=QUICK, resume=False) as couchdb:
        with pytest.raises(TransportError):
            await Database(couchdb, "db").document("x").attachment("a").fetch()


@pytest.mark.parametrize(
    ("start", "stop", "asked"),
    [(10, None, "bytes=10-"), (10, 20, "bytes=10-19"), (0, 5, "bytes=0-4")],
)
async def test_a_part(
    canned: CannedServer, image: Attachment, start: int, stop: int | None, asked: str
) -> None:
    canned.say(part(start, stop))
    assert await image.fetch(start=start, stop=stop) == CONTENT[start:stop]
    assert ranges(canned) == [asked]
    canned.say(Answer(body=CONTENT))  # all of it, as a server does that knows no parts of it
    assert await image.fetch(start=start, stop=stop) == CONTENT[start:stop]


async def test_a_part_goes_on(canned: CannedServer, image: Attachment) -> None:
    canned.say(Answer(206, pieces=[CONTENT[10:15]], headers={"ETag": ETAG}, cut=True), part(15, 20))
    assert await image.fetch(start=10, stop=20) == CONTENT[10:20]
    canned.say(cut(at=15), part(15, 20))
    assert await image.fetch(start=10, stop=20) == CONTENT[10:20]
    assert ranges(canned) == ["bytes=10-19", "bytes=15-19"] * 2


async def test_a_part_behind_the_end(canned: CannedServer, image: Attachment) -> None:
    canned.say(error_answer(416, "requested_range_not_satisfiable"))
    assert await image.fetch(start=1_000_000) == b""
    canned.say(error_answer(416))
    with pytest.raises(RemoteResponseError):
        await image.fetch()


async def test_a_part_of_what_comes_compressed(canned: CannedServer, image: Attachment) -> None:
    canned.say(Answer(body=gzip.compress(CONTENT), headers={"Content-Encoding": "gzip"}))
    with pytest.raises(UnexpectedAnswerError, match="gzip"):
        await image.fetch(start=5)


@pytest.mark.parametrize(
    "given", [{"start": -1}, {"start": 1.5}, {"start": True}, {"stop": 0}, {"start": 5, "stop": 5}]
)
async def test_what_is_no_part(image: Attachment, given: Any) -> None:
    with pytest.raises(InvalidInputError, match="not a number of bytes"):
        await image.fetch(**given)
