"""Rows come as they are written: any chunking, any layout, any length, bounded memory."""

import asyncio
import gc
import json
import tracemalloc
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

import aiocouch
from aiocouch import Database
from aiocouch.exception import CouchDBError
from tests.wire.canned import Answer, CannedServer, cut_up, doc_row, row, rows_answer, rows_text

BIG = 12345678901234567890123
VALUES: list[Any] = [
    None,
    True,
    BIG,
    -BIG,
    1.5,
    0.1,
    "",
    "ü 日本 🦀",
    'quote " backslash \\ newline \n tab \t',
    "]}",
    '},\r\n{"id":"x"}',
    [],
    {},
    [[[]]],
    {"rows": [{"id": 1}], "total_rows": 5},
    {"": {"a": [None]}},
    "\u2028\u2029\x7f",
]
DOCS = [doc_row(f"d{at}", value=value) for at, value in enumerate(VALUES)]


async def collect(rows: Any) -> list[Any]:
    return [row async for row in rows]


def couchdb_style(rows: list[dict[str, Any]]) -> bytes:
    return rows_text(rows, len(rows))


def one_line(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"total_rows": len(rows), "offset": 0, "rows": rows}).encode()


def indented(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"total_rows": len(rows), "offset": 0, "rows": rows}, indent=4).encode()


def rows_first(rows: list[dict[str, Any]]) -> bytes:
    value = {"rows": rows, "offset": 0, "total_rows": len(rows), "update_seq": "5-x"}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def strange_keys(rows: list[dict[str, Any]]) -> bytes:
    value = {"new": {"a": "[]{}"}, "rows": rows, "more": [{"rows": [1, "]"]}], "total_rows": 1}
    return json.dumps(value).encode()


def unix_lines(rows: list[dict[str, Any]]) -> bytes:
    return couchdb_style(rows).replace(b"\r\n", b"\n")


def blank_lines(rows: list[dict[str, Any]]) -> bytes:
    return couchdb_style(rows).replace(b",\r\n", b",\r\n\r\n \r\n")


def comma_first(rows: list[dict[str, Any]]) -> bytes:
    return couchdb_style(rows).replace(b",\r\n", b"\r\n,")


LAYOUTS = [
    couchdb_style,
    one_line,
    indented,
    rows_first,
    strange_keys,
    unix_lines,
    blank_lines,
    comma_first,
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [1, 2, 7, 100, 10**6])
async def test_any_layout_in_any_pieces(
    canned: CannedServer, base: Database, layout: Any, size: int
) -> None:
    canned.say(Answer(pieces=cut_up(layout(DOCS), size)))
    docs = await collect(base.docs())
    assert [doc.id for doc in docs] == [row["id"] for row in DOCS]
    for doc, value in zip(docs, VALUES, strict=True):
        assert doc["value"] == value
        assert type(doc["value"]) is type(value)


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_any_layout_for_the_whole_response(
    canned: CannedServer, base: Database, layout: Any
) -> None:
    canned.say(Answer(body=layout(DOCS)))
    response = await base.view("d", "v").get(include_docs=True)
    assert list(response.keys()) == [row["id"] for row in DOCS]
    assert [doc["value"] for doc in response.docs()] == VALUES


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rows", [0, 1])
async def test_few_rows(canned: CannedServer, base: Database, layout: Any, rows: int) -> None:
    canned.say(Answer(pieces=cut_up(layout(DOCS[:rows]), 3)))
    assert len(await collect(base.docs())) == rows


