"""What is sent by collections and parts: security, design, views, bulk, attachments, changes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from multidict import CIMultiDict

from aiocouch import CouchDB, Database, Document
from aiocouch.bulk import BulkOperation
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.event import ChangedEvent
from aiocouch.exception import InvalidInputError, InvalidTypeError, RemoteResponseError
from tests.wire.canned import (
    Answer,
    CannedServer,
    Request,
    doc_row,
    error_answer,
    json_answer,
    row,
    rows_answer,
)

# -- security, design


async def test_security_document(canned: CannedServer, base: Database) -> None:
    canned.say_json({"members": {"roles": ["r"]}, "admins": {}})
    canned.say_json({"ok": True})
    async with SecurityDocument(base) as security:
        security.add_member("bond")
    assert canned.lines == ["GET /db/_security", "PUT /db/_security"]
    sent = canned.requests[1].json()
    assert sent["members"] == {"roles": ["r"], "names": ["bond"]}
    assert "_id" not in sent
    assert "_rev" not in sent


async def test_unchanged_security_document_sends_nothing(
    canned: CannedServer, base: Database
) -> None:
    canned.say_json({"members": {"roles": ["r"]}, "admins": {}})
    security = await base.security()
    await security.save()
    assert canned.lines == ["GET /db/_security"]


async def test_create_view_saves_at_once(canned: CannedServer, base: Database) -> None:
    canned.say_json({"ok": True, "id": "_design/d", "rev": "1-a"}, 201)
    await DesignDocument(base, "d").create_view("v", "function (doc) {}", "_count")
    request = canned.only()
    assert request.line == "PUT /db/_design/d"
    sent = request.json()
    assert sent["views"] == {"v": {"map": "function (doc) {}", "reduce": "_count"}}
    assert sent["language"] == "javascript"


async def test_design_doc_keeps_its_slash(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "_design/d", "_rev": "1-a", "views": {}})
    await base.design_doc("d", exists_ok=True)
    assert canned.only().path == "/db/_design/d"


# -- views


async def test_view_get_passes_options(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(row("a")))
    response = await base.view("d", "v").get(
        startkey='["a"]', descending=True, include_docs=False, limit=3, skip=0
    )
    assert canned.only().path == "/db/_design/d/_view/v"
    assert canned.only().query == {
        "startkey": '["a"]',
        "descending": "true",
        "include_docs": "false",
        "limit": "3",
        "skip": "0",
    }
    assert (response.total_rows, response.offset) == (1, 0)
    assert response.rows[0]["id"] == "a"


async def test_option_that_is_none_is_left_out(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(), rows_answer())
    await base.view("d", "v").get(limit=None)
    assert [key async for key in base.akeys(startkey=None, descending=None)] == []
    assert [request.query for request in canned.requests] == [{}, {}]


@pytest.mark.parametrize("name", ["key", "startkey", "endkey", "start_key", "end_key"])
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ('"text"', '"text"'),
        ("[1]", "[1]"),
        (["a", 1, None], '["a",1,null]'),
        (7, "7"),
        (True, "true"),
        ({"a": {}}, '{"a":{}}'),
    ],
)
async def test_view_keys_text_passes_and_the_rest_is_json(
    canned: CannedServer, base: Database, name: str, value: Any, sent: str
) -> None:
    canned.say(rows_answer())
    await base.view("d", "v").get(**{name: value})
    assert json.loads(canned.only().query[name]) == json.loads(sent)


async def test_view_keys_of_a_get_are_one_json_list(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer())
    await base.view("d", "v").get(keys=["a", 1])
    request = canned.only()
    sent = request.json()["keys"] if request.method == "POST" else json.loads(request.query["keys"])
    assert sent == ["a", 1]


async def test_view_post(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(row("a")))
    await base.view("d", "v").post(["a", ["b", 1]], include_docs=True)
    assert canned.only().line == "POST /db/_design/d/_view/v?include_docs=true"
    assert canned.only().json() == {"keys": ["a", ["b", 1]]}


async def test_names_of_views_are_quoted(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer())
    await base.view("d/e+f", "v ?#/").get()
    assert canned.only().target == "/db/_design/d%2Fe%2Bf/_view/v%20%3F%23%2F"


# -- bulk


async def test_bulk_create_is_one_request(canned: CannedServer, base: Database) -> None:
    canned.say_json(
        [{"ok": True, "id": "a", "rev": "1-a"}, {"id": "b", "error": "conflict", "reason": "…"}],
        201,
    )
    async with base.create_docs(["a", "b"]) as bulk:
        for doc in bulk:
            doc["n"] = 1
    assert canned.only().line == "POST /db/_bulk_docs"
    assert canned.only().json() == {"docs": [{"_id": "a", "n": 1}, {"_id": "b", "n": 1}]}
    assert bulk.ok is not None
    assert bulk.error is not None
    assert [doc.id for doc in bulk.ok] == ["a"]
    assert [doc.id for doc in bulk.error] == ["b"]
    assert bulk.ok[0].rev == "1-a"
    assert bulk.response is not None
    assert bulk.response[1].get("error") == "conflict"


async def test_bulk_update_fetches_once_and_writes_once_what_changed(
    canned: CannedServer, base: Database
) -> None:
    canned.say(
        rows_answer(doc_row("a", n=1), doc_row("b", n=2), {"key": "c", "error": "not_found"})
    )
    canned.say_json(
        [{"ok": True, "id": "a", "rev": "2-b"}, {"ok": True, "id": "c", "rev": "1-c"}], 201
    )
    async with base.update_docs(["a", "b", "c"], create=True) as bulk:
        async for doc in bulk:
            if doc.id != "b":
                doc["n"] = 7
    assert canned.lines == ["POST /db/_all_docs?include_docs=true", "POST /db/_bulk_docs"]
    assert canned.requests[0].json() == {"keys": ["a", "b", "c"]}
    sent = canned.requests[1].json()["docs"]
    assert sent == [{"_id": "a", "_rev": "1-a", "n": 7}, {"_id": "c", "n": 7}]


async def test_bulk_with_nothing_to_write(canned: CannedServer, base: Database) -> None:
    canned.handler = lambda request: json_answer([], 201)
    async with BulkOperation(base) as bulk:
        pass
    assert (bulk.ok, bulk.error, bulk.response) == ([], [], [])
    assert len(canned.requests) <= 1


async def test_bulk_sends_nothing_after_an_error(canned: CannedServer, base: Database) -> None:
    bulk = base.create_docs(["a"])
    with suppress(ZeroDivisionError):
        async with bulk:
            raise ZeroDivisionError
    assert canned.requests == []
    assert bulk.response is None


def stored(request: Request) -> Answer:
    """CouchDB's answer to a bulk of new documents."""
    docs = request.json()["docs"]
    return json_answer([{"ok": True, "id": doc["_id"], "rev": "1-a"} for doc in docs], 201)


