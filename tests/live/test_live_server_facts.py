"""What a server tells of a database, asked without the client."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.replication.site import Site, open_session
from tests.support.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer


@pytest.fixture
async def site(couchdb_server: CouchDBServer) -> AsyncIterator[Site]:
    async with open_session() as session:
        yield Site(session, couchdb_server)


@pytest.fixture
async def name(site: Site) -> AsyncIterator[str]:
    """The name of a database that the test makes."""
    name = f"facts-{uuid.uuid4().hex}"
    yield name
    await site.must("DELETE", name)


@pytest.mark.parametrize("q", [1, 3, 16])
async def test_q_is_told_back(site: Site, name: str, q: int) -> None:
    await site.must("PUT", f"{name}?q={q}")
    assert (await site.get(name))["cluster"]["q"] == q
    shards = (await site.get(f"{name}/_shards"))["shards"]
    assert len(shards) == q
    assert (await site.get(f"{name}/_shards/some"))["range"] in shards


async def test_ranges_of_shards(site: Site, name: str) -> None:
    await site.must("PUT", f"{name}?q=3")
    shards = (await site.get(f"{name}/_shards"))["shards"]
    assert list(shards) == ["00000000-55555554", "55555555-aaaaaaa9", "aaaaaaaa-ffffffff"]
    assert (await site.get(f"{name}/_shards/abc"))["range"] == "00000000-55555554"
    assert (await site.get(f"{name}/_shards/x"))["range"] == "55555555-aaaaaaa9"


LINES = re.compile(rb"\r?\n")


async def test_how_lines_end(site: Site, name: str) -> None:
    async def ends(path: str, body: Any = None) -> list[bytes]:
        _, text = await site.read("GET" if body is None else "POST", f"{name}/{path}", body)
        return LINES.findall(text)

    await site.must("PUT", name)
    await site.must("POST", f"{name}/_bulk_docs", {"docs": [{"_id": "a"}, {"_id": "b"}]})
    long, short = b"\r\n", b"\n"
    assert await ends("_all_docs") == [long, long, long, short]
    assert await ends("_all_docs?include_docs=true") == [long, long, long, short]
    assert await ends("_all_docs", {"keys": ["a", "b"]}) == [long, long, long, short]
    assert await ends("_design_docs") == [long, long, short]
    assert await ends("_local_docs") == [long, long, short]
    assert await ends("_changes") == [short, long, short, short, short, short]
    assert await ends("_changes?feed=longpoll&limit=1") == [short] * 5
    assert await ends("_changes?feed=longpoll&since=now&timeout=1") == [short] * 6
    assert await ends("_changes?feed=continuous&timeout=1") == [short] * 4
    queries = {"queries": [{"limit": 1}, {"limit": 1}]}
    assert await ends("_all_docs/queries", queries) == [long] * 7 + [short]
    assert await ends("_find", {"selector": {}}) == [long] * 6 + [short]


async def test_where_nothing_is_nothing_is_in_use(site: Site, name: str) -> None:
    await site.must("PUT", f"{name}?q=1")
    sizes = (await site.get(name))["sizes"]
    assert (sizes["active"], sizes["external"]) == (0, 0)
    assert sizes["file"] > 0
    await site.must("PUT", f"{name}/doc", {"n": 1})
    sizes = (await site.get(name))["sizes"]
    assert 0 < sizes["active"] < sizes["file"]


async def test_sizes_of_an_index(site: Site, name: str) -> None:
    async def sizes() -> Any:
        await site.get(f"{name}/_design/d/_view/v")
        return (await site.get(f"{name}/_design/d/_info"))["view_index"]["sizes"]

    # one copy: of several, the one that is read and the one that tells its sizes may differ
    await site.must("PUT", f"{name}?q=1&n=1")
    views = {"v": {"map": "function (doc) { emit(doc._id); }"}}
    await site.must("PUT", f"{name}/_design/d", {"views": views})
    assert (await sizes())["active"] == 0
    await site.must("PUT", f"{name}/doc", {"n": 1})
    found = await sizes()
    assert 0 < found["active"] < found["file"]


async def test_the_purge_sequence_changes_with_purges_only(
    couchdb_server: CouchDBServer, site: Site, name: str
) -> None:
    async def sequence() -> str:
        found: str = (await site.get(name))["purge_seq"]
        # behind the number stands which copies were asked, of which a cluster has several
        return found.partition("-")[0] if isinstance(couchdb_server, Cluster) else found

    await site.must("PUT", name)
    before = await sequence()
    made = await site.must("PUT", f"{name}/doc", {"n": 1})
    assert await sequence() == before
    await site.must("POST", f"{name}/_purge", {"doc": [made["rev"]]})
    assert await sequence() != before
