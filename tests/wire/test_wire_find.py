"""What a query sends, and what it makes of odd answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from aiocouch import CouchDB, Database, InvalidInputError, InvalidTypeError
from aiocouch.models import MisfitError
from aiocouch.queries import QueryPlan
from tests.wire.canned import Answer

if TYPE_CHECKING:
    from tests.wire.canned import CannedServer


def found(*rows: Any, **beside: Any) -> Answer:
    """What `_find` answers."""
    lines = ",\r\n".join(json.dumps(row) for row in rows)
    more = "".join(f',\r\n"{name}": {json.dumps(value)}' for name, value in beside.items())
    return Answer(body=f'{{"docs":[\r\n{lines}\r\n]{more}}}\r\n'.encode())


async def test_the_id_is_asked_for_too(canned: CannedServer, base: Database) -> None:
    canned.say(found({"n": 1, "_id": "a"}, bookmark="b"))
    rows = base.find_values({"n": 1}, 5, fields=("n",), sort=["n"])
    assert [row async for row in rows] == [{"n": 1}]
    assert canned.only().line == "POST /db/_find"
    assert canned.only().json() == {
        "selector": {"n": 1},
        "limit": 5,
        "sort": ["n"],
        "fields": ["n", "_id"],
    }


async def test_rows_that_break_off_go_on(canned: CannedServer) -> None:
    whole = found({"n": 1, "_id": "a"}, {"n": 2, "_id": "b"}, {"n": 3, "_id": "c"}, bookmark="x")
    cut = whole.body.index(b'{"n": 3')
    canned.say(Answer(pieces=[whole.body[:cut]], cut=True))
    canned.say(found({"n": 2, "_id": "b"}, {"n": 3, "_id": "c"}, bookmark="x"))
    async with CouchDB(canned.url) as couchdb:
        rows = Database(couchdb, "db").find_values({}, 9, fields=["n"])
        assert [row["n"] async for row in rows] == [1, 2, 3]
    assert canned.requests[1].json()["skip"] == 1


async def test_what_the_server_tells(canned: CannedServer, base: Database) -> None:
    cost = {"results_returned": 1, "execution_time_ms": 0.5}
    canned.say(found({"_id": "a"}, bookmark="x", execution_stats=cost, warning="slow\nslower"))
    rows = base.find({}, execution_stats=True)
    assert (rows.execution_stats, rows.warning, rows.bookmark) == (None, None, None)
    assert [doc.id async for doc in rows] == ["a"]
    assert rows.execution_stats == cost
    assert (rows.warning, rows.bookmark) == ("slow\nslower", "x")


async def test_all_of_them_come_by_one_request(canned: CannedServer, base: Database) -> None:
    # A bookmark between two of them would lose a row with the document that it stands on.
    canned.say(found(*({"_id": f"{n}"} for n in range(10_001)), bookmark="x"))
    assert len([doc.id async for doc in base.find({})]) == 10_001
    assert canned.only().json() == {"selector": {}, "limit": 1 << 28}


async def test_the_end_of_a_loop(canned: CannedServer, base: Database) -> None:
    canned.say(found({"_id": "a"}, {"_id": "b"}, bookmark="x"))
    rows = base.find({}, 5)
    assert (await anext(rows)).id == "a"
    assert (await rows.asend(None)).id == "b"
    with pytest.raises(KeyError):
        await rows.athrow(KeyError("x"))
    await rows.aclose()
    assert [doc async for doc in rows] == []


BODY = {"selector": {"n": 1}, "limit": 5, "fields": ["n"]}


@pytest.mark.parametrize("method", ["find", "find_values", "explain"])
async def test_the_body_of_a_request_is_no_selector(
    canned: CannedServer, base: Database, method: str
) -> None:
    with pytest.raises(
        InvalidInputError,
        match=r"body of a request.*: find\(body\['selector'\], fields=…, limit=…\)",
    ):
        await getattr(base, method)(BODY)
    assert canned.requests == []


class Person(msgspec.Struct):
    name: str


class Odd:
    """Nothing that msgspec makes."""


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"fields": "name"}, InvalidTypeError, "fields must be a list of str, not str"),
        ({"fields": {"name": 1}}, InvalidTypeError, "fields must be a list of str, not dict"),
        ({"fields": [5]}, InvalidTypeError, "fields must be a list of str: 5"),
        ({"into": Odd}, InvalidTypeError, "is not a type that msgspec knows"),
        ({"into": 5}, InvalidTypeError, "cannot be decoded"),
        ({"on_warning": "shout"}, InvalidInputError, "on_warning='shout': ignore, warn, raise"),
        ({"limt": 5}, InvalidTypeError, "unknown option 'limt', did you mean 'limit'"),
    ],
)
async def test_bad_input(
    canned: CannedServer, base: Database, options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        base.find_values({}, **options)
    assert canned.requests == []


async def test_a_row_without_an_id_is_named_by_its_number(
    canned: CannedServer, base: Database
) -> None:
    canned.say(found({"name": 5}, {"name": "b", "_id": "b"}, bookmark="x"))
    with pytest.raises(MisfitError, match="row 1, of the document '', does not fit"):
        await anext(base.find_values({}, 2, into=Person))


async def test_a_row_that_is_too_deep_is_named(canned: CannedServer, base: Database) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    canned.say(
        Answer(body=f'{{"docs":[\r\n{{"_id":"a","x":{deep}}}\r\n],"bookmark":"x"}}\r\n'.encode())
    )
    with pytest.raises(MisfitError, match="'a', does not fit: it is nested deeper"):
        await anext(base.find_values({}, 1))


async def test_a_plan_of_an_older_server(canned: CannedServer, base: Database) -> None:
    canned.say_json({"index": {"ddoc": None, "name": "_all_docs", "type": "special"}})
    plan = await base.explain({"n": 1}, fields=["n"])
    assert canned.only().json()["fields"] == ["n"]
    assert plan.candidates == []
    assert str(plan) == "uses '_all_docs' (special)"


def test_a_candidate_says_why() -> None:
    index = {"ddoc": "_design/a", "name": "b", "type": "json"}
    rows = [
        {"index": index, "analysis": {"usable": True, "reasons": [], "ranking": 1}},
        {"index": index, "analysis": {"usable": False, "reasons": []}},
        {"index": index},
    ]
    plan = QueryPlan({"index": index, "index_candidates": rows})
    assert [str(one) for one in plan.candidates] == [
        "'b' of _design/a (json): usable",
        "'b' of _design/a (json): not usable",
        "'b' of _design/a (json): not usable",
    ]
