"""The bulk writer: its requests, its window, and what it tells when something goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from aiocouch import (
    ConflictError,
    CouchDB,
    CouchDBError,
    Database,
    Document,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    TransportError,
    UnexpectedAnswerError,
)
from aiocouch.writing import BulkWriter, WriteOutcome, WriteProgress
from tests.wire.canned import Answer, CannedServer, Request, error_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

REFUSED = "Document update conflict."


def rows(request: Request) -> list[dict[str, Any]]:
    """What CouchDB says when all goes well."""
    return [{"ok": True, "id": doc["_id"], "rev": "1-a"} for doc in request.json()["docs"]]


def all_well(request: Request) -> Answer:
    return json_answer(rows(request), 201)


def refusing(*ids: str) -> Callable[[Request], Answer]:
    """An answer in which some documents meet a conflict."""

    def answer(request: Request) -> Answer:
        found = rows(request)
        for row in found:
            if row["id"] in ids:
                row.clear()
                row |= {"id": row.get("id"), "error": "conflict", "reason": REFUSED}
        for row, doc in zip(found, request.json()["docs"], strict=True):
            row["id"] = doc["_id"]
        return json_answer(found, 201)

    return answer


def there(**docs: dict[str, Any] | None) -> Answer:
    """The answer of `_all_docs`; None is a document that was deleted."""
    found = []
    for id, doc in docs.items():
        value = {"rev": "5-d", "deleted": True} if doc is None else {"rev": "7-t"}
        whole = None if doc is None else {"_id": id, "_rev": "7-t", **doc}
        found.append({"id": id, "key": id, "value": value, "doc": whole})
    return json_answer({"total_rows": 9, "offset": 0, "rows": found})


class Gate:
    """Answers that all go well, once they may go."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    def __call__(self, request: Request) -> Answer:
        return Answer(201, pieces=self._pieces(request))

    async def _pieces(self, request: Request) -> AsyncGenerator[bytes, None]:
        await self.open.wait()
        yield json.dumps(rows(request)).encode()


def sent(request: Request) -> list[str]:
    return [doc["_id"] for doc in request.json()["docs"]]


def numbered(count: int) -> list[dict[str, Any]]:
    return [{"_id": f"{number:04}"} for number in range(count)]


async def collected(writer: BulkWriter) -> list[WriteOutcome]:
    return [outcome async for outcome in writer]


async def listen(writer: BulkWriter, ids: list[str]) -> None:
    async for outcome in writer:
        ids.append(outcome.id)  # noqa: PERF401 - they must be there when it is cut


async def told(writer: BulkWriter, kind: type[Exception]) -> tuple[list[str], Exception]:
    """The ids of the outcomes until the error, and the error."""
    ids: list[str] = []
    with pytest.raises(kind) as caught:
        await listen(writer, ids)
    return ids, caught.value


def left(writer: BulkWriter) -> Counter[tuple[str, str]]:
    return Counter((outcome.id, outcome.state) for outcome in writer.left)


# -- the requests ---------------------------------------------------------------------------------


