"""Values of other types than the options are documented with, as programs for aiocouch 4 give them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

FILTER = "function (doc, req) { return doc.kind === req.query.kind; }"


async def ids(documents: AsyncIterable[Any]) -> list[str]:
    return [doc.id async for doc in documents]


@pytest.fixture
async def filled(db: Database) -> Database:
    async with db.create_docs() as bulk:
        for number, id in enumerate("abcd"):
            bulk.create(id, {"n": number, "kind": "even" if number % 2 == 0 else "odd"})
    return db


async def test_texts_and_nothings_in_a_query(filled: Database) -> None:
    assert await ids(filled.docs(limit="2", skip="1", descending="true")) == ["c", "b"]
    assert await ids(filled.docs(limit=None, skip=None, descending=None)) == ["a", "b", "c", "d"]
    mixed = {"limit": 1, "startkey": '"c"'}
    assert len((await filled.all_docs.get(**mixed)).rows) == 1
    assert (await anext(filled.all_docs.avalues(**mixed)))["rev"][:2] == "1-"


async def test_a_query_of_mango(filled: Database) -> None:
    selector = MappingProxyType({"n": {"$gt": 0}})
    nothing: Any = dict.fromkeys(("sort", "bookmark", "use_index", "skip", "limit", "r"))
    assert sorted(await ids(filled.find(selector, **nothing))) == ["b", "c", "d"]
    made = await filled.index(MappingProxyType({"fields": ["n"]}), ddoc="by", name=None)
    chosen = filled.find(selector, sort=({"n": "desc"},), use_index=("by", made["name"]))
    assert await ids(chosen) == ["d", "c", "b"]


async def test_a_part_of_the_changes(filled: Database) -> None:
    feed, chosen = "normal", MappingProxyType({"kind": "odd"})
    assert len(await ids(filled.changes(limit=None, since=None, feed=feed, style=None))) == 4
    assert len(await ids(filled.changes(limit="2", include_docs="true"))) == 2
    assert sorted(await ids(filled.changes(selector=chosen))) == ["b", "d"]
    assert sorted(await ids(filled.changes(doc_ids=iter(["a", "x"])))) == ["a"]
    old = filled.changes(filter="_doc_ids", doc_ids='["b"]')
    assert await ids(old) == ["b"]


async def test_a_filter_of_the_programs_own(filled: Database) -> None:
    async with await filled.design_doc("d") as ddoc:
        ddoc["filters"] = {"kind": FILTER}
    assert sorted(await ids(filled.changes(filter="d/kind", kind="odd"))) == ["b", "d"]


async def test_a_limit_of_compression_from_the_environment(couchdb_server: CouchDBServer) -> None:
    async with couchdb_server.connect(gzip_above="1000") as couchdb:
        assert "couchdb" in await couchdb.info()
    with pytest.raises(InvalidInputError, match="gzip_above='many'"):
        couchdb_server.connect(gzip_above="many")


def test_a_url_that_is_not_set_is_told_as_that() -> None:
    with pytest.raises(InvalidTypeError, match="the server is None"):
        CouchDB(None)
