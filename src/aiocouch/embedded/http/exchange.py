"""One request and the ways to answer it."""

from __future__ import annotations

import gzip
import re
import zlib
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from multidict import CIMultiDict, CIMultiDictProxy

from aiocouch.embedded.codec import decode, decode_sent, encode
from aiocouch.embedded.errors import CouchError, bad_content_type, bad_request
from aiocouch.embedded.http.message import Answer, Padded
from aiocouch.embedded.http.query import Query, unquote_segment
from aiocouch.embedded.identity import ANONYMOUS, User
from aiocouch.embedded.store.records import Entry, Revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiocouch.embedded.http.message import Incoming, Outgoing
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.state import Server
    from aiocouch.embedded.store.database import Database

R = TypeVar("R", Entry, Revision)

SERVER_NAME = "CouchDB/3.5.2 (aiocouch)"
_MINIMAL = (
    "Cache-Control, Content-Length, Content-Range, Content-Type, ETag, Server, "
    "Transfer-Encoding, Vary"
)
_CALLBACK = re.compile(r"[A-Za-z0-9._\[\]]+")
_REQUEST_ID = re.compile(r"[0-9A-Za-z_-]{1,36}")
# Ids are no secrets, and take no call of the system; a program may have seeded that of all.
_RANDOM = Random()  # noqa: S311


def _forwarding(config: Configuration) -> dict[str, str]:
    """Return the headers of a proxy by what they tell."""
    kinds = ("host", "proto", "ssl")
    return {
        kind: config.text("chttpd", f"x_forwarded_{kind}", f"X-Forwarded-{kind.capitalize()}")
        for kind in kinds
    }


