"""Ids are data: one encoder for databases, documents, attachments, views and `Destination`."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest

from aiocouch import CouchDB, Database, Document
from aiocouch.design_document import DesignDocument
from aiocouch.exception import CouchDBError
from tests.wire.canned import Answer, CannedServer, json_answer, rows_answer

IDS = {
    "plain": "plain",
    "a/b": "a%2Fb",
    "a+b": "a%2Bb",
    "a b": "a%20b",
    "ü 1": "%C3%BC%201",
    "%41": "%2541",
    "100%": "100%25",
    "?#": "%3F%23",
    "a?b=c&d": "a%3Fb%3Dc%26d",
    ".": "%2E",
    "..": "%2E%2E",
    "../x": "..%2Fx",
    "./x": ".%2Fx",
    "x/..": "x%2F..",
    "...": "...",
    "日本": "%E6%97%A5%E6%9C%AC",
    "🦀": "%F0%9F%A6%80",
    "a\nb": "a%0Ab",
    "\x00": "%00",
    "_design/x": "_design/x",
    "_design/a/b": "_design/a%2Fb",
    "_design/ü?": "_design/%C3%BC%3F",
    "_local/x": "_local/x",
    "_local/a/b": "_local/a%2Fb",
    "_design/..": "_design/%2E%2E",
}


def same(sent: str, expected: str) -> bool:
    """Whether two spellings are one for every server: signs that need no percent may have one."""
    return canonical(sent) == canonical(expected)


def canonical(path: str) -> list[bytes]:
    """The segments of a path as bytes; a dot that a proxy would resolve stays apart."""
    assert not any(part in (".", "..", "") for part in path.split("/")), path
    return [unquote_to_bytes(part) for part in path.split("/")]


DOCUMENT_CALLS: dict[str, Callable[[Document], Awaitable[Any]]] = {
    "GET": lambda doc: doc.fetch(discard_changes=True),
    "PUT": lambda doc: doc.save(),
    "DELETE": lambda doc: doc.delete(discard_changes=True),
    "HEAD": lambda doc: doc.info(),
    "COPY": lambda doc: doc.copy("y"),
}


def written(request: Any) -> Answer:
    id = unquote(request.path.removeprefix("/db/"))
    body = {"ok": True, "id": id, "rev": "2-b", "_id": id, "_rev": "1-a"}
    return json_answer(body, ETag='"2-b"')


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("method", DOCUMENT_CALLS)
async def test_document_id(canned: CannedServer, base: Database, name: str, method: str) -> None:
    canned.handler = written
    await DOCUMENT_CALLS[method](Document(base, name, data={"_rev": "1-a"}))
    request = canned.only()
    assert request.method == method
    assert same(request.path.removeprefix("/"), f"db/{IDS[name]}")


@pytest.mark.parametrize("name", IDS)
async def test_copy_target(canned: CannedServer, base: Database, name: str) -> None:
    # CouchDB decodes the header, so it has to be encoded; it is not a path, a dot is no step.
    canned.handler = written
    await Document(base, "x").copy(name)
    sent = canned.only().headers["destination"]
    assert sent.isascii()
    assert "+" not in sent
    assert unquote(sent) == name


@pytest.mark.parametrize("name", [name for name in IDS if not name.startswith("_")])
async def test_attachment_name(canned: CannedServer, base: Database, name: str) -> None:
    canned.say(Answer(body=b"x", headers={"Content-Type": "text/plain"}))
    await Document(base, "a/b").attachment(name).fetch()
    assert same(canned.only().path.removeprefix("/"), f"db/a%2Fb/{IDS[name]}")


@pytest.mark.parametrize("name", [name for name in IDS if not name.startswith("_")])
async def test_database_name(canned: CannedServer, session: CouchDB, name: str) -> None:
    canned.say(Answer(), json_answer({"_id": "x", "_rev": "1-a"}), rows_answer(), rows_answer())
    db = await session[name]
    await db["x"]
    assert [key async for key in db.akeys()] == []
    await db.view("d", "v").get()
    paths = [request.path.removeprefix("/") for request in canned.requests]
    ends = ["", "/x", "/_all_docs", "/_design/d/_view/v"]
    assert all(same(path, IDS[name] + end) for path, end in zip(paths, ends, strict=True))


@pytest.mark.parametrize("name", [name for name in IDS if not name.startswith("_")])
async def test_design_and_view_name(canned: CannedServer, base: Database, name: str) -> None:
    canned.say(rows_answer(), json_answer({"ok": True, "id": "x", "rev": "1-a"}, 201))
    await base.view(name, name).get()
    await DesignDocument(base, name).save()
    quoted = IDS[name]
    assert same(canned.requests[0].path[1:], f"db/_design/{quoted}/_view/{quoted}")
    assert same(canned.requests[1].path[1:], f"db/_design/{quoted}")


async def test_percent_signs_are_not_encoded_twice(canned: CannedServer, base: Database) -> None:
    canned.handler = written
    await Document(base, "a%2Fb").fetch()
    assert canned.only().target == "/db/a%252Fb"


async def test_query_values_are_data(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer())
    await base.view("d", "v").get(key='"a+b&c=d%41 ü#"')
    assert canned.only().query == {"key": '"a+b&c=d%41 ü#"'}


# -- what is refused before anything is sent

EMPTY: dict[str, Callable[[Database], Any]] = {
    "document": lambda db: db[""],
    "get": lambda db: db.get(""),
    "create": lambda db: db.create(""),
    "save": lambda db: Document(db, "").save(),
    "fetch": lambda db: Document(db, "").fetch(),
    "copy": lambda db: Document(db, "x").copy(""),
    "attachment": lambda db: Document(db, "x").attachment("").fetch(),
    "attachment_exists": lambda db: Document(db, "x").attachment("").exists(),
    "view": lambda db: db.view("", "v").get(),
    "view_name": lambda db: db.view("d", "").get(),
    "design": lambda db: db.design_doc(""),
    "database": lambda db: Database(CouchDB("http://127.0.0.1:1"), "").info(),
    "local": lambda db: db["_local/"],
    "design_id": lambda db: db["_design/"],
}


@pytest.mark.parametrize("call", EMPTY)
async def test_empty_id_is_refused(canned: CannedServer, base: Database, call: str) -> None:
    canned.handler = written

    async def run() -> None:
        await EMPTY[call](base)

    with pytest.raises(ValueError, match=r"(?i)empty|id|name"):
        await run()
    assert canned.requests == []


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb"])
@pytest.mark.parametrize("call", ["get", "save", "copy", "attachment", "database"])
async def test_lone_surrogate_in_an_id_is_refused(
    canned: CannedServer, session: CouchDB, base: Database, name: str, call: str
) -> None:
    canned.handler = written
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "get": lambda: base[name],
        "save": lambda: Document(base, name).save(),
        "copy": lambda: Document(base, "x").copy(name),
        "attachment": lambda: Document(base, "x").attachment(name).fetch(),
        "database": lambda: session[name],
    }
    with pytest.raises(ValueError, match=r"(?i)surrogate|utf"):
        await calls[call]()
    assert canned.requests == []


@pytest.mark.parametrize("name", [None, 5, b"x", ["x"]])
async def test_id_of_a_wrong_type_is_refused(
    canned: CannedServer, base: Database, name: Any
) -> None:
    canned.handler = written

    async def run() -> None:
        await base[name]

    with pytest.raises((TypeError, ValueError, CouchDBError)):
        await run()
    assert canned.requests == []
