"""Single reads that are waiting at the same time, as one request."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

import msgspec

from aiocouch._hints import complete
from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import DECODE_ERRORS, encode
from aiocouch._wire.ids import quote_document_id
from aiocouch.exception import (
    CouchDBError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    SessionClosedError,
    TransportError,
    response_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aiocouch.remote import Remote

__all__ = ["Batch"]


class _Row(msgspec.Struct):
    key: str
    error: str | None = None
    doc: msgspec.Raw = msgspec.Raw(b"null")


class _Answer(msgspec.Struct):
    rows: list[_Row]


_ANSWER = msgspec.json.Decoder(_Answer)
_Waiting = dict[str, list["asyncio.Future[bytes]"]]


class Batch:
    """Collects the reads of documents by id, and sends them as one `POST /{db}/_all_docs`.

    A batch goes out as soon as it has `size` ids, or `delay` seconds after its first; with 0 that is
    in the next turn of the event loop. Each waiter gets its own document or its own error.
    """

    def __init__(self, remote: Remote, endpoint: str, size: int, delay: float) -> None:
        if not isinstance(size, int) or not isinstance(delay, int | float):
            raise InvalidTypeError(
                f"size must be an int and delay seconds, not {size!r} and {delay!r}"
            )
        if size < 1 or delay < 0:
            raise InvalidInputError(f"a batch of size={size} and delay={delay} cannot be sent")
        self._remote = remote
        self._endpoint = endpoint
        self._size = size
        self._delay = delay
        self._waiting: _Waiting = {}
        self._timer: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, id: str) -> bytes:
        """Return the JSON of the document. Errors are those of `GET /{db}/{docid}`."""
        if id.startswith("_local/"):  # no view has them
            return await self._read_alone(id)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # one that is gone will never send what waited in it
            self._loop, self._waiting, self._timer = loop, {}, None
        future: asyncio.Future[bytes] = loop.create_future()
        self._waiting.setdefault(id, []).append(future)
        if len(self._waiting) >= self._size:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(self._delay, self._send)
        return await future

    async def _read_alone(self, id: str) -> bytes:
        response = await self._remote.request("GET", self._path(id))
        return response.body

    def _path(self, id: str) -> str:
        return f"{self._endpoint}/{quote_document_id(id)}"

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        task = asyncio.get_running_loop().create_task(self._serve(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, waiting: _Waiting) -> None:
        try:
            await self._hand_out_all(waiting)
        finally:  # whatever happened: nobody waits for what does not come any more
            for future in _open(waiting.values()):
                future.cancel()

    async def _hand_out_all(self, waiting: _Waiting) -> None:
        """Read all, and hand them out. What cannot be read together is read one by one."""
        try:
            rows = await self._read_together(list(waiting))
        except (TransportError, SessionClosedError) as error:
            # One by one they would wait as long once more.
            _fail(waiting.values(), error)
            return
        except (CouchDBError, *DECODE_ERRORS):
            rows = {}
        for id, row in rows.items():
            for future in waiting.get(id, ()):
                self._hand_out(row, future)
        missed = {id: futures for id, futures in waiting.items() if id not in rows}
        await asyncio.gather(*(self._serve_alone(*each) for each in missed.items()))

    async def _read_together(self, ids: list[str]) -> dict[str, _Row]:
        path = f"{self._endpoint}/_all_docs?include_docs=true"
        body = encode({"keys": ids})
        response = await self._remote.request("POST", path, body=body, repeat=Repeat.FREELY)
        return {row.key: row for row in _ANSWER.decode(response.body).rows}

    def _hand_out(self, row: _Row, future: asyncio.Future[bytes]) -> None:
        text = bytes(row.doc)
        if future.done():
            return
        if text != b"null":
            future.set_result(text)
            return
        reason = "missing" if row.error else "deleted"
        facts = Facts("GET", self._path(row.key), 404, row.error or "not_found", reason)
        future.set_exception(response_error(facts))

    async def _serve_alone(self, id: str, futures: list[asyncio.Future[bytes]]) -> None:
        try:
            text = await self._read_alone(id)
        except CouchDBError as error:
            _fail([futures], error)
        else:
            for future in _open([futures]):
                future.set_result(text)


def _open(waiting: Iterable[list[asyncio.Future[bytes]]]) -> Iterator[asyncio.Future[bytes]]:
    """Return those who still wait."""
    return (future for futures in waiting for future in futures if not future.done())


def _fail(waiting: Iterable[list[asyncio.Future[bytes]]], error: CouchDBError) -> None:
    """Fail each of those who wait with an error of its own."""
    for future in _open(waiting):
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        future.set_exception(own)


complete("aiocouch")
