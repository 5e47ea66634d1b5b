"""Pages: none skips a row or has one twice, whatever happens between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from aiocouch import BadRequestError, InvalidInputError
from aiocouch.queries import QueryWarningError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from aiocouch import CouchDB, Database, View
    from aiocouch.queries import Pages

T = TypeVar("T")
MAP = """function (doc) {
    for (var i = 0; i < (doc.times || 1); i++) { emit(doc.key, i < 2 ? 0 : i); }
}"""


@pytest.fixture
async def view(db: Database) -> View:
    """A view by `key`, as often as `times` says."""
    design = await db.design_doc("d")
    await design.create_view("by-key", MAP, "_count")
    return db.view("d", "by-key")


async def fill(db: Database, *docs: dict[str, Any]) -> None:
    assert (await db.write(docs)).written == len(docs)


async def sizes_and_rows(pages: AsyncIterable[Any]) -> tuple[list[int], list[Any]]:
    found = [page async for page in pages]
    return [len(page) for page in found], [row for page in found for row in page]


async def step(pages: Pages[T], token: str | None) -> tuple[list[T], str]:
    """A page that is not the last."""
    page = await pages.page(token)
    assert page.token is not None
    return page.rows, page.token


async def test_pages_of_all_documents(db: Database) -> None:
    await fill(db, *({"_id": f"{n}", "n": n} for n in range(7)))
    sizes, rows = await sizes_and_rows(db.all_docs.pages(3))
    assert (sizes, [row.id for row in rows]) == ([3, 3, 1], list("0123456"))
    sizes, rows = await sizes_and_rows(db.all_docs.pages(7, include_docs=True))
    assert (sizes, [row.doc["n"] for row in rows]) == ([7], list(range(7)))
    page = await db.all_docs.page(3, descending=True, startkey="4")
    assert [row.id for row in page.rows] == list("432")
    assert page.token is not None
    page = await db.all_docs.page(2, page.token, descending=True, startkey="4")
    assert ([row.id for row in page.rows], page.token) == (list("10"), None)


async def test_an_empty_page(db: Database) -> None:
    page = await db.all_docs.page(3)
    assert (page.rows, page.token) == ([], None)
    assert [page.rows async for page in db.all_docs.pages(3)] == [[]]


@pytest.mark.parametrize("descending", [False, True])
async def test_the_row_that_a_token_stands_on_is_deleted(db: Database, descending: bool) -> None:
    await fill(db, *({"_id": name} for name in "acegi"))
    pages = db.all_docs.pages(2, descending=descending)
    rows, token = await step(pages, None)
    last = rows[-1].id
    assert last is not None
    await (await db[last]).delete()
    before, after = ("f", "b") if descending else ("d", "f")
    await fill(db, {"_id": before}, {"_id": after})  # both come after the last row, or before it
    rest = [
        row.id async for page in db.all_docs.pages(2, token, descending=descending) for row in page
    ]
    assert rest == (["f", "e", "c", "b", "a"] if descending else ["d", "e", "f", "g", "i"])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("descending", [False, True])
async def test_rows_of_equal_keys(db: Database, view: View, size: int, descending: bool) -> None:
    await fill(
        db,
        *({"_id": name, "key": "k", "times": 3} for name in "ab"),
        *({"_id": name, "key": [1.5, {"x": None}]} for name in "cd"),
        {"_id": "é", "key": "k"},
    )
    whole = [
        (row.id, row.key, row.value) async for row in view.rows(reduce=False, descending=descending)
    ]
    assert len(whole) == 9
    sizes, rows = await sizes_and_rows(view.pages(size, descending=descending))
    assert [(row.id, row.key, row.value) for row in rows] == whole
    assert max(sizes) == min(size, 9)


async def test_rows_that_come_and_go_in_a_view(db: Database, view: View) -> None:
    await fill(db, *({"_id": f"{n}", "key": n // 3} for n in range(9)))
    rows, token = await step(view.pages(4), None)
    assert [row.id for row in rows] == list("0123")
    await (await db["3"]).delete()
    await fill(db, {"_id": "0a", "key": 0}, {"_id": "3a", "key": 1})
    await db.update("2", lambda doc: doc.update(key=2))
    rest = [row.id async for page in view.pages(2, token) for row in page]
    # 2 has moved, and is a row of its new key, which nobody has seen.
    assert rest == ["3a", "4", "5", "2", "6", "7", "8"]


async def test_limit_skip_and_bounds(db: Database, view: View) -> None:
    await fill(db, *({"_id": f"{n}", "key": n} for n in range(10)))

    async def ids(**options: Any) -> tuple[list[int], str]:
        sizes, rows = await sizes_and_rows(view.pages(3, **options))
        return sizes, "".join(row.id for row in rows)

    assert await ids(limit=5) == ([3, 2], "01234")
    assert await ids(limit=3) == ([3], "012")
    assert await ids(limit=0) == ([0], "")
    assert await ids(skip=4) == ([3, 3], "456789")
    assert await ids(skip=4, limit=4) == ([3, 1], "4567")
    assert await ids(startkey=3, endkey=7) == ([3, 2], "34567")
    assert await ids(startkey=3, endkey=7, inclusive_end=False) == ([3, 1], "3456")
    assert await ids(key=5) == ([1], "5")


async def test_skip_within_rows_that_are_equal(db: Database, view: View) -> None:
    await fill(db, {"_id": "a", "key": 1, "times": 2}, {"_id": "b", "key": 1, "times": 2})
    for keys in (None, [1]):
        _, rows = await sizes_and_rows(view.pages(1, skip=2, keys=keys))
        assert [row.id for row in rows] == ["b", "b"]
        with pytest.raises(InvalidInputError, match="skip=3 ends among rows of 'b'"):
            await view.page(1, skip=3, keys=keys)
        assert await sizes_and_rows(view.pages(1, skip=4, keys=keys)) == ([0], [])


async def test_a_prefix(db: Database, view: View) -> None:
    await fill(db, *({"_id": name, "key": name} for name in ("a1", "a2", "a3", "b1")))
    sizes, rows = await sizes_and_rows(view.pages(2, prefix="a"))
    assert (sizes, [row.key for row in rows]) == ([2, 1], ["a1", "a2", "a3"])


async def test_rows_of_some_ids(db: Database) -> None:
    await fill(db, *({"_id": f"{n}"} for n in range(5)))
    keys = ["3", "none", "1", "3", "0"]
    sizes, rows = await sizes_and_rows(db.all_docs.pages(2, keys=keys))
    assert (sizes, [row.key for row in rows]) == ([2, 2, 1], keys)
    assert [row.error for row in rows] == [None, "not_found", None, None, None]
    _, rows = await sizes_and_rows(db.all_docs.pages(2, keys=keys, skip=1, limit=3))
    assert [row.key for row in rows] == keys[1:4]
    assert await sizes_and_rows(db.all_docs.pages(2, keys=[])) == ([0], [])


@pytest.mark.parametrize("size", [1, 2, 3, 4])
async def test_rows_of_some_keys(db: Database, view: View, size: int) -> None:
    await fill(db, *({"_id": f"{n}", "key": n % 3, "times": 2} for n in range(9)))
    keys = [2, "none", 0.0, True]
    sizes, rows = await sizes_and_rows(view.pages(size, keys=keys))
    assert "".join(row.id for row in rows) == "225588003366"
    assert max(sizes) == size
    _, rows = await sizes_and_rows(view.pages(size, keys=keys, limit=8))
    assert "".join(row.id for row in rows) == "22558800"


async def test_rows_of_some_keys_that_come_and_go(db: Database, view: View) -> None:
    await fill(db, *({"_id": f"{n}", "key": n % 2} for n in range(8)))
    rows, token = await step(view.pages(2, keys=[1, 0]), None)
    assert [row.id for row in rows] == ["1", "3"]
    await (await db["3"]).delete()
    await fill(db, {"_id": "1a", "key": 1}, {"_id": "3a", "key": 1})
    rest = [row.id async for page in view.pages(2, token, keys=[1, 0]) for row in page]
    assert rest == ["3a", "5", "7", "0", "2", "4", "6"]


async def test_pages_of_a_partition(couchdb: CouchDB, fresh_name: str) -> None:
    db = await couchdb.create(fresh_name, partitioned=True)
    await fill(db, *({"_id": f"{p}:{n}", "n": n} for p in "abc" for n in range(3)))
    part = db.partition("b")
    sizes, rows = await sizes_and_rows(part.all_docs.pages(2))
    assert (sizes, [row.id for row in rows]) == ([2, 1], ["b:0", "b:1", "b:2"])
    sizes, docs = await sizes_and_rows(part.find_pages({"n": {"$gt": 0}}, 1))
    assert (sizes, [doc.id for doc in docs]) == ([1, 1], ["b:1", "b:2"])


async def test_pages_of_design_documents(db: Database) -> None:
    for name in "abc":
        await (await db.design_doc(name)).save()
    sizes, rows = await sizes_and_rows(db.design_docs.pages(2))
    assert (sizes, [row.id for row in rows]) == ([2, 1], ["_design/a", "_design/b", "_design/c"])


# -- queries --------------------------------------------------------------------------------------


async def index(db: Database, *fields: str) -> None:
    """An index that the server uses from now on."""
    name = "-".join(fields).replace(".", "-")
    await db.index({"fields": list(fields)}, ddoc=name, name=name)
    selector = {field: {"$gt": None} for field in fields}
    while not (await db.explain(selector, sort=list(fields))).uses(name):
        pass


async def test_pages_of_documents(db: Database) -> None:
    await fill(db, *({"_id": name, "n": 1} for name in ["B", "a", "C", "c", "é"]))
    sizes, docs = await sizes_and_rows(db.find_pages({"n": 1}, 2))
    assert (sizes, [doc.id for doc in docs]) == ([2, 2, 1], ["B", "C", "a", "c", "é"])
    docs[0]["n"] = 2
    assert await docs[0].save() is not None


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_the_order_is_that_of_the_index(db: Database, size: int, direction: str) -> None:
    keys = [None, True, 1, 1.0, 1.5, "a", "A", "a", [1], [1, 2], {"x": 1}, 10**30]
    await fill(
        db, *({"_id": f"{n:02}", "at": {"x": key}, "n": n % 2} for n, key in enumerate(keys))
    )
    await index(db, "at.x", "n")
    selector = {"at.x": {"$exists": True}, "n": {"$gte": 0}}
    sort: Any = [{"at.x": direction}, {"n": direction}]
    whole = [doc.id async for doc in db.find(selector, sort=sort)]
    assert len(whole) == len(keys)
    sizes, docs = await sizes_and_rows(db.find_pages(selector, size, sort=sort))
    assert [doc.id for doc in docs] == whole
    assert max(sizes) == size


@pytest.mark.parametrize("indexed", [False, True])
async def test_documents_that_come_and_go(db: Database, indexed: bool) -> None:
    await fill(db, *({"_id": f"{n}", "n": n // 4, "kind": "x"} for n in range(8)))
    if indexed:
        await index(db, "n")
    selector = {"n": {"$gte": 0}, "kind": "x"}
    docs, token = await step(db.find_pages(selector, 3), None)
    assert [doc.id for doc in docs] == ["0", "1", "2"]
    await docs[1].delete()
    await docs[2].delete()  # on which the token stands: behind CouchDB's bookmark 3 would be lost
    await fill(db, {"_id": "0a", "n": 0, "kind": "x"}, {"_id": "2a", "n": 0, "kind": "x"})
    rest = [doc.id async for page in db.find_pages(selector, 2, token) for doc in page]
    assert rest == ["2a", "3", "4", "5", "6", "7"]


async def test_limit_and_skip_of_a_query(db: Database) -> None:
    await fill(db, *({"_id": f"{n}", "n": 1} for n in range(9)))
    sizes, docs = await sizes_and_rows(db.find_pages({"n": 1}, 2, skip=3, limit=5))
    assert (sizes, [doc.id for doc in docs]) == ([2, 2, 1], list("34567"))
    assert await sizes_and_rows(db.find_pages({"n": 1}, 2, limit=0)) == ([0], [])


class Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str


async def test_pages_of_values(db: Database) -> None:
    await fill(
        db, *({"_id": f"{n}", "at": {"x": n, "y": 0}, "name": f"n{n}", "a.b": n} for n in range(3))
    )
    await index(db, "at.x", "a\\.b")
    selector = {"at.x": {"$gte": 0}, "a\\.b": {"$gte": 0}}
    sizes, rows = await sizes_and_rows(db.find_pages(selector, 2, fields=["name"]))
    assert (sizes, rows) == ([2, 1], [{"name": "n0"}, {"name": "n1"}, {"name": "n2"}])
    _, rows = await sizes_and_rows(db.find_pages(selector, 2, fields=["at.y"]))
    assert rows == [{"at": {"y": 0}}] * 3
    _, rows = await sizes_and_rows(db.find_pages(selector, 2, fields=["at"]))
    assert rows[2] == {"at": {"x": 2, "y": 0}}
    _, rows = await sizes_and_rows(db.find_pages(selector, 2, fields=["name"], into=Named))
    assert rows == [Named("n0"), Named("n1"), Named("n2")]
    _, rows = await sizes_and_rows(db.find_pages(selector, 2, fields=["_id", "a\\.b"]))
    assert rows[1] == {"_id": "1", "a.b": 1}


async def test_an_index_that_is_gone(db: Database) -> None:
    await fill(db, *({"_id": f"{n}", "n": n, "m": 0} for n in range(4)))
    await index(db, "n")
    selector = {"n": {"$gte": 0}, "m": 0}
    _, token = await step(db.find_pages(selector, 2), None)
    await index(db, "n", "m")
    await db.indexes.delete("n", "n")

    async def is_known() -> bool:
        return any(one.name == "n" for one in (await db.explain(selector)).candidates)

    while await is_known():
        pass
    with pytest.raises(InvalidInputError, match="is gone: the pages must begin anew"):
        await db.find_pages(selector, 2).page(token)


async def test_what_the_server_refuses(db: Database) -> None:
    with pytest.raises(BadRequestError, match="no_usable_index"):
        await db.find_pages({"n": 1}, 2, sort=["m"]).page()
    with pytest.raises(QueryWarningError):
        await db.find_pages({"n": 1}, 2, on_warning="raise").page()


# -- tokens ---------------------------------------------------------------------------------------


async def test_a_token_is_of_its_query(db: Database, view: View) -> None:
    await fill(db, *({"_id": f"{n}", "key": n} for n in range(9)))
    page = await view.page(2, startkey=1)
    token = page.token
    assert token is not None
    assert [row.id for row in await view.page(5, token, startkey=1)] == list("34567")
    others: list[Pages[Any]] = [
        view.pages(2, token),
        view.pages(2, token, startkey=1, descending=True),
        db.all_docs.pages(2, token, startkey=1),
        db.view("d", "other").pages(2, token, startkey=1),
        db.find_pages({"key": {"$gt": 0}}, 2, token),
    ]
    for wrong in others:
        with pytest.raises(InvalidInputError, match="the token belongs to another query"):
            await wrong.page()


async def test_a_token_that_is_signed(db: Database) -> None:
    await fill(db, *({"_id": f"{n}"} for n in range(5)))
    pages = db.all_docs.pages(2, secret="our own")
    _, token = await step(pages, None)
    assert [row.id for row in await pages.page(token)] == ["2", "3"]
    _, unsigned = await step(db.all_docs.pages(2), None)
    for wrong, said in (
        (unsigned, "not signed"),
        (token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:], "signature"),
        (f"x{token}", ""),
    ):
        with pytest.raises(InvalidInputError, match=f"not a token of a page.*{said}"):
            await pages.page(wrong)
    with pytest.raises(InvalidInputError, match="signature"):
        await db.all_docs.pages(2).page(token)