class Exchange:
    """What a handler sees of one request, and how it answers.

    `segments` are the decoded parts of the path, `raw_segments` the same as sent. `database`, which
    the path names, is open where there is one, as in all handlers of database routes (`has_database`).
    `added_headers` go into the answer, whatever it will be.
    """

    __slots__ = (
        "_body",
        "_refused_callback",
        "_sent",
        "added_headers",
        "database",
        "has_database",
        "headers",
        "method",
        "query",
        "raw_path",
        "raw_segments",
        "request",
        "request_id",
        "response",
        "segments",
        "server",
        "set_cookie",
        "user",
    )

    database: Database

    def __init__(self, request: Incoming, server: Server) -> None:
        self.request = request
        self.server = server
        self.raw_path = _origin_form(request.raw_path)
        path, _, query = self.raw_path.partition("?")
        self.method = request.method
        self.headers = joined_headers(request.headers)
        self.raw_segments = [part for part in path.split("/") if part]
        self.segments = self._unquoted(path)
        self.query = Query(query)
        self.user: User = ANONYMOUS
        self.set_cookie: str | None = None
        self.request_id = _request_id(request.headers.get("X-Couch-Request-ID"))
        self.added_headers: dict[str, str] = {}
        self.response: Outgoing | None = None
        self._refused_callback = False
        self.has_database = False
        self._body: bytes | None = None
        self._sent: bytes | None = None

    def _unquoted(self, path: str) -> list[str]:
        if "%" not in path and "+" not in path:
            return self.raw_segments.copy()
        spaced = self.server.config.flag("chttpd", "decode_plus_to_space", default=True)
        return [unquote_segment(part, plus_is_space=spaced) for part in self.raw_segments]

    # the database

    def attach(self, database: Database) -> None:
        """Set the database; the dispatcher does it before a database route runs."""
        self.database = database
        self.has_database = True
        database.visitors += 1

    def leave(self) -> None:
        """Say that the request is done with its database."""
        if self.has_database:
            self.database.visitors -= 1

    @property
    def peer(self) -> str:
        """The address of the client, without its port."""
        return self.request.peer

    def shown(self, record: R) -> R:
        """Return what the user may see of a document; where he may not, raise 404 or 403.

        Only the system databases hide anything.
        """
        after_read = self.server.hooks.of(self.server.hooks.after_read, self.database.name)
        if after_read is None:
            return record
        body = after_read(self.database, self.user, record.id, decode(record.body))
        return record._replace(body=encode(body))

    def redirected(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """Return this request with another method and URL (path and query), from the same user.

        `body` and `headers` are given where they change; other headers stay.
        """
        other = Exchange(self.request, self.server)
        path, _, query = url.partition("?")
        other.method = method
        other.raw_path = url
        other.raw_segments = [part for part in path.split("/") if part]
        other.segments = other._unquoted(path)
        other.query = Query(query)
        other.user = self.user
        other.set_cookie = self.set_cookie
        other.request_id = self.request_id
        other.added_headers = self.added_headers
        other._body = self._body if body is None else None
        other._sent = self._sent if body is None else body
        if headers:
            other.headers = CIMultiDict(self.headers)
            other.headers.update(headers)
        return other

    # reading

    def stream(self) -> AsyncIterator[bytes]:
        """Return the body in pieces as they come, as sent (not decompressed)."""
        if self._sent is not None:
            # somebody has read it: the function that sent the request on to here
            return _at_once(self._sent)
        return self.request.pieces()

    @property
    def size(self) -> int:
        """The number of bytes of the body: what was read of it, or what the client says."""
        read = self._sent if self._body is None else self._body
        return (self.request.length or 0) if read is None else len(read)

    @property
    def written(self) -> int:
        """The status of a write: 202 where more copies are asked for than one node has."""
        wanted = self.query.text("w", "1") or ""
        return 202 if wanted.isdecimal() and int(wanted) > 1 else 201

    async def body(self) -> bytes:
        """Read the whole body, decompressed where the client says `Content-Encoding: gzip`.

        More than `[chttpd] max_http_request_size` bytes raise 413.
        """
        if self._body is None:
            self._body = self._decompressed(await self.sent())
        return self._body

    async def sent(self) -> bytes:
        """Read the whole body as it was sent; the limit is that of `body`."""
        if self._sent is None:
            self._sent = await self._read()
        return self._sent

    async def _read(self) -> bytes:
        limit = self._request_limit()
        length = self.request.length
        if length is not None and length > limit:
            raise CouchError(413, "too_large", "the request entity is too large")
        if self.request.whole is not None:
            return self.request.whole
        pieces, size = [], 0
        async for piece in self.request.pieces():
            size += len(piece)
            if size > limit:
                raise CouchError(413, "too_large", "the request entity is too large")
            pieces.append(piece)
        return b"".join(pieces)

    def _request_limit(self) -> float:
        limit = self.server.config.limit("chttpd", "max_http_request_size", 4294967296)
        return float("inf") if limit is None else limit

    def _decompressed(self, body: bytes) -> bytes:
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding == "identity":
            return body
        if encoding != "gzip":
            raise bad_content_type(f"{encoding} is not a supported content encoding.")
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error):
            raise bad_request("Request body is not properly gzipped.") from None

    @property
    def announces_body(self) -> bool:
        """Whether the request has a body, be it an empty one."""
        if self._sent:
            return True
        return "Content-Length" in self.headers or "Transfer-Encoding" in self.headers

    async def json(self) -> Any:
        """Read the body as JSON of any type; an empty or bad one raises 400."""
        body = await self.body()
        if not body and not self.announces_body:
            raise bad_request("Missing request body")
        return decode_sent(body)

    async def json_object(self) -> dict[str, Any]:
        """Read the body as a JSON object; anything else raises 400."""
        value = await self.json()
        if not isinstance(value, dict):
            raise bad_request("Request body must be a JSON object")
        return value

    def require_json_type(self) -> None:
        """Raise 415 unless the request says `Content-Type: application/json`."""
        if self.content_type != "application/json":
            raise bad_content_type()

    @property
    def content_type(self) -> str:
        """The media type of the body as sent, without parameters; "" where none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()

    # answering

    def url(self, *quoted: str) -> str:
        """Return an absolute URL on this server; the segments are quoted already."""
        headers, names = self.headers, self.server.config.derived(_forwarding)
        host = self.host or self.server.address
        is_secure = headers.get(names["ssl"]) == "on" or headers.get(names["proto"]) == "https"
        return f"{'https' if is_secure else 'http'}://{host}/{'/'.join(quoted)}"

    @property
    def path(self) -> str:
        """The path as sent, without its query."""
        return self.raw_path.partition("?")[0]

    @property
    def host(self) -> str:
        """The host that the client asked, with its port where it told one; "" where none."""
        forwarded = self.headers.get(self.server.config.derived(_forwarding)["host"])
        return forwarded or self.headers.get("Host") or ""

    def answer(
        self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Answer with a value as JSON."""
        return self.answer_json(encode(value), status, headers)

    def answer_json(
        self, text: bytes, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Answer with JSON text that is encoded already."""
        if "callback" in self.query:
            return self._answer_padded(text, status, headers)
        return self.answer_bytes(text + b"\n", "application/json", status, headers)

    def _answer_padded(self, text: bytes, status: int, headers: Mapping[str, str] | None) -> Answer:
        opening, closing, content_type = self._padding()
        return self.answer_bytes(
            b"%b%b%b\n" % (opening, text, closing), content_type, status, headers
        )

    def _padding(self) -> tuple[bytes, bytes, str]:
        """Return what stands around JSON that is called as a script (JSONP), and its type.

        A bad name raises 400, once: the answer that tells so is plain.
        """
        name = self.query.text("callback") or ""
        if not name or self._refused_callback or not self._allows_jsonp():
            return b"", b"", "application/json"
        if not _CALLBACK.fullmatch(name):
            self._refused_callback = True
            raise bad_request("invalid_callback")
        return b"/* CouchDB */%b(" % name.encode(), b");", "application/javascript"

    def _allows_jsonp(self) -> bool:
        return self.server.config.flag("chttpd", "allow_jsonp", default=False)

    def answer_bytes(
        self,
        body: bytes,
        content_type: str | None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Answer with bytes of any type."""
        sent = self._headers(content_type, headers)
        return Answer(status, sent, body)

    def not_modified(self, etag: str) -> Answer:
        """Answer 304; `etag` with its quotes."""
        return Answer(304, self._headers(None, {"ETag": etag, "Content-Length": "0"}))

    async def answer_stream(
        self,
        pieces: AsyncIterator[bytes],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Outgoing:
        """Answer in pieces as they come, chunked; HEAD gets the headers only."""
        if "callback" in self.query and content_type == "application/json":
            pieces, content_type = self._padded(pieces)
        response = await self.begin(status, headers, content_type)
        if self.method != "HEAD":
            async for piece in pieces:
                await response.write(piece)
        await response.write_eof()
        return response

    def _padded(self, pieces: AsyncIterator[bytes]) -> tuple[AsyncIterator[bytes], str]:
        opening, closing, content_type = self._padding()

        async def padded() -> AsyncIterator[bytes]:
            held = opening
            async for piece in pieces:
                yield held
                held = piece
            yield b"%b%b\n" % (held.removesuffix(b"\n"), closing)

        return padded(), content_type

    async def begin(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = "application/json",
    ) -> Outgoing:
        """Send the headers of an answer whose body the handler writes itself.

        The handler ends with `await response.write_eof()` and returns the response.
        """
        opening = closing = b""
        if "callback" in self.query and content_type == "application/json":
            opening, closing, content_type = self._padding()
        sent = self._headers(content_type, headers)
        response = self.response = await self.request.begin(status, sent)
        if opening and self.method != "HEAD":
            padded = self.response = Padded(response, opening, closing)
            await padded.open()
            return padded
        return response

    def _headers(
        self, content_type: str | None, headers: Mapping[str, str] | None
    ) -> dict[str, str]:
        sent = self.default_headers()
        if content_type is None or content_type.startswith("multipart/"):
            del sent["Cache-Control"]
        if content_type is not None:
            sent["Content-Type"] = content_type
        if headers:
            sent.update(headers)
        return self._fewest(sent) if "Prefer" in self.headers else sent

    def _fewest(self, headers: dict[str, str]) -> dict[str, str]:
        if self.headers["Prefer"] != "return=minimal":
            return headers
        kept = self.server.config.text("chttpd", "prefer_minimal", _MINIMAL).lower()
        names = {name.strip() for name in kept.split(",")}
        return {name: value for name, value in headers.items() if name.lower() in names}

    def default_headers(self) -> dict[str, str]:
        """Return the headers that every answer has."""
        headers = {
            "Cache-Control": "must-revalidate",
            "Server": self._server_name(),
            "X-Couch-Request-ID": self.request_id,
            "X-CouchDB-Body-Time": "0",
            **self.added_headers,
        }
        if self.set_cookie is not None:
            headers["Set-Cookie"] = self.set_cookie
        return headers

    def _server_name(self) -> str:
        told = self.server.config.flag("chttpd", "server_header_versions", default=True)
        return SERVER_NAME if told else "CouchDB"

    def has_etag(self, etag: str) -> bool:
        """Return whether the client holds this version; `etag` with its quotes. `*` does not count."""
        sent = self.headers.get("If-None-Match")
        if sent is None:
            return False
        tags = sent.replace(",", " ").split()
        return etag in [tag.removeprefix("W/") for tag in tags]


def joined_headers(
    headers: CIMultiDict[str] | CIMultiDictProxy[str],
) -> CIMultiDict[str] | CIMultiDictProxy[str]:
    """Return headers of which each comes once: CouchDB joins the values of one that is repeated."""
    # multidict 7 gives each name once as a key
    names = tuple([name for name, _ in headers.items()])
    if not _repeats_any(names):
        return headers
    joined: CIMultiDict[str] = CIMultiDict()
    for name in names:
        if name not in joined:
            joined[name] = ", ".join(headers.getall(name))
    return joined


@lru_cache(maxsize=256)
def _repeats_any(names: tuple[str, ...]) -> bool:
    # a client sends the same names again and again
    return len({name.lower() for name in names}) < len(names)


async def _at_once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _origin_form(target: str) -> str:
    """Return path and query of a target; it may be a whole URL, as proxies get, or have a fragment."""
    _, absolute, rest = target.partition("://") if target[:1] != "/" else ("", "", "")
    return ("/" + rest.partition("/")[2] if absolute else target).partition("#")[0]


def _request_id(sent: str | None) -> str:
    # A client may name its request, so that it finds it again in logs.
    if sent is not None and _REQUEST_ID.fullmatch(sent):
        return sent
    return f"{_RANDOM.getrandbits(40):010x}"
