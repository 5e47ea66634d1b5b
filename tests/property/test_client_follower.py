"""What followers remember: acknowledgements in any order, and rows that come again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiocouch.changes.ledger import Ledger
from aiocouch.changes.window import Window

BATCHES = st.lists(st.integers(0, 5), max_size=8)


def row(number: int, id: str = "a", rev: str = "1-a", **more: Any) -> dict[str, Any]:
    return {"seq": f"{number}-x", "id": id, "changes": [{"rev": rev}], **more}


@given(BATCHES, st.randoms(use_true_random=False))
def test_the_sequence_is_that_before_which_all_is_acknowledged(
    sizes: list[int], chance: Any
) -> None:
    ledger = Ledger("0-x")
    rows: list[dict[str, Any]] = []
    for size in sizes:
        batch = [row(len(rows) + at + 1) for at in range(size)]
        assert ledger.add(batch, 1.0) == len(rows)
        rows += batch
    places = list(range(1, len(rows) + 1)) * 2
    chance.shuffle(places)
    done: set[int] = set()
    for place in places:
        ledger.acknowledge(place)
        done.add(place)
        whole = next(n for n in range(len(rows) + 1) if n + 1 not in done)
        assert ledger.acknowledged == whole
        assert ledger.sequence == f"{whole}-x"
        assert ledger.outstanding == len(rows) - whole
        assert (ledger.since is None) == (whole == len(rows))


@given(st.lists(st.booleans(), min_size=1, max_size=9), st.integers(0, 9))
def test_a_row_without_a_sequence_stands_at_the_last_that_has_one(
    has_one: list[bool], done: int
) -> None:
    rows = [row(at + 1) if has else {**row(0), "seq": None} for at, has in enumerate(has_one)]
    ledger = Ledger("0-x")
    ledger.add(rows, 0)
    for place in range(1, min(done, len(rows)) + 1):
        ledger.acknowledge(place)
    known = [at + 1 for at, has in enumerate(has_one[:done]) if has]
    assert ledger.sequence == f"{max(known, default=0)}-x"


def test_a_closing_line_counts_when_all_before_it_is_acknowledged() -> None:
    ledger = Ledger(None)
    ledger.add([row(1), row(2)], 0)
    ledger.close("9-z")
    ledger.acknowledge(1)
    assert ledger.sequence == "1-x"
    ledger.acknowledge(2)
    assert ledger.sequence == "9-z"


def given_by(window: Window, batches: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    found = []
    for batch in batches:
        found += window.fresh(batch, json.dumps(batch).encode())
    return found


EDITS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["1-a", "1-b", "2-a"])), max_size=30
)


@given(EDITS, st.integers(1, 5))
def test_rows_whose_sequences_grow_all_come(edits: list[tuple[str, str]], size: int) -> None:
    rows = [row(at + 1, id, rev) for at, (id, rev) in enumerate(edits)]
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    assert given_by(Window(100), batches) == rows


@given(EDITS, st.integers(0, 30), st.integers(1, 5))
def test_what_a_feed_shows_again_comes_once(
    edits: list[tuple[str, str]], back: int, size: int
) -> None:
    rows = [row(at + 1, id, rev) for at, (id, rev) in enumerate(edits)]
    last = {each["id"]: each for each in rows}
    again = [each for each in rows[back:] if last[each["id"]] is each]  # a feed has only the last
    new = row(len(rows) + 1, "new")
    batches = [rows[at : at + size] for at in range(0, len(rows), size)]
    assert given_by(Window(100), [*batches, again, [new]]) == [*rows, new]


@given(EDITS, EDITS)
def test_the_last_state_of_each_document_comes_whatever_the_server_does(
    edits: list[tuple[str, str]], later: list[tuple[str, str]]
) -> None:
    rows = [row(at + 1, id, rev) for at, (id, rev) in enumerate(edits)]
    behind = [row(at + 1, id, rev) for at, (id, rev) in enumerate(later)]
    found = given_by(Window(100), [rows, behind])
    last = {each["id"]: each["changes"] for each in [*rows, *behind]}
    assert {each["id"]: each["changes"] for each in found} == last


@given(EDITS)
def test_a_small_window_loses_nothing(edits: list[tuple[str, str]]) -> None:
    rows = [row(at + 1, id, rev) for at, (id, rev) in enumerate(edits)]
    found = given_by(Window(3), [[each] for each in [*rows, *rows]])
    assert found[: len(rows)] == rows
    assert all(each in rows for each in found)
