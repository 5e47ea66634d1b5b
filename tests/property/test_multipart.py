"""Any chunking of a multipart body gives the same parts; what is written reads back the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.multipart import (
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
)
from tests.multipart_bodies import multipart_body

BOUNDARY = "b0unda-ry"

Part = tuple[dict[str, str], bytes]

tokens = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
# Bodies made of pieces of the delimiter are the ones that could fool the parser.
bodies = st.one_of(
    st.binary(max_size=200),
    st.lists(
        st.sampled_from(
            [b"\r", b"\n", b"\r\n", b"--", b"\r\n--", b"\r\n--b0un", b"b0unda-r", b"x"]
        ),
        max_size=20,
    ).map(b"".join),
).filter(lambda body: b"--" + BOUNDARY.encode() not in body)
parts = st.lists(st.tuples(st.dictionaries(tokens, values, max_size=3), bodies), max_size=5)


def encode(items: list[Part]) -> bytes:
    return multipart_body(BOUNDARY, [(list(head.items()), body) for head, body in items])


def collect(chunks: list[bytes]) -> list[Part]:
    parser = MultipartParser(BOUNDARY)
    result: list[Part] = []
    for chunk in chunks:
        for event in parser.feed(chunk):
            match event:
                case PartBegin(headers):
                    result.append((dict(headers), b""))
                case PartData(data):
                    result[-1] = (result[-1][0], result[-1][1] + data)
                case PartEnd():
                    pass
    parser.close()
    return result


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(parts.filter(bool), st.lists(st.integers(0, 10_000), max_size=30))
def test_any_chunking_gives_the_parts_that_were_written(
    items: list[Part], places: list[int]
) -> None:
    assert collect(cut(encode(items), places)) == items


@given(parts.filter(bool))
def test_one_byte_at_a_time_gives_the_same(items: list[Part]) -> None:
    data = encode(items)
    assert collect([data[i : i + 1] for i in range(len(data))]) == items


@given(parts.filter(bool), st.data())
def test_a_cut_body_is_refused(items: list[Part], data: st.DataObject) -> None:
    body = encode(items)
    with pytest.raises(MultipartError):
        collect([body[: data.draw(st.integers(0, len(body) - 1))]])


@given(st.binary(max_size=300).filter(lambda text: b"--" + BOUNDARY.encode() not in text))
def test_the_preamble_is_skipped(preamble: bytes) -> None:
    assert collect([preamble + b"\r\n" + encode([({"a": "b"}, b"c")])]) == [({"a": "b"}, b"c")]


@given(st.text("abcABC0123'()+_,./:=?- ", min_size=1, max_size=60).filter(lambda t: t == t.strip()))
def test_a_quoted_boundary_is_found(boundary: str) -> None:
    assert boundary_of(f'multipart/mixed; x=1; boundary="{boundary}"') == boundary
