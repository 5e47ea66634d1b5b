"""Functions of design documents in worker processes: results, errors, limits, isolation."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.javascript.pool import Limits, Unit
from aiocouch.embedded.javascript.protocol import Mapping
from aiocouch.embedded.javascript.queryserver import QueryServer, design_unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MEMORY = 32 * 1024 * 1024
PATIENT = Limits(seconds=60, memory=MEMORY)
HASTY = Limits(seconds=1, memory=MEMORY)


@pytest_asyncio.fixture
async def queries() -> AsyncIterator[QueryServer]:
    server = QueryServer(PATIENT)
    yield server
    server.close()


@pytest_asyncio.fixture
async def hasty() -> AsyncIterator[QueryServer]:
    """Give a server that soon stops what runs away; what does not can be slow under load."""
    server = QueryServer(HASTY)
    yield server
    server.close()


def design(**members: Any) -> Unit:
    return design_unit("scope", "_design/d", "1-a", json.dumps(members).encode(), "javascript")


def views(*maps: str, reduces: list[str] | None = None, freezes: bool = True) -> Unit:
    members = {"lib": {}, "maps": maps, "reduces": reduces or [], "freezes": freezes}
    text = json.dumps(members)
    return Unit(f"views:{hash(text)}", "views", text)


async def emitted(queries: QueryServer, unit: Unit, *docs: dict[str, Any]) -> list[list[Any]]:
    """Give [id, key, value] of each row of the first view."""
    ids = [doc["_id"] for doc in docs]
    texts = [json.dumps(doc).encode() for doc in docs]
    mapped = await queries.map(unit, texts, Mapping(ids, [False], False, 1000))
    assert mapped.done == len(docs)
    return [[row[1], json.loads(row[3]), json.loads(row[4])] for row in mapped.rows[0]]


async def refusal(awaitable: Any) -> tuple[int, str, str | None]:
    with pytest.raises(CouchError) as caught:
        await awaitable
    return caught.value.status, caught.value.error, caught.value.reason


@pytest.mark.parametrize(
    "source",
    [
        "function (doc) { emit(1) }",
        "function(doc){emit(1)};",
        "// first\nfunction (doc) { emit(1) }",
        "/* first */ function (doc) { emit(1) } // last",
        "(function (doc) { emit(1) })",
        "doc => emit(1)",
        "var one = 1; function (doc) { emit(one) }",
    ],
)
async def test_what_counts_as_a_function(queries: QueryServer, source: str) -> None:
    await queries.check([source])
    assert await emitted(queries, views(source), {"_id": "a"}) == [["a", 1, None]]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("5", "Expression does not eval to a function. (5)"),
        ("var f = function (doc) {}", "Expression does not eval to a function. (var f ="),
        ("function named(doc) {}", "Expression does not eval to a function. (function named"),
        ("nosuch", "ReferenceError: "),
        ("function (doc) { this is not", "SyntaxError: expecting ';'"),
        ("throw 5", "5 (throw 5)"),
    ],
)
async def test_what_is_no_function(queries: QueryServer, source: str, reason: str) -> None:
    status, error, told = await refusal(queries.check([source]))
    assert (status, error) == (500, "compilation_error")
    assert told is not None
    assert told.startswith(reason)


async def test_an_empty_function_is_missing(queries: QueryServer) -> None:
    assert await refusal(queries.check([""])) == (404, "not_found", "missing function")


async def test_rows_of_emitted_pairs(queries: QueryServer) -> None:
    unit = views("function (doc) { emit([doc.n], {v: doc.n}); emit(undefined, NaN) }")
    rows = await emitted(queries, unit, {"_id": "a", "n": 1}, {"_id": "b", "n": 2})
    assert rows == [
        ["a", [1], {"v": 1}],
        ["a", None, None],
        ["b", [2], {"v": 2}],
        ["b", None, None],
    ]


async def test_a_map_that_throws_loses_its_own_rows_only(queries: QueryServer) -> None:
    unit = views("function (doc) { emit(1); if (doc.bad) throw 'x' }")
    rows = await emitted(queries, unit, {"_id": "a", "bad": True}, {"_id": "b"})
    assert rows == [["b", 1, None]]


async def test_the_document_cannot_be_changed(queries: QueryServer) -> None:
    unit = views("function (doc) { doc.x = 1; doc.o.p = 2; emit(doc.x, doc.o) }")
    assert await emitted(queries, unit, {"_id": "a", "o": {}}) == [["a", None, {}]]


async def test_what_a_map_may_call(queries: QueryServer) -> None:
    unit = views("function (doc) { emit(isArray([]), [sum([1, 2]), toJSON({a: 1})]); log('x') }")
    assert await emitted(queries, unit, {"_id": "a"}) == [["a", True, [3, '{"a":1}']]]


async def test_much_may_be_logged(queries: QueryServer) -> None:
    unit = views("function (doc) { emit(doc._id, 'v'.repeat(9000)); log('l'.repeat(9000)) }")
    rows = await emitted(queries, unit, {"_id": "a"}, {"_id": "b"})
    assert [row[0] for row in rows] == ["a", "b"]


async def test_a_slow_batch_comes_in_parts(queries: QueryServer) -> None:
    source = "function (doc) { var end = Date.now() + 30; while (Date.now() < end) {} emit(1) }"
    ids = [str(number) for number in range(10)]
    texts = [b'{"_id":"x"}'] * 10
    mapped = await queries.map(views(source), texts, Mapping(ids, [False], False, 50))
    assert 1 <= mapped.done < 10
    assert [row[1] for row in mapped.rows[0]] == ids[: mapped.done]


async def test_sort_keys_of_partitioned_views_begin_with_the_partition(
    queries: QueryServer,
) -> None:
    unit = views("function (doc) { emit(1) }")
    batch = Mapping(["x:1", "x:2", "y:1"], [False], True, 1000)
    mapped = await queries.map(unit, [b"{}"] * 3, batch)
    first, second, third = (row[0] for row in mapped.rows[0])
    assert first == second < third


async def test_references_name_the_rows_of_a_document(queries: QueryServer) -> None:
    unit = views("function (doc) { emit(1); emit(2) }")
    mapped = await queries.map(unit, [b"{}"], Mapping(["a"], [False], False, 1000))
    places = msgspec.msgpack.decode(mapped.references[0])
    assert places == [[0, row[0]] for row in mapped.rows[0]]


async def test_reduce(queries: QueryServer) -> None:
    unit = views("function (doc) {}", reduces=["function (k, v, r) { return [k, sum(v), r] }"])
    values = await queries.reduce(unit, 0, [b'[[["a","id"]],[1,2],false]', b"[null,[3],true]"])
    assert [json.loads(bytes(value)) for value in values] == [
        [[["a", "id"]], 3, False],
        [None, 3, True],
    ]


async def test_a_reduce_that_throws_gives_null(queries: QueryServer) -> None:
    unit = views("function (doc) {}", reduces=["function () { throw 'x' }"])
    assert [bytes(each) for each in await queries.reduce(unit, 0, [b"[[],[],false]"])] == [b"null"]


async def test_validate_answers_for_each_edit(queries: QueryServer) -> None:
    unit = design(
        validate_doc_update="function (doc, old, user, sec) {"
        " if (doc.no) throw {forbidden: 'no'}; if (doc.who) throw {unauthorized: user.name};"
        " if (doc.boom) doc.x.y.z }"
    )
    edits = [{}, {"no": 1}, {"who": 1}, {"boom": 1}]
    texts = [json.dumps([edit, None, {"name": "joe"}, {}]).encode() for edit in edits]
    verdicts = await queries.validate(unit, texts)
    assert [each and (each.status, each.error, each.reason) for each in verdicts] == [
        None,
        (403, "forbidden", "no"),
        (401, "unauthorized", "joe"),
        (500, "TypeError", "{[]}"),
    ]


async def test_filters(queries: QueryServer) -> None:
    unit = design(
        filters={"big": "function (doc, req) { return doc.n > req.query.min }"},
        views={"odd": {"map": "function (doc) { if (doc.n % 2) emit(1) }"}},
    )
    docs = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    assert await queries.filter(unit, "big", docs, b'{"query":{"min":1}}') == [False, True, True]
    assert await queries.filter_view(unit, "odd", docs) == [True, False, True]


async def test_modules(queries: QueryServer) -> None:
    unit = design(
        lib={"a": "exports.x = require('./b').y + 1", "b": "exports.y = 1"},
        shows={"s": "function () { return String(require('lib/a').x) }"},
    )
    members = {"name": b'"s"', "doc": b"null", "req": b'{"path":[]}'}
    assert await queries.render(unit, "show", members) == {"body": "2"}


async def test_a_missing_module_is_an_error(queries: QueryServer) -> None:
    unit = design(shows={"s": "function () { return require('no/where').x }"})
    _, error, _ = await refusal(
        queries.render(unit, "show", {"name": b'"s"', "doc": b"null", "req": b'{"path":[]}'})
    )
    assert error == "invalid_require_path"


@pytest.mark.parametrize(
    ("accept", "body"),
    [("text/html", "h"), ("application/json", "j"), ("*/*", "h"), ("text/*;q=0.1", "h")],
)
async def test_provides_picks_by_what_the_client_accepts(
    queries: QueryServer, accept: str, body: str
) -> None:
    unit = design(
        shows={
            "s": "function () { provides('html', function () { return 'h' });"
            " provides('json', function () { return 'j' }) }"
        }
    )
    request = json.dumps({"headers": {"Accept": accept}, "query": {}}).encode()
    members = {"name": b'"s"', "doc": b"null", "req": request}
    assert (await queries.render(unit, "show", members))["body"] == body


async def test_lists_read_rows_and_send_chunks(queries: QueryServer) -> None:
    unit = design(
        lists={
            "l": "function (head) { start({code: 201}); var row;"
            " while ((row = getRow())) send(row.id); return head.total_rows }".replace(
                "return head.total_rows", "return '/' + head.total_rows"
            )
        }
    )
    members = {
        "name": b'"l"',
        "head": b'{"total_rows":2}',
        "rows": b'[{"id":"a"},{"id":"b"}]',
        "req": b"{}",
    }
    assert await queries.render(unit, "list", members) == {
        "head": {"code": 201, "headers": {}},
        "body": "ab/2",
        "atEnd": True,
    }


@pytest.mark.parametrize(
    "body",
    [
        "while (true) {}",
        "while (true) { try { while (true) {} } catch (e) {} }",
        "var a = []; while (true) a.push(new Array(1000).join('x') + a.length)",
    ],
)
async def test_what_runs_away_is_stopped(hasty: QueryServer, body: str) -> None:
    _, error, _ = await refusal(emitted(hasty, views(f"function (doc) {{ {body} }}"), {"_id": "a"}))
    assert error == "os_process_error"
    await eventually(hasty, "doc => emit(1)")


async def eventually(queries: QueryServer, source: str) -> None:
    """Map a document with patience: on a busy machine it may take longer than the limit."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(CouchError):
                assert await emitted(queries, views(source), {"_id": "a"}) == [["a", 1, None]]
                return