async def test_a_stream_is_cut_by_count(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    writer = base.write(numbered(5), batch_size=2)
    outcomes = await collected(writer)
    assert canned.lines == ["POST /db/_bulk_docs"] * 3
    assert sorted(map(sent, canned.requests)) == [["0000", "0001"], ["0002", "0003"], ["0004"]]
    assert [outcome.id for outcome in outcomes] == [f"{number:04}" for number in range(5)]
    assert {(outcome.state, outcome.rev, outcome.ok) for outcome in outcomes} == {
        ("written", "1-a", True)
    }
    assert writer.progress == WriteProgress(5, 5, 0, 0, 3, 70)
    assert writer.left == []


async def test_a_stream_is_cut_by_bytes(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    docs = [{"_id": name, "text": "x" * size} for name, size in (("a", 60), ("b", 60), ("c", 500))]
    await base.write(docs, batch_bytes=200, window=1)
    assert list(map(sent, canned.requests)) == [["a", "b"], ["c"]]


async def test_an_empty_stream_sends_nothing(canned: CannedServer, base: Database) -> None:
    assert await base.write([]) == WriteProgress()
    assert canned.requests == []


async def test_nothing_begins_before_the_loop(canned: CannedServer, base: Database) -> None:
    taken = iter(numbered(3))
    writer = base.write(taken)
    assert next(taken) == {"_id": "0000"}
    canned.handler = all_well
    await writer
    assert sent(canned.only()) == ["0001", "0002"]


async def test_documents_without_an_id_get_one_that_grows(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = all_well
    given: list[Any] = [{}, {"n": 1}, '{"n":2}', b" {} ", b'{ "n" : 4 }']
    outcomes = await collected(base.write(given))
    docs = canned.only().json()["docs"]
    ids = [doc.pop("_id") for doc in docs]
    assert docs == [{}, {"n": 1}, {"n": 2}, {}, {"n": 4}]
    assert ids == [outcome.id for outcome in outcomes]
    assert len(set(ids)) == 5
    assert all(len(id) == 32 for id in ids)
    assert given[:2] == [{}, {"n": 1}]
    assert [outcome.doc for outcome in outcomes] == given


async def test_text_goes_as_it_is(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    await base.write(['{"_id":"a", "n": 1.50}', b'\n{"n":[],"_id":"\\u0062"}\n'])
    assert canned.only().body == (b'{"docs":[{"_id":"a", "n": 1.50},{"n":[],"_id":"\\u0062"}]}')


async def test_documents_know_their_revision(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    docs = [Document(base, "a", {"n": 1}), Document(base, "b")]
    first = await base.write(docs)
    again = await collected(base.write(docs))
    assert [doc.rev for doc in docs] == ["1-a", "1-a"]
    assert not any(doc.is_dirty() for doc in docs)
    assert first.written == 2
    assert [(outcome.state, outcome.rev) for outcome in again] == [("skipped", "1-a")] * 2
    assert sent(canned.only()) == ["a", "b"]


async def test_a_document_of_another_database_is_refused(base: Database) -> None:
    other = Document(Database(base.couchdb, "other"), "a")
    with pytest.raises(InvalidInputError, match="document 1 of the stream"):
        await base.write([other])


async def test_two_edits_of_one_document_keep_their_order(
    canned: CannedServer, base: Database
) -> None:
    gate = Gate()
    canned.handler = gate
    docs: list[dict[str, Any]] = [
        {"_id": "a", "n": 1},
        {"_id": "b"},
        {"_id": "a", "n": 2},
        {"_id": "c"},
    ]
    task = asyncio.create_task(collected(base.write(docs, batch_size=10)))
    await canned.requested(1)
    assert sent(canned.requests[0]) == ["a", "b"]
    gate.open.set()
    assert [outcome.doc for outcome in await task] == docs
    assert list(map(sent, canned.requests)) == [["a", "b"], ["a", "c"]]


# -- the window -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ordered", [True, False])
async def test_the_window_holds_the_stream_back(
    canned: CannedServer, base: Database, ordered: bool
) -> None:
    taken = 0

    async def source() -> AsyncGenerator[dict[str, str], None]:
        nonlocal taken
        for doc in numbered(100):
            taken += 1
            yield doc

    canned.handler = all_well
    handed_out, furthest = 0, 0
    writer = base.write(source(), window=3, batch_size=5, ordered=ordered)
    async for _ in writer:
        handed_out += 1
        await asyncio.sleep(0)
        furthest = max(furthest, taken - handed_out)
    assert handed_out == taken == 100
    assert furthest <= (3 + 1) * 5
    assert furthest > 5


async def test_so_many_requests_are_under_way_and_not_more(
    canned: CannedServer, base: Database
) -> None:
    gate = Gate()
    canned.handler = gate
    task = asyncio.create_task(collected(base.write(numbered(50), window=3, batch_size=5)))
    await canned.requested(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(canned.requests) == 3
    gate.open.set()
    assert [outcome.id for outcome in await task] == [doc["_id"] for doc in numbered(50)]


async def test_outcomes_come_as_they_end_or_in_order(canned: CannedServer, base: Database) -> None:
    gate = Gate()

    def first_waits(request: Request) -> Answer:
        return gate(request) if sent(request) == ["0000"] else all_well(request)

    canned.handler = first_waits
    writer = base.write(numbered(4), window=2, batch_size=1, ordered=False)
    ids = []
    async for outcome in writer:
        ids.append(outcome.id)
        if len(ids) == 3:
            gate.open.set()
    assert ids == ["0001", "0002", "0003", "0000"]


async def test_a_slow_stream_is_not_waited_for(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    more = asyncio.Event()

    async def source() -> AsyncGenerator[dict[str, str], None]:
        yield {"_id": "a"}
        yield {"_id": "b"}
        await more.wait()
        yield {"_id": "c"}

    async with aclosing(aiter(base.write(source(), delay=0))) as outcomes:
        assert [(await anext(outcomes)).id, (await anext(outcomes)).id] == ["a", "b"]
        more.set()
        assert [outcome.id async for outcome in outcomes] == ["c"]


class Counted(dict[str, Any]):
    """A document that can be seen to be forgotten."""


async def test_what_is_held_does_not_grow_with_the_stream(
    canned: CannedServer, base: Database
) -> None:
    alive: dict[int, ref[Counted]] = {}

    def forgotten(number: int, _: object) -> None:
        del alive[number]

    most = 0

    def source() -> Iterator[Counted]:
        nonlocal most
        for number in range(20_000):
            doc = Counted(_id=str(number))
            alive[number] = ref(doc, partial(forgotten, number))
            most = max(most, len(alive))
            yield doc

    def forget(request: Request) -> Answer:
        canned.requests.clear()
        return all_well(request)

    canned.handler = forget
    async for outcome in base.write(source(), window=3, batch_size=50):
        assert outcome.ok
    assert most <= (3 + 1) * 50 + 2
    assert len(alive) <= 1  # the last outcome has it


# -- what is refused ------------------------------------------------------------------------------


async def test_each_document_fails_by_itself(canned: CannedServer, base: Database) -> None:
    row = {"id": "b", "error": "forbidden", "reason": "not you"}
    canned.say_json([{"ok": True, "id": "a", "rev": "1-a"}, row], 201)
    writer = base.write([{"_id": "a"}, {"_id": "b"}])
    _, failed = await collected(writer)
    assert (failed.state, failed.ok, failed.rev) == ("failed", False, None)
    assert (failed.error, failed.reason) == ("forbidden", "not you")
    assert (writer.progress.written, writer.progress.failed) == (1, 1)


@pytest.mark.parametrize("status", [400, 413])
async def test_one_that_spoils_the_request_fails_alone(
    canned: CannedServer, base: Database, status: int
) -> None:
    def spoilt(request: Request) -> Answer:
        if "0003" in sent(request):
            return error_answer(status, "doc_validation", "Bad special document member: _foo")
        return all_well(request)

    canned.handler = spoilt
    outcomes = await collected(base.write(numbered(8)))
    assert [outcome.id for outcome in outcomes if outcome.ok] == [
        doc["_id"] for doc in numbered(8) if doc["_id"] != "0003"
    ]
    assert (outcomes[3].error, outcomes[3].state) == ("doc_validation", "failed")
    assert len(canned.requests) == 7


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"_id": 5}, InvalidTypeError),
        ({"_id": None}, InvalidTypeError),
        ({"_id": ""}, InvalidInputError),
        ({"_id": "x", "n": float("nan")}, InvalidInputError),
        ({"_id": "x", "n": b""}, InvalidTypeError),
        (5, InvalidTypeError),
        ("[]", InvalidInputError),
        ('{"a"', InvalidInputError),
        ('{"_id": 5}', InvalidInputError),
        ('{"_id": ""}', InvalidInputError),
        (b"", InvalidInputError),
    ],
)
async def test_what_is_no_document_ends_the_stream_and_is_named(
    canned: CannedServer, base: Database, bad: Any, kind: type[Exception]
) -> None:
    canned.handler = all_well
    docs: list[Any] = [{"_id": "a"}, bad, {"_id": "c"}]
    writer = base.write(docs)
    ids, error = await told(writer, kind)
    assert ids == ["a"]
    assert "document 2 of the stream" in str(error)
    assert writer.left == []
    assert sent(canned.only()) == ["a"]


@pytest.mark.parametrize(
    "answer",
    [[], [{"ok": True, "id": "b", "rev": "1-a"}], [{"ok": True, "id": "a", "rev": "1-a"}] * 2],
)
async def test_rows_of_other_documents_are_no_answer(
    canned: CannedServer, base: Database, answer: list[dict[str, Any]]
) -> None:
    canned.say_json(answer, 201)
    writer = base.write([{"_id": "a"}])
    with pytest.raises(UnexpectedAnswerError):
        await writer
    assert left(writer) == Counter([("a", "unknown")])


# -- how it ends ----------------------------------------------------------------------------------


async def test_an_error_of_the_stream_comes_after_what_was_before_it(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = all_well

    async def source() -> AsyncGenerator[dict[str, str], None]:
        for doc in numbered(5):
            yield doc
        raise LookupError("the stream broke")

    writer = base.write(source(), batch_size=2)
    ids, error = await told(writer, LookupError)
    assert ids == [doc["_id"] for doc in numbered(5)]
    assert str(error) == "the stream broke"
    assert writer.left == []


@pytest.mark.parametrize(
    ("answer", "kind", "state"),
    [
        (error_answer(404, "not_found", "Database does not exist."), NotFoundError, "unsent"),
        (error_answer(500), CouchDBError, "unknown"),
        (Answer(silent=True), TransportError, "unknown"),
    ],
)
async def test_a_request_that_fails_ends_the_stream(
    canned: CannedServer, base: Database, answer: Answer, kind: type[Exception], state: str
) -> None:
    closed = False

    async def source() -> AsyncGenerator[dict[str, str], None]:
        nonlocal closed
        try:
            for doc in numbered(10):
                yield doc
        finally:
            closed = True

    gate = Gate()
    canned.handler = lambda request: answer if sent(request) == ["0002", "0003"] else gate(request)
    writer = base.write(source(), batch_size=2, window=3)
    task = asyncio.create_task(told(writer, kind))
    await canned.requested(3)
    gate.open.set()
    ids, _ = await task
    assert ids == ["0000", "0001", "0004", "0005"]
    assert closed
    expected = {("0002", state), ("0003", state)}
    assert expected <= left(writer).keys()
    assert {state for id, state in left(writer) if id > "0005"} <= {"unsent"}
    assert len(left(writer)) == writer.progress.taken - 4


async def test_a_cancelled_loop_tells_what_is_known(canned: CannedServer, base: Database) -> None:
    gate = Gate()

    def second_waits(request: Request) -> Answer:
        return gate(request) if "0002" in sent(request) else all_well(request)

    canned.handler = second_waits
    writer = base.write(numbered(9), batch_size=2, window=2)
    ids: list[str] = []
    task = asyncio.create_task(listen(writer, ids))
    await canned.requested(3)
    while writer.progress.written < 4:  # noqa: ASYNC110 - the progress is what a program sees
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ids == ["0000", "0001"]
    assert writer.progress.written == 4
    assert left(writer) == Counter(
        [
            *(("0002", "unknown"), ("0003", "unknown")),
            *(("0004", "written"), ("0005", "written")),
            *(("0006", "unsent"), ("0007", "unsent")),
        ]
    )
    requests = len(canned.requests)
    gate.open.set()
    await asyncio.sleep(0)
    assert len(canned.requests) == requests


async def test_a_loop_that_is_left_tells_what_it_was_not_told(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = all_well
    writer = base.write(numbered(4))
    async with aclosing(aiter(writer)) as outcomes:
        async for outcome in outcomes:
            assert outcome.id == "0000"
            break
    assert left(writer) == Counter((f"000{number}", "written") for number in (1, 2, 3))


async def test_a_stream_is_written_once(canned: CannedServer, base: Database) -> None:
    canned.handler = all_well
    writer = base.write(numbered(1))
    await writer
    with pytest.raises(InvalidInputError, match="begun already"):
        await writer


# -- conflicts ------------------------------------------------------------------------------------


async def test_a_conflict_is_reported(canned: CannedServer, base: Database) -> None:
    canned.say(refusing("b"))
    good, bad = await collected(base.write([{"_id": "a"}, {"_id": "b"}]))
    assert (good.state, bad.state) == ("written", "failed")
    assert (bad.error, bad.reason) == ("conflict", REFUSED)


async def test_a_conflict_is_skipped(canned: CannedServer, base: Database) -> None:
    canned.say(refusing("b"))
    _, kept = await collected(base.write([{"_id": "a"}, {"_id": "b"}], on_conflict="skip"))
    assert (kept.state, kept.ok, kept.error) == ("skipped", True, None)


async def test_a_conflict_is_raised_when_all_is_told(canned: CannedServer, base: Database) -> None:
    canned.say(refusing("a", "b"))
    writer = base.write([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}], on_conflict="raise")
    ids, error = await told(writer, ConflictError)
    assert ids == ["a", "b", "c"]
    assert str(error) == f"'a' and 1 more of the stream: {REFUSED}"
    assert isinstance(error, ConflictError)
    assert (error.status, error.path) == (409, "/db/_bulk_docs")


async def test_a_conflict_is_overwritten(canned: CannedServer, base: Database) -> None:
    mine = Document(base, "d", {"n": 4})
    docs: list[Any] = [
        {"_id": "a"},
        {"_id": "b", "_rev": "1-old", "n": 2},
        '{"_id":"c","n":3}',
        mine,
    ]
    canned.say(refusing("b", "c", "d"), there(b={"n": 0, "m": 0}, c=None, d={"n": 5}), all_well)
    outcomes = await collected(base.write(docs, on_conflict="overwrite"))
    assert canned.lines[1].startswith("POST /db/_all_docs?")
    assert canned.requests[1].json() == {"keys": ["b", "c", "d"]}
    assert canned.requests[2].json()["docs"] == [
        {"_id": "b", "_rev": "7-t", "n": 2},
        {"_id": "c", "n": 3},
        {"_id": "d", "_rev": "7-t", "n": 4},
    ]
    assert [outcome.state for outcome in outcomes] == ["written"] * 4
    assert mine.rev == "1-a"
    assert docs[1] == {"_id": "b", "_rev": "1-old", "n": 2}


async def test_what_is_to_go_and_has_gone_is_skipped(canned: CannedServer, base: Database) -> None:
    canned.say(refusing("a"), there(a=None))
    docs = [{"_id": "a", "_rev": "1-a", "_deleted": True}]
    (outcome,) = await collected(base.write(docs, on_conflict="overwrite"))
    assert outcome.state == "skipped"


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_function_decides(canned: CannedServer, base: Database, is_async: bool) -> None:
    def merge(mine: dict[str, Any], theirs: Document) -> dict[str, Any] | Document | None:
        if not theirs.exists:
            return mine
        if theirs["n"] == 0:
            return None
        if theirs["n"] == 1:
            theirs["n"] += mine["n"]
            return theirs
        return {"n": mine["n"] + theirs["n"], "_rev": "no matter"}

    async def merge_later(mine: dict[str, Any], theirs: Document) -> Any:
        await asyncio.sleep(0)
        return merge(mine, theirs)

    canned.say(
        refusing("a", "b", "c", "d"),
        there(a=None, b={"n": 0}, c={"n": 1}, d={"n": 2}),
        refusing("c"),
        there(c={"n": 1, "m": 1}),
        all_well,
    )
    docs: list[Any] = [{"_id": id, "n": 10} for id in "abcd"]
    docs[2] = json.dumps(docs[2])
    how = merge_later if is_async else merge
    outcomes = await collected(base.write(docs, on_conflict=how))
    assert canned.requests[2].json()["docs"] == [
        {"_id": "a", "n": 10},
        {"_id": "c", "_rev": "7-t", "n": 11},
        {"_id": "d", "_rev": "7-t", "n": 12},
    ]
    assert canned.requests[4].json()["docs"] == [{"_id": "c", "_rev": "7-t", "n": 11, "m": 1}]
    assert [outcome.state for outcome in outcomes] == ["written", "skipped", "written", "written"]
    assert outcomes[1].rev == "7-t"


async def test_an_error_of_the_function_ends_the_stream(
    canned: CannedServer, base: Database
) -> None:
    def merge(mine: object, theirs: Document) -> None:
        raise LookupError(theirs.id)

    canned.say(refusing("b"), there(b={}))
    writer = base.write([{"_id": "a"}, {"_id": "b"}], on_conflict=merge)
    ids, _ = await told(writer, LookupError)
    assert ids == ["a"]
    assert left(writer) == Counter([("b", "unsent")])


async def test_conflicts_without_end_are_given_up(canned: CannedServer, base: Database) -> None:
    canned.say(refusing("a"), there(a={}), refusing("a"), there(a={}), refusing("a"))
    docs = [{"_id": "a"}]
    (outcome,) = await collected(base.write(docs, on_conflict="overwrite", attempts=3))
    assert (outcome.state, outcome.error) == ("failed", "conflict")


# -- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"window": 0}, InvalidInputError),
        ({"batch_size": 0}, InvalidInputError),
        ({"batch_bytes": 1.5}, InvalidTypeError),
        ({"attempts": True}, InvalidTypeError),
        ({"delay": -1}, InvalidInputError),
        ({"on_conflict": "owerwrite"}, InvalidInputError),
        ({"widow": 3}, InvalidTypeError),
    ],
)
async def test_bad_options_are_named(
    session: CouchDB, base: Database, options: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=next(iter(options))):
        base.write([], **options)


@pytest.mark.parametrize("docs", [5, None, {"_id": "a"}, "text"])
async def test_what_is_no_stream_is_refused(base: Database, docs: Any) -> None:
    with pytest.raises(InvalidTypeError, match="must be a stream"):
        base.write(docs)
