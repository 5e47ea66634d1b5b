"""The canned server itself: a yardstick has to be straight."""

import aiohttp
import pytest

from tests.wire.canned import Answer, CannedServer, cut_up, error_answer, json_answer


async def test_keeps_the_request_as_it_came(canned: CannedServer) -> None:
    canned.say_json({"ok": True}, 201)
    async with (
        aiohttp.ClientSession() as client,
        client.put(f"{canned.url}/a?b=c", data=b"body") as answer,
    ):
        assert answer.status == 201
        assert await answer.json() == {"ok": True}
    request = canned.only()
    assert (request.line, request.query, request.body) == ("PUT /a?b=c", {"b": "c"}, b"body")


async def test_cut_body_is_cut(canned: CannedServer) -> None:
    canned.say(Answer(pieces=cut_up(b"0123456789", 3), cut=True))
    async with aiohttp.ClientSession() as client, client.get(canned.url) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_unexpected_request_is_refused(canned: CannedServer) -> None:
    async with aiohttp.ClientSession() as client, client.get(canned.url) as answer:
        assert answer.status == 500


async def test_answers_come_in_order_and_head_has_no_body(canned: CannedServer) -> None:
    canned.say(json_answer(1), error_answer(404), Answer(silent=True))
    async with aiohttp.ClientSession() as client:
        async with client.head(canned.url) as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with client.get(canned.url) as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.ClientError):
            await client.post(canned.url, data=b"x")
    assert canned.lines == ["HEAD /", "GET /", "POST /"]
