"""Rows of CSV: what `export --types` writes, `load` reads as it was, whatever it is."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch.cli.columns import Columns, Rows, Spool, heading_of, name_and_kind
from aiocouch.cli.records import KINDS, delimiter_of, documents_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["a", "b", "_id", "a:int", " a", '"a"', '"a', "\ufeff", "n:json", ":"]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["1", "true", "null", "", "\r", "\n", "\r\n", '"', ",", "\ufeff", "\0", " "]
)
VALUES = st.recursive(
    TEXTS
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
SAME = st.one_of(
    *(
        st.lists(st.dictionaries(st.sampled_from("abc"), kind, max_size=3), max_size=5)
        for kind in (
            TEXTS,
            st.integers(),
            st.booleans(),
            st.floats(allow_nan=False, allow_infinity=False),
        )
    )
)


def exact(value: Any) -> str:
    """Return what tells 1, 1.0 and true apart."""
    return json.dumps(value, sort_keys=True)


def written(spool: Spool, delimiter: str) -> str:
    columns = spool.columns
    kinds = {name: columns.kind(name) for name in columns.names}
    rows = Rows(
        columns.names, delimiter, frozenset(n for n, kind in kinds.items() if kind == "json")
    )
    heading = rows.line([heading_of(name, kind) for name, kind in kinds.items()])
    return heading + "".join(map(rows.row, spool))


@pytest.mark.parametrize("infer", [False, True])
@given(
    st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=5) | SAME, st.sampled_from(",\t;")
)
def test_documents_come_back(infer: bool, documents: list[dict[str, Any]], delimiter: str) -> None:
    with Spool() as spool:
        for document in documents:
            spool.put(document)
        text = written(spool, delimiter)
    file = io.BytesIO(text.encode())
    found = [
        json.loads(each) for each in documents_of(file, "csv", {}, delimiter=delimiter, infer=infer)
    ]
    expected = documents if any(documents) else []
    assert exact(found) == exact(expected)


@given(NAMES, st.sampled_from(KINDS))
def test_headings_come_back(name: str, kind: str) -> None:
    assert name_and_kind(heading_of(name, kind), KINDS) == (name, kind)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "1"], "text"),
        (["a", ""], "json"),
        ([1, 2], "int"),
        ([1, 2.5], "number"),
        ([True], "bool"),
        ([True, 1], "json"),
        ([None], "json"),
        ([[1]], "json"),
    ],
)
def test_kinds(values: list[Any], kind: str) -> None:
    columns = Columns()
    for value in values:
        columns.take({"a": value})
    columns.take({"b": 1})
    assert (columns.names, columns.kind("a")) == (["a", "b"], kind)


def test_more_than_fits_into_memory_is_on_disk() -> None:
    with Spool() as spool:
        for number in range(20):
            spool.put({"n": number, "long": "x" * 1_000_000})
        assert [each["n"] for each in spool] == list(range(20))
        assert spool.is_on_disk


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("a.csv", None, ","),
        ("a.TSV", None, "\t"),
        ("a.tsv.gz", None, "\t"),
        ("a.tsv", ";", ";"),
        ("-", None, ","),
        ("-", "tab", "\t"),
        ("-", "\\t", "\t"),
    ],
)
def test_delimiters(name: str, given: str | None, found: str) -> None:
    assert delimiter_of(name, given) == found
