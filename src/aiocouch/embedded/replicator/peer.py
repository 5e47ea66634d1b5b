"""One database at an end of a replication, over HTTP: CouchDB's replication protocol.

Local databases are reached the same way, through this server's own port.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from aiocouch.embedded.codec import decode_any, encode, encode_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from aiocouch.embedded.replicator.specification import Endpoint

_PAUSES = (0.25, 0.5, 1.0)
"""Seconds before each further attempt."""

HEARTBEAT = 10.0
"""Seconds between signs of life that a waiting changes feed is asked for."""

_TRANSIENT = frozenset({429, 500, 502, 503, 504})
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}
_SILENCE = 60.0


class ReplicationError(Exception):
    """A replication cannot go on; `error` and `reason` are what CouchDB would say."""

    def __init__(self, error: str, reason: str, status: int = 500) -> None:
        super().__init__(f"{error}: {reason}")
        self.error = error
        self.reason = reason
        self.status = status


class RefusedError(Exception):
    """An answer that is not worth another attempt."""

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(status, error, reason)
        self.status = status
        self.error = error
        self.reason = reason


class FetchedRevision(msgspec.Struct):
    """A document of a `_bulk_get` answer: its text, and what has to be known of it."""

    text: bytes
    rev: str
    has_attachments: bool


class Fetched(NamedTuple):
    """What `_bulk_get` gave: revisions by document id, and how many it could not give."""

    found: dict[str, list[FetchedRevision]]
    failures: int


class _Glance(msgspec.Struct):
    rev: str = msgspec.field(name="_rev", default="")
    attachments: msgspec.Raw = msgspec.field(name="_attachments", default=msgspec.Raw(b"{}"))


class _BulkItem(msgspec.Struct):
    ok: msgspec.Raw = msgspec.Raw(b"")


class _BulkResult(msgspec.Struct):
    id: str
    docs: list[_BulkItem] = []


class _BulkAnswer(msgspec.Struct):
    results: list[_BulkResult] = []


_glance = msgspec.json.Decoder(_Glance).decode
_bulk_answer = msgspec.json.Decoder(_BulkAnswer).decode


def glance(text: bytes) -> FetchedRevision:
    """Look at a document's text without decoding all of it."""
    try:
        seen = _glance(text)
    except RecursionError:
        value = decode_any(text)
        return FetchedRevision(text, value.get("_rev", ""), bool(value.get("_attachments")))
    return FetchedRevision(text, seen.rev, bytes(seen.attachments) != b"{}")


