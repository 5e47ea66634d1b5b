"""What pages ask for, and what is refused before anything is sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import Database, InvalidInputError, InvalidTypeError, UnexpectedAnswerError
from aiocouch.queries import Pages
from tests.wire.canned import Answer, row, rows_answer

if TYPE_CHECKING:
    from tests.wire.canned import CannedServer

PLAN: dict[str, Any] = {
    "index": {"ddoc": "_design/d", "name": "n", "type": "json", "def": {"fields": [{"n": "asc"}]}},
    "mrargs": {"direction": "rev"},
}


def found(*rows: Any, **beside: Any) -> Answer:
    return Answer(body=json.dumps({"docs": rows, "bookmark": "b", **beside}).encode())


async def test_a_page_asks_for_one_row_more(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer(row("a"), row("b"), row("c")))
    page = await base.all_docs.page(2, include_docs=False, skip=1)
    assert canned.only().query == {"include_docs": "false", "skip": "1", "limit": "3"}
    canned.say(rows_answer(row("b"), row("c")))
    page = await base.all_docs.page(2, page.token, include_docs=False, skip=1)
    assert canned.requests[1].query == {"include_docs": "false", "startkey": '"b"', "limit": "4"}
    assert ([one.id for one in page], page.token) == (["c"], None)


async def test_a_page_of_a_view(canned: CannedServer, base: Database) -> None:
    rows = [{"id": id, "key": [1], "value": 0} for id in "abc"]
    canned.say(rows_answer(*rows))
    view = base.view("d", "v")
    pages = view.pages(2, startkey=[1], endkey="z", descending=True)
    page = await pages.page()
    assert canned.only().query == {
        **{"startkey": "[1]", "endkey": '"z"', "descending": "true"},
        **{"reduce": "false", "limit": "3"},
    }
    canned.say(rows_answer(*rows[1:]))
    assert [one.id for one in await pages.page(page.token)] == ["c"]
    assert canned.requests[1].query == {
        **{"startkey": "[1]", "startkey_docid": "b", "endkey": '"z"', "descending": "true"},
        **{"reduce": "false", "limit": "4"},
    }


async def test_a_page_of_a_query(canned: CannedServer, base: Database) -> None:
    canned.say_json(PLAN)
    rows = [{"_id": "c", "n": 2}, {"_id": "b", "n": 1}, {"_id": "a", "n": 1}]
    canned.say(found(*rows))
    pages = base.find_pages({"n": {"$gt": 0}}, 2, sort=[{"n": "desc"}], fields=["n"])
    page = await pages.page()
    assert page.rows == [{"n": 2}, {"n": 1}]
    assert canned.lines == ["POST /db/_explain", "POST /db/_find"]
    assert canned.requests[1].json() == {
        "selector": {"$and": [{"n": {"$gt": 0}}]},
        "sort": [{"n": "desc"}],
        "use_index": ["_design/d", "n"],
        "fields": ["n", "_id"],
        "limit": 3,
    }
    canned.say(found(rows[2]))
    assert [
        page.rows
        async for page in base.find_pages(
            {"n": {"$gt": 0}}, 2, page.token, sort=[{"n": "desc"}], fields=["n"]
        )
    ] == [[{"n": 1}]]
    assert canned.requests[2].json()["selector"] == {
        "$and": [
            {"n": {"$gt": 0}},
            {"n": {"$lte": 1}},
            {
                "$or": [
                    {"$and": [{"n": {"$lt": 1}}]},
                    {"$and": [{"n": {"$eq": 1}}, {"_id": {"$lt": "b"}}]},
                ]
            },
        ]
    }


async def test_ranked_rows_have_no_pages(canned: CannedServer, base: Database) -> None:
    canned.say_json({"index": {"ddoc": "_design/d", "name": "t", "type": "text", "def": {}}})
    with pytest.raises(InvalidInputError, match=r"'t', an index of the type text, .* bookmark="):
        await base.find_pages({"$text": "x"}, 2).page()


async def test_a_row_without_its_column(canned: CannedServer, base: Database) -> None:
    canned.say_json(PLAN)
    canned.say(found({"_id": "a"}, {"_id": "b"}))
    with pytest.raises(UnexpectedAnswerError, match="lacks its column 'n'"):
        await base.find_pages({"n": 1}, 1).page()


async def test_a_list_in_the_way_of_a_column(canned: CannedServer, base: Database) -> None:
    index = {**PLAN["index"], "def": {"fields": [{"l.1": "asc"}]}}
    canned.say_json({"index": index})
    canned.say(found({"_id": "a", "l": [0, 7]}, {"_id": "b", "l": [0, 8]}))
    page = await base.find_pages({"l.1": {"$gt": 0}}, 1).page()
    canned.say(found())
    await base.find_pages({"l.1": {"$gt": 0}}, 1, page.token).page()
    assert canned.requests[2].json()["selector"]["$and"][1] == {"l.1": {"$gte": 7}}


TOKEN = "WyJ4IiwxXQ"
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"size": 0}, InvalidInputError, "one row or more"),
    ({"size": True}, InvalidTypeError, "size of a page must be an int, not bool"),
    ({"size": "5"}, InvalidTypeError, "size of a page must be an int, not str"),
    ({"token": TOKEN}, InvalidInputError, "belongs to another query"),
    ({"token": "no token"}, InvalidInputError, "not a token"),
    ({"token": 5}, InvalidTypeError, "a token must be a str, not int"),
    ({"secret": ""}, InvalidTypeError, "secret"),
    ({"secret": 5}, InvalidTypeError, "secret"),
]
OF_VIEWS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"reduce": True}, InvalidInputError, "reduced"),
    ({"group": True}, InvalidInputError, "reduced"),
    ({"group_level": 1}, InvalidInputError, "reduced"),
    ({"sorted": False}, InvalidInputError, "sorted"),
    ({"keys": [1], "descending": True}, InvalidInputError, "descending"),
    ({"keys": [1, "a", 1]}, InvalidInputError, "keys= has 1 twice"),
    ({"limt": 1}, InvalidTypeError, "did you mean 'limit'"),
]
OF_QUERIES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"bookmark": "b"}, InvalidInputError, "bookmark= is an option of find"),
    ({"fields": "n"}, InvalidTypeError, "fields must be a list"),
    ({"into": 5}, InvalidTypeError, "cannot be decoded"),
    ({"on_warning": 5}, InvalidInputError, "on_warning=5"),
    ({"limt": 1}, InvalidTypeError, "did you mean 'limit'"),
]


def with_size(options: dict[str, Any]) -> Any:
    return {"size": 2, **options}


@pytest.mark.parametrize(("options", "error", "said"), BAD + OF_VIEWS)
async def test_bad_pages_of_a_view(
    canned: CannedServer, base: Database, options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await base.view("d", "v").page(**with_size(options))
    assert canned.requests == []


@pytest.mark.parametrize(("options", "error", "said"), BAD + OF_QUERIES)
async def test_bad_pages_of_a_query(
    canned: CannedServer, base: Database, options: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await base.find_pages({"n": 1}, **with_size(options)).page()
    assert canned.requests == []


async def test_a_key_that_nobody_asked_for(canned: CannedServer, base: Database) -> None:
    canned.say(rows_answer({"id": "a", "key": 7, "value": 0}, {"id": "b", "key": 7, "value": 0}))
    with pytest.raises(InvalidInputError, match="the view has the key 7"):
        await base.view("d", "v").page(1, keys=["a", [1], {}])


def test_pages_show_what_they_are(base: Database) -> None:
    assert isinstance(base.all_docs.pages(2), Pages)
