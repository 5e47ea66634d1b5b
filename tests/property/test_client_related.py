"""A document and its attachments in one body, out and in, whatever they are and in whatever pieces."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from aiocouch import CouchDB, Database, Document, HTTPResponse
from aiocouch._transport.request import Request
from aiocouch.remote import Stream
from tests.multipart_bodies import multipart_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: not name.startswith("_")
)
# Long ones are a short pattern repeated: what matters is where the pieces end.
CONTENTS = st.binary(max_size=300) | st.builds(
    lambda pattern, times: pattern * times, st.binary(min_size=1, max_size=5), st.integers(1, 9000)
)
TYPES = st.sampled_from(
    ["text/plain", "image/png", "application/x; a=b", "text/plain; charset=utf-8"]
)
ATTACHMENTS = st.dictionaries(NAMES, st.tuples(CONTENTS, TYPES), min_size=1, max_size=4)
SIZES = st.lists(st.integers(1, 4000), min_size=1, max_size=5)
KINDS = st.lists(st.sampled_from(["bytes", "bytearray", "file", "pieces"]), min_size=4, max_size=4)


def pieces_of(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The data in pieces of these sizes, again and again."""
    at = turn = 0
    while at < len(data):
        yield data[at : at + sizes[turn % len(sizes)]]
        at += sizes[turn % len(sizes)]
        turn += 1


async def slowly(data: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    for piece in pieces_of(data, sizes):
        yield piece


def as_kind(kind: str, data: bytes, sizes: list[int]) -> Any:
    """The data as one of the things that an attachment is saved from."""
    if kind == "pieces":
        return slowly(data, sizes)
    return {"bytes": bytes, "bytearray": bytearray, "file": io.BytesIO}[kind](data)


class Head:
    """The head of an answer."""

    def __init__(self, status: int, kind: str) -> None:
        self.status = status
        self.headers = CIMultiDict({"Content-Type": kind})


class Body:
    """The body of an answer, in pieces of any size."""

    def __init__(self, head: Head, text: bytes, sizes: list[int]) -> None:
        self.response = head
        self.pieces = pieces_of(text, sizes)

    async def chunk(self) -> bytes:
        return next(self.pieces, b"")

    async def close(self) -> None:
        self.pieces = iter(())


class Server:
    """Keeps one document, as CouchDB would: the revision and stubs with digests."""

    boundary: ClassVar[str] = "a boundary that is no content"

    def __init__(self, sizes: list[int], zipped: bool) -> None:
        self.sizes = sizes
        self.zipped = zipped
        self.members: dict[str, Any] = {}
        self.stored: dict[str, bytes] = {}
        couchdb = CouchDB("http://nowhere", retry=None)
        self.database = Database(couchdb, "db")
        remote: Any = couchdb.remote
        remote.request, remote.stream = self.request, self.stream

    async def request(self, method: str, path: str, **sent: Any) -> HTTPResponse:
        if method == "PUT":
            data = b"".join([piece async for piece in sent["body"]])
            assert str(len(data)) == sent["headers"]["Content-Length"]
            self.keep(data, sent["headers"]["Content-Type"])
            text = b'{"ok":true,"id":"x","rev":"1-a"}'
        else:
            text = json.dumps(self.members).encode()
        return HTTPResponse(Head(200, "application/json"), text, method, path)

    def keep(self, data: bytes, kind: str) -> None:
        """Take a body apart, by hand."""
        boundary = kind.split('boundary="')[1].rstrip('"').encode()
        _, first, *rest, end = (b"\r\n" + data).split(b"\r\n--" + boundary)
        assert end.strip() == b"--"
        parts = [part.partition(b"\r\n\r\n")[2] for part in (first, *rest)]
        self.members = {**json.loads(parts[0]), "_rev": "1-a"}
        stubs = self.members["_attachments"]
        assert [stub.pop("follows") for stub in stubs.values()] == [True] * len(rest)
        for (name, stub), content in zip(stubs.items(), parts[1:], strict=True):
            assert stub["length"] == len(content)
            self.stored[name] = content
            stub.update(revpos=1, stub=True, digest=digest(self.kept(stub, content)))

    def kept(self, stub: dict[str, Any], content: bytes) -> bytes:
        """What is stored: CouchDB compresses text."""
        is_zipped = self.zipped and stub["content_type"].startswith("text/")
        return gzip.compress(content, mtime=0) if is_zipped else content

    def stream(self, method: str, path: str, **_: Any) -> Stream:
        stubs, parts = {}, []
        for name, stub in self.members["_attachments"].items():
            kept = self.kept(stub, self.stored[name])
            stubs[name] = {**stub, "follows": True}
            del stubs[name]["stub"]
            if kept != self.stored[name]:
                stubs[name].update(encoding="gzip", encoded_length=len(kept))
            parts.append(([("Content-Length", str(len(kept)))], kept))
        text = json.dumps({**self.members, "_attachments": stubs}, ensure_ascii=False).encode()
        body = multipart_body(
            self.boundary, [([("Content-Type", "application/json")], text), *parts]
        )
        head = Head(200, f'multipart/related; boundary="{self.boundary}"')

        async def begin(_: Request) -> Any:
            return Body(head, body, self.sizes)

        return Stream(begin, Request(method, path))


def digest(data: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(data).digest()).decode()


async def read(document: Document, every: int) -> dict[str, tuple[str | None, bytes]]:
    """Read each `every`-th attachment, and pass over the others."""
    found = {}
    at = 0
    async for attachment, content in document.fetch_with_attachments():
        if at % every == 0:
            data = b"".join([piece async for piece in content])
            found[attachment.id] = attachment.content_type, data
        at += 1
    return found


@given(ATTACHMENTS, KINDS, SIZES, SIZES, st.booleans())
def test_what_is_saved_is_what_is_fetched(
    attachments: dict[str, tuple[bytes, str]],
    kinds: list[str],
    out: list[int],
    back: list[int],
    zipped: bool,
) -> None:
    async def there_and_back() -> None:
        server = Server(back, zipped)
        document = Document(server.database, "x", {"n": 2**70})
        given = {
            name: (as_kind(kind, data, out), content_type)
            for kind, (name, (data, content_type)) in zip(kinds, attachments.items(), strict=False)
        }
        await document.save_with(given)
        assert server.stored == {name: data for name, (data, _) in attachments.items()}
        assert (document.rev, document.is_dirty()) == ("1-a", False)
        other = Document(server.database, "x")
        expected = {name: (kind, data) for name, (data, kind) in attachments.items()}
        assert await read(other, 1) == expected
        assert other["n"] == 2**70
        assert set(other["_attachments"]) == set(attachments)
        assert not other.is_dirty()

    asyncio.run(there_and_back())


@given(ATTACHMENTS, SIZES, st.integers(1, 3))
def test_what_is_not_read_is_passed_over(
    attachments: dict[str, tuple[bytes, str]], back: list[int], every: int
) -> None:
    async def there_and_back() -> None:
        server = Server(back, zipped=True)
        await Document(server.database, "x").save_with(attachments)
        found = await read(Document(server.database, "x"), every)
        assert found == {
            name: (kind, data) for name, (data, kind) in list(attachments.items())[::every]
        }

    asyncio.run(there_and_back())
