"""The reduce functions that CouchDB has built in, on decoded values. Pure.

Every function comes in two steps: rows to a partial value, partial values to one; then `finish`
turns the last partial value into what the client sees. Partial values are bytes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from hashlib import sha1
from math import exp, isinf, log
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from aiocouch._wire.revision import encode_term
from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation.collation import sort_key
from aiocouch.embedded.erlang_text import printed, written
from aiocouch.embedded.errors import CouchError, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aiocouch.embedded.views.tables import IndexRow

_decode = msgspec.json.Decoder().decode

_SUM_REASON = (
    "The _sum function requires that map values be numbers, arrays of numbers, or objects. "
    "Objects cannot be mixed with other data structures. Objects can be arbitrarily nested, "
    "provided that the values for all fields are themselves numbers, arrays of numbers, "
    "or objects."
)
_STATS = ("sum", "count", "min", "max", "sumsqr")
_LARGEST_RANK = 100
_NUMBER_BEGINS = b"-0123456789"


class Builtin(Protocol):
    """A built-in reduce function; `is_limited`: its results must not grow without end."""

    is_limited: bool

    def one(self, row: IndexRow) -> bytes:
        """Reduce one row to a partial value."""
        ...

    def check(self, rows: Sequence[IndexRow]) -> None:
        """Raise CouchError for rows that CouchDB cannot build an index of.

        It reduces them from the first to the last then, and backwards when it answers.
        """
        ...

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        """Reduce rows to a partial value."""
        ...

    def combine(self, partials: Sequence[bytes]) -> bytes:
        """Reduce partial values, in order of their rows, to one."""
        ...

    def finish(self, partial: bytes) -> bytes:
        """Return the result as JSON."""
        ...


def values_of(rows: Sequence[IndexRow]) -> list[Any]:
    """Decode the values of rows."""
    values: list[Any] = _decode(b"[%b]" % b",".join([row.value for row in rows]))
    return values


def _values(partials: Sequence[bytes]) -> list[Any]:
    values: list[Any] = _decode(b"[%b]" % b",".join(partials))
    return values


class _Function(ABC):
    is_limited = False

    @abstractmethod
    def reduce(self, rows: Sequence[IndexRow]) -> bytes: ...

    def one(self, row: IndexRow) -> bytes:
        return self.reduce([row])

    def check(self, rows: Sequence[IndexRow]) -> None:
        del rows


class _Json(_Function):
    """Partial values that are JSON and the result at the same time."""

    def finish(self, partial: bytes) -> bytes:
        return partial


# _count


class Count(_Json):
    """`_count`: how many rows."""

    def one(self, row: IndexRow) -> bytes:
        del row
        return b"1"

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return b"%d" % len(rows)

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return b"%d" % sum(map(int, partials))


# _sum


class _ErrorValueError(Exception):
    """What a reduction gives instead of a sum: an object that tells why."""

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__(value)
        self.value = value


def _not_summable(cause: object) -> _ErrorValueError:
    told = {"error": "builtin_reduce_error", "reason": _SUM_REASON, "caused_by": cause}
    return _ErrorValueError(told)


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _sum_of_two(left: float, right: float) -> float:
    """Add numbers; a float that overflows is an error, as it is in Erlang."""
    try:
        total = left + right
    except OverflowError:
        raise _badarith() from None
    if isinf(total):
        raise _badarith()
    return total


def _badarith() -> CouchError:
    return CouchError(500, "badarith", "a number is too large for a float")


def _add(value: Any, total: Any) -> Any:
    if _is_number(value) and _is_number(total):
        return _sum_of_two(total, value)
    if isinstance(value, dict):
        return _add_object(value, total)
    if _is_addend(value) and _is_addend(total):
        return _add_arrays(_as_array(total), _as_array(value))
    raise _not_summable(value)


def _is_addend(value: Any) -> bool:
    return isinstance(value, list) or _is_number(value)


def _as_array(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _add_arrays(total: list[Any], value: list[Any]) -> list[Any]:
    shared = min(len(total), len(value))
    for place in range(shared):
        if not (_is_number(total[place]) and _is_number(value[place])):
            raise _not_summable(total[place:])
    longer = total if len(total) > shared else value
    added = [_sum_of_two(a, b) for a, b in zip(total, value, strict=False)]
    return added + longer[shared:]


def _add_object(value: dict[str, Any], total: Any) -> Any:
    if value.get("error") == "builtin_reduce_error":
        raise _ErrorValueError(value)
    if "error" in value:
        raise _NoClauseError(f'{{<<"error">>,{printed(value["error"])}}}')
    if type(total) is int and total == 0:
        return value
    if not isinstance(total, dict):
        raise _NoClauseError(printed(total))
    merged = {**total, **value}
    for name in total.keys() & value.keys():
        merged[name] = _add(value[name], total[name])
    return {name: merged[name] for name in sorted(merged, key=str.encode)}


class _NoClauseError(Exception):
    """Erlang has no clause for a value: CouchDB crashes. `text` prints the value."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def sum_values(values: Sequence[Any]) -> Any:
    """Add values as `_sum` does, from the last to the first.

    What cannot be added gives an object that tells why. CouchError(500) for a float that
    overflows, and for objects that CouchDB chokes on.
    """
    if set(map(type, values)) == {int}:
        return sum(values)
    try:
        return _folded(reversed(values))
    except _NoClauseError as error:
        raise CouchError(500, "case_clause", error.text) from error


