"""Whatever answer is cut at whatever byte: each row comes once, or an error behind those that came."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiocouch import CouchDB, CouchDBError, Database, TruncatedError
from aiocouch._transport.policy import RetryPolicy
from aiocouch._transport.request import Request
from aiocouch.remote import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

TRIES = 3
POLICY = RetryPolicy(tries=TRIES, first_wait=0, longest_wait=0)


class Row(NamedTuple):
    key: Any
    id: str
    value: int


def place(row: Row) -> tuple[Any, ...]:
    """Where a row stands: numbers before texts."""
    return isinstance(row.key, str), row.key, row.id, row.value


class Head:
    """The head of an answer."""

    status = 200
    headers: ClassVar[dict[str, str]] = {}


class CutBody:
    """A body that is cut behind some bytes; None: it comes whole."""

    response = Head()

    def __init__(self, text: bytes, cut: int | None, size: int) -> None:
        whole = text if cut is None else text[: cut % (len(text) + 1)]
        self.is_cut = cut is not None
        self.pieces: Iterator[bytes] = iter(
            [whole[at : at + size] for at in range(0, len(whole), size)]
        )

    async def chunk(self) -> bytes:
        piece = next(self.pieces, b"")
        if not piece and self.is_cut:
            raise aiohttp.ClientPayloadError("cut")
        return piece

    async def rest(self, seconds: float) -> None:
        """The pieces are there already."""

    async def close(self) -> None:
        self.pieces = iter(())


class Model:
    """What a CouchDB would answer, with its answers cut one after the other."""

    def __init__(self, rows: list[Row], cuts: list[int | None], size: int) -> None:
        self.rows = sorted(rows, key=place)
        self.cuts = iter(cuts)
        self.size = size
        couchdb = CouchDB("http://nowhere", retry=POLICY)
        self.database = Database(couchdb, "db")
        couchdb.remote.stream = self.stream  # type: ignore[method-assign]

    def stream(self, method: str, path: str, *, body: Any = None, **_: Any) -> Stream:
        split = urlsplit(path)
        options = dict(parse_qsl(split.query))
        asked = {} if body is None else json.loads(bytes(body))
        if split.path.endswith("_find"):
            text = self.found(asked)
        elif split.path.endswith("_all_docs"):
            text = self.rows_text(self.chosen(options, asked.get("keys"), self.documents))
        else:
            text = self.rows_text(self.chosen(options, asked.get("keys"), self.of_view))
        answer = CutBody(text, next(self.cuts, None), self.size)

        async def begin(request: Request) -> Any:
            return answer

        return Stream(begin, Request(method, path))

    def documents(self) -> list[Row]:
        """One row for each document."""
        return [Row(id, id, 0) for id in sorted({row.id for row in self.rows})]

    def of_view(self) -> list[Row]:
        return self.rows

    def chosen(self, options: dict[str, str], keys: list[Any] | None, rows: Any) -> list[Any]:
        down = options.get("descending") == "true"
        every = sorted(rows(), key=place, reverse=down)
        if keys is not None:
            every = [row for key in keys for row in self.of_key(every, key)]
        else:
            every = [row for row in every if inside(row, options, down)]
        skip, limit = int(options.get("skip", 0)), int(options.get("limit", 10**9))
        return every[skip : skip + limit]

    def of_key(self, every: list[Row], key: Any) -> list[Any]:
        found: list[Any] = [row for row in every if row.key == key]
        missing = [None] if every and every[0].key == every[0].id else []  # of all documents
        return found or missing

    @staticmethod
    def rows_text(rows: list[Row | None]) -> bytes:
        lines = [
            {"key": "?", "error": "not_found"}
            if row is None
            else {
                "id": row.id,
                "key": row.key,
                "value": row.value,
                "doc": {"_id": row.id, "_rev": "1-a"},
            }
            for row in rows
        ]
        inside = ",\r\n".join(json.dumps(line) for line in lines)
        return f'{{"total_rows":1,"offset":0,"rows":[\r\n{inside}\r\n]}}\n'.encode()

    def found(self, query: Any) -> bytes:
        begin = int(query.get("bookmark", 0)) + query.get("skip", 0)
        docs = self.documents()[begin : begin + query["limit"]]
        lines = ",\r\n".join(json.dumps({"_id": row.id, "_rev": "1-a"}) for row in docs)
        return f'{{"docs":[\r\n{lines}\r\n],"bookmark":"{begin + len(docs)}"}}\n'.encode()


def inside(row: Row, options: dict[str, str], down: bool) -> bool:
    """Whether the row stands between the start and the end."""
    spot = place(row)[:3]
    start = options.get("startkey", options.get("key"))
    end = options.get("endkey", options.get("key"))
    if start is not None:
        key = json.loads(start)
        least = "\U0010ffff" if down else ""
        first = (isinstance(key, str), key, options.get("startkey_docid", least))
        if spot > first if down else spot < first:
            return False
    if end is not None:
        key = json.loads(end)
        last = isinstance(key, str), key
        if options.get("inclusive_end") == "false" and spot[:2] == last:
            return False
        return spot[:2] >= last if down else spot[:2] <= last
    return True


async def collected(rows: AsyncGenerator[Any, None]) -> tuple[list[Any], CouchDBError | None]:
    """What came, and the error that it ended with."""
    found: list[Any] = []
    async with aclosing(rows):
        try:
            async for row in rows:
                found.append(row)  # noqa: PERF401 - an error may end it
        except CouchDBError as error:
            return found, error
    return found, None


KEYS = st.one_of(st.integers(0, 5), st.sampled_from(["", "a", "b", "ü\U0001f41c", '"\\']))
ROWS = st.lists(
    st.builds(
        Row, KEYS, st.sampled_from(["a", "b", "c", "ü", 'd"', "_design/x"]), st.integers(0, 2)
    ),
    max_size=30,
)
CUTS = st.lists(st.one_of(st.none(), st.integers(0, 5000)), max_size=6)
SIZES = st.sampled_from([1, 7, 100, 10**6])
RANGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "descending": st.booleans(),
        "limit": st.integers(0, 20),
        "skip": st.integers(0, 5),
        "startkey": KEYS,
        "endkey": KEYS,
        "inclusive_end": st.booleans(),
    },
)


def check(
    rows: list[Row], cuts: list[int | None], size: int, ask: Any, *, may_fail: bool = False
) -> None:
    whole, error = asyncio.run(collected(ask(Model(rows, [], size).database)))
    assert error is None
    found, error = asyncio.run(collected(ask(Model(rows, cuts, size).database)))
    assert found == whole[: len(found)]
    if error is None:
        assert found == whole
        return
    assert isinstance(error, TruncatedError)
    assert may_fail or len(cuts) >= TRIES


@given(ROWS, CUTS, SIZES, RANGES)
@example([Row(0, "a", 0), Row(0, "a", 0)], [108], 1, {"skip": 1})
def test_rows_of_a_view(
    rows: list[Row], cuts: list[int | None], size: int, options: dict[str, Any]
) -> None:
    async def ask(db: Database) -> AsyncGenerator[Any, None]:
        async for row in db.view("d", "v").rows(**options):
            yield row.id, row.key, row.value

    check(rows, cuts, size, ask)


@given(ROWS, CUTS, SIZES, KEYS, st.booleans())
def test_rows_of_one_key(
    rows: list[Row], cuts: list[int | None], size: int, key: Any, down: bool
) -> None:
    async def ask(db: Database) -> AsyncGenerator[Any, None]:
        async for row in db.view("d", "v").rows(key=key, descending=down):
            yield row.id, row.key, row.value

    check(rows, cuts, size, ask)


@given(ROWS, CUTS, SIZES, st.lists(KEYS, max_size=8))
def test_ids_of_some_keys(
    rows: list[Row], cuts: list[int | None], size: int, keys: list[Any]
) -> None:
    def ask(db: Database) -> Any:
        return db.view("d", "v").ids(keys)

    check(rows, cuts, size, ask, may_fail=len({json.dumps(key) for key in keys}) < len(keys))


@given(ROWS, CUTS, SIZES, RANGES)
def test_all_documents(
    rows: list[Row], cuts: list[int | None], size: int, options: dict[str, Any]
) -> None:
    options = {name: options[name] for name in ("descending", "limit", "skip") if name in options}

    async def ask(db: Database) -> AsyncGenerator[Any, None]:
        async for doc in db.docs(include_ddocs=True, **options):
            yield doc.id

    check(rows, cuts, size, ask)


@given(ROWS, CUTS, SIZES, st.lists(st.sampled_from(["a", "none", "ü", "b"]), max_size=8))
def test_some_documents(rows: list[Row], cuts: list[int | None], size: int, ids: list[str]) -> None:
    async def ask(db: Database) -> AsyncGenerator[Any, None]:
        async for doc in db.docs(ids, create=True):
            yield doc.exists, doc.id

    check(rows, cuts, size, ask)


@given(ROWS, CUTS, SIZES, st.one_of(st.none(), st.integers(1, 9)), st.integers(0, 3))
def test_found_documents(
    rows: list[Row], cuts: list[int | None], size: int, limit: int | None, skip: int
) -> None:
    async def ask(db: Database) -> AsyncGenerator[Any, None]:
        async for doc in db.find({}, limit, skip=skip):
            yield doc.id

    check(rows, cuts, size, ask)


@given(ROWS, st.integers(0, 5000))
def test_what_is_deleted_meanwhile_makes_no_gap(rows: list[Row], cut: int) -> None:
    model = Model(rows, [cut], 7)

    async def ask() -> set[str]:
        found: set[str] = set()
        async with aclosing(model.database.view("d", "v").rows()) as answer:
            async for row in answer:
                found.add(row.id or "")
                model.rows = [each for each in model.rows if each.id != row.id]
        return found

    assert asyncio.run(ask()) == {row.id for row in rows}


@pytest.mark.parametrize("options", [{"group_level": 1}, {"sorted": False}, {"reduce": True}])
def test_where_it_cannot_go_on_it_raises(options: dict[str, Any]) -> None:
    rows = [Row(number, "a", 0) for number in range(50)]
    model = Model(rows, [1000], 10)
    if "sorted" not in options:  # reduced rows have no id
        model.rows_text = staticmethod(reduced)  # type: ignore[method-assign]
    found, error = asyncio.run(collected(model.database.view("d", "v").rows(**options)))
    assert 0 < len(found) < 50
    assert isinstance(error, TruncatedError)


def test_groups_go_on_by_their_keys() -> None:
    model = Model([Row(number, "a", 0) for number in range(50)], [1000, 500, 400], 10)
    model.rows_text = staticmethod(reduced)  # type: ignore[method-assign]
    found, error = asyncio.run(collected(model.database.view("d", "v").rows(group=True)))
    assert error is None
    assert [row.key for row in found] == list(range(50))


def reduced(rows: list[Any]) -> bytes:
    lines = ",\r\n".join(json.dumps({"key": row.key, "value": row.value}) for row in rows)
    return f'{{"rows":[\r\n{lines}\r\n]}}\n'.encode()


def test_it_can_be_switched_off() -> None:
    model = Model([Row(number, "a", 0) for number in range(50)], [1000], 10)
    model.database.remote.resume = None
    found, error = asyncio.run(collected(model.database.view("d", "v").rows()))
    assert 0 < len(found) < 50
    assert isinstance(error, TruncatedError)
    assert CouchDB("http://nowhere", resume=False).remote.resume is None