def _bulk_texts(answer: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the ids and texts of documents that `_bulk_get` answers, b"" for what is missing."""
    try:
        for result in _bulk_answer(answer).results:
            yield from ((result.id, bytes(item.ok)) for item in result.docs)
    except RecursionError:
        for deep in decode_any(answer)["results"]:
            docs = (encode(item["ok"]) if "ok" in item else b"" for item in deep["docs"])
            yield from ((deep["id"], text) for text in docs)


class Peer:
    """Requests to one database. `headers` are added to those of the endpoint."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = endpoint.url
        self._proxy = endpoint.proxy
        self._session = session
        self._headers = {**endpoint.headers, **(headers or {})}
        if endpoint.credentials is not None:
            text = ":".join(endpoint.credentials).encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(text).decode()}"

    def __repr__(self) -> str:
        return f"<Peer {self.url}>"

    # the database

    async def info(self) -> dict[str, Any]:
        """Give `GET /db`; raises ReplicationError when it cannot be opened."""
        try:
            return dict(await self._json("GET", ""))
        except RefusedError as error:
            raise self._cannot_open(error) from error

    def _cannot_open(self, error: RefusedError) -> ReplicationError:
        if error.status == 403:
            return ReplicationError("forbidden", self.url, 403)
        if error.status == 401:
            reason = f"unauthorized to access or create database {self.url}"
            return ReplicationError("unauthorized", reason, 401)
        if error.status == 404:
            return ReplicationError("db_not_found", f"could not open {self.url}")
        return ReplicationError(error.error, error.reason)

    async def create(self, options: Mapping[str, Any]) -> None:
        """Make the database unless it exists."""
        query = {name: encode(value).decode() for name, value in options.items()}
        try:
            await self._json("PUT", "", query=query)
        except RefusedError as error:
            if error.status != 412:
                raise self._cannot_open(error) from error

    async def commit(self) -> None:
        """Ask that what was written be on disk (`_ensure_full_commit`)."""
        try:
            await self._json("POST", "_ensure_full_commit", body=b"{}")
        except RefusedError as error:
            if error.status not in {401, 403, 404, 405}:
                raise

    # documents that are not replicated

    async def local(self, name: str) -> dict[str, Any]:
        """Give `_local/name`, {} when there is none."""
        try:
            return dict(await self._json("GET", f"_local/{quote(name, safe='')}"))
        except RefusedError as error:
            if error.status == 404:
                return {}
            raise self._cannot_open(error) from error

    async def save_local(self, name: str, document: Mapping[str, Any]) -> str:
        """Write `_local/name` and give its revision."""
        path = f"_local/{quote(name, safe='')}"
        answer = await self._json("PUT", path, body=encode(document))
        return str(answer.get("rev", ""))

    async def document(self, doc_id: str) -> dict[str, Any]:
        """Give a document; RefusedError when there is none."""
        return dict(await self._json("GET", quote_id(doc_id)))

    # changes and revisions

    async def changes(
        self, query: Mapping[str, str], body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Give one answer of `_changes` (normal or longpoll)."""
        method, data = ("GET", None) if body is None else ("POST", encode(body))
        return dict(await self._json(method, "_changes", query=query, body=data))

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        """Ask which revisions are missing."""
        return dict(await self._json("POST", "_revs_diff", body=encode_text(revs)))

    async def bulk_get(self, wanted: Mapping[str, Sequence[str]]) -> Fetched:
        """Fetch revisions with their histories, attachments as stubs."""
        docs = [{"id": doc_id, "rev": rev} for doc_id, revs in wanted.items() for rev in revs]
        query = {"revs": "true", "latest": "true"}
        raw = await self._request(
            "POST", "_bulk_get", query=query, body=encode_text({"docs": docs})
        )
        found: dict[str, dict[str, FetchedRevision]] = {}
        failures = 0
        for doc_id, text in _bulk_texts(raw):
            if not text:
                failures += 1
                continue
            # Two revisions asked for may have the same latest one.
            seen = glance(text)
            found.setdefault(doc_id, {})[seen.rev] = seen
        return Fetched({doc_id: [*revs.values()] for doc_id, revs in found.items()}, failures)

    async def bulk_docs(self, documents: Sequence[bytes]) -> list[dict[str, Any]]:
        """Write documents with the revisions they bring; give the errors."""
        body = b'{"new_edits":false,"docs":[%b]}' % b",".join(documents)
        answer = await self._json("POST", "_bulk_docs", body=body)
        return [item for item in answer if "error" in item]

    def open_revs(
        self, doc_id: str, revs: Sequence[str], since: Sequence[str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open the revisions of a document with their attachments, as `multipart/mixed`."""
        query = {
            "open_revs": encode(revs).decode(),
            "revs": "true",
            "latest": "true",
            "attachments": "true",
        }
        if since:
            query["atts_since"] = encode(since).decode()
        headers = self._headers | {"Accept": "multipart/mixed, application/json"}
        address = self._address(quote_id(doc_id), query)
        return self._session.get(address, headers=headers, proxy=self._proxy)

    async def put(
        self,
        doc_id: str,
        body: AsyncIterator[bytes] | bytes,
        headers: Mapping[str, str] = _JSON,
    ) -> None:
        """Write one document with the revision it brings. Not repeated: the body is gone then."""
        address = self._address(quote_id(doc_id), {"new_edits": "false"})
        sent = {**self._headers, **headers}
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        async with self._session.put(
            address, data=data, headers=sent, proxy=self._proxy
        ) as response:
            await _checked(response)

    # requests

    def _address(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        text = f"{self.url}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        return URL(text, encoded=True)

    async def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Any:
        return decode_any(await self._request(method, path, query=query, body=body))

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Send a request that may be repeated, and do so while that makes sense."""
        address = self._address(path, query)
        for pause in _PAUSES:
            try:
                return await self._once(method, address, body)
            except RefusedError as error:
                if error.status not in _TRANSIENT:
                    raise
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(pause)
        try:
            return await self._once(method, address, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(method, error) from error

    async def _once(self, method: str, address: URL, body: bytes | None) -> bytes:
        headers = {**_JSON, **self._headers}
        # A file, because aiohttp thinks that many bytes at once are a mistake.
        data = None if body is None else io.BytesIO(body)
        async with self._session.request(
            method, address, data=data, headers=headers, proxy=self._proxy
        ) as response:
            return await _checked(response)

    def _unreachable(self, method: str, error: Exception) -> ReplicationError:
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return ReplicationError("nxdomain", f"could not resolve {self.url}")
        what = f'{{http_request_failed,"{method}","{self.url}",{{error,{type(error).__name__}}}}}'
        return ReplicationError("error", what)


async def _checked(response: aiohttp.ClientResponse) -> bytes:
    body = await response.read()
    if response.status >= 400:
        error, reason = _told(body)
        raise RefusedError(response.status, error, reason)
    return body


def _told(body: bytes) -> tuple[str, str]:
    try:
        value = json.loads(body)
        return str(value.get("error", "")), str(value.get("reason", ""))
    except (ValueError, AttributeError):
        return "error", "the answer is not that of a CouchDB"


def new_session() -> aiohttp.ClientSession:
    """Open the connections that all replications of a server share."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=_SILENCE)
    return aiohttp.ClientSession(
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=True,
        max_line_size=64 * 1024,
        max_field_size=64 * 1024,
    )


def quote_id(doc_id: str) -> str:
    """Quote a document id for a path; design documents keep their slash."""
    if doc_id.startswith("_design/"):
        return f"_design/{quote_id(doc_id.removeprefix('_design/'))}"
    if doc_id in {".", ".."}:
        return doc_id.replace(".", "%2E")
    return quote(doc_id, safe="")
