"""Reduce functions as the index calls them: built in, or JavaScript in a worker process."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from aiocouch._wire.numerals import reprinted
from aiocouch._wire.revision import encode_term
from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.views.reduce import builtin
from aiocouch.embedded.views.tables import backwards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.javascript.queryserver import QueryServer
    from aiocouch.embedded.node.config import Configuration
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.pages import Reducer
    from aiocouch.embedded.views.reduce import Builtin
    from aiocouch.embedded.views.tables import IndexRow

_LOG = logging.getLogger("aiocouch.embedded.views")
_OVERFLOW = b"!"
_CALL_BYTES = 1 << 20
_FLOAT = re.compile(r"[0-9]+(?:\.[0-9]+)?")
# a value takes at most so many bytes in Erlang for each byte of its JSON
_TERM_BYTES = 2.5


class ReduceLimit(msgspec.Struct, frozen=True):
    """`[query_server_config] reduce_limit` and what belongs to it.

    `mode` is `true`, `log` or something that switches the limit off. A result of more than
    `threshold` bytes that is more than 1/`ratio` of its input overflows.
    """

    mode: str = "true"
    threshold: int = 5000
    ratio: float = 2.0

    def overflow(self, size: int, result: int) -> str | None:
        """Return the reason of an overflow, None where there is none or it is only logged."""
        if self.mode not in {"true", "log"}:
            return None
        if result <= self.threshold or result * self.ratio <= size:
            return None
        reason = (
            f"Reduce output must shrink more rapidly: input size: {size} output size: {result}"
            " context: "
        )
        if self.mode == "true":
            return reason
        _LOG.error("%s", reason)
        return None


def read_limit(config: Configuration) -> ReduceLimit:
    """Read the limit of the section `[query_server_config]`."""
    section = "query_server_config"
    ratio = config.text(section, "reduce_limit_ratio")
    return ReduceLimit(
        config.text(section, "reduce_limit", "true"),
        config.integer(section, "reduce_limit_threshold", 5000),
        float(ratio) if _FLOAT.fullmatch(ratio) else 2.0,
    )


class Reduced(NamedTuple):
    """What became of a reduction: the value as JSON, or the reason of an overflow."""

    value: bytes
    overflow: str | None = None


class ReduceFunction:
    """The reduce function of one view, with the number under which its values are kept."""

    def __init__(self, number: int, reducer: Reducer, native: Builtin | None) -> None:
        self.number = number
        self.reducer = reducer
        self.checked: tuple[int, int] = (0, -1)
        """The tree, and the sequence of the index as of which CouchDB could have built it."""
        self._native = native

    @property
    def is_native(self) -> bool:
        """Whether the function is built in."""
        return self._native is not None

    def finish(self, partial: bytes) -> Reduced:
        """Return the result of the last partial value."""
        if partial.startswith(_OVERFLOW):
            return Reduced(b"null", decode(partial[1:]))
        return Reduced(self._native.finish(partial) if self._native else partial)


def reduce_functions(
    definition: Definition, queries: QueryServer, unit: Unit, limit: Callable[[], ReduceLimit]
) -> dict[str, ReduceFunction]:
    """Return the reduce functions of all views by source; equal sources share their values."""
    custom = definition.custom_reduces()
    sources = dict.fromkeys(view.reduce for view in definition.views.values() if view.reduce)
    functions = {}
    for number, source in enumerate(sources):
        if source.startswith("_"):
            native = builtin(source)
            functions[source] = ReduceFunction(number, BuiltinReducer(native, limit), native)
        else:
            script = ScriptReducer(queries, unit, custom.index(source), source, limit)
            functions[source] = ReduceFunction(number, script, None)
    return functions


class BuiltinReducer:
    """A built-in reduce function."""

    def __init__(self, native: Builtin, limit: Callable[[], ReduceLimit]) -> None:
        self._native = native
        self._limit = limit

    def check(self, rows: Sequence[IndexRow]) -> None:
        """Raise CouchError for rows that CouchDB cannot build an index of."""
        self._native.check(rows)

    async def reduce(self, chunks: Sequence[Sequence[IndexRow]]) -> list[bytes]:
        """Reduce each chunk of rows to a value."""
        one, many = self._native.one, self._native.reduce
        return [
            one(chunk[0]) if len(chunk) == 1 else self._checked(many(chunk), chunk)
            for chunk in chunks
        ]

    async def combine(self, groups: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Reduce each group of values to one value."""
        return [group[0] if len(group) == 1 else self._combine(group) for group in groups]

    def _combine(self, group: Sequence[bytes]) -> bytes:
        value = self._native.combine(group)
        if not self._may_overflow(value):
            return value
        return self._limited(value, [[[], decode(partial)] for partial in group])

    def _checked(self, value: bytes, rows: Sequence[IndexRow]) -> bytes:
        if not self._may_overflow(value):
            return value
        given = [[[decode(row.json), row.id], decode(row.value)] for row in rows]
        return self._limited(value, given)

    def _may_overflow(self, value: bytes) -> bool:
        return self._native.is_limited and len(value) * _TERM_BYTES > self._limit().threshold

    def _limited(self, value: bytes, given: list[Any]) -> bytes:
        size, result = len(encode_term(given)), len(encode_term(decode(value)))
        reason = self._limit().overflow(size, result)
        if reason is None:
            return value
        return encode({"error": "builtin_reduce_error", "reason": reason})


