"""The calls that the rest of the server makes into JavaScript."""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.erlang_text import printed
from aiocouch.embedded.errors import CouchError, conflict, internal, not_found
from aiocouch.embedded.javascript.pool import Limits, Unit, WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiocouch.embedded.javascript.protocol import Mapped, Reply
    from aiocouch.embedded.javascript.protocol import Mapping as Batch

_LOG = logging.getLogger("aiocouch.embedded.javascript")
# name: (status, the name that the client sees)
_KNOWN = {
    "bad_ctype": (415, "bad_content_type"),
    "bad_request": (400, "bad_request"),
    "doc_validation": (400, "doc_validation"),
    "expectation_failed": (417, "expectation_failed"),
    "filter_fetch_error": (404, "not_found"),
    "forbidden": (403, "forbidden"),
    "gone": (410, "gone"),
    "illegal_docid": (400, "illegal_docid"),
    "illegal_partition": (400, "illegal_partition"),
    "insufficient_storage": (507, "insufficient_storage"),
    "method_not_allowed": (405, "method_not_allowed"),
    "missing_stub": (412, "missing_stub"),
    "not_acceptable": (406, "not_acceptable"),
    "not_found": (404, "not_found"),
    "query_parse_error": (400, "query_parse_error"),
    "service_unavailable": (503, "service unavailable"),
    "unauthorized": (401, "unauthorized"),
}
_REFUSALS = ("forbidden", "unauthorized")


class _Answer(msgspec.Struct):
    ok: msgspec.Raw = msgspec.Raw(b"")
    fatal: bool = False
    error: str = ""
    reason: Any = ""
    log: list[str] = []


class _Refusal(msgspec.Struct):
    """What a validate function threw: an error, or what it says of a document."""

    error: str = ""
    reason: Any = None
    thrown: Any = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_refusals = msgspec.json.Decoder(list[_Refusal | None]).decode
_decode_flags = msgspec.json.Decoder(list[bool]).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class QueryServer:
    """Runs functions of design documents in worker processes.

    A function that throws, loops or eats memory raises CouchError here and harms nothing else.
    Documents and results are JSON text (bytes), never decoded on the way.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._pool = WorkerPool(limits)

    async def check(self, sources: Sequence[str]) -> None:
        """Compile functions; the first bad one raises compilation_error or not_found."""
        name = f"check:{hashlib.sha256(encode(list(sources))).hexdigest()}"
        unit = Unit(name, "check", encode(list(sources)).decode())
        await self._call(unit, "check", b"[]")

    async def map(self, unit: Unit, documents: Sequence[bytes], batch: Batch) -> Mapped:
        """Map documents (JSON texts); `batch.ids` are their ids.

        The answer may be for the first `done` of them only; it is for one at least.
        """
        text = b"[%b]" % b",".join(documents)
        reply = await self._pool.call(unit, "map", text.decode(), batch)
        if reply.mapped is None:
            _open(reply)
            raise CouchError(500, "os_process_error", "no rows")
        return reply.mapped

    async def reduce(self, unit: Unit, view: int, calls: Iterable[bytes]) -> list[msgspec.Raw]:
        """Call the reduce function of a view with `[keys, values, rereduce]` for each call."""
        text = b'{"view":%d,"calls":[%b]}' % (view, b",".join(calls))
        return _decode_raws(await self._call(unit, "reduce", text))

    async def validate(self, design: Unit, edits: Iterable[bytes]) -> list[CouchError | None]:
        """Ask `validate_doc_update` about `[new, old, userCtx, security]` for each edit."""
        text = b"[%b]" % b",".join(edits)
        answers = _decode_refusals(await self._call(design, "validate", text))
        return [None if each is None else _verdict(each) for each in answers]

    async def filter(
        self, design: Unit, name: str, documents: Iterable[bytes], request: bytes
    ) -> list[bool]:
        """Ask the filter function `filters.<name>` which documents pass."""
        text = b'{"name":%b,"req":%b,"docs":[%b]}' % (encode(name), request, b",".join(documents))
        return _decode_flags(await self._call(design, "filter", text))

    async def filter_view(self, design: Unit, name: str, documents: Iterable[bytes]) -> list[bool]:
        """Ask for which documents the map function of a view emits anything."""
        text = b'{"name":%b,"docs":[%b]}' % (encode(name), b",".join(documents))
        return _decode_flags(await self._call(design, "filter_view", text))

    async def render(self, design: Unit, door: str, members: Mapping[str, bytes]) -> Any:
        """Call a show, list, update or rewrite function (`door`); `members` are JSON texts.

        Show and list give a response object, update `{"doc", "response"}`.
        """
        pairs = (b"%b:%b" % (encode(name), text) for name, text in members.items())
        return msgspec.json.decode(await self._call(design, door, b"{%b}" % b",".join(pairs)))

    async def _call(self, unit: Unit, door: str, text: bytes) -> msgspec.Raw:
        return _open(await self._pool.call(unit, door, text.decode()))

    def processes(self) -> list[int]:
        """Return the ids of the worker processes."""
        return self._pool.processes()

    def close(self) -> None:
        """End all worker processes."""
        self._pool.close()


def design_unit(scope: str, id_: str, rev: str, text: bytes, language: str) -> Unit:
    """Return the context of a design document; `scope` tells databases apart.

    Raise CouchError(500, "unknown_query_language") where it is not in JavaScript.
    """
    if language.lower() != "javascript":
        raise CouchError(500, "unknown_query_language", language)
    return Unit(f"{scope}/{id_}@{rev}", "design", text.decode())


def _open(reply: Reply) -> msgspec.Raw:
    answer = _decode_answer(reply.text)
    for line in answer.log:
        _LOG.info("%s", line)
    if answer.error:
        raise function_error(answer.error, answer.reason)
    return answer.ok


def _verdict(refusal: _Refusal) -> CouchError | None:
    if refusal.error:
        return function_error(refusal.error, refusal.reason)
    thrown = refusal.thrown
    if thrown is True or (type(thrown) is int and thrown == 1):
        return None  # CouchDB takes what is thrown for the answer
    if isinstance(thrown, str):
        return internal(thrown)
    if not isinstance(thrown, dict) or len(thrown) != 1:
        return internal("function_clause")
    ((name, message),) = thrown.items()
    if name in _REFUSALS:
        return CouchError(_KNOWN[name][0], name, message)
    return function_error("unknown_error", message)


def function_error(error: str, reason: Any) -> CouchError:
    """Return the error that a function of a design document threw, as CouchDB answers it."""
    if error == "conflict":
        return conflict()
    if reason is None:
        return not_found() if error == "not_found" else CouchError(500, "unknown_error", error)
    status, name = _KNOWN.get(error, (500, error))
    # What a function refuses with need not be text; CouchDB passes it on as it is.
    shown = reason if isinstance(reason, str) or error in _KNOWN else printed(reason)
    return CouchError(status, name, shown)
