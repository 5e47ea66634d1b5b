"""What functions of design documents see, say and throw; the same on every server."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.support.validation import refuses_by, until_validated, validating

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch import Database
    from tests.support.http import Answer, HTTPClient

    #: Stores a design document with one function and asks it.
    Call = Callable[..., Awaitable[Answer]]

FORM = "application/x-www-form-urlencoded"
HTML = "text/html; charset=utf-8"


@pytest.fixture
async def path(db: Database, ask: HTTPClient) -> str:
    """The path of a database with three documents."""
    for name in ("a", "b", "c"):
        await ask("PUT", f"/{db.id}/{name}", {"n": 5, "tags": [1]})
    return f"/{db.id}"


@pytest.fixture
def show(path: str, ask: HTTPClient) -> Call:
    """Ask a show function: its body, then what stands behind its path."""
    numbers = itertools.count()

    async def call(body: str, rest: str = "/a", **headers: Any) -> Answer:
        function = f"function (doc, req) {{ {body} }}"
        design = f"{path}/_design/s{next(numbers)}"
        await ask("PUT", design, {"shows": {"f": function}})
        return await ask("GET", f"{design}/_show/f{rest}", **headers)

    return call


@pytest.fixture
def list_(path: str, ask: HTTPClient) -> Call:
    """Ask a list function: its body, then the view and options."""
    numbers = itertools.count()

    async def call(body: str, rest: str = "v", method: str = "GET") -> Answer:
        function = f"function (head, req) {{ {body} }}"
        views = {"v": {"map": "function (doc) { emit(doc._id, 1) }"}}
        design = f"{path}/_design/l{next(numbers)}"
        await ask("PUT", design, {"lists": {"f": function}, "views": views})
        return await ask(method, f"{design}/_list/f/{rest}")

    return call


@pytest.fixture
def update(path: str, ask: HTTPClient) -> Call:
    """Ask an update function: its body, then the body of the request."""
    numbers = itertools.count()

    async def call(body: str, text: bytes | None = None, rest: str = "", **headers: Any) -> Answer:
        function = f"function (doc, req) {{ {body} }}"
        design = f"{path}/_design/u{next(numbers)}"
        await ask("PUT", design, {"updates": {"f": function}})
        return await ask("POST", f"{design}/_update/f{rest}", text=text, **headers)

    return call


# -- the request


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("key=5", {"key": 5}),
        ("startkey=[1]&endkey={}", {"startkey": [1], "endkey": {}}),
        ("descending=true", {"descending": True}),
        ("start_key=5&keys=[1]&limit=2", {"start_key": "5", "keys": "[1]", "limit": "2"}),
        ("a=1;b&c=x+y%2Bz", {"a": "1", "b": "", "c": "x y+z"}),
    ],
)
async def test_keys_of_a_query_are_decoded(show: Call, query: str, seen: Any) -> None:
    answer = await show("return {json: req.query}", f"/a?{quote(query, safe='=&;+%')}")
    assert answer.json == seen


@pytest.mark.parametrize("query", ["key=bad", "startkey=[1", "endkey=", "descending=x"])
async def test_a_key_that_is_no_json(path: str, ask: HTTPClient, query: str) -> None:
    function = "function () { return true }"
    design = {name: {"f": function} for name in ("shows", "updates", "filters")}
    await ask("PUT", f"{path}/_design/d", design)
    shown = await ask("GET", f"{path}/_design/d/_show/f?{query}")
    assert (shown.status, shown.json["error"]) == (400, "bad_request")
    assert (await ask("POST", f"{path}/_design/d/_update/f?{query}")).status == 400
    filtered = await ask("GET", f"{path}/_changes?filter=d/f&{query}")
    assert (filtered.status, filtered.json["error"]) == (500, "error")


async def test_a_filter_compares_with_a_key(path: str, ask: HTTPClient) -> None:
    function = "function (doc, req) { return doc.n === req.query.key }"
    await ask("PUT", f"{path}/_design/d", {"filters": {"f": function}})
    for key, found in (("5", ["a", "b", "c"]), ("%225%22", [])):
        answer = await ask("GET", f"{path}/_changes?filter=d/f&key={key}")
        assert sorted(row["id"] for row in answer.json["results"]) == found


async def test_the_body_of_a_request(update: Call) -> None:
    seen = "return [null, toJSON([req.body, req.form])]"
    assert (await update(seen, b"")).body == b'["",{}]'
    form = b"a=1&b&c=%20+x;d=2&a=3"
    answer = await update(seen, form, Content_Type=f"{FORM}; charset=utf-8")
    assert answer.json == [form.decode(), {"a": "3", "b": "", "c": "  x", "d": "2"}]
    assert (await update(seen, b"x", Content_Type="text/plain")).json == ["x", {}]


async def test_the_body_of_a_request_for_changes(path: str, ask: HTTPClient) -> None:
    function = "function (doc, req) { return req.body.n === doc.n }"
    await ask("PUT", f"{path}/_design/d", {"filters": {"f": function}})
    for number, found in ((5, 3), (6, 0)):
        answer = await ask("POST", f"{path}/_changes?filter=d/f", {"n": number})
        assert len(answer.json["results"]) == found


# -- show


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("return 'x'", HTML, b"x"),
        ("", "application/json", b""),
        ("return ''", "application/json", b""),
        ("return 0", "application/json", b""),
        ("return {body: ['a', 66, ['c']]}", HTML, b"aBc"),
        ("return {json: {a: 1}}", "application/json", b'{"a":1}\n'),
        ("return {json: 1, body: 'x'}", HTML, b"1\n"),
        ("return {base64: 'aGk='}", "application/binary", b"hi"),
        ("return {headers: {'content-type': 'a/b'}, body: 'x'}", "a/b", b"x"),
        ("start({'Content-Type': 'a/b'}); send('x'); return 'y'", "a/b", b"xy"),
        ("start({headers: {'Content-Type': 'a/b'}}); send('x')", HTML, b"x"),
        ("send('0'); provides('html', function () { send('a'); return 'b' })", HTML, b"0ab"),
        ("provides('html', function () { return 'b' }); return 'r'", HTML, b"rb"),
        ("provides('json', function () { return {json: 1} })", "text/x-json", b""),
        ("registerType('q', 'q/r'); provides('q', function () { return 'x' })", "q/r", b"x"),
    ],
)
async def test_what_a_show_answers(show: Call, body: str, content_type: str, text: bytes) -> None:
    answer = await show(body)
    assert (answer.status, answer.body) == (200, text)
    assert answer.headers["Content-Type"] == content_type


async def test_a_header_that_is_no_text(show: Call) -> None:
    answer = await show("return {headers: {'X-A': 5, 'X-B': null, 'X-C': {a: 1}}, body: 'x'}")
    told = [answer.headers[name] for name in ("X-A", "X-B", "X-C")]
    assert told == ["5", "null", '{[{<<"a">>,1}]}']


async def test_only_the_body_of_what_is_provided_counts(show: Call) -> None:
    answer = await show(
        "provides('html', function () { return {body: 'b', code: 201, headers: {'X-A': 'x'}} })"
    )
    assert (answer.status, answer.body, "X-A" in answer.headers) == (200, b"b", False)


@pytest.mark.parametrize(
    ("body", "status", "error", "reason"),
    [
        ("return {body: null}", 500, "unknown_error", "badarg"),
        ("return {body: 5}", 500, "unknown_error", "badarg"),
        ("return [1]", 500, "unknown_error", "function_clause"),
        ("return {code: null}", 500, "unknown_error", "function_clause"),
        ("return {headers: 5}", 500, "unknown_error", "function_clause"),
        ("return {base64: '!!'}", 500, "unknown_error", "missing_padding"),
        ("throw null", 500, "TypeError", "{[]}"),
        ("throw ['error', 'bad_request', 'x']", 400, "bad_request", "x"),
        ("throw ['error', 'not_found', 'x']", 404, "not_found", "x"),
        ("throw ['error', 'odd', {a: 1}]", 500, "odd", '{[{<<"a">>,1}]}'),
        ("throw {error: 'odd', reason: 'x'}", 500, "odd", "x"),
    ],
)
async def test_what_a_show_must_not_answer(
    show: Call, body: str, status: int, error: str, reason: str
) -> None:
    assert (await show(body)).told == (status, error, reason)


async def test_formats_and_types(show: Call) -> None:
    body = "provides('html', function () { return 'h' })"
    refused = "Content-Type */* not supported, try one of: text/html; charset=utf-8"
    assert (await show(body, "/a?format=json")).told == (406, "not_acceptable", refused)
    answer = await show(body, "/a?format=nosuch")
    assert (answer.status, answer.json["error"]) == (500, "render_error")
    assert (await show(body, "/a?format=html")).body == b"h"
    assert (await show(body, Accept="image/png")).status == 406
    unknown = await show("provides('text/html', function () { return 'h' })")
    assert (unknown.status, unknown.json["error"]) == (500, "render_error")


# -- list


@pytest.mark.parametrize(
    ("body", "status", "content_type", "text"),
    [
        ("start({code: 201}); getRow(); send('x')", 201, "application/json", b"x"),
        ("getRow(); start({code: 404}); send('x')", 404, "application/json", b"x"),
        ("send('a'); getRow(); start({code: 404}); send('x')", 200, "application/json", b"ax"),
        (
            "start({code: 201}); getRow(); start({headers: {'Content-Type': 'q/r'}}); send('x')",
            200,
            "q/r",
            b"x",
        ),
        ("start({body: 'lost'}); send('x')", 200, HTML, b"x"),
        ("return 65", 200, "application/json", b"A"),
        ("return ['a', [66], 'c']", 200, "application/json", b"aBc"),
        (
            "provides('html', function () { send('h'); var r; while (r = getRow()) send(r.key) })",
            200,
            HTML,
            b"habc",
        ),
    ],
)
async def test_what_a_list_answers(
    list_: Call, body: str, status: int, content_type: str, text: bytes
) -> None:
    answer = await list_(body)
    assert (answer.status, answer.body) == (status, text)
    assert answer.headers["Content-Type"] == content_type


async def test_a_list_that_sends_nothing(list_: Call) -> None:
    answer = await list_("start({code: 404})")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(("error", "status"), [("not_found", 404), ("unauthorized", 401)])
async def test_a_list_that_throws(list_: Call, error: str, status: int) -> None:
    throw = f"throw ['error', '{error}', 'x']"
    assert (await list_(throw)).told == (status, error, "x")
    answer = await list_(f"getRow(); {throw}")
    assert answer.status == status
    assert answer.json == {"code": status, "error": error, "reason": "x"}
    answer = await list_(f"send('q'); getRow(); {throw}")
    assert answer.status == 200
    assert answer.body == b'q\n{"code":%d,"error":"%b","reason":"x"}\n' % (status, error.encode())
    assert (await list_(f"while (getRow()); {throw}")).told == (status, error, "x")


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("_all_docs", "_design/l0,a,b,c"),
        ("l0/_all_docs?startkey=%22b%22", "b,c"),
        ("_all_docs?keys=[%22c%22,%22zz%22]", "c,zz"),
        ("_all_docs?limit=0", ""),
    ],
)
async def test_a_list_of_all_documents(list_: Call, rest: str, found: str) -> None:
    body = "var k = [], r; while (r = getRow()) k.push(r.key); return k.join() + '!'"
    assert (await list_(body, rest)).body.decode() == f"{found}!"


async def test_a_list_takes_options(list_: Call) -> None:
    assert (await list_("return 'x'", method="OPTIONS")).body == b"x"


# -- update


async def test_an_update_without_a_response(update: Call) -> None:
    for body in ("return [null]", "return []", "return [{_id: 'new'}]"):
        assert (await update(body)).told == (
            500,
            "render_error",
            "undefined response from update function",
        )
    answer = await update("return [null, {}]")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("document", ["null", "5", "'x'", "[1]", "false"])
async def test_an_update_without_a_document(update: Call, document: str) -> None:
    answer = await update(f"return [{document}, 'ok']")
    assert (answer.status, answer.body) == (200, b"ok")


# -- filters


@pytest.mark.parametrize(
    "body", ["throw 'x'", "throw null", "null.x", "throw ['error', 'not_found', 'x']"]
)
async def test_a_filter_that_throws(path: str, ask: HTTPClient, body: str) -> None:
    await ask("PUT", f"{path}/_design/d", {"filters": {"f": f"function () {{ {body} }}"}})
    answer = await ask("GET", f"{path}/_changes?filter=d/f")
    assert (answer.status, answer.json["error"]) == (500, "error")


# -- validation


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ("throw {forbidden: 'x'}", 403, "forbidden"),
        ("throw {unauthorized: {a: 1}}", 401, "unauthorized"),
        ("throw {forbidden: 'x', more: 1}", 500, "unknown_error"),
        ("throw {odd: 'x'}", 500, "unknown_error"),
        ("throw 'x'", 500, "unknown_error"),
        ("throw new Error('x')", 500, "Error"),
        ("throw ['error', 'forbidden', 'x']", 403, "forbidden"),
        ("if (doc.tags instanceof Array) throw {forbidden: 'x'}", 201, None),
        ("throw 1", 201, None),
        ("return false", 201, None),
    ],
)
async def test_what_refuses_a_document(
    path: str, ask: HTTPClient, body: str, status: int, error: str | None
) -> None:
    await ask("PUT", f"{path}/_design/v", {"validate_doc_update": validating(body)})
    await until_validated(refuses_by(ask, path))
    answer = await ask("PUT", f"{path}/new", {"tags": []})
    assert (answer.status, answer.json.get("error")) == (status, error)


# -- other languages


@pytest.mark.parametrize("language", ["erlang", "nosuch"])
async def test_functions_in_other_languages(path: str, ask: HTTPClient, language: str) -> None:
    named = {name: {"f": "x"} for name in ("shows", "lists", "updates", "filters")}
    design = {"language": language, "rewrites": "x", "views": {"v": {"map": "x"}}, **named}
    await ask("PUT", f"{path}/_design/d", design)
    told = (500, "unknown_query_language", language)
    for rest in ("_show/f", "_list/f/v", "_rewrite/x", "_view/v"):
        assert (await ask("GET", f"{path}/_design/d/{rest}")).told == told
    assert (await ask("POST", f"{path}/_design/d/_update/f")).told == told
    assert (await ask("GET", f"{path}/_changes?filter=d/f")).json["error"] == "error"
    await ask("PUT", f"{path}/_design/v", {"language": language, "validate_doc_update": "x"})
    await until_validated(refuses_by(ask, path))
    assert (await ask("PUT", f"{path}/new", {})).told == told