async def test_what_runs_away_holds_up_nobody(queries: QueryServer) -> None:
    loops = [
        asyncio.ensure_future(emitted(queries, views(f"d => {{ for (;;) {n} }}"), {"_id": "a"}))
        for n in range(3)
    ]
    # their limit is a minute, so that they run when this one has been answered
    assert await emitted(queries, views("doc => emit(1)"), {"_id": "a"}) == [["a", 1, None]]
    assert not any(loop.done() for loop in loops)
    queries.close()
    results = await asyncio.gather(*loops, return_exceptions=True)
    assert all(isinstance(result, CouchError) for result in results)


async def test_a_killed_process_is_replaced(queries: QueryServer) -> None:
    unit = design(shows={"s": "function () { return 'x' }"})
    members = {"name": b'"s"', "doc": b"null", "req": b'{"path":[]}'}
    await queries.render(unit, "show", members)
    for pid in queries.processes():
        os.kill(pid, 9)
    outcomes = [
        await asyncio.gather(queries.render(unit, "show", members), return_exceptions=True)
        for _ in range(2)
    ]
    assert isinstance(outcomes[0][0], CouchError)
    assert outcomes[1][0] == {"body": "x"}


async def test_one_design_document_does_not_see_another(queries: QueryServer) -> None:
    members = {"name": b'"s"', "doc": b"null", "req": b'{"path":[]}'}
    first = design(shows={"s": "function () { leaked = 1; return '' }"})
    await queries.render(first, "show", members)
    second = design_unit(
        "scope",
        "_design/e",
        "1-a",
        b'{"shows":{"s":"function () { return typeof leaked }"}}',
        "javascript",
    )
    assert (await queries.render(second, "show", members))["body"] == "undefined"


async def test_many_units_fit_into_one_process(queries: QueryServer) -> None:
    for number in range(60):
        unit = views(f"doc => emit({number})")
        assert await emitted(queries, unit, {"_id": "a"}) == [["a", number, None]]
