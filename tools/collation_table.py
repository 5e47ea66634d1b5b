"""Make `src/aiocouch/embedded/collation/collation.bin` from an installed ICU (72: what CouchDB 3.5 runs on).

    python tools/collation_table.py 72

The table holds the root collation of Unicode CLDR: the order of characters, and nothing of ICU's
code. Format: a JSON line with the sizes of the columns, then the columns, all compressed by zlib.
Numbers have 32 bits, little endian: first the lowest bytes of all of them, then the second bytes …
"""

from __future__ import annotations

import ctypes
import itertools
import json
import struct
import sys
import unicodedata
import zlib
from pathlib import Path

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "src" / "aiocouch" / "embedded" / "collation" / "collation.bin"
NORMALIZATION_MODE, ON = 4, 17
HAN, UNASSIGNED = 0xFA000000, 0xFE000000
COMMON = 0x0500
BLOCKS = [
    0x3400, 0x4E00, 0x20000, 0x2A700, 0x2B740, 0x2B820, 0x2CEB0, 0x2EBF0, 0x30000, 0x31350
]  # fmt: skip

Element = tuple[int, int, int]


class Collator:
    """The root collation, by way of ctypes."""

    def __init__(self, version: str) -> None:
        self._i18n = ctypes.CDLL(f"libicui18n.so.{version}")
        self._uc = ctypes.CDLL(f"libicuuc.so.{version}")
        self._version = version
        self._error = ctypes.c_int(0)
        self._handle = self._call("ucol_open", ctypes.c_void_p, b"", self._status)
        self._call("ucol_setAttribute", None, self._handle, NORMALIZATION_MODE, ON, self._status)

    @property
    def _status(self):
        return ctypes.byref(self._error)

    def _call(self, name, result, *arguments):
        library = self._uc if name.startswith("uset") else self._i18n
        function = getattr(library, f"{name}_{self._version}")
        function.restype = result
        wrapped = [
            ctypes.c_void_p(a) if isinstance(a, int) and a > 1 << 31 else a for a in arguments
        ]
        value = function(*wrapped)
        if self._error.value > 0:
            raise RuntimeError(f"{name}: {self._error.value}")
        return value

    def elements(self, text: str) -> list[Element]:
        """Give the collation elements (primary, secondary, tertiary) of a text."""
        data = text.encode("utf-16-le")
        walk = self._call(
            "ucol_openElements", ctypes.c_void_p, self._handle, data, len(data) // 2, self._status
        )
        found: list[Element] = []
        while (order := self._call("ucol_next", ctypes.c_int32, walk, self._status)) != -1:
            primary, secondary, tertiary = order >> 16 & 0xFFFF, order >> 8 & 0xFF, order & 0xFF
            if tertiary & 0xC0 == 0xC0 and found:
                head = found[-1]
                found[-1] = (head[0] | primary, head[1] | secondary, head[2] | tertiary & 0x3F)
            else:
                found.append((primary << 16, secondary << 8, (tertiary & 0x3F) << 8))
        self._call("ucol_closeElements", None, walk)
        return found

    def contractions(self) -> list[str]:
        """Give the texts whose elements are not those of their characters."""
        bag = self._call("uset_openEmpty", ctypes.c_void_p)
        self._call(
            "ucol_getContractionsAndExpansions", None, self._handle, bag, None, 1, self._status
        )
        room = ctypes.create_string_buffer(200)
        low, high = ctypes.c_int32(), ctypes.c_int32()
        found = set()
        for index in range(self._call("uset_getItemCount", ctypes.c_int32, bag)):
            size = self._call(
                "uset_getItem", ctypes.c_int32, bag, index,
                ctypes.byref(low), ctypes.byref(high), room, 100, self._status,
            )  # fmt: skip
            text = unicodedata.normalize("NFD", room.raw[: 2 * size].decode("utf-16-le"))
            if "\ufdd1" in text:
                continue  # ICU's own bookmarks, no characters
            if self.elements(text) != [e for c in text for e in self.elements(c)]:
                found.add(text)
        return sorted(found)


def planes(numbers) -> bytes:
    data = struct.pack(f"<{len(numbers)}i", *numbers)
    return b"".join(data[place::4] for place in range(4))


def deltas(numbers) -> bytes:
    return planes([number - last for last, number in itertools.pairwise([0, *numbers])])


def han_runs(order: list[int]) -> bytes:
    """Runs of neighbours: block, distance from the end of its last run, length."""
    runs: list[list[int]] = []
    for code in order:
        if runs and sum(runs[-1]) == code:
            runs[-1][1] += 1
        else:
            runs.append([code, 1])
    ends = list(BLOCKS)
    columns: list[list[int]] = [[], [], []]
    for start, length in runs:
        block = max([i for i, first in enumerate(BLOCKS) if first <= start], default=0)
        columns[0].append(block)
        columns[1].append(start - ends[block])
        columns[2].append(length)
        ends[block] = start + length
    return b"".join(map(planes, columns))


def main(version: str) -> None:
    collator = Collator(version)
    keys = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    keys = [c for c in keys if unicodedata.normalize("NFD", c) == c] + collator.contractions()
    table = {key: collator.elements(key) for key in keys}
    plain = {
        k: e[0][0]
        for k, e in table.items()
        if len(e) == 1 and len(k) == 1 and e[0][0] >= HAN and e[0][1:] == (COMMON, COMMON)
    }
    han = sorted((p, ord(k)) for k, p in plain.items() if p < UNASSIGNED)
    explicit = {k: e for k, e in table.items() if k not in plain}
    primaries = sorted({p for e in explicit.values() for p, _, _ in e if 0 < p < HAN})
    ranks = {p: i + 1 for i, p in enumerate(primaries)} | {0: 0}
    ranks |= {p: len(primaries) + 1 + i for i, (p, _) in enumerate(han)}
    secondaries = sorted({s for e in explicit.values() for _, s, _ in e})
    tertiaries = sorted({t for e in explicit.values() for _, _, t in e})
    flat = [element for elements in explicit.values() for element in elements]
    columns = [
        han_runs([code for _, code in han]),
        deltas([ord(k) for k in explicit if len(k) == 1]),
        "\n".join(k for k in explicit if len(k) > 1).encode(),
        bytes(len(e) for e in explicit.values()),
        deltas([ranks[p] for p, _, _ in flat]),
        planes([secondaries.index(s) for _, s, _ in flat]),
        bytes(tertiaries.index(t) for _, _, t in flat),
    ]
    head = {
        "icu": version,
        "primaries": len(primaries),
        "han": len(han),
        "blocks": BLOCKS,
        "common": [secondaries.index(COMMON), tertiaries.index(COMMON)],
        "columns": [len(column) for column in columns],
    }
    data = zlib.compress(json.dumps(head).encode() + b"\n" + b"".join(columns), 9)
    TARGET.write_bytes(data)
    print(head, len(explicit), len(data), [len(zlib.compress(c, 9)) for c in columns])
    print(secondaries[:4], tertiaries[:5], len(secondaries), len(tertiaries))


if __name__ == "__main__":
    main(sys.argv[1])
