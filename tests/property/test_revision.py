"""The encoding behind revision ids: whatever goes in can be read out of it again."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.revision import (
    encode_term,
    format_revision,
    next_revision,
    parse_revision,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
INTEGERS = st.integers() | st.integers(-(2**70), 2**70) | st.integers(-300, 300)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | FLOATS | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.integers(0, 255), max_size=300)
        | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)
ATOMS = {b"null": None, b"true": True, b"false": False}


class Term:
    """Reads the external term format, written from its description and not from the encoder."""

    def __init__(self, data: bytes) -> None:
        assert data[0] == 131
        self._data = data
        self._place = 1

    def read(self) -> Any:
        tag = self._take(1)[0]
        return getattr(self, f"_read_{tag}")()

    @property
    def at_end(self) -> bool:
        return self._place == len(self._data)

    def _take(self, size: int) -> bytes:
        piece = self._data[self._place : self._place + size]
        assert len(piece) == size
        self._place += size
        return piece

    def _unpack(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _read_97(self) -> int:
        return int(self._take(1)[0])

    def _read_98(self) -> int:
        number = int(self._unpack(">i"))
        assert not 0 <= number < 256
        return number

    def _read_110(self) -> int:
        return self._big(self._take(1)[0])

    def _read_111(self) -> int:
        return self._big(self._unpack(">I"))

    def _big(self, size: int) -> int:
        sign = self._take(1)[0]
        number = int.from_bytes(self._take(size), "little")
        assert number.bit_length() > 31
        return -number if sign else number

    def _read_70(self) -> float:
        return float(self._unpack(">d"))

    def _read_100(self) -> bool | None:
        return ATOMS[self._take(self._unpack(">H"))]

    def _read_109(self) -> str:
        return self._take(self._unpack(">I")).decode()

    def _read_107(self) -> list[Any]:
        return list(self._take(self._unpack(">H")))

    def _read_106(self) -> list[Any]:
        return []

    def _read_108(self) -> list[Any]:
        size = self._unpack(">I")
        items = [self.read() for _ in range(size)]
        assert self.read() == []
        return items

    def _read_104(self) -> Any:
        size = self._take(1)[0]
        items = tuple(self.read() for _ in range(size))
        return dict(items[0]) if size == 1 else items


def same(one: Any, other: Any) -> bool:
    """Equality that tells 1 from 1.0 and from true, and -0.0 from 0.0."""
    return repr(one) == repr(other)


@given(VALUES)
def test_terms_can_be_read(value: Any) -> None:
    term = Term(encode_term(value))
    assert same(term.read(), value)
    assert term.at_end


@given(st.dictionaries(TEXT, VALUES, max_size=4), st.booleans())
def test_a_revision_tells_edits_apart(body: dict[str, Any], deleted: bool) -> None:
    first = next_revision(None, body, deleted=deleted)
    assert first == next_revision(None, dict(body), deleted=deleted)
    assert first[0] == 1
    assert len(first[1]) == 16
    others = [
        next_revision(None, body, deleted=not deleted),
        next_revision(None, {**body, "\0more": 1}, deleted=deleted),
        next_revision(first, body, deleted=deleted),
        next_revision(None, body, deleted=deleted, attachments=[("a", "b/c", b"m" * 16)]),
    ]
    assert len({digest for _, digest in [first, *others]}) == 5


@given(st.integers(1, 10**9), st.binary(min_size=16, max_size=16))
def test_ordinary_revisions_survive_their_text(generation: int, digest: bytes) -> None:
    rev = (generation, digest)
    assert parse_revision(format_revision(rev)) == rev


@given(st.integers(0, 10**9), TEXT)
def test_any_text_of_a_replicator_survives(generation: int, text: str) -> None:
    if generation and len(text.encode()) in (16, 32):
        return  # those are hashes
    assert format_revision(parse_revision(f"{generation}-{text}")) == f"{generation}-{text}"