@pytest.mark.parametrize("size", [10**6, 3 * 10**6])
async def test_row_of_any_length(canned: CannedServer, base: Database, size: int) -> None:
    text = "xü" * (size // 2)
    canned.say(Answer(pieces=cut_up(couchdb_style([doc_row("a", text=text), doc_row("b")]), 65536)))
    docs = await collect(base.docs())
    assert [doc.id for doc in docs] == ["a", "b"]
    assert docs[0]["text"] == text


async def test_rows_arrive_before_the_body_ends(canned: CannedServer, base: Database) -> None:
    seen = asyncio.Event()
    body = couchdb_style(DOCS)
    middle = body.index(b"d5")

    async def halves() -> AsyncGenerator[bytes, None]:
        yield body[:middle]
        await seen.wait()
        yield body[middle:]

    canned.say(Answer(pieces=halves()))
    count = 0
    async for _ in base.docs():
        count += 1
        seen.set()
    assert count == len(DOCS)


def many(count: int, size: int) -> Iterator[bytes]:
    padding = "x" * size
    yield b'{"total_rows":1,"offset":0,"rows":[\r\n'
    for at in range(count):
        comma = b",\r\n" if at else b""
        yield comma + json.dumps(doc_row(f"d{at}", padding=padding)).encode()
    yield b"\r\n]}\n"


async def test_docs_run_in_constant_memory(canned: CannedServer, base: Database) -> None:
    """24 MB of rows through a few MB of memory."""
    canned.say(Answer(pieces=many(12_000, 2_000)))
    gc.collect()
    tracemalloc.start()
    try:
        count = 0
        async for _ in base.docs():
            count += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 12_000
    assert peak < 4_000_000


async def test_slow_reader_is_not_flooded(canned: CannedServer, base: Database) -> None:
    """Back-pressure: while the program holds one row, the server cannot push the rest."""
    sent = 0

    async def counted() -> AsyncGenerator[bytes, None]:
        nonlocal sent
        for piece in many(40_000, 1_000):
            sent += len(piece)
            yield piece

    canned.say(Answer(pieces=counted()))
    rows = base.docs()
    await anext(rows)
    before = -1
    while before != sent:  # until the sockets are full
        before = sent
        for _ in range(200):
            await asyncio.sleep(0)
    assert sent < 20_000_000
    await rows.aclose()


# -- views


async def test_reduced_view(canned: CannedServer, base: Database) -> None:
    body = b'{"rows":[\r\n{"key":null,"value":12}\r\n]}\n'
    for _ in range(4):
        canned.say(Answer(body=body))
    view = base.view("d", "v")
    response = await view.get()
    assert response.rows == [{"key": None, "value": 12}]
    assert list(response.values()) == [12]
    assert await collect(view.avalues()) == [12]
    assert await collect(view.aitems()) == [(None, 12)]
    assert list((await view.get(group=False)).values()) == [12]


async def test_grouped_view(canned: CannedServer, base: Database) -> None:
    body = b'{"rows":[\r\n{"key":["a",1],"value":2},\r\n{"key":"b","value":{"sum":1}}\r\n]}\n'
    canned.say(Answer(body=body), Answer(body=body))
    view = base.view("d", "v")
    assert await collect(view.aitems(group=True)) == [(["a", 1], 2), ("b", {"sum": 1})]
    response = await view.get(group_level=1)
    assert [row["key"] for row in response.rows] == [["a", 1], "b"]


async def test_unknown_keys_of_a_response_do_no_harm(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=b'{"total_rows":0,"offset":0,"update_seq":"9-z","new":1,"rows":[]}'))
    response = await base.view("d", "v").get(update_seq=True)
    assert (response.rows, response.update_seq) == ([], "9-z")


async def test_offset_may_be_null(canned: CannedServer, base: Database) -> None:
    # _all_docs by keys answers so.
    canned.say(Answer(body=b'{"total_rows":3,"offset":null,"rows":[\r\n\r\n]}\n'))
    assert (await base.all_docs.post(["a"])).rows == []


async def test_akeys_are_ids_and_values_are_values(canned: CannedServer, base: Database) -> None:
    rows: list[dict[str, Any]] = [
        {"id": "a", "key": ["k", 1], "value": 1},
        {"id": "b", "key": "k2", "value": None},
    ]
    for _ in range(4):
        canned.say(rows_answer(*rows))
    view = base.view("d", "v")
    assert await collect(view.akeys()) == ["a", "b"]
    assert await collect(view.ids()) == ["a", "b"]
    assert await collect(view.aitems()) == [(["k", 1], 1), ("k2", None)]
    assert await collect(view.avalues()) == [1, None]


async def test_documents_that_are_missing_raise_after_the_ones_before(
    canned: CannedServer, base: Database
) -> None:
    rows: list[dict[str, Any]] = [doc_row("a"), {"key": "b", "error": "not_found"}, doc_row("c")]
    canned.say(rows_answer(*rows))
    seen = []

    async def read() -> None:
        async for doc in base.docs(["a", "b", "c"]):
            seen.append(doc.id)  # noqa: PERF401 - keeps what came before the error

    with pytest.raises(aiocouch.NotFoundError, match="b"):
        await read()
    assert seen == ["a"]


async def test_deleted_documents_count_as_missing(canned: CannedServer, base: Database) -> None:
    gone = {"id": "b", "key": "b", "value": {"rev": "2-b", "deleted": True}, "doc": None}
    canned.say(rows_answer(gone), rows_answer(gone))
    with pytest.raises(aiocouch.NotFoundError):
        await collect(base.docs(["b"]))
    docs = await collect(base.docs(["b"], create=True))
    assert [(doc.id, doc.exists) for doc in docs] == [("b", False)]