def _folded(values: Iterable[Any]) -> Any:
    total: Any = 0
    try:
        for value in values:
            total = _add(value, total)
    except _ErrorValueError as error:
        return error.value
    return total


class Sum(_Json):
    """`_sum`: numbers, arrays by place, objects by member."""

    is_limited = True

    def one(self, row: IndexRow) -> bytes:
        return row.value if row.value[0] in _NUMBER_BEGINS else self.reduce([row])

    def check(self, rows: Sequence[IndexRow]) -> None:
        values = values_of(rows)
        if set(map(type, values)) == {int}:
            return
        try:
            _folded(values)
        except _NoClauseError as error:
            reason = "couch_query_servers:sum_values/2"
            raise CouchError(500, f"{{case_clause,{error.text}}}", reason) from error

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return encode(sum_values(values_of(rows)))

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[0] if len(partials) == 1 else encode(sum_values(_values(partials)))


# _stats


def _stats_of(value: Any) -> Any:
    """Return the numbers of a value: `[sum, count, min, max, sumsqr]`, an array has several."""
    if _is_number(value):
        return [value, 1, value, value, _square(value)]
    if isinstance(value, list):
        return {"each": [_stats_of(item) for item in value]}
    if isinstance(value, dict):
        return [_stats_member(value, name) for name in _STATS]
    raise CouchError(500, "invalid_value", f"non-numeric _stats input: {written(value)}")


def _square(value: float) -> float:
    square = value * value
    if isinf(square):
        raise _badarith()
    return square


