"""What map and reduce functions see, and the rows that come of it; the same on every server."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.http import HTTPClient

PAIRS = "function (doc) { doc.pairs.forEach(function (pair) { emit(pair[0], pair[1]) }) }"
GIVEN = "function (keys, values, rereduce) { return rereduce ? values[0] : values }"


@pytest.fixture
async def path(ask: HTTPClient, fresh_name: str) -> str:
    """The path of a database of one shard, so that reduces see all rows at once."""
    await ask("PUT", f"/{fresh_name}?q=1")
    return f"/{fresh_name}"


async def emitted(ask: HTTPClient, path: str, key: str, value: str = "null", **design: Any) -> Any:
    """Give [key, value] of the row that a document makes, None where it makes none."""
    await ask("PUT", f"{path}/doc", {"tags": ["b", ["c"]], "sub": {"n": [{}]}, "name": "x"})
    function = f"function (doc) {{ emit({key}, {value}) }}"
    await ask("PUT", f"{path}/_design/d", {"views": {"v": {"map": function}, **design}})
    rows = (await ask("GET", f"{path}/_design/d/_view/v")).json["rows"]
    return [rows[0]["key"], rows[0]["value"]] if rows else None


# -- documents come from another realm


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("doc.tags instanceof Array", False),
        ("doc instanceof Object", False),
        ("doc.tags[1].constructor === Array", False),
        ("doc.sub.n[0].constructor === Object", False),
        ("doc.tags.constructor === doc.tags[1].constructor", True),
        ("doc.tags.constructor.name + doc.constructor.name", "ArrayObject"),
        ("doc.tags.slice() instanceof Array", False),
        ("doc.tags.map(String) instanceof Array", False),
        ("JSON.parse('[]') instanceof Array", False),
        ("[].concat(doc.tags) instanceof Array", True),
        ("Object.keys(doc) instanceof Array", True),
        ("doc.name.split('').constructor === Array", True),
        ("doc.name.constructor === String", True),
        ("[] instanceof Array && ({}) instanceof Object", True),
        ("Array.isArray(doc.tags) && isArray(doc.tags)", True),
        ("Object.prototype.toString.call(doc.tags)", "[object Array]"),
        ("(function () { Array.prototype.odd = 1; return typeof doc.tags.odd })()", "undefined"),
        ("require('views/lib/m').test(doc.tags)", False),
        (
            "(function () { try { JSON.parse('{') } catch (e) { return e instanceof Error } })()",
            False,
        ),
    ],
)
async def test_realms(path: str, ask: HTTPClient, expression: str, value: Any) -> None:
    module = "exports.test = function (value) { return value instanceof Array }"
    assert await emitted(ask, path, expression, lib={"m": module}) == [value, None]


async def test_realms_in_a_reduce(path: str, ask: HTTPClient) -> None:
    seen = "[keys instanceof Array, values instanceof Array, typeof require, typeof index]"
    function = f"function (keys, values) {{ return {seen} }}"
    await ask("PUT", f"{path}/a", {"pairs": [[1, 2]]})
    design = {"views": {"v": {"map": PAIRS, "reduce": function}}}
    await ask("PUT", f"{path}/_design/d", design)
    rows = (await ask("GET", f"{path}/_design/d/_view/v?group=true")).json["rows"]
    assert rows[0]["value"] == [False, False, "undefined", "undefined"]


# -- what functions have and have not


@pytest.mark.parametrize(
    "expression",
    [
        "'a'.localeCompare('b')",
        "'a'.normalize()",
        "new Promise(function () {})",
        "new Proxy({}, {})",
        "new Uint8Array(1)",
        "new WeakRef({})",
        "Atomics.load",
        "atob('')",
        "btoa('')",
        "performance.now()",
        "queueMicrotask(function () {})",
        "structuredClone({})",
    ],
)
async def test_what_functions_do_not_have(path: str, ask: HTTPClient, expression: str) -> None:
    assert await emitted(ask, path, expression) is None


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("/[[a-z]--[b]]/v.test('b')", False),
        ("/(?i:a)b/.test('Ab')", True),
        ("new Set([1]).union(new Set([2])).size", 2),
        ("[1, 2].values().map(function (each) { return 2 * each }).toArray()", [2, 4]),
        ("RegExp.escape('a.b')", "\\x61\\.b"),
        ("Math.sumPrecise([0.1, 0.2, 0.3])", 0.6),
        ("JSON.stringify(JSON.rawJSON('1'))", "1"),
        ("typeof index + index.length", "function3"),
        ("sum([1, 2]) + sum({a: 3})", 6),
        ("toJSON([1])", "[1]"),
        ("(function () { send('x'); start({}); provides('html', send); return 1 })()", 1),
    ],
)
async def test_what_functions_have(path: str, ask: HTTPClient, expression: str, value: Any) -> None:
    assert await emitted(ask, path, expression) == [value, None]


async def test_an_error_as_a_value(path: str, ask: HTTPClient) -> None:
    error = {"error": "TypeError", "message": "x"}
    assert await emitted(ask, path, "1", "new TypeError('x')") == [1, error]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("throw null", (500, "TypeError", "{[]}")),
        ("throw 'fatal_error'", (500, "map_runtime_error", "function raised 'fatal_error'")),
        ("throw ['fatal', 'odd', 'x']", (500, "odd", "x")),
        ("throw {name: 'InternalError', message: 'x'}", (500, "InternalError", "x")),
        ("emit(1n)", (500, "TypeError", "{[]}")),
    ],
)
async def test_what_ends_the_building_of_a_view(
    path: str, ask: HTTPClient, body: str, told: tuple[int, str, str]
) -> None:
    await ask("PUT", f"{path}/a", {})
    function = f"function (doc) {{ {body} }}"
    await ask("PUT", f"{path}/_design/d", {"views": {"v": {"map": function}}})
    assert (await ask("GET", f"{path}/_design/d/_view/v")).told == told


async def test_functions_do_not_share_what_they_declare(path: str, ask: HTTPClient) -> None:
    await ask("PUT", f"{path}/a", {})
    await ask("PUT", f"{path}/b", {})
    views = {
        name: {
            "map": f"var count = 0; function name() {{ return '{name}' + ++count }} "
            "function (doc) { emit(doc._id, name()) }"
        }
        for name in ("x", "y")
    }
    views["z"] = {"map": "function (doc) { emit(doc._id, typeof count) }"}
    await ask("PUT", f"{path}/_design/d", {"views": views})
    for name, values in (("x", ["x1", "x2"]), ("y", ["y1", "y2"]), ("z", ["undefined"] * 2)):
        rows = (await ask("GET", f"{path}/_design/d/_view/{name}")).json["rows"]
        assert [row["value"] for row in rows] == values


# -- the order of rows under one key


def as_erlang(value: Any) -> Any:
    """Give a key that sorts JSON as Erlang sorts terms."""
    if value is None or isinstance(value, bool):
        return 1, {False: 0, None: 1, True: 2}[value]
    if isinstance(value, int | float):
        return 0, value
    if isinstance(value, dict):
        return 2, [(name.encode(), as_erlang(item)) for name, item in value.items()]
    if isinstance(value, list):
        return 3, [as_erlang(item) for item in value]
    return 4, value.encode()


def some_json(chance: random.Random, depth: int = 2) -> Any:
    plain = [None, True, False, 0, 1, -1, 2.5, 10**20, "", "a", "B", "é", "aa", "\u0001"]
    kind = chance.randrange(5 if depth else 3)
    if kind == 3:
        return [some_json(chance, depth - 1) for _ in range(chance.randrange(3))]
    if kind == 4:
        names = chance.sample(["a", "b", "ab"], chance.randrange(3))
        return {name: some_json(chance, depth - 1) for name in names}
    return chance.choice(plain)


async def order(ask: HTTPClient, path: str, query: str = "") -> dict[str, list[Any]]:
    rows = (await ask("GET", f"{path}/_design/d/_view/v?reduce=false{query}")).json["rows"]
    found: dict[str, list[Any]] = {}
    for row in rows:
        found.setdefault(row["id"], []).append(row["value"])
    return found


async def test_values_under_one_key_come_in_the_order_of_terms(path: str, ask: HTTPClient) -> None:
    chance = random.Random(1)
    docs = [
        {"_id": f"d{number}", "pairs": [[number, some_json(chance)] for _ in range(9)]}
        for number in range(40)
    ]
    await ask("POST", f"{path}/_bulk_docs", {"docs": docs})
    await ask("PUT", f"{path}/_design/d", {"views": {"v": {"map": PAIRS, "reduce": GIVEN}}})
    expected = {
        doc["_id"]: sorted((value for _, value in doc["pairs"]), key=as_erlang) for doc in docs
    }
    assert await order(ask, path) == expected
    assert await order(ask, path, "&descending=true") == expected
    some = await order(ask, path, "&key=7&skip=2&limit=3")
    assert some == {"d7": expected["d7"][2:5]}
    for query in ("group=true", "group=true&descending=true"):
        rows = (await ask("GET", f"{path}/_design/d/_view/v?{query}")).json["rows"]
        assert {f"d{row['key']}": row["value"] for row in rows} == expected


async def test_of_keys_that_sort_as_one_the_last_is_kept(path: str, ask: HTTPClient) -> None:
    chance = random.Random(2)
    keys = ["a", "\u0001a", "a\u0001", "\u0002a"]
    docs: list[dict[str, Any]] = [
        {"_id": f"d{number}", "pairs": [[chance.choice(keys), chance.randrange(4)] for _ in "123"]}
        for number in range(30)
    ]
    await ask("POST", f"{path}/_bulk_docs", {"docs": docs})
    raw = {"map": PAIRS, "options": {"collation": "raw"}}
    await ask("PUT", f"{path}/_design/d", {"views": {"v": {"map": PAIRS}, "raw": raw}})
    expected = {}
    for doc in docs:
        last = max(key.encode() for key, _ in doc["pairs"])
        expected[doc["_id"]] = sorted(n for key, n in doc["pairs"] if key.encode() == last)
    assert await order(ask, path) == expected
    assert (await ask("GET", f"{path}/_design/d/_view/raw")).json["total_rows"] == 90


# -- sums


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([{"b": 1, "a": 2}, {"c": 1, "A": 3}], {"A": 3, "a": 2, "b": 1, "c": 1}),
        ([{"a": 1}, {"a": [1, 2]}], {"a": [2, 2]}),
        ([[1, 2], 5, [1]], [7, 2]),
        ([1, 2.5], 3.5),
    ],
)
async def test_sums(path: str, ask: HTTPClient, values: list[Any], total: Any) -> None:
    answer = await summed(ask, path, "_sum", values)
    assert answer.json["rows"] == [{"key": None, "value": total}]


async def summed(ask: HTTPClient, path: str, name: str, values: list[Any]) -> Any:
    pairs = [[number, value] for number, value in enumerate(values)]
    await ask("PUT", f"{path}/a", {"pairs": pairs})
    await ask("PUT", f"{path}/_design/d", {"views": {"v": {"map": PAIRS, "reduce": name}}})
    return await ask("GET", f"{path}/_design/d/_view/v")


@pytest.mark.parametrize(
    ("values", "cause"),
    [(["x"], "x"), ([0, {"a": 1}], 0), ([[1, "x"], [1, 2]], [2]), ([{"a": "x"}, {"a": 1}], "x")],
)
async def test_what_is_no_sum(path: str, ask: HTTPClient, values: list[Any], cause: Any) -> None:
    (row,) = (await summed(ask, path, "_sum", values)).json["rows"]
    assert row["value"]["error"] == "builtin_reduce_error"
    assert row["value"]["caused_by"] == cause


@pytest.mark.parametrize(
    ("name", "values", "error"),
    [
        ("_sum", [{"error": "x"}], '{case_clause,{<<"error">>,<<"x">>}}'),
        ("_sum", [5, {"a": 1}], "{case_clause,5}"),
        ("_sum", [{"a": 1}, 5], "case_clause"),
        ("_sum", [1e308, 1e308], "badarith"),
        ("_sum", [{"a": 1e308}, {"a": 1e308}], "badarith"),
        ("_stats", [1e200], "badarith"),
        ("_stats", [5, [1]], "invalid_value"),
    ],
)
async def test_what_no_index_can_be_built_of(
    path: str, ask: HTTPClient, name: str, values: list[Any], error: str
) -> None:
    answer = await summed(ask, path, name, values)
    assert (answer.status, answer.json["error"]) == (500, error)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (["a"], "non-numeric _stats input: <<97>>"),
        (
            [1, "a"],
            "The _stats function requires that map values be numbers or arrays of numbers, "
            "not '<<\"a\">>'",
        ),
        ([{"a": 1}], 'user _stats input missing required field sum ([{<<"a">>,1}])'),
        (
            [{"sum": None, "count": 1, "min": 1, "max": 1, "sumsqr": 1}],
            "non-numeric _stats input received for sum: null",
        ),
    ],
)
async def test_what_stats_refuse(
    path: str, ask: HTTPClient, values: list[Any], reason: str
) -> None:
    told = (await summed(ask, path, "_stats", values)).told
    assert told == (500, "invalid_value", reason)


# -- reductions that do not shrink


async def test_reductions_have_to_shrink(path: str, ask: HTTPClient) -> None:
    views = {
        "text": {
            "map": "function (doc) { emit(1, doc.text) }",
            "reduce": "function (keys, values) { return values.join('') }",
        },
        "sum": {"map": "function (doc) { emit(1, doc.sums) }", "reduce": "_sum"},
    }
    await ask("PUT", f"{path}/_design/d", {"views": views})
    docs = [{"text": "x" * 2000, "sums": {f"{at}-{n}": 1 for n in range(200)}} for at in range(4)]
    await ask("POST", f"{path}/_bulk_docs", {"docs": docs})
    begin = "Reduce output must shrink more rapidly: input size: "
    (row,) = (await ask("GET", f"{path}/_design/d/_view/text")).json["rows"]
    assert (row["key"], row["error"]) == (None, "reduce_overflow_error")
    assert row["reason"].startswith(begin)
    assert " context: " in row["reason"]
    (row,) = (await ask("GET", f"{path}/_design/d/_view/sum")).json["rows"]
    assert row["value"]["error"] == "builtin_reduce_error"
    assert row["value"]["reason"].startswith(begin)
    assert json.dumps(row["value"]).count("context: ") == 1


# -- Nouveau


async def test_a_new_design_document_gets_the_version_of_lucene(path: str, ask: HTTPClient) -> None:
    indexes = {"a": {"index": "x"}, "b": {"lucene_version": 9}}
    answer = await ask("PUT", f"{path}/_design/n", {"nouveau": indexes})
    stored = (await ask("GET", f"{path}/_design/n")).json["nouveau"]
    assert stored == {"a": {"index": "x", "lucene_version": 10}, "b": {"lucene_version": 9}}
    changed = {"_rev": answer.json["rev"], "nouveau": {"a": {"index": "y"}}}
    await ask("PUT", f"{path}/_design/n", changed)
    assert (await ask("GET", f"{path}/_design/n")).json["nouveau"] == changed["nouveau"]
    refused = await ask("PUT", f"{path}/_design/o", {"nouveau": {"a": 5}})
    assert refused.told == (500, "unknown_error", "function_clause")


async def test_searches_of_what_is_missing(ask: HTTPClient, fresh_name: str) -> None:
    await ask("PUT", f"/{fresh_name}?partitioned=true")
    for rest in ("_design/x/_search/i?q=y", "_partition/p/_design/x/_search/i?q=y"):
        assert (await ask("GET", f"/{fresh_name}/{rest}")).told == (404, "not_found", "missing")
    await ask("PUT", f"/{fresh_name}/_design/x", {})
    told = (400, "bad_request", "path not recognized")
    assert (await ask("GET", f"/{fresh_name}/_design/x/_search")).told == told


# -- what is nested deep


async def test_a_view_of_documents_that_are_nested_deep(path: str, ask: HTTPClient) -> None:
    # The embedded server decodes what is emitted, and Python 3.12 ends that at a fixed depth.
    levels = 1000 if sys.version_info[:2] == (3, 12) else 5000
    deep = "[" * levels + "]" * levels
    await ask("PUT", f"{path}/deep", text=f'{{"a":{deep}}}')
    maps = {
        "by_id": {"map": "function (doc) { emit(doc._id) }"},
        "by_value": {"map": "function (doc) { emit(1, doc.a) }"},
    }
    await ask("PUT", f"{path}/_design/d", {"views": maps})
    by_id = await ask("GET", f"{path}/_design/d/_view/by_id")
    assert [row["id"] for row in by_id.json["rows"]] == ["deep"]
    assert deep in (await ask("GET", f"{path}/_design/d/_view/by_value")).body.decode()
