"""`Remote.json`: an answer as a value of a type, or an error that names what was wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from aiocouch import CouchDB, UnexpectedAnswerError
from tests.wire.canned import Answer, canned_server


class Written(msgspec.Struct):
    id: str
    rev: str


async def ask(body: bytes, into: type[Any], content_type: str = "application/json") -> Any:
    async with canned_server() as canned, CouchDB(canned.url) as couchdb:
        canned.say(Answer(201, body, {"Content-Type": content_type}))
        return await couchdb.remote.json("PUT", "/db/a?w=2", into=into, body=b"{}")


async def test_an_answer_becomes_what_was_asked_for() -> None:
    assert await ask(b'{"ok":true,"id":"a","rev":"1-a"}', Written) == Written("a", "1-a")
    assert await ask(b'["a","b"]', list[str]) == ["a", "b"]
    assert await ask(b'{"n":12345678901234567890123}', dict[str, Any]) == {
        "n": 12345678901234567890123
    }


@pytest.mark.parametrize(
    ("body", "into", "words"),
    [
        (b"[]", Written, "Expected `object`, got `array`"),
        (b"{}", Written, "missing required field `id`"),
        (b'{"id":"a","rev":2}', Written, r"Expected `str`, got `int` - at `\$.rev`"),
        (b'{"id":', Written, "not JSON but application/json"),
        (b"[" * 100_000 + b"]" * 100_000, list[Any], "nested deeper"),
    ],
)
async def test_another_answer_is_named(body: bytes, into: type[Any], words: str) -> None:
    with pytest.raises(
        UnexpectedAnswerError, match=f"PUT /db/a: the answer is .*{words}"
    ) as caught:
        await ask(body, into)
    facts = caught.value
    assert (facts.method, facts.path, facts.status) == ("PUT", "/db/a", 201)
