"""Any chunking of any layout gives the same rows; any cut is noticed."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.codec import decode, encode
from aiocouch._wire.rows import BrokenBodyError, LineSplitter, RowSplitter, document_id

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"[]{},:\n\r'))
SCALARS = st.none() | st.booleans() | st.integers() | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.fixed_dictionaries({"id": TEXT, "key": VALUES, "value": VALUES}), max_size=5)
META = st.fixed_dictionaries(
    {}, optional={"offset": st.integers(), "total_rows": st.integers(), "update_seq": TEXT}
)
NAMES = st.sampled_from(["rows", "docs", "results"])


STYLES: list[dict[str, Any]] = [
    {"separators": (",", ":")},
    {"indent": 2},
    {"indent": 0, "ensure_ascii": False},
]


def couchdb_layout(name: str, rows: list[Any], meta: dict[str, Any], newline: str) -> bytes:
    """One row a line, the members around them before or behind, as CouchDB does."""
    lines = f",{newline}".join(encode(row).decode() for row in rows)
    head = '{"total_rows":5,' if name == "rows" else "{"
    tail = "".join(f',"{key}":{encode(value).decode()}' for key, value in meta.items())
    return f'{head}"{name}":[{newline}{lines}{newline}]{tail}}}\n'.encode()


def any_layout(name: str, rows: list[Any], meta: dict[str, Any], style: int) -> bytes:
    """What some program makes of it that has read and written the body again."""
    value = {name: rows, **meta} if style % 2 else {**meta, name: rows}
    return json.dumps(value, **STYLES[style // 2]).encode()


LAYOUTS = st.one_of(
    st.builds(
        lambda name, rows, meta, newline: (couchdb_layout(name, rows, meta, newline), rows),
        NAMES,
        ROWS,
        META,
        st.sampled_from(["\n", "\r\n"]),
    ),
    st.builds(
        lambda name, rows, meta, style: (any_layout(name, rows, meta, style), rows),
        NAMES,
        ROWS,
        META,
        st.integers(0, 5),
    ),
)


def chunks(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[start:end] for start, end in itertools.pairwise(places)]


def split(parts: list[bytes]) -> tuple[list[Any], dict[str, Any]]:
    splitter = RowSplitter()
    rows: list[Any] = []
    for part in parts:
        text = splitter.feed(part)
        if text is not None:
            rows += decode(text)
    splitter.close()
    return rows, splitter.meta


CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(LAYOUTS, CUTS)
def test_any_chunking_of_any_layout_gives_the_rows(
    layout: tuple[bytes, list[Any]], cuts: list[int]
) -> None:
    body, rows = layout
    assert split(chunks(body, cuts))[0] == rows


@given(ROWS, CUTS, st.sampled_from(["\n", "\n\n", "\r\n\n\n"]))
def test_error_behind_the_rows_is_told_whatever_the_chunks(
    rows: list[Any], cuts: list[int], gap: str
) -> None:
    # The status is out already when the server fails: the error then follows the last row.
    lines = ",\r\n".join(encode(row).decode() for row in rows)
    body = f'{{"total_rows":2,"offset":0,"rows":[\r\n{lines}{gap}{{"error":"e","reason":"r"}}\n'
    splitter, seen = RowSplitter(), []

    def read() -> None:
        for part in chunks(body.encode(), cuts):
            text = splitter.feed(part)
            if text is not None:
                seen.extend(decode(text))
        splitter.close()

    with pytest.raises((BrokenBodyError, msgspec.DecodeError)) as caught:
        read()
    if isinstance(caught.value, BrokenBodyError) and rows:
        assert caught.value.answer == {"error": "e", "reason": "r"}
        assert seen == rows[: len(seen)]


@given(LAYOUTS)
def test_byte_by_byte_gives_the_rows(layout: tuple[bytes, list[Any]]) -> None:
    body, rows = layout
    assert split([body[at : at + 1] for at in range(len(body))])[0] == rows


@given(ROWS, META, CUTS)
def test_members_around_the_rows_are_kept(
    rows: list[Any], meta: dict[str, Any], cuts: list[int]
) -> None:
    body = couchdb_layout("results", rows, meta, "\n")
    found = split(chunks(body, cuts))[1]
    assert {key: found[key] for key in meta} == meta


@given(LAYOUTS, CUTS, st.integers(1, 10_000))
def test_any_cut_is_noticed(layout: tuple[bytes, list[Any]], cuts: list[int], lost: int) -> None:
    body = layout[0].rstrip()
    short = body[: len(body) - 1 - lost % len(body)]
    with pytest.raises((BrokenBodyError, ValueError)):
        split(chunks(short, cuts))


@given(LAYOUTS, CUTS, st.integers(1, 10_000))
def test_rows_before_a_cut_are_right(
    layout: tuple[bytes, list[Any]], cuts: list[int], lost: int
) -> None:
    body, rows = layout
    splitter, seen = RowSplitter(), []
    for part in chunks(body[: len(body) - lost % len(body)], cuts):
        text = splitter.feed(part)
        if text is not None:
            seen += decode(text)
    assert seen == rows[: len(seen)]


@given(st.lists(VALUES, max_size=6), CUTS, st.sampled_from(["\n", "\r\n", "\n\n", "\n \n"]))
def test_lines_from_any_chunking(values: list[Any], cuts: list[int], newline: str) -> None:
    body = b"".join(encode(value) + newline.encode() for value in values)
    splitter = LineSplitter()
    found = [decode(line) for part in chunks(body, cuts) for line in splitter.feed(part)]
    splitter.close()
    assert found == values


@given(st.lists(VALUES, min_size=1, max_size=3))
def test_open_line_is_noticed(values: list[Any]) -> None:
    splitter = LineSplitter()
    splitter.feed(b"\n".join(encode(value) for value in values))
    with pytest.raises(BrokenBodyError):
        splitter.close()


@given(TEXT, st.dictionaries(TEXT, VALUES, max_size=3), st.booleans())
def test_id_is_found_in_a_document(name: str, data: dict[str, Any], last: bool) -> None:
    data.pop("_id", None)
    text = encode({**data, "_id": name} if last else {"_id": name, **data})
    assert document_id(text) == name
    assert document_id(json.dumps(decode(text)).encode()) == name
