"""The proxy knows where messages end, and changes nothing of them but heartbeats, when it is asked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.testing import Faults
from aiocouch.testing.http import Head, read_body, without_heartbeats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")


def chunked(pieces: Sequence[bytes]) -> bytes:
    """Encode a chunked body. Pieces must not be empty."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


class Exchange(NamedTuple):
    """A request and its answer, as they go over the wire."""

    request: bytes
    answer: bytes


@st.composite
def exchanges(draw: st.DrawFn) -> Exchange:
    """Make one with any framing; the answer does not end with the connection."""
    method = draw(st.sampled_from(METHODS))
    target = draw(st.from_regex(r"/[a-z%0-9?=&]{0,9}", fullmatch=True))
    status = draw(st.sampled_from((200, 201, 204, 304, 404)))
    sent = draw(messages()) if method in {"PUT", "POST"} else (b"", b"")
    came = draw(messages())
    if method == "HEAD" or status in {204, 304}:
        came = (came[0], b"")
    return Exchange(
        b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\n%b" % (method.encode(), target.encode(), *sent),
        b"HTTP/1.1 %d Any words\r\nServer: y\r\n%b\r\n%b" % (status, *came),
    )


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Make the field that tells the length, and the body."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=5))
    if draw(st.booleans()):
        return b"Transfer-Encoding: chunked\r\n", chunked(pieces)
    body = b"".join(pieces)
    return b"Content-Length: %d\r\n" % len(body), body


class Scripted:
    """A server that expects just these requests, on one connection, and gives these answers."""

    def __init__(self, script: list[Exchange], piece: int) -> None:
        self.seen: list[bytes] = []
        self._script = script
        self._piece = piece

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for request, answer in self._script:
            self.seen.append(await reader.readexactly(len(request)))
            await send(writer, answer, self._piece)
        writer.close()


async def send(writer: asyncio.StreamWriter, text: bytes, piece: int) -> None:
    """Send in pieces, each on its way before the next."""
    for start in range(0, len(text), piece):
        writer.write(text[start : start + piece])
        await asyncio.sleep(0)


async def talk(script: list[Exchange], piece: int) -> tuple[list[bytes], list[bytes]]:
    """Send the requests through a proxy without rules; give what arrives at either end."""
    server = Scripted(script, piece)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener, Faults(f"http://127.0.0.1:{port}") as faults:
        proxy = int(faults.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        answers = []
        for request, answer in script:
            await send(writer, request, piece)
            answers.append(await reader.readexactly(len(answer)))
        writer.close()
        await writer.wait_closed()
    return server.seen, answers


@settings(max_examples=40, deadline=None)
@given(st.lists(exchanges(), min_size=1, max_size=6), st.integers(1, 100))
def test_what_no_rule_is_for_goes_through_byte_by_byte(script: list[Exchange], piece: int) -> None:
    seen, answers = asyncio.run(asyncio.wait_for(talk(script, piece), 30))
    assert seen == [exchange.request for exchange in script]
    assert answers == [exchange.answer for exchange in script]


async def hushed(pieces: Sequence[bytes]) -> bytes:
    reader = asyncio.StreamReader()
    reader.feed_data(chunked(pieces))
    reader.feed_eof()
    head = Head("HTTP/1.1 200 OK", [("Transfer-Encoding", "chunked")])
    body: AsyncIterator[bytes] = read_body(reader, head, answer_to="GET")
    return b"".join([piece async for piece in without_heartbeats(body)])


@given(st.lists(st.sampled_from((b"\n", b"1", b"\n1\n", b"1\r\n", b'{"seq":1}\n')), max_size=8))
def test_only_heartbeats_are_dropped(pieces: list[bytes]) -> None:
    kept = [piece for piece in pieces if piece != b"\n"]
    assert asyncio.run(hushed(pieces)) == chunked(kept)
