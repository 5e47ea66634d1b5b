"""What holds for any batches, logs, texts and chunks of a replication."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.erlang_terms import Atom, of_json, term_to_binary
from aiocouch._wire.multipart import boundary_of, part_head
from aiocouch._wire.part_reader import PartReader
from aiocouch._wire.related import Outgoing, document_of
from aiocouch.replication.checkpoints import Start, common_start, is_same_log, new_log
from aiocouch.replication.endpoint import Change, Leaf
from aiocouch.replication.planning import (
    MOST_ANCESTORS,
    Forecast,
    InOrder,
    by_size,
    generation,
    groups,
    leaves_of,
    youngest,
)
from aiocouch.replication.progress import Counts
from aiocouch.replication.texts import bulk_answer, bulk_results, glance, whole_first
from tests.multipart_bodies import multipart_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(names, inside, max_size=3),
    max_leaves=8,
)


# in any order


@given(st.lists(st.booleans()), st.randoms(use_true_random=False))
def test_a_sequence_is_reached_when_all_before_it_is_done(marked: list[bool], random: Any) -> None:
    order = InOrder()
    numbers = [order.begin(at if has_seq else None) for at, has_seq in enumerate(marked)]
    done: set[int] = set()
    reached = None
    for at in random.sample(range(len(numbers)), len(numbers)):
        done.add(at)
        told = order.end(numbers[at])
        reached = reached if told is None else told
        gap = min(set(range(len(numbers) + 1)) - done)
        assert reached == max((seq for seq in range(gap) if marked[seq]), default=None)


@given(st.lists(st.binary(max_size=30)), st.integers(1, 50))
def test_parts_have_everything_and_are_no_larger_than_they_may(
    texts: list[bytes], most: int
) -> None:
    parts = by_size(texts, most)
    assert [text for part in parts for text in part] == texts
    assert all(len(part) == 1 or sum(map(len, part)) <= most for part in parts)
    assert all(parts)


@given(st.lists(st.integers()), st.integers(1, 9))
def test_groups_have_everything(items: list[int], size: int) -> None:
    made = groups(items, size)
    assert [item for group in made for item in group] == items
    assert all(0 < len(group) <= size for group in made)


@given(st.lists(st.tuples(st.integers(1, 999), st.integers(0, 99)), max_size=90, unique=True))
def test_the_ancestors_that_are_named_are_the_youngest(revs: list[tuple[int, int]]) -> None:
    given_revs = [f"{number}-{name:032x}" for number, name in revs]
    named = youngest(given_revs)
    assert len(named) == min(len(given_revs), MOST_ANCESTORS)
    left = set(given_revs) - set(named)
    assert all(generation(rev) <= min(map(generation, named)) for rev in left)


@given(st.lists(st.tuples(names, st.lists(names, max_size=4)), max_size=9))
def test_every_leaf_is_asked_for_once(rows: list[tuple[str, list[str]]]) -> None:
    leaves = leaves_of(Change(doc_id, [Leaf(rev) for rev in revs]) for doc_id, revs in rows)
    for doc_id, revs in leaves.items():
        assert len(revs) == len(set(revs))
        assert set(revs) == {rev for other, found in rows if other == doc_id for rev in found}
    assert leaves.keys() == {doc_id for doc_id, _ in rows}


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=40))
def test_the_target_is_asked_again_whatever_came(batches: list[tuple[int, int]]) -> None:
    forecast = Forecast(target_is_empty=True)
    asked = []
    for checked, missing in batches:
        asked.append(forecast.is_to_compare())
        forecast.compared(checked, min(checked, missing))
        assert 0 <= forecast.missing <= 1
    assert all(any(asked[at : at + 10]) for at in range(len(asked) - 9))


# logs


def log_of(sessions: Sequence[int], seqs: dict[int, int]) -> dict[str, Any]:
    """The log that is left when these sessions came one after the other."""
    log: dict[str, Any] = {"history": []}
    for name in sessions:
        entry = {
            "session_id": str(name),
            "recorded_seq": seqs[name],
            "start_time": "",
            "end_time": "",
            **Counts().for_log(),
        }
        log = new_log(entry, log["history"], with_totals=False)
    return log


@given(st.lists(st.booleans() | st.none(), max_size=30))
def test_it_starts_at_the_latest_session_that_both_ends_know(whose: list[bool | None]) -> None:
    """Of each session the source's log (True), the target's (False), or both (None) were written."""
    seqs = {number: number * 10 for number in range(len(whose))}
    at_source = [number for number, who in enumerate(whose) if who is not False]
    at_target = [number for number, who in enumerate(whose) if who is not True]
    source, target = log_of(at_source, seqs), log_of(at_target, seqs)
    both = set(at_source) & set(at_target)
    start = common_start(source, target)
    assert start.seq == (seqs[max(both)] if both else 0)
    assert common_start(target, source).seq == start.seq
    assert bool(start.history) == bool(both)


@given(plain, plain)
def test_any_text_in_place_of_a_log_is_no_log(source: Any, target: Any) -> None:
    broken = {"history": source, "session_id": "a"}, {"history": target, "session_id": "b"}
    start = common_start(*broken)
    assert isinstance(start, Start)


@given(st.dictionaries(names, plain), st.dictionaries(names, plain))
def test_logs_are_the_same_if_all_but_their_names_is(one: Any, other: Any) -> None:
    assert is_same_log({**one, "_rev": "0-1"}, {**one, "_rev": "0-2"})
    same = {k: v for k, v in one.items() if k[0] != "_"} == {
        k: v for k, v in other.items() if k[0] != "_"
    }
    assert is_same_log(one, other) == same


# texts


@given(
    st.dictionaries(names.filter(lambda name: name[0] != "_"), plain),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
)
def test_a_row_has_all_of_a_document_only_if_it_has(
    body: dict[str, Any], number: int, leaves: int, attached: bool, newer: bool
) -> None:
    rev = f"{number}-a"
    members: dict[str, Any] = {"_id": "d", "_rev": "1-b" if newer else rev, **body}
    if attached:
        members["_attachments"] = {"a": {"stub": True}}
    text = json.dumps(members, ensure_ascii=False).encode()
    row = json.dumps({"id": "d", "changes": [{"rev": rev}] * leaves}).encode()
    change = msgspec.json.decode(row[:-1] + b',"doc":' + text + b"}", type=Change)
    whole = whole_first(change)
    if number == 1 and leaves == 1 and not attached and not newer:
        assert whole is not None
        assert (whole.text, whole.rev) == (text, rev)
    else:
        assert whole is None
    assert glance(text).has_attachments == attached


@given(st.lists(st.tuples(names, st.lists(st.booleans(), min_size=1, max_size=3)), max_size=5))
def test_an_answer_is_read_the_same_whole_and_in_parts(
    results: list[tuple[str, list[bool]]],
) -> None:
    answer = [
        {"docs": [_item(doc_id, n, is_there) for n, is_there in enumerate(docs)], "id": doc_id}
        for doc_id, docs in results
    ]
    whole = bulk_answer(json.dumps({"results": answer}).encode())
    assert whole == bulk_results(json.dumps(answer).encode())
    found = [(doc_id, rev if isinstance(rev, str) else rev.rev) for doc_id, rev in whole]
    assert found == [(doc_id, f"{n}-a") for doc_id, docs in results for n in range(len(docs))]


def _item(doc_id: str, number: int, is_there: bool) -> dict[str, Any]:
    rev = f"{number}-a"
    return {"ok": {"_id": doc_id, "_rev": rev}} if is_there else {"error": {"rev": rev, "id": "x"}}


# attachments


@given(
    st.dictionaries(names, st.tuples(st.binary(max_size=40), st.booleans()), max_size=4),
    st.integers(1, 7),
)
async def test_attachments_pass_through_byte_for_byte(
    attachments: dict[str, tuple[bytes, bool]], size: int
) -> None:
    stubs = {
        name: {"content_type": "x/y", "length": len(data), "follows": True}
        | ({"encoding": "gzip", "encoded_length": len(data), "length": 999} if packed else {})
        for name, (data, packed) in attachments.items()
    }
    text = json.dumps({"_id": "d", "_rev": "1-a", "_attachments": stubs}).encode()
    contents = [([("Content-Type", "x/y")], data) for data, _ in attachments.values()]
    sent = multipart_body("inner", [([("Content-Type", "application/json")], text), *contents])
    outer = multipart_body(
        "outer", [([("Content-Type", "multipart/related; boundary=inner")], sent)]
    )
    parts = PartReader(_cut(outer, size), "outer")
    headers = await parts.next_part()
    assert headers is not None
    outgoing = Outgoing(await document_of(parts, headers["content-type"]))
    body = b"".join([piece async for piece in outgoing.body()])
    assert len(body) == int(outgoing.headers()["Content-Length"])
    boundary = boundary_of(outgoing.headers()["Content-Type"])
    assert boundary is not None
    again = PartReader(_cut(body, 1000), boundary)
    assert await again.next_part() is not None
    assert await again.body(1 << 20) == text
    for name, (data, packed) in attachments.items():
        head = await again.next_part()
        assert head is not None
        assert await again.body(1 << 20) == data
        assert head.get("content-encoding") == ("gzip" if packed else None)
        assert part_head([("Content-Disposition", head["content-disposition"])]), name
    assert await again.next_part() is None


async def _cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


# terms


@given(plain | st.binary() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_term_is_written_in_one_way(value: Any) -> None:
    term = value if isinstance(value, bytes | float) else of_json(value)
    text = term_to_binary(term)
    read, rest = _read(text[1:])
    assert (text[:1], rest) == (b"\x83", b"")
    assert term_to_binary(read) == text


def _read(text: bytes) -> tuple[Any, bytes]:
    """Read a term: a decoder of its own, by the format's description."""
    kind, rest = text[:1], text[1:]
    if kind == b"a":
        return rest[0], rest[1:]
    if kind == b"b":
        return struct.unpack(">i", rest[:4])[0], rest[4:]
    if kind == b"F":
        return struct.unpack(">d", rest[:8])[0], rest[8:]
    if kind == b"n":
        number = int.from_bytes(rest[2 : 2 + rest[0]], "little")
        return -number if rest[1] else number, rest[2 + rest[0] :]
    if kind == b"j":
        return [], rest
    if kind == b"d":
        size = int.from_bytes(rest[:2], "big")
        return Atom(rest[2 : 2 + size].decode("latin-1")), rest[2 + size :]
    if kind == b"k":
        size = int.from_bytes(rest[:2], "big")
        return list(rest[2 : 2 + size]), rest[2 + size :]
    if kind == b"m":
        size = int.from_bytes(rest[:4], "big")
        return rest[4 : 4 + size], rest[4 + size :]
    return _read_many(kind, rest)


def _read_many(kind: bytes, rest: bytes) -> tuple[Any, bytes]:
    assert kind in (b"l", b"h"), kind
    wide = 4 if kind == b"l" else 1
    count, rest = int.from_bytes(rest[:wide], "big"), rest[wide:]
    items = []
    for _ in range(count):
        item, rest = _read(rest)
        items.append(item)
    if kind == b"h":
        return tuple(items), rest
    assert rest[:1] == b"j"
    return items, rest[1:]
