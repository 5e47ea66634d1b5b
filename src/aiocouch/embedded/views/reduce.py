"""The reduce functions that CouchDB has built in, on decoded values. Pure.

Every function comes in two steps: rows to a partial value, partial values to one; then `finish`
turns the last partial value into what the client sees. Partial values are bytes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from hashlib import sha1
from math import exp, log
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.collation import sort_key
from aiocouch.embedded.errors import CouchError, bad_request
from aiocouch.embedded.revision import encode_term

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    """A built-in reduce function."""

    def one(self, row: IndexRow) -> bytes:
        """Reduce one row to a partial value."""
        ...

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        """Reduce rows to a partial value."""
        ...

    def combine(self, partials: Sequence[bytes]) -> bytes:
        """Reduce partial values, in order of their rows, to one."""
        ...

    def finish(self, partial: bytes) -> bytes:
        """Give the result as JSON."""
        ...


def values_of(rows: Sequence[IndexRow]) -> list[Any]:
    """Decode the values of rows."""
    values: list[Any] = _decode(b"[%b]" % b",".join([row.value for row in rows]))
    return values


def _values(partials: Sequence[bytes]) -> list[Any]:
    values: list[Any] = _decode(b"[%b]" % b",".join(partials))
    return values


class _Function(ABC):
    @abstractmethod
    def reduce(self, rows: Sequence[IndexRow]) -> bytes: ...

    def one(self, row: IndexRow) -> bytes:
        return self.reduce([row])


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


class _NotSummableError(Exception):
    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


def _is_number(value: object) -> bool:
    return type(value) is int or type(value) is float


def _add(left: Any, right: Any) -> Any:
    if _is_number(left) and _is_number(right):
        return left + right
    if isinstance(left, dict) or isinstance(right, dict):
        return _add_objects(left, right)
    return _add_arrays(_as_array(left), _as_array(right))


def _as_array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if _is_number(value):
        return [value]
    raise _NotSummableError(value)


def _add_arrays(left: list[Any], right: list[Any]) -> list[Any]:
    shared = min(len(left), len(right))
    for value in (*left[:shared], *right[:shared]):
        if not _is_number(value):
            raise _NotSummableError(value)
    longer = left if len(left) > len(right) else right
    return [a + b for a, b in zip(left, right, strict=False)] + longer[shared:]


def _add_objects(left: Any, right: Any) -> Any:
    if left == 0 and _is_number(left):
        return right
    if right == 0 and _is_number(right):
        return left
    if not (isinstance(left, dict) and isinstance(right, dict)):
        other = right if isinstance(left, dict) else left
        if _is_number(other) or isinstance(other, list):
            raise CouchError(500, "case_clause", encode(other).decode())
        raise _NotSummableError(other)
    for each in (left, right):
        if each.get("error") == "builtin_reduce_error":
            raise _NotSummableError(each.get("caused_by"))
    merged = dict(left)
    for name, value in right.items():
        merged[name] = _add(merged[name], value) if name in merged else value
    return merged


def sum_values(values: Sequence[Any]) -> Any:
    """Add values as `_sum` does, from the last to the first.

    What cannot be added gives an object that tells why.
    """
    if set(map(type, values)) <= {int, float}:
        return sum(values)
    total: Any = 0
    try:
        for value in reversed(values):
            total = _add(total, value)
    except _NotSummableError as error:
        return {
            "error": "builtin_reduce_error",
            "reason": _SUM_REASON,
            "caused_by": error.value,
        }
    return total


class Sum(_Json):
    """`_sum`: numbers, arrays by place, objects by member."""

    def one(self, row: IndexRow) -> bytes:
        return row.value if row.value[0] in _NUMBER_BEGINS else self.reduce([row])

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        return encode(sum_values(values_of(rows)))

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[0] if len(partials) == 1 else encode(sum_values(_values(partials)))


# _stats


def _stats_of(value: Any) -> Any:
    if _is_number(value):
        return [value, 1, value, value, value * value]
    if isinstance(value, list):
        return {"each": [_stats_of(item) for item in value]}
    if isinstance(value, dict):
        return [_stats_member(value, name) for name in _STATS]
    raise _bad_stats(value)


def _stats_member(value: dict[str, Any], name: str) -> Any:
    if name not in value:
        raise CouchError(
            500,
            "invalid_value",
            f"user _stats input missing required field {name} ({encode(value).decode()})",
        )
    if not _is_number(value[name]):
        raise _bad_stats(value[name])
    return value[name]


def _bad_stats(value: Any) -> CouchError:
    shown = encode(value).decode()
    if isinstance(value, str):
        shown = "<<" + ",".join(str(byte) for byte in value.encode()) + ">>"
    return CouchError(500, "invalid_value", f"non-numeric _stats input: {shown}")


def _merge_stats(left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        if len(left["each"]) != len(right["each"]):
            raise CouchError(500, "function_clause", "lists:zipwith/3")
        pairs = zip(left["each"], right["each"], strict=True)
        return {"each": [_merge_stats(a, b) for a, b in pairs]}
    if isinstance(left, dict) or isinstance(right, dict):
        raise CouchError(500, "function_clause", "stats")
    return [
        left[0] + right[0],
        left[1] + right[1],
        min(left[2], right[2]),
        max(left[3], right[3]),
        left[4] + right[4],
    ]


def _merge_all(stats: Sequence[Any]) -> bytes:
    total = stats[0]
    for each in stats[1:]:
        total = _merge_stats(total, each)
    return encode(total)


def _show_stats(stats: Any) -> Any:
    if isinstance(stats, dict):
        return [_show_stats(each) for each in stats["each"]]
    return dict(zip(_STATS, stats, strict=True))


class Stats(_Function):
    """`_stats`: sum, count, min, max, sumsqr of numbers or of arrays of them."""

    def reduce(self, rows: Sequence[IndexRow]) -> bytes:
        values = values_of(rows)
        if set(map(type, values)) <= {int, float}:
            squares = sum(value * value for value in values)
            return encode([sum(values), len(values), min(values), max(values), squares])
        return _merge_all([_stats_of(value) for value in values])

    def combine(self, partials: Sequence[bytes]) -> bytes:
        return partials[0] if len(partials) == 1 else _merge_all(_values(partials))

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
    """Give the count whose expected raw estimate this is, by halving."""
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
    """Give the built-in reduce function of a name that begins with `_`.

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
