"""Rewrites by rules and by a function; the same on every server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiocouch import Database
    from tests.support.http import HTTPClient

SHOW = "function (doc, req) { return {json: req.query} }"
UPDATE = "function (doc, req) { return [null, toJSON([req.method, req.body, req.form])] }"
LONG = [
    {"from": "/text/:a/:b", "to": "_show/query", "query": {"x": ":b", "n": ":a"}},
    {"from": "/int/:a", "to": "_show/query", "query": {"key": ":a"}, "formats": {"a": "int"}},
    {"from": "/bool/:a", "to": "_show/query", "query": {"key": ":a"}, "formats": {"a": "bool"}},
    {
        "from": "/range/:a/:b",
        "to": "_show/query",
        "query": {"startkey": [":a", ":b"], "endkey": [":a", ":b", {}]},
        "formats": {"a": "int"},
    },
    {"from": "/star/*", "to": "_show/query", "query": {"key": "*"}},
    {"from": "/mid/*/x", "to": "_show/query", "query": {"key": "*"}},
    {"from": "/list/:a", "to": "_show/query", "query": {"q": [":a", "b"]}},
    {"from": "/number", "to": "_show/query", "query": {"limit": 5}},
    {"from": "/unknown", "to": "../../:nosuch"},
    {"from": "/doc/*", "to": "../../*"},
    {"from": "/update", "to": "_update/said", "method": "POST"},
]
FUNCTION = """function (req) {
    var steps = req.path.slice(4), name = steps[0];
    if (name === 'doc') return '../../' + steps.slice(1).join('/');
    if (name === 'made') return {path: '../../made', method: 'PUT', body: '{"n":1}'};
    if (name === 'form') return {path: '_update/said', method: 'POST', body: 'a=1&b',
        headers: {'Content-Type': 'application/x-www-form-urlencoded'}};
    if (name === 'passed') return {path: '_update/said', method: 'POST'};
    if (name === 'query') return {path: '_show/query', query: {key: '5', a: 'b c'}};
    if (name === 'code') return {code: 201};
    return eval('(' + decodeURIComponent(name) + ')');
}"""


@pytest.fixture
async def path(db: Database, ask: HTTPClient) -> str:
    """The path of a database with a document `a`, rules `r` and a function `f`."""
    await ask("PUT", f"/{db.id}/a", {"n": 1})
    design = {"shows": {"query": SHOW}, "updates": {"said": UPDATE}}
    await ask("PUT", f"/{db.id}/_design/r", {"rewrites": LONG, **design})
    await ask("PUT", f"/{db.id}/_design/f", {"rewrites": FUNCTION, **design})
    return f"/{db.id}"


@pytest.mark.parametrize(
    ("rest", "query"),
    [
        ("text/1/b%20c", {"x": "b c", "n": "1", "a": "1", "b": "b c"}),
        ("text/1/2?x=9&z=3", {"x": "2", "n": "1", "a": "1", "b": "2", "z": "3"}),
        ("int/5", {"key": 5, "a": "5"}),
        ("int/5x", {"key": [53, 120], "a": "5x"}),
        ("bool/True", {"key": True, "a": "True"}),
        ("range/5/7", {"startkey": [5, "7"], "endkey": [5, "7", {}], "a": "5", "b": "7"}),
        ("star/a/b", {"key": "*"}),
        ("mid/y/x", {"key": "y"}),
        ("list/a", {"q": "ab", "a": "a"}),
        ("text/1/2?key=%22k%22", {"x": "2", "n": "1", "a": "1", "b": "2", "key": "k"}),
    ],
)
async def test_rules_bind_variables(path: str, ask: HTTPClient, rest: str, query: Any) -> None:
    assert (await ask("GET", f"{path}/_design/r/_rewrite/{rest}")).json == query


async def test_rules_that_cannot_be(path: str, ask: HTTPClient) -> None:
    number = await ask("GET", f"{path}/_design/r/_rewrite/number")
    assert number.told == (500, "unknown_error", "badarg")
    bad = await ask("GET", f"{path}/_design/r/_rewrite/int/5?key=bad")
    assert (bad.status, bad.json["error"]) == (400, "bad_request")
    unknown = await ask("GET", f"{path}/_design/r/_rewrite/unknown")
    assert unknown.told == (404, "not_found", "missing")
    assert (await ask("GET", f"{path}/_design/r/_rewrite/nosuch")).status == 404


PART = b'{"_attachments":{"f":{"follows":true,"length":3,"content_type":"a/b"}}}'
MULTIPART = b"--x\r\nContent-Type: application/json\r\n\r\n%b\r\n--x\r\n\r\nabc\r\n--x--" % PART


async def test_bodies_survive_rules(path: str, ask: HTTPClient) -> None:
    base = f"{path}/_design/r/_rewrite"
    content = bytes(range(256))
    answer = await ask("PUT", f"{base}/doc/b/f", text=content, Content_Type="image/x")
    assert answer.status == 201
    assert (await ask("GET", f"{path}/b/f")).body == content
    related = 'multipart/related;boundary="x"'
    await ask("PUT", f"{base}/doc/m", text=MULTIPART, Content_Type=related)
    assert (await ask("GET", f"{path}/m/f")).body == b"abc"
    form = await ask("POST", f"{base}/update", text=b"a=1&b", Content_Type=FORM)
    assert form.json == ["POST", "a=1&b", {"a": "1", "b": ""}]


FORM = "application/x-www-form-urlencoded"


async def test_bodies_survive_a_function(path: str, ask: HTTPClient) -> None:
    base = f"{path}/_design/f/_rewrite"
    await ask("PUT", f"{base}/doc/b", {"n": 7})
    assert (await ask("GET", f"{path}/b")).json["n"] == 7
    await ask("GET", f"{base}/made")
    assert (await ask("GET", f"{path}/made")).json["n"] == 1
    form = await ask("POST", f"{base}/passed", text=b"a=1&b", Content_Type=FORM)
    assert form.json == ["POST", "a=1&b", {"a": "1", "b": ""}]
    assert (await ask("GET", f"{base}/form")).json == ["POST", "a=1&b", {"a": "1", "b": ""}]
    echoed = await ask("PUT", f"{base}/code", text=b"echo", Content_Type="text/plain")
    assert (echoed.status, echoed.body) == (201, b"echo")
    assert (await ask("GET", f"{base}/query")).json == {"key": 5, "a": "b c"}


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("5", (500, "rewrite_error", "bad rewrite")),
        ("[1]", (500, "rewrite_error", "bad rewrite")),
        ("({})", (500, "rewrite_error", "Rewrite result must produce a new path.")),
        ("null", (404, "rewrite_error", "Invalid path.")),
        ("({path: 5})", (500, "rewrite_error", "bad path")),
        ("({path: 'a', body: {}})", (500, "rewrite_error", "bad body")),
        ("({path: 'a', method: 5})", (500, "rewrite_error", "bad method")),
        ("({path: 'a', headers: [1]})", (500, "rewrite_error", "bad headers")),
        ("({path: 'a', query: 'x'})", (500, "rewrite_error", "bad query")),
        ("({code: '200'})", (500, "rewrite_error", "bad code")),
        ("({code: 700})", (500, "rewrite_error", "bad code")),
    ],
)
async def test_what_a_function_must_not_give(
    path: str, ask: HTTPClient, result: str, told: tuple[int, str, str]
) -> None:
    name = "".join(f"%{byte:02X}" for byte in result.encode())
    assert (await ask("GET", f"{path}/_design/f/_rewrite/{name}")).told == told