async def test_many_documents_go_a_thousand_at_a_time(canned: CannedServer, base: Database) -> None:
    canned.handler = stored
    ids = [f"{number:04}" for number in range(2500)]
    async with base.create_docs(ids) as bulk:
        pass
    sent = [[doc["_id"] for doc in request.json()["docs"]] for request in canned.requests]
    assert sent == [ids[:1000], ids[1000:2000], ids[2000:]]
    assert bulk.ok is not None
    assert [doc.id for doc in bulk.ok] == ids
    assert bulk.response is not None
    assert [row["id"] for row in bulk.response] == ids
    assert not any(doc.is_dirty() for doc in bulk)


async def test_a_second_block_tells_of_what_it_has_sent(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = stored
    bulk = base.create_docs(["a", "b"])
    async with bulk:
        pass
    async with bulk:
        bulk.create("c")
    assert bulk.ok is not None
    assert [doc.id for doc in bulk.ok] == ["c"]
    assert bulk.response is not None
    assert [row["id"] for row in bulk.response] == ["c"]


async def test_large_documents_go_some_at_a_time(canned: CannedServer, base: Database) -> None:
    canned.handler = stored
    async with base.create_docs(["a", "b", "c"]) as bulk:
        for doc in bulk:
            doc["text"] = "x" * (7 << 20)
    sent = [[doc["_id"] for doc in request.json()["docs"]] for request in canned.requests]
    assert sent == [["a", "b"], ["c"]]


async def test_many_documents_are_one_body_of_known_length(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = stored
    async with base.create_docs(f"{number}" for number in range(950)):
        pass
    request = canned.only()
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["content-type"] == "application/json"
    assert [doc["_id"] for doc in request.json()["docs"]] == [f"{n}" for n in range(950)]


async def test_bad_documents_are_named_by_their_place(canned: CannedServer, base: Database) -> None:
    with pytest.raises(InvalidTypeError, match=r"bytes at \['docs'\]\[1\]\['a'\]"):
        await base.bulk_docs([{"_id": "x"}, {"_id": "y", "a": b"bytes"}])
    assert canned.requests == []


async def test_what_was_stored_before_a_request_failed_is_known(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = lambda request: (
        stored(request) if len(canned.requests) < 2 else error_answer(503)
    )
    bulk = base.create_docs(f"{number:04}" for number in range(1500))
    with pytest.raises(RemoteResponseError):
        async with bulk:
            pass
    assert bulk.ok is not None
    assert [doc.id for doc in bulk.ok] == [f"{number:04}" for number in range(1000)]
    assert bulk.error == []
    assert [doc.id for doc in bulk if doc.is_dirty()] == [
        f"{number:04}" for number in range(1000, 1500)
    ]


async def test_nothing_is_sent_when_one_of_very_many_is_no_json(
    canned: CannedServer, base: Database
) -> None:
    with pytest.raises(InvalidInputError, match="nan"):
        async with base.create_docs(f"{number}" for number in range(1500)) as bulk:
            bulk.create("last", {"n": float("nan")})
    assert canned.requests == []


# -- attachments


async def test_attachment_fetch_and_exists(canned: CannedServer, base: Database) -> None:
    canned.say(
        Answer(headers={"Content-Type": "text/x-one"}),
        Answer(body=b"bytes", headers={"Content-Type": "text/x-two"}),
    )
    attachment = Document(base, "x").attachment("a b/c.txt")
    assert await attachment.exists() is True
    assert attachment.content_type == "text/x-one"
    assert await attachment.fetch() == b"bytes"
    assert attachment.content_type == "text/x-two"
    assert canned.lines == ["HEAD /db/x/a%20b%2Fc.txt", "GET /db/x/a%20b%2Fc.txt"]


async def test_attachment_that_is_missing(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(404))
    assert await Document(base, "x").attachment("a").exists() is False


async def test_attachment_save_puts_the_bytes(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a"})
    doc = await base["x"]

    def answer(request: Any) -> Answer:
        if request.method == "PUT":
            return json_answer({"ok": True, "id": "x", "rev": "2-b"}, 201)
        stub = {"a": {"content_type": "text/x", "revpos": 2, "length": 5, "stub": True}}
        return json_answer({"_id": "x", "_rev": "2-b", "_attachments": stub})

    canned.handler = answer
    attachment = doc.attachment("a")
    await attachment.save(b"bytes", "text/x")
    request = canned.requests[1]
    assert request.line == "PUT /db/x/a?rev=1-a"
    assert (request.body, request.headers["content-type"]) == (b"bytes", "text/x")
    assert attachment.content_type == "text/x"
    assert doc.rev == "2-b"
    assert len(canned.requests) <= 3


async def test_attachment_delete_sends_the_revision(canned: CannedServer, base: Database) -> None:
    canned.say_json({"_id": "x", "_rev": "1-a"})
    doc = await base["x"]

    def answer(request: Any) -> Answer:
        if request.method == "DELETE":
            return json_answer({"ok": True, "id": "x", "rev": "2-b"})
        return json_answer({"_id": "x", "_rev": "2-b"})

    canned.handler = answer
    await doc.attachment("a").delete()
    assert canned.requests[1].line == "DELETE /db/x/a?rev=1-a"
    assert doc.rev == "2-b"


@pytest.mark.parametrize("call", ["save", "delete"])
async def test_attachment_needs_a_saved_document(
    canned: CannedServer, base: Database, call: str
) -> None:
    attachment = Document(base, "x").attachment("a")
    with pytest.raises(ValueError, match=r"rev|saved|fetch"):
        await (attachment.delete() if call == "delete" else attachment.save(b"", "text/x"))
    assert canned.requests == []


# -- changes


async def test_changes_pass_options(canned: CannedServer, base: Database) -> None:
    canned.say_json({"results": [], "last_seq": "0", "pending": 0})
    found = [event async for event in base.changes(since="1-a", include_docs=True, limit=3)]
    assert found == []
    request = canned.only()
    assert request.path == "/db/_changes"
    assert request.query == {"since": "1-a", "include_docs": "true", "limit": "3"}


async def test_last_event_id_is_sent(canned: CannedServer, base: Database) -> None:
    canned.say_json({"results": [], "last_seq": "5-x", "pending": 0})
    assert [event async for event in base.changes(last_event_id="5-x")] == []
    request = canned.only()
    assert (request.query.get("last-event-id") or request.headers["last-event-id"]) == "5-x"


async def test_continuous_changes_ask_for_heartbeats(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(pieces=[b'{"last_seq":"0","pending":0}\n']), Answer())
    assert [event async for event in base.changes(feed="continuous")] == []
    assert canned.requests[0].query["heartbeat"] not in ("", "false")


async def test_event_without_document_fetches_its_revision(
    canned: CannedServer, base: Database
) -> None:
    canned.say_json({"_id": "x", "_rev": "2-b", "n": 1})
    event = ChangedEvent({"seq": "2", "id": "x", "changes": [{"rev": "2-b"}]}, base)
    doc = await event.doc()
    assert doc["n"] == 1
    assert canned.lines == ["GET /db/x?rev=2-b"]


async def test_event_with_document_sends_nothing_and_is_clean(
    canned: CannedServer, base: Database
) -> None:
    event = ChangedEvent(
        {
            "seq": "2",
            "id": "x",
            "changes": [{"rev": "2-b"}],
            "doc": {"_id": "x", "_rev": "2-b", "n": 1},
        },
        base,
    )
    doc = await event.doc()
    assert doc["n"] == 1
    assert await doc.save() is None
    assert canned.requests == []


# -- headers of every request


async def test_every_request_asks_for_json(canned: CannedServer, base: Database) -> None:
    canned.say_json({"db_name": "db"})
    await base.info()
    assert "application/json" in canned.only().headers["accept"]


async def test_own_headers_are_sent(canned: CannedServer) -> None:
    canned.say_json({"couchdb": "Welcome"})
    async with CouchDB(canned.url, headers={"X-Own": "yes", "User-Agent": "mine"}) as couchdb:
        await couchdb.info()
    assert canned.only().headers["x-own"] == "yes"
    assert canned.only().headers["user-agent"] == "mine"


@pytest.mark.parametrize("name", ["accept", "Accept", "ACCEPT"])
@pytest.mark.parametrize("kind", [dict, list, CIMultiDict])
async def test_own_headers_replace_ours_whatever_their_case(
    canned: CannedServer, name: str, kind: Any
) -> None:
    canned.say_json({"couchdb": "Welcome"})
    headers = kind([(name, "text/plain"), ("authorization", "Bearer abc")])
    async with CouchDB(canned.url, "u", "p", headers=headers) as couchdb:
        await couchdb.info()
    assert canned.only().headers["accept"] == "text/plain"
    assert canned.only().headers["authorization"] == "Bearer abc"


async def test_posts_are_json(canned: CannedServer, base: Database) -> None:
    canned.say_json({"docs": [], "bookmark": "nil"})
    assert [doc async for doc in base.find({}, limit=1)] == []
    assert canned.only().headers["content-type"].startswith("application/json")


async def test_connection_is_kept(canned: CannedServer, base: Database) -> None:
    canned.handler = lambda request: json_answer({"_id": "x", "_rev": "1-a"})
    for _ in range(5):
        await base["x"]
    assert canned.connections == 1


# -- names that were private in aiocouch 4, and were used all the same


async def test_private_names_of_old_go_on_working(canned: CannedServer, base: Database) -> None:
    old: Any = base
    row = {"id": "x", "rev": "1-a"}
    canned.say(
        json_answer({"results": []}), json_answer([row], 201), json_answer({"purged": {}}, 201)
    )
    assert await old._bulk_get([{"id": "x"}]) == {"results": []}  # noqa: SLF001
    assert await old._bulk_docs([{"_id": "x"}]) == [row]  # noqa: SLF001
    assert await old._purge({"x": ["1-a"]}) == {"purged": {}}  # noqa: SLF001
    assert [request.path for request in canned.requests] == [
        "/db/_bulk_get",
        "/db/_bulk_docs",
        "/db/_purge",
    ]


async def test_bulk_get_by_plain_ids(canned: CannedServer, base: Database) -> None:
    # 3.0 took ids, 4.0 took dicts.
    canned.say_json({"results": []})
    await base.bulk_get(["x", {"id": "y", "rev": "1-a"}])
    assert canned.only().json() == {"docs": [{"id": "x"}, {"id": "y", "rev": "1-a"}]}
