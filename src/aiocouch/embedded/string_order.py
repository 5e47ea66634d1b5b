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
import zlib
from functools import cache
from itertools import accumulate, chain, islice, product, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from unicodedata import combining, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """Give the sort key of a string. It ends itself: no key is the beginning of another."""
    if text.isascii():
        data = text.encode("ascii")
        primary = data.translate(_ASCII_PRIMARY, _ASCII_IGNORED)
        if data.lower() == data:
            return primary + b"\x01\x01\x04"
        tertiary = data.translate(_ASCII_TERTIARY, _ASCII_IGNORED).rstrip(_COMMON)
        return primary + b"\x01\x01" + tertiary + _END
    return _join(_weights(normalize("NFD", text)))


# What a character, or a contraction, adds to each of the three levels.
_Weights: TypeAlias = tuple[bytes, bytes, bytes]


def _join(weights: list[_Weights]) -> bytes:
    primary, secondary, tertiary = _concatenate(weights)
    return b"".join(
        (primary, _LEVEL, secondary.rstrip(_COMMON), _LEVEL, tertiary.rstrip(_COMMON), _END)
    )


def _weights(text: str) -> list[_Weights]:
    table = _table()
    if table.starters.isdisjoint(text):
        return [table.characters[character] for character in text]
    return list(_weights_with_contractions(text, table))


def _weights_with_contractions(text: str, table: _Table) -> Iterator[_Weights]:
    """Some characters weigh together, even with another accent in between (й, เก)."""
    while text:
        if text[0] not in table.starters:
            yield table.characters[text[0]]
            text = text[1:]
            continue
        size = table.longest(text)
        found, rest = _absorb(text[:size], text[size:], table)
        yield table.contractions.get(found) or table.characters[found]
        text = rest


def _absorb(found: str, rest: str, table: _Table) -> tuple[str, str]:
    """Take accents from farther behind that contract with what is found, unless blocked."""
    place, before = 0, 0
    while place < len(rest) and (order := combining(rest[place])):
        if order > before and found + rest[place] in table.contractions:
            found += rest[place]
            rest = rest[:place] + rest[place + 1 :]
        else:
            place, before = place + 1, order
    return found, rest


class _Table:
    """The weights of all of Unicode, taken from the file."""

    def __init__(self) -> None:
        data = zlib.decompress(Path(__file__).with_name("collation.bin").read_bytes())
        head, _, body = data.partition(b"\n")
        self._head = json.loads(head)
        ends = list(accumulate(self._head["columns"]))
        columns = [
            body[end - size : end] for end, size in zip(ends, self._head["columns"], strict=True)
        ]
        self.characters = _Characters(self, columns[0])
        keys = [*map(chr, _running(columns[1])), *columns[2].decode().split("\n")]
        entries = dict(zip(keys, self._entries(columns[3:]), strict=True))
        self.contractions = {key: entry for key, entry in entries.items() if len(key) > 1}
        self.starters = {key[0] for key in self.contractions}
        self._longest = max(map(len, self.contractions))
        self.characters.update(entries)

    def longest(self, text: str) -> int:
        """Give the length of the longest contraction that a text begins with; 1: of none."""
        for size in range(self._longest, 1, -1):
            if text[:size] in self.contractions:
                return min(size, len(text))
        return 1

    def _entries(self, columns: list[bytes]) -> Iterator[_Weights]:
        counts, primaries, secondaries, tertiaries = columns
        ranks = list(_running_signed(primaries))
        codes = self._primary_codes(counts, ranks)
        elements = zip(
            map(codes.__getitem__, ranks),
            map(_SECONDARY.__getitem__, _varints(secondaries)),
            map(_TERTIARY.__getitem__, tertiaries),
            strict=True,
        )
        for count in counts:
            yield next(elements) if count == 1 else _concatenate(islice(elements, count))

    def _primary_codes(self, counts: bytes, ranks: list[int]) -> list[bytes]:
        """Give the bytes of each rank, none for rank 0."""
        ascii_ranks = sorted({ranks[sum(counts[:code])] for code in range(128)} - {0})
        codes, lead, last = [b""], 2, 0
        for rank in [*ascii_ranks, self._head["primaries"] + 1]:
            codes.extend(islice(_codes_after(lead), rank - last - 1))
            codes.append(bytes((lead + 1,)))
            lead, last = lead + 2, rank
        codes[-1:] = islice(_han_codes(), self._head["han"])
        return codes

    def han(self, column: bytes) -> Iterator[tuple[int, int]]:
        """Give runs of Han in their order: first code point, length."""
        numbers = _varints(column)
        count = next(numbers)
        start = len(_varint_bytes(count))
        blocks = column[start : start + count]
        rest = list(_varints(column[start + count :]))
        ends = list(self._head["blocks"])
        for block, distance, length in zip(blocks, rest[:count], rest[count:], strict=True):
            first = ends[block] + _signed(distance)
            ends[block] = first + length
            yield first, length


class _Characters(dict[str, _Weights]):
    """Weights by character. Han are filled in when the first of them is wanted."""

    def __init__(self, table: _Table, han: bytes) -> None:
        super().__init__()
        self._table = table
        self._han: bytes | None = han

    def __missing__(self, character: str) -> _Weights:
        if self._han is not None:
            han, self._han = self._han, None
            self._add_han(han)
            return self[character]
        code = _LAST.get(character) or _unassigned_code(ord(character))
        return code, _COMMON, _COMMON

    def _add_han(self, column: bytes) -> None:
        runs = (range(first, first + length) for first, length in self._table.han(column))
        weights = zip(_han_codes(), repeat(_COMMON), repeat(_COMMON), strict=False)
        self.update(zip(map(chr, chain.from_iterable(runs)), weights, strict=False))


_table = cache(_Table)


def _concatenate(elements: Iterable[_Weights]) -> _Weights:
    primary, secondary, tertiary = map(b"".join, zip(*elements, strict=True))
    return primary, secondary, tertiary


def _codes_after(lead: int) -> Iterator[bytes]:
    """Give the codes that begin with a byte, in their order."""
    return map(bytes, product((lead,), range(2, 256), range(2, 256)))


def _han_codes() -> Iterator[bytes]:
    return chain(_codes_after(_HAN_LEAD), _codes_after(_HAN_LEAD + 1))


def _unassigned_code(code: int) -> bytes:
    lead, rest = divmod(code, _BASE * _BASE)
    middle, last = divmod(rest, _BASE)
    return _UNASSIGNED_LEAD + bytes((lead + 2, middle + 2, last + 2))


_SECONDARY = [b"", *(bytes((number + 4,)) for number in range(1, 200))]
_SECONDARY += [bytes((0xF0, number)) for number in range(6, 256)]
_TERTIARY = [b"", b"\x03", b"\x05", *(bytes((number + 4,)) for number in range(3, 200))]


def _varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        if byte < 128:
            yield number
            number = shift = 0
        else:
            shift += 7


def _varint_bytes(number: int) -> bytes:
    return bytes((number.bit_length() + 6) // 7)


def _signed(number: int) -> int:
    return -(number + 1 >> 1) if number & 1 else number >> 1


def _running(data: bytes) -> Iterator[int]:
    return accumulate(_varints(data))


def _running_signed(data: bytes) -> Iterator[int]:
    return accumulate(map(_signed, _varints(data)))