def _stats_member(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        given = printed(value)[1:-1]
        reason = f"user _stats input missing required field {name} ({given})"
        raise CouchError(500, "invalid_value", reason)
    if not _is_number(value[name]):
        reason = f"non-numeric _stats input received for {name}: {written(value[name])}"
        raise CouchError(500, "invalid_value", reason)
    return value[name]


def _add_stats(value: Any, total: Any) -> Any:
    """Add a value to the numbers of others."""
    if isinstance(value, list) and isinstance(total, dict):
        return {"each": _zipped(_add_stats, value, total["each"])}
    if isinstance(value, dict) or _is_number(value):
        value = _stats_of(value)
        if isinstance(total, list):
            return _merge_stats(value, total)
        shown = "{" + ",".join(map(printed, value)) + "}"
    else:
        shown = printed(value)
    raise CouchError(
        500,
        "invalid_value",
        "The _stats function requires that map values be numbers or arrays of numbers, "
        f"not '{shown}'",
    )


def _stats_of_all(values: list[Any]) -> Any:
    total = _stats_of(values[0])
    for value in values[1:]:
        total = _add_stats(value, total)
    return total


def _zipped(add: Callable[[Any, Any], Any], values: list[Any], totals: list[Any]) -> list[Any]:
    if len(values) != len(totals):
        raise CouchError(500, "function_clause", "lists:zipwith/3")
    return [add(value, total) for value, total in zip(values, totals, strict=True)]


def _merge_stats(value: Any, total: Any) -> Any:
    if isinstance(value, dict) and isinstance(total, dict):
        return {"each": _zipped(_merge_stats, value["each"], total["each"])}
    if isinstance(value, dict) or isinstance(total, dict):
        raise CouchError(500, "function_clause", "couch_query_servers:stat_values/2")
    return [
        _sum_of_two(value[0], total[0]),
        value[1] + total[1],
        min(value[2], total[2]),
        max(value[3], total[3]),
        _sum_of_two(value[4], total[4]),
    ]


def _show_stats(stats: Any) -> Any:
    if isinstance(stats, dict):
        return [_show_stats(each) for each in stats["each"]]
    return dict(zip(_STATS, stats, strict=True))


class Stats(_Function):
    """`_stats`: sum, count, min, max, sumsqr of numbers or of arrays of them."""

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        values = values_of(rows)
        if set(map(type, values)) == {int}:
            squares = sum(value * value for value in values)
            return encode([sum(values), len(values), min(values), max(values), squares])
        return encode(_stats_of_all(values[::-1]))

    def check(self, rows: Sequence[IndexRow]) -> None:
        values = values_of(rows)
        if set(map(type, values)) != {int}:
            _stats_of_all(values)

    def combine(self, partials: Sequence[bytes]) -> bytes:
        if len(partials) == 1:
            return partials[0]
        values = _values(partials)
        total = values.pop()
        for value in reversed(values):
            total = _merge_stats(value, total)
        return encode(total)

    def finish(self, partial: bytes) -> bytes:
        return encode(_show_stats(_decode(partial)))


# _approx_count_distinct

_PRECISION = 11
_REGISTERS = 1 << _PRECISION
_ALPHA = 0.7213 / (1 + 1.079 / _REGISTERS)
_REST_BITS = 160 - _PRECISION
_REST = (1 << _REST_BITS) - 1
# Below, counting the empty registers is the better estimate; above, the raw one has no bias.
_LINEAR = 1800
_UNBIASED = 5 * _REGISTERS


class Distinct(_Function):
    """`_approx_count_distinct`: a HyperLogLog of the keys, its error about 2 %.

    The keys are hashed as CouchDB hashes them, so small counts are off by the same amount.
    """

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        registers = bytearray(_REGISTERS)
        for json in {row.json for row in rows}:
            hashed = sha1(encode_term(_decode(json)), usedforsecurity=False).digest()
            bits = int.from_bytes(hashed, "big")
            register = bits >> _REST_BITS
            rank = _REST_BITS - (bits & _REST).bit_length() + 1
            registers[register] = max(registers[register], rank)
        return bytes(registers)

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[0] if len(partials) == 1 else bytes(map(max, *partials))

    def finish(self, partial: bytes) -> bytes:
        return b"%d" % round(_estimate(partial))


def _estimate(registers: bytes) -> float:
    empty = registers.count(0)
    if empty:
        linear = _REGISTERS * log(_REGISTERS / empty)
        if linear <= _LINEAR:
            return linear
    raw = _ALPHA * _REGISTERS**2 / sum(2.0**-rank for rank in registers)
    return raw if raw > _UNBIASED else _without_bias(raw)


def _without_bias(raw: float) -> float:
    """Return the count whose expected raw estimate this is, by halving."""
    low, high = 0.0, raw * 1.2
    while high - low > 0.1:
        middle = (low + high) / 2
        if _expected(middle) < raw:
            low = middle
        else:
            high = middle
    return low


def _expected(count: float) -> float:
    load = count / _REGISTERS
    reached = [exp(-load * 2.0**-rank) for rank in range(_REST_BITS)]
    mean = reached[0] + sum(
        2.0**-rank * (reached[rank] - reached[rank - 1]) for rank in range(1, _REST_BITS)
    )
    return _ALPHA * _REGISTERS / mean


# _top_N, _bottom_N, _first, _last


class Rank(_Json):
    """`_top_N` and `_bottom_N`: the greatest or least values, each once, in view order."""

    def __init__(self, size: int, *, top: bool) -> None:
        self._size = size
        self._top = top

    def _best(self, values: list[Any]) -> bytes:
        distinct = {sort_key(value): value for value in values}
        best = sorted(distinct, reverse=self._top)[: self._size]
        return encode([distinct[key] for key in best])

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return self._best(values_of(rows))

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return self._best([value for values in _values(partials) for value in values])


class First(_Json):
    """`_first`: the value of the row with the least key."""

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return rows[0].value

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[0]


class Last(_Json):
    """`_last`: the value of the row with the greatest key."""

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return rows[-1].value

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[-1]


# by name

_PREFIXES: tuple[tuple[str, Callable[[], Builtin]], ...] = (
    ("_sum", Sum),
    ("_count", Count),
    ("_stats", Stats),
    ("_approx_count_distinct", Distinct),
    ("_first", First),
    ("_last", Last),
)
_RANK = re.compile(r"_(top|bottom)_(.*)", re.DOTALL)


def builtin(name: str) -> Builtin:
    """Return the built-in reduce function of a name that begins with `_`.

    As in CouchDB only the beginning counts. An unknown one raises invalid_design_doc (400).
    """
    ranked = _RANK.fullmatch(name)
    if ranked is not None:
        return Rank(_rank_size(ranked[2]), top=ranked[1] == "top")
    for prefix, make in _PREFIXES:
        if name.startswith(prefix):
            return make()
    raise bad_request(f"`{name}` is not a supported reduce function.", "invalid_design_doc")


def _rank_size(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise bad_request("invalid rank reducer", "invalid_design_doc")
    size = int(text)
    if not 1 <= size <= _LARGEST_RANK:
        raise bad_request("rank value must be between 1 and 100", "invalid_design_doc")
    return size
