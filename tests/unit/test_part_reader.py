"""Parts of a body that is still coming in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch._wire.multipart import MultipartError
from aiocouch._wire.part_reader import PartReader
from tests.multipart_bodies import multipart_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BODY = multipart_body("out", [([("A", "1")], b"first"), ([], b""), ([], b"third")])


async def source(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_parts_one_after_the_other(size: int) -> None:
    reader = PartReader(source(BODY, size), "out")
    seen = []
    while (headers := await reader.next_part()) is not None:
        seen.append((dict(headers), await reader.body(100)))
    assert seen == [({"a": "1"}, b"first"), ({}, b""), ({}, b"third")]
    assert await reader.next_part() is None


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_parts_may_be_skipped(size: int) -> None:
    reader = PartReader(source(BODY, size), "out")
    await reader.next_part()
    async for _ in reader.pieces():
        break
    await reader.next_part()
    await reader.next_part()
    assert await reader.body(100) == b"third"


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_part_may_be_multipart_itself(size: int) -> None:
    inner = multipart_body("in", [([], b"x"), ([], b"y")])
    outer = multipart_body("out", [([], inner), ([], b"last")])
    reader = PartReader(source(outer, size), "out")
    await reader.next_part()
    nested = PartReader(reader.pieces(), "in")
    await nested.next_part()
    assert await nested.body(10) == b"x"
    await nested.next_part()
    assert await nested.body(10) == b"y"
    assert await nested.next_part() is None
    await reader.next_part()
    assert await reader.body(10) == b"last"


async def test_a_body_that_ends_early_is_told() -> None:
    reader = PartReader(source(BODY[:-10], 5), "out")
    for _ in range(3):
        await reader.next_part()
    with pytest.raises(MultipartError):
        await reader.next_part()


async def test_a_part_may_be_too_long() -> None:
    reader = PartReader(source(BODY, 3), "out")
    await reader.next_part()
    with pytest.raises(MultipartError, match="longer than 4"):
        await reader.body(4)


async def test_the_rest_can_be_drained() -> None:
    pieces = source(BODY, 3)
    reader = PartReader(pieces, "out")
    await reader.next_part()
    await reader.drain()
    assert await anext(pieces, None) is None
