"""Documents that are nested deeper than can be decoded. CouchDB takes any depth."""

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import Database, Document, UnexpectedAnswerError
from tests.wire.canned import Answer, CannedServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEEP = b'{"a":' * 20_000 + b"1" + b"}" * 20_000
DOCUMENT = b'{"_id":"deep","_rev":"1-a","x":' + DEEP + b"}"
ODD = b'{"_id":"d\\"eep","_rev":"1-a","x":' + DEEP + b"}"
SAYS = "nested deeper than can be decoded"


def small(name: str) -> bytes:
    return b'{"_id":"%b","_rev":"1-a","n":1}' % name.encode()


def rows(*texts: bytes) -> Answer:
    body = b'{"total_rows":3,"offset":0,"rows":[\r\n' + b",\r\n".join(texts) + b"\r\n]}\n"
    return Answer(body=body)


def doc_row(name: str, doc: bytes, value: bytes = b"1") -> bytes:
    return b'{"id":"%b","key":"k","value":%b,"doc":%b}' % (name.encode(), value, doc)


def refused(document: Document) -> str:
    with pytest.raises(UnexpectedAnswerError, match=SAYS) as caught:
        document["x"]
    assert "truncated" not in str(caught.value)
    return str(caught.value)


async def test_one(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=DOCUMENT))
    with pytest.raises(UnexpectedAnswerError, match=f"'deep'.*{SAYS}"):
        await base["deep"]


async def test_a_document_keeps_what_it_was(canned: CannedServer, base: Database) -> None:
    canned.say(Answer(body=small("deep")), Answer(body=DOCUMENT))
    document = await base["deep"]
    with pytest.raises(UnexpectedAnswerError, match=SAYS):
        await document.fetch()
    assert document["n"] == 1


@pytest.mark.parametrize(("doc", "id"), [(DOCUMENT, "deep"), (ODD, 'd"eep')])
async def test_docs_go_on_behind_it(
    canned: CannedServer, base: Database, doc: bytes, id: str
) -> None:
    canned.say(rows(doc_row("a", small("a")), doc_row("deep", doc), doc_row("z", small("z"))))
    first, deep, last = [doc async for doc in base.view("d", "v").docs()]
    assert (first["n"], last["n"], deep.id) == (1, 1, id)
    assert repr(id) in refused(deep)


async def test_all_docs_go_on_behind_it(canned: CannedServer, base: Database) -> None:
    canned.say(rows(doc_row("a", small("a")), doc_row("deep", DOCUMENT), doc_row("z", small("z"))))
    first, deep, last = [doc async for doc in base.docs()]
    assert (first["n"], last["n"], deep.id) == (1, 1, "deep")
    assert "'deep'" in refused(deep)


@pytest.mark.parametrize(("doc", "id"), [(DOCUMENT, "deep"), (ODD, 'd"eep')])
async def test_find_goes_on_behind_it(
    canned: CannedServer, base: Database, doc: bytes, id: str
) -> None:
    texts = b",\r\n".join((small("a"), doc, small("z")))
    canned.say(Answer(body=b'{"docs":[\r\n' + texts + b'\r\n],\r\n"bookmark":"nil"}\n'))
    first, deep, last = [doc async for doc in base.find({})]
    assert (first["n"], last["n"], deep.id) == (1, 1, id)
    assert repr(id) in refused(deep)


async def test_rows_go_on_behind_a_deep_document(canned: CannedServer, base: Database) -> None:
    canned.say(rows(doc_row("deep", DOCUMENT), doc_row("z", small("z"))))
    deep, last = [row async for row in base.view("d", "v").rows(include_docs=True)]
    assert deep.doc is not None
    assert (deep.key, deep.value, last.value) == ("k", 1, 1)
    refused(deep.doc)


async def test_ids_need_no_values(canned: CannedServer, base: Database) -> None:
    canned.say(rows(doc_row("deep", b"null", DEEP), doc_row("z", b"null")))
    assert [id async for id in base.view("d", "v").ids()] == ["deep", "z"]


async def test_a_deep_value_is_an_error_at_its_place(canned: CannedServer, base: Database) -> None:
    canned.say(rows(doc_row("a", b"null"), doc_row("deep", b"null", DEEP), doc_row("z", b"null")))
    found = base.view("d", "v").rows()
    assert (await anext(found)).id == "a"
    with pytest.raises(UnexpectedAnswerError, match=f"'deep' the value is {SAYS}"):
        await anext(found)


def change(name: str, doc: bytes) -> bytes:
    return b'{"seq":"1-a","id":"%b","changes":[{"rev":"1-a"}],"doc":%b}' % (name.encode(), doc)


@pytest.mark.parametrize("feed", ["normal", "continuous"])
async def test_changes_go_on_behind_it(canned: CannedServer, base: Database, feed: Any) -> None:
    changes = [change("a", small("a")), change("deep", DOCUMENT), change("z", small("z"))]
    whole = b'{"results":[\n' + b",\n".join(changes) + b'\n],\n"last_seq":"9-z","pending":0}\n'
    lines = b"\n".join([*changes, b'{"last_seq":"9-z","pending":0}', b""])
    canned.say(Answer(body=whole if feed == "normal" else lines))
    if feed == "continuous":  # whose end is asked for its reason
        canned.say(Answer())
    canned.say(Answer(body=DOCUMENT))
    events = [event async for event in base.changes(feed=feed, include_docs=True)]
    assert [event.id for event in events] == ["a", "deep", "z"]
    with pytest.raises(UnexpectedAnswerError, match=f"'deep'.*{SAYS}"):
        await events[1].doc()  # type: ignore[union-attr]


async def test_whole_answers_say_so(canned: CannedServer, base: Database) -> None:
    canned.handler = lambda request: rows(doc_row("deep", DOCUMENT))
    calls: list[Callable[[], Awaitable[Any]]] = [
        base.view("d", "v").get,
        lambda: base.all_docs.post(["deep"]),
        lambda: base.bulk_get(["deep"]),
    ]
    for call in calls:
        with pytest.raises(UnexpectedAnswerError, match=SAYS):
            await call()


async def test_batched_reads_give_each_its_own(canned: CannedServer, base: Database) -> None:
    canned.say(rows(doc_row("deep", DOCUMENT)), Answer(body=DOCUMENT))
    with pytest.raises(UnexpectedAnswerError, match=f"'deep'.*{SAYS}"):
        await base.batched()["deep"]