async def test_missing_documents_are_made_when_asked(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(doc_row("a"), {"key": "b", "error": "not_found"}))
    docs = await collect(base.docs(["a", "b"], create=True))
    assert [(doc.id, doc.exists, dict(doc)) for doc in docs] == [
        ("a", True, {"_id": "a", "_rev": "1-a"}),
        ("b", False, {"_id": "b"}),
    ]


async def test_view_rows_of_one_document_give_it_each_time(
    canned: CannedServer, base: Database
) -> None:
    again = {"id": "a", "key": 1, "value": None, "doc": {"_id": "a", "_rev": "1-a", "n": 1}}
    canned.say(rows_answer(again, again | {"key": 2}))
    docs = await collect(base.view("d", "v").docs())
    assert [doc["n"] for doc in docs] == [1, 1]
    assert docs[0] is not docs[1]


ERROR = b'{"error":"timeout","reason":"slow"}'
ENDS = {
    "as CouchDB appends it": b"\n" + ERROR + b"\n",
    "after a blank line": b"\r\n\n\n" + ERROR + b"\n",
    "as a member": b"\r\n]," + ERROR[1:] + b"\n",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("size", [1, 5, 10**6])
async def test_error_behind_the_rows_raises(
    canned: CannedServer, base: Database, end: str, size: int
) -> None:
    # The status is out already when the server fails: the error then follows the rows.
    body = b'{"total_rows":2,"offset":0,"rows":[\r\n{"id":"a","key":1,"value":1}' + ENDS[end]
    canned.say(Answer(pieces=cut_up(body, size)), Answer(pieces=cut_up(body, size)))
    with pytest.raises(CouchDBError, match="timeout"):
        await collect(base.view("d", "v").ids())
    with pytest.raises(CouchDBError):
        await base.view("d", "v").get()


@pytest.mark.parametrize(
    "options", [{"prefix": "a", "ids": ["a"]}, {"prefix": "a", "create": True}]
)
async def test_prefix_excludes_ids_and_create(
    canned: CannedServer, base: Database, options: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="prefix"):
        await collect(base.docs(**options))
    assert canned.requests == []


async def test_documents_of_rows_are_clean_and_belong_to_the_database(
    canned: CannedServer, base: Database
) -> None:
    canned.say(rows_answer(doc_row("a", n=1)), rows_answer(row("a", doc=doc_row("a")["doc"])))
    (doc,) = await collect(base.docs())
    assert await doc.save() is None
    assert doc.exists
    (other,) = (await base.all_docs.get(include_docs=True)).docs()
    assert await other.save() is None


LINKED = b'{"id":"from","key":1,"value":{"_id":"to","_rev":"1-a"},"doc":null}'


def linked_rows() -> Answer:
    return Answer(body=b'{"total_rows":1,"offset":0,"rows":[\r\n' + LINKED + b"\r\n]}\n")


async def test_a_linked_document_that_is_missing_is_told_by_its_id(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = lambda request: linked_rows()
    view = base.view("d", "v")
    with pytest.raises(aiocouch.NotFoundError, match="the document 'to' does not exist"):
        await collect(view.docs())
    with pytest.raises(aiocouch.NotFoundError, match="the document 'to' does not exist"):
        list((await view.get(include_docs=True)).docs())


async def test_a_linked_document_that_is_missing_begins_under_its_id(
    canned: CannedServer, base: Database
) -> None:
    canned.handler = lambda request: linked_rows()
    view = base.view("d", "v")
    assert [doc.id for doc in await collect(view.docs(create=True))] == ["to"]
    answer = await view.get(include_docs=True)
    assert [doc.id for doc in answer.docs(create=True)] == ["to"]


@pytest.mark.parametrize("value", [b"1", b'"to"', b"null", b"{}", b'{"_id":7}', b'[{"_id":"to"}]'])
async def test_a_value_that_links_to_nothing_is_no_link(
    canned: CannedServer, base: Database, value: bytes
) -> None:
    text = b'{"id":"from","key":1,"value":%b,"doc":null}' % value
    canned.say(Answer(body=b'{"total_rows":1,"offset":0,"rows":[\r\n' + text + b"\r\n]}\n"))
    with pytest.raises(aiocouch.NotFoundError, match="the document 'from' does not exist"):
        await collect(base.view("d", "v").docs())
