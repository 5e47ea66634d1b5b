"""Answers that may take no more than so much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._transport.answer import unexpected
from aiocouch._wire.inflate import ENCODINGS, Inflater

if TYPE_CHECKING:
    import aiohttp

    from aiocouch._transport.answer import Head
    from aiocouch.exception import UnexpectedAnswerError

__all__ = ["inflated", "read_whole", "too_large", "whole_already"]


def too_large(method: str, path: str, status: int, what: str, most: int) -> UnexpectedAnswerError:
    """Return the error for what is larger than it may be."""
    return unexpected(method, path, status, f"{what} has more than max_size={most} bytes")


def whole_already(response: aiohttp.ClientResponse) -> bytes | None:
    """Return the body of an answer that has come with its head, as short ones do, else None."""
    content = response.content
    if not content.is_eof() or content.exception() is not None:
        return None
    body = content.read_nowait()
    return body if content.at_eof() else None


async def read_whole(
    response: aiohttp.ClientResponse, method: str, path: str, most: int | None
) -> bytes:
    """Return the body, decompressed. Raise `UnexpectedAnswerError` when it is too large."""
    if most is None or response.content.is_eof():
        return await response.read()
    length = response.content_length
    if length is not None and length <= most and "Content-Encoding" not in response.headers:
        return await response.read()
    try:
        if length is None or length <= most:
            return await _read_up_to(response, method, path, most)
    except BaseException:
        response.close()
        raise
    response.close()
    raise too_large(method, path, response.status, "the answer", most)


async def _read_up_to(response: aiohttp.ClientResponse, method: str, path: str, most: int) -> bytes:
    size, pieces = 0, []
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise too_large(method, path, response.status, "the answer", most)
    return b"".join(pieces)


def inflated(response: Head | aiohttp.ClientResponse, content: bytes) -> bytes:
    """Return the content of an answer that was not decompressed."""
    encoding = response.headers.get("Content-Encoding")
    return b"".join(Inflater(encoding).feed(content)) if encoding in ENCODINGS else content
