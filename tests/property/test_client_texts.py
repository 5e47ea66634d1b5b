"""A body that is put together while it is sent is the one that it would be in one piece."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.texts import Texts


async def _sent(body: Texts) -> list[bytes]:
    return [piece async for piece in body]


@pytest.mark.parametrize("size", [1, 100, 10_000, 300_000])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 200, 201])
async def test_pieces_make_the_body(count: int, size: int) -> None:
    docs = [f"{number}" * size for number in range(min(count, 10_000_000 // size))]
    body = Texts([json.dumps(doc).encode() for doc in docs])
    pieces = await _sent(body)
    assert json.loads(b"".join(pieces)) == {"docs": docs}
    assert max(map(len, pieces)) <= 1 << 17
    assert body.is_short == (len(b"".join(pieces)) <= 1 << 17)
    assert await _sent(body) == pieces  # it can be sent again


@given(st.lists(st.binary(), max_size=300))
async def test_length_is_known_before(texts: list[bytes]) -> None:
    body = Texts(texts)
    whole = b"".join(await _sent(body))
    assert whole == bytes(body)
    assert len(whole) == len(body)
