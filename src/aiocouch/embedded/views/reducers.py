"""Reduce functions as the index calls them: built in, or JavaScript in a worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.numerals import reprinted
from aiocouch.embedded.views.reduce import builtin
from aiocouch.embedded.views.tables import backwards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.javascript.queryserver import QueryServer
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.pages import Reducer
    from aiocouch.embedded.views.reduce import Builtin
    from aiocouch.embedded.views.tables import IndexRow

_OVERFLOW = b"!"
_OVERFLOW_SIZE = 5000
_OVERFLOW_RATIO = 2
_CALL_BYTES = 1 << 20


class Outcome(NamedTuple):
    """What became of a reduction: the value as JSON, or the reason of an overflow."""

    value: bytes
    overflow: str | None = None


class ReduceFunction:
    """The reduce function of one view, with the number under which its values are kept."""

    def __init__(self, number: int, reducer: Reducer, native: Builtin | None) -> None:
        self.number = number
        self.reducer = reducer
        self._native = native

    @property
    def is_native(self) -> bool:
        """Tell whether the function is built in."""
        return self._native is not None

    def finish(self, partial: bytes) -> Outcome:
        """Give the result of the last partial value."""
        if partial.startswith(_OVERFLOW):
            return Outcome(b"null", decode(partial[1:]))
        return Outcome(self._native.finish(partial) if self._native else partial)


def reduce_functions(
    definition: Definition, queries: QueryServer, unit: Unit
) -> dict[str, ReduceFunction]:
    """Give the reduce functions of all views by source; equal sources share their values."""
    custom = definition.custom_reduces()
    sources = dict.fromkeys(view.reduce for view in definition.views.values() if view.reduce)
    functions = {}
    for number, source in enumerate(sources):
        if source.startswith("_"):
            native = builtin(source)
            functions[source] = ReduceFunction(number, BuiltinReducer(native), native)
        else:
            script = ScriptReducer(queries, unit, custom.index(source))
            functions[source] = ReduceFunction(number, script, None)
    return functions


class BuiltinReducer:
    """A built-in reduce function."""

    def __init__(self, native: Builtin) -> None:
        self._native = native

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
        return _first_overflow(group) or self._native.combine(group)

    def _checked(self, value: bytes, rows: Sequence[IndexRow]) -> bytes:
        if len(value) <= _OVERFLOW_SIZE:
            return value
        return checked(value, sum(len(row.json) + len(row.value) for row in rows))


class ScriptReducer:
    """A reduce function in JavaScript; its rows come in the reverse order, as in CouchDB."""

    def __init__(self, queries: QueryServer, unit: Unit, number: int) -> None:
        self._queries = queries
        self._unit = unit
        self._number = number

    async def reduce(self, chunks: Sequence[Sequence[IndexRow]]) -> list[bytes]:
        """Reduce each chunk of rows to a value."""
        return await self._call([_reduce_call(chunk) for chunk in chunks])

    async def combine(self, groups: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Reduce each group of values to one value, always by calling the function again."""
        results = [_first_overflow(group) or b"" for group in groups]
        open_ = [at for at, result in enumerate(results) if not result]
        values = await self._call([_rereduce_call(groups[at]) for at in open_])
        for at, value in zip(open_, values, strict=True):
            results[at] = value
        return results

    async def _call(self, calls: list[bytes]) -> list[bytes]:
        results: list[bytes] = []
        for some in _portions(calls):
            values = await self._queries.reduce(self._unit, self._number, some)
            pairs = zip(values, some, strict=True)
            results += [checked(reprinted(bytes(value)), len(call)) for value, call in pairs]
        return results


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


def checked(value: bytes, size: int) -> bytes:
    """Give the value, or what stands for an overflow when it is hardly smaller than its input.

    `size` is that of the input in bytes.
    """
    if len(value) <= _OVERFLOW_SIZE or len(value) * _OVERFLOW_RATIO <= size:
        return value
    reason = f"Reduce output must shrink more rapidly: input size: {size} output size: {len(value)}"
    return _OVERFLOW + encode(reason)


def _first_overflow(values: Sequence[bytes]) -> bytes | None:
    for value in values:
        if value.startswith(_OVERFLOW):
            return value
    return None
