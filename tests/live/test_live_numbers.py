"""Numbers and deep JSON, in the words of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.support.http import HTTPClient

SENT = (
    "1000.0,1E+21,0.00001,100.0,5e-324,-0.0,-0,1e5,1200.0,12345678900.0,9007199254740992.0,"
    '12345678901234567890123,"1000.0"'
)
PRINTED = (
    "1.0e3,1.0e21,1.0e-5,100.0,5.0e-324,0.0,0,1.0e5,1.2e3,12345678900.0,9.007199254740992e15,"
    '12345678901234567890123,"1000.0"'
)


async def test_numbers_are_printed_with_the_shortest_floats(db: Database, ask: HTTPClient) -> None:
    doc = f'{{"_id":"a","n":[{SENT}]}}'
    path = f"/{db.id}"
    made = await ask("POST", path, text=doc)
    assert (made.status, made.json["rev"]) == (201, "1-53e59139ad70e75b1fdf12ccffd32df1")
    assert f'"n":[{PRINTED}]'.encode() in (await ask("GET", f"{path}/a")).body
    for view in ("_all_docs?include_docs=true", "_changes?include_docs=true"):
        assert f'"n":[{PRINTED}]'.encode() in (await ask("GET", f"{path}/{view}")).body
    found = await ask("POST", f"{path}/_find", {"selector": {}, "fields": ["n"]})
    assert f'"n":[{PRINTED}]'.encode() in found.body


async def test_numbers_of_replicated_and_local_documents(db: Database, ask: HTTPClient) -> None:
    await ask("PUT", f"/{db.id}/_local/a", text='{"n":1000.0}')
    assert b'"n":1.0e3' in (await ask("GET", f"/{db.id}/_local/a")).body
    await ask("PUT", f"/{db.id}/a?new_edits=false", text='{"_rev":"1-a","n":1000.0}')
    assert b'"n":1.0e3' in (await ask("GET", f"/{db.id}/a")).body


async def test_numbers_that_functions_emit(db: Database, ask: HTTPClient) -> None:
    views = {
        "map": {"map": "function(doc) { emit([1e21, 0.00012], {n: 1e-7, s: '1e+21'}) }"},
        "sum": {"map": "function(doc) { emit(null, 0.00012) }", "reduce": "_sum"},
        "own": {
            "map": "function(doc) { emit(1e22, 1) }",
            "reduce": "function(keys, values) { return 1e-7 }",
        },
    }
    await ask("PUT", f"/{db.id}/_design/d", {"views": views})
    await ask("PUT", f"/{db.id}/a", {})
    view = f"/{db.id}/_design/d/_view"
    row = b'"key":[1.0e21,1.2e-4],"value":{"n":1.0e-7,"s":"1e+21"}'
    assert row in (await ask("GET", f"{view}/map")).body
    assert b'"value":1.2e-4' in (await ask("GET", f"{view}/sum")).body
    assert b'"key":1.0e22,"value":1.0e-7' in (await ask("GET", f"{view}/own?group=true")).body


@pytest.mark.parametrize("text", ["1e+", "1.", ".5", "01", "+1", "1e400", "NaN"])
async def test_what_is_no_number(db: Database, ask: HTTPClient, text: str) -> None:
    answer = await ask("PUT", f"/{db.id}/a", text=f'{{"n":{text}}}')
    assert answer.told == (400, "bad_request", "invalid UTF-8 JSON")


async def test_json_of_any_depth(db: Database, ask: HTTPClient) -> None:
    nested = b"[" * 20_000 + b"1.0e3" + b"]" * 20_000
    made = await ask("POST", f"/{db.id}/_bulk_docs", text=b'{"docs":[{"_id":"a","v":%b}]}' % nested)
    assert made.status == 201
    assert made.json[0]["rev"] == "1-6f6ba946673191874ae176647b3d6f26"
    for path in ("a", "_all_docs?include_docs=true", "_changes?include_docs=true"):
        assert nested in (await ask("GET", f"/{db.id}/{path}")).body
    found = await ask("POST", f"/{db.id}/_find", {"selector": {"_id": "a"}})
    assert nested in found.body
    found = await ask("POST", f"/{db.id}/_find", {"selector": {"w": {"$exists": False}}})
    assert nested in found.body


async def test_deep_json_is_replicated(
    db: Database, ask: HTTPClient, couchdb_server: CouchDBServer
) -> None:
    nested = b"[" * 5000 + b"]" * 5000
    await ask("PUT", f"/{db.id}/a", text=b'{"v":%b}' % nested)
    base, target = couchdb_server.auth_url, f"{db.id}-target"
    try:
        done = await ask(
            "POST",
            "/_replicate",
            {"source": f"{base}/{db.id}", "target": f"{base}/{target}", "create_target": True},
        )
        assert done.json["ok"] is True
        assert nested in (await ask("GET", f"/{target}/a")).body
    finally:
        await ask("DELETE", f"/{target}")
