"""The order of strings in views: the root collation of Unicode CLDR 42, as ICU 72 has it.

`string_key` turns a string into bytes; comparing the bytes of two strings (as Python, SQLite and
memcmp do) gives the order that CouchDB's views have, and equal bytes are equal keys. No system
library is needed: the table beside this file, `collation.bin`, holds the whole of Unicode 15 (the
radical-stroke order of Han included) and is read at the first string that is not ASCII.
`tools/collation_table.py` makes it.

A key is three levels: primary weights (which letter), 0x01, secondary weights (which accents),
0x01, tertiary weights (upper or lower case, width, …), 0x04. Common weights at the end of the
second and third level are left off, which a lower-case ASCII text is made of.

- Primary: a character of ASCII has one odd byte; whatever sorts between two of those has the even
  byte between theirs and two more. Han begin with 0xE0 or 0xE1, unassigned code points with 0xF0.
- Secondary: 0x05 is the common weight, there is none below.
- Tertiary: 0x05 is common, small kana are below with 0x03; that is why the end is 0x04.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from unicodedata import combining, is_normalized, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["string_key"]

# The characters of ASCII that have a weight, by weight; upper-case letters share the lower-case.
_ASCII_ORDER = (
    "\t\n\x0b\x0c\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
)
_LEVEL = b"\x01"
_COMMON = b"\x05"
_END = b"\x04"
_BASE = 254
_HAN_LEAD = 0xE0
_UNASSIGNED_LEAD = b"\xf0"
_LAST = {"\ufffd": b"\xf1", "\uffff": b"\xf2"}


def _ascii_weights() -> bytes:
    weights = bytearray(128)
    for index, character in enumerate(_ASCII_ORDER):
        weights[ord(character)] = weights[ord(character.upper())] = 2 * index + 3
    return bytes(weights) + bytes(128)


# The tertiary weights of upper case are those of the table; W differs there from the others.
_UPPER = dict.fromkeys(b"ABCDEFGHIJKLMNOPQRSTUVXYZ", 0x11) | {ord("W"): 0x14}
_ASCII_PRIMARY = _ascii_weights()
_ASCII_TERTIARY = bytes(_UPPER.get(code, 5) for code in range(256))
_ASCII_IGNORED = bytes(code for code in range(128) if not _ASCII_PRIMARY[code])


def string_key(text: str) -> bytes:
    """Return the sort key of a string. It ends itself: no key is the beginning of another."""
    if text.isascii():
        data = text.encode("ascii")
        primary = data.translate(_ASCII_PRIMARY, _ASCII_IGNORED)
        if data.lower() == data:
            return primary + b"\x01\x01\x04"
        tertiary = data.translate(_ASCII_TERTIARY, _ASCII_IGNORED).rstrip(_COMMON)
        return primary + b"\x01\x01" + tertiary + _END
    return _join(_weights(_decomposed(text)))


def _decomposed(text: str) -> str:
    """Take characters apart one by one; accents stay in the order they are in.

    CouchDB has ICU's normalisation off, so accents in an unusual order make another string.
    """
    if is_normalized("NFD", text):
        return text
    return "".join([normalize("NFD", character) for character in text])


# What a character, or a contraction, adds to each of the three levels.
_Weights: TypeAlias = tuple[bytes, bytes, bytes]


def _join(weights: list[_Weights]) -> bytes:
    primary, secondary, tertiary = _concatenate(weights)
    return b"".join(
        (primary, _LEVEL, secondary.rstrip(_COMMON), _LEVEL, tertiary.rstrip(_COMMON), _END)
    )


def _weights(text: str) -> list[_Weights]:
    table = _table()
    if table.starters.keys().isdisjoint(text):
        return [table.characters[character] for character in text]
    return list(_weights_with_contractions(text, table))


def _weights_with_contractions(text: str, table: _Table) -> Iterator[_Weights]:
    """Yield weights; some characters weigh together, even with another accent in between (й, เก)."""
    place = 0
    while place < len(text):
        if text[place] not in table.starters:
            yield table.characters[text[place]]
            place += 1
            continue
        found = table.longest(text, place)
        place += len(found)
        end = place
        while end < len(text) and combining(text[end]):
            end += 1
        if end > place:
            found, rest = _absorb(found, text[place:end], table)
            text = text[:place] + rest + text[end:] if len(rest) < end - place else text
        yield table.contractions.get(found) or table.characters[found]


def _absorb(found: str, accents: str, table: _Table) -> tuple[str, str]:
    """Take those accents that contract with what is found and are not blocked by others."""
    place, before = 0, 0
    while place < len(accents):
        order = combining(accents[place])
        if order > before and found + accents[place] in table.contractions:
            found += accents[place]
            accents = accents[:place] + accents[place + 1 :]
        else:
            place, before = place + 1, order
    return found, accents


class _Table:
    """The weights of all of Unicode, taken from the file.

    An entry is a character or a contraction, and has one or more elements; an element has the
    rank of its primary weight, and the numbers of the other two.
    """

    def __init__(self) -> None:
        data = zlib.decompress(Path(__file__).with_name("collation.bin").read_bytes())
        head, _, body = data.partition(b"\n")
        self._head = json.loads(head)
        han, codes, contractions, counts, primaries, secondaries, tertiaries = _columns(
            body, self._head["columns"]
        )
        self._codes = _running(codes)
        self._starts = array("i", accumulate(counts, initial=0))
        self._ranks = _running(primaries)
        self._secondaries = _integers(secondaries)
        self._tertiaries = tertiaries
        self._ascii_ranks = sorted({*self._ranks[:128]} - {0})
        self._han = han
        self.characters = _Characters(self)
        names = contractions.decode().split("\n")
        self.contractions = {
            name: self._entry(number) for number, name in enumerate(names, len(self._codes))
        }
        self.starters: dict[str, int] = {}
        for name in names:
            self.starters[name[0]] = max(len(name), self.starters.get(name[0], 0))

    def longest(self, text: str, place: int) -> str:
        """Return the longest contraction at a place, or the one character that is there."""
        for size in range(self.starters[text[place]], 1, -1):
            if text[place : place + size] in self.contractions:
                return text[place : place + size]
        return text[place]

    def find(self, code: int) -> _Weights | None:
        """Return the weights of a code point, None where none is assigned."""
        place = bisect_left(self._codes, code)
        if place < len(self._codes) and self._codes[place] == code:
            return self._entry(place)
        index = self._han_index(code)
        return None if index is None else (_han_code(index), _COMMON, _COMMON)

    def _entry(self, number: int) -> _Weights:
        elements = range(self._starts[number], self._starts[number + 1])
        return (
            b"".join([self._primary(self._ranks[each]) for each in elements]),
            b"".join([_SECONDARY[self._secondaries[each]] for each in elements]),
            b"".join([_TERTIARY[self._tertiaries[each]] for each in elements]),
        )

    def _primary(self, rank: int) -> bytes:
        """Return the bytes of a rank, none for rank 0."""
        if rank == 0:
            return b""
        if rank > self._head["primaries"]:
            return _han_code(rank - self._head["primaries"] - 1)
        place = bisect_right(self._ascii_ranks, rank)
        before = self._ascii_ranks[place - 1] if place else 0
        if rank == before:
            return bytes((2 * place + 1,))
        return bytes((2 * place + 2,)) + _two_bytes(rank - before - 1)

    def _han_index(self, code: int) -> int | None:
        """Return the place of a Han character among all of them."""
        first, length, index = self._han_run(code)
        return index + code - first if first <= code < first + length else None

    def _han_run(self, code: int) -> tuple[int, int, int]:
        runs = self._han_runs
        place = bisect_right(runs, code, key=_first)
        return runs[place - 1] if place else (0, 0, 0)

    @cached_property
    def _han_runs(self) -> list[tuple[int, int, int]]:
        """Runs of Han by code point: first code point, length, place of the first."""
        size = len(self._han) // 3
        blocks, distances, lengths = map(_integers, _columns(self._han, [size] * 3))
        ends = list(self._head["blocks"])
        index = 0
        runs = []
        for block, distance, length in zip(blocks, distances, lengths, strict=True):
            first = ends[block] + distance
            ends[block] = first + length
            runs.append((first, length, index))
            index += length
        return sorted(runs)


class _Characters(dict[str, _Weights]):
    """Weights by character, looked up in the table once."""

    def __init__(self, table: _Table) -> None:
        super().__init__()
        self._table = table

    def __missing__(self, character: str) -> _Weights:
        found = self._table.find(ord(character))
        if found is None:
            code = _LAST.get(character) or _unassigned_code(ord(character))
            return code, _COMMON, _COMMON
        self[character] = found
        return found


_table = cache(_Table)


def _concatenate(elements: Iterable[_Weights]) -> _Weights:
    primary, secondary, tertiary = map(b"".join, zip(*elements, strict=True))
    return primary, secondary, tertiary


def _first(run: tuple[int, int, int]) -> int:
    return run[0]


def _two_bytes(number: int) -> bytes:
    high, low = divmod(number, _BASE)
    return bytes((high + 2, low + 2))


def _han_code(index: int) -> bytes:
    lead, rest = divmod(index, _BASE * _BASE)
    return bytes((_HAN_LEAD + lead,)) + _two_bytes(rest)


def _unassigned_code(code: int) -> bytes:
    lead, rest = divmod(code, _BASE * _BASE)
    return _UNASSIGNED_LEAD + bytes((lead + 2,)) + _two_bytes(rest)


_SECONDARY = [b"", *(bytes((number + 4,)) for number in range(1, 200))]
_SECONDARY += [bytes((0xF0, number)) for number in range(6, 256)]
_TERTIARY = [b"", b"\x03", b"\x05", *(bytes((number + 4,)) for number in range(3, 200))]


def _columns(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    ends = accumulate(sizes)
    return [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _integers(data: bytes) -> array[int]:
    """Read numbers of 32 bits that were taken apart into their bytes."""
    size = len(data) // 4
    joined = bytearray(len(data))
    for place in range(4):
        joined[place::4] = data[place * size : (place + 1) * size]
    numbers = array("i", joined)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _running(data: bytes) -> array[int]:
    return array("i", accumulate(_integers(data)))