class ScriptReducer:
    """A reduce function in JavaScript; its rows come in the reverse order, as in CouchDB."""

    def __init__(
        self,
        queries: QueryServer,
        unit: Unit,
        number: int,
        source: str,
        limit: Callable[[], ReduceLimit],
    ) -> None:
        self._queries = queries
        self._unit = unit
        self._number = number
        self._limit = limit
        # CouchDB measures the line that goes to the function, without the function itself
        self._escapes = len(encode(source)) - len(source.encode())

    def check(self, rows: Sequence[IndexRow]) -> None:
        """Do nothing: only built-in functions refuse rows."""

    async def reduce(self, chunks: Sequence[Sequence[IndexRow]]) -> list[bytes]:
        """Reduce each chunk of rows to a value."""
        extra = [_REDUCE_LINE + 2 * len(chunk) for chunk in chunks]
        return await self._call([_reduce_call(chunk) for chunk in chunks], extra)

    async def combine(self, groups: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Reduce each group of values to one value, always by calling the function again."""
        results = [_first_overflow(group) or b"" for group in groups]
        open_ = [at for at, result in enumerate(results) if not result]
        calls = [_rereduce_call(groups[at]) for at in open_]
        values = await self._call(calls, [_REREDUCE_LINE] * len(calls))
        for at, value in zip(open_, values, strict=True):
            results[at] = value
        return results

    async def _call(self, calls: list[bytes], extra: list[int]) -> list[bytes]:
        """Call the function; its line in CouchDB is so many bytes longer than our call."""
        results: list[bytes] = []
        for some in _portions(calls):
            values = await self._queries.reduce(self._unit, self._number, some)
            results += (reprinted(bytes(value)) for value in values)
        sizes = [len(call) + more for call, more in zip(calls, extra, strict=True)]
        return [self._checked(*pair) for pair in zip(results, sizes, strict=True)]

    def _checked(self, value: bytes, size: int) -> bytes:
        limit = self._limit()
        if len(value) + 2 <= limit.threshold:
            return value
        reason = limit.overflow(size + self._escapes, len(value) + 2)
        return value if reason is None else _OVERFLOW + encode(reason)


_REDUCE_LINE = 8
_REREDUCE_LINE = 7


def _reduce_call(rows: Sequence[IndexRow]) -> bytes:
    turned = backwards(rows)
    keys = b",".join([b"[%b,%b]" % (row.json, encode(row.id)) for row in turned])
    values = b",".join([row.value for row in turned])
    return b"[[%b],[%b],false]" % (keys, values)


def _rereduce_call(values: Sequence[bytes]) -> bytes:
    return b"[null,[%b],true]" % b",".join(reversed(values))


def _portions(calls: list[bytes]) -> Iterator[list[bytes]]:
    portion: list[bytes] = []
    size = 0
    for call in calls:
        if portion and size + len(call) > _CALL_BYTES:
            yield portion
            portion, size = [], 0
        portion.append(call)
        size += len(call)
    if portion:
        yield portion


def _first_overflow(values: Sequence[bytes]) -> bytes | None:
    for value in values:
        if value.startswith(_OVERFLOW):
            return value
    return None
