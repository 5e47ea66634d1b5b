"""`[couchdb] max_partition_size`, and other settings that requests feel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded.codec import decode
from aiocouch.embedded.http.listener import with_merged_headers
from aiocouch.embedded.http.phrases import phrase
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.node.uuids import Uuids
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONFIG = "/_node/_local/_config"
LONG = "x" * 1000


@pytest.fixture
async def full() -> AsyncIterator[ServerClient]:
    """A server whose partitions take 10,000 bytes, one of them taken."""
    async with ServerClient(couchdb={"max_partition_size": "10000"}) as client:
        await client("PUT", "/a?partitioned=true")
        docs = [{"_id": f"foo:{number}", "value": LONG} for number in range(15)]
        await client("POST", "/a/_bulk_docs", {"docs": docs})
        yield client


async def test_a_full_partition_takes_no_more(full: ServerClient) -> None:
    reason = "Partition limit exceeded due to update on 'foo:bar'"
    for answer in (
        await full("POST", "/a", {"_id": "foo:bar", "value": "stuff"}),
        await full("PUT", "/a/foo:bar", {"value": "stuff"}),
    ):
        assert (answer.status, answer.json["error"]) == (403, "partition_overflow")
        assert answer.json["reason"] == reason
    docs = [{"_id": "foo:bar"}, {"_id": "baz:bang"}, {"_id": "_design/d"}]
    rows = (await full("POST", "/a/_bulk_docs", {"docs": docs})).json
    assert rows[0] == {"id": "foo:bar", "error": "partition_overflow", "reason": reason}
    assert [row.get("ok") for row in rows[1:]] == [True, True]


async def test_what_a_full_partition_takes(full: ServerClient) -> None:
    doc = (await full("GET", "/a/foo:1")).json
    larger = await full("PUT", "/a/foo:1", {**doc, "value": LONG + "more"})
    assert larger.status == 403
    smaller = await full("PUT", "/a/foo:1", {**doc, "value": ""})
    assert smaller.status == 201
    assert (await full("DELETE", f"/a/foo:1?rev={smaller.json['rev']}")).status == 200
    replicated = {"_rev": "1-a", "value": LONG}
    assert (await full("PUT", "/a/foo:bar?new_edits=false", replicated)).status == 201


async def test_the_limit_counts_from_its_change_on(full: ServerClient) -> None:
    await full("PUT", f"{CONFIG}/couchdb/max_partition_size", "1000000")
    assert (await full("PUT", "/a/foo:bar", {"value": "stuff"})).status == 201
    await full("PUT", f"{CONFIG}/couchdb/max_partition_size", "10000")
    assert (await full("PUT", "/a/foo:baz", {"value": "stuff"})).status == 403


async def test_a_plus_is_a_space_or_not() -> None:
    async with ServerClient() as client:
        await client("PUT", "/a")
        assert (await client("PUT", "/a/b+c", {})).json["id"] == "b c"
        await client("PUT", f"{CONFIG}/chttpd/decode_plus_to_space", "false")
        assert (await client("PUT", "/a/b+c", {})).json["id"] == "b+c"


async def test_another_header_names_the_host() -> None:
    async with ServerClient(chttpd={"x_forwarded_host": "X-Host"}) as client:
        answer = await client("PUT", "/a", X_Host="mysite2.com", X_Forwarded_Host="no")
        assert answer.headers["Location"] == "http://mysite2.com/a"


async def test_jsonp() -> None:
    async with ServerClient() as client:
        await client("PUT", "/a")
        assert (await client("GET", "/a/_all_docs?callback=f")).body.startswith(b'{"total_rows"')
        await client("PUT", f"{CONFIG}/chttpd/allow_jsonp", "true")
        whole = await client("GET", "/?callback=x.y[0]")
        assert whole.headers["Content-Type"] == "application/javascript"
        assert whole.body.startswith(b'/* CouchDB */x.y[0]({"couchdb":')
        assert whole.body.endswith(b"});\n")
        rows = await client("GET", "/a/_all_docs?callback=f")
        assert rows.headers["Content-Type"] == "application/javascript"
        assert rows.body.startswith(b'/* CouchDB */f({"total_rows"')
        assert rows.body.endswith(b"]});\n")
        for path in ("/", "/a/_all_docs"):
            bad = await client("GET", f"{path}?callback=a()")
            assert (bad.status, bad.json["reason"]) == (400, "invalid_callback")


async def test_jsonp_of_answers_that_come_in_pieces() -> None:
    views = {"v": {"map": "function (doc) { emit(doc._id); }"}}
    paths = ("_design/d/_view/v", "_changes", "_changes?feed=longpoll", "_find")
    async with ServerClient(chttpd={"allow_jsonp": "true"}) as client:
        await client("PUT", "/a")
        await client("PUT", "/a/_design/d", {"views": views})
        await client("PUT", "/a/doc", {})
        for path in paths:
            url = f"/a/{path}{'&' if '?' in path else '?'}callback"
            body: dict[str, object] | None = {"selector": {}} if path == "_find" else None
            method = "GET" if body is None else "POST"
            plain = await client(method, f"/a/{path}", body)
            padded = await client(method, f"{url}=f", body)
            assert padded.headers["Content-Type"] == "application/javascript"
            assert padded.body.startswith(b"/* CouchDB */f({")
            assert padded.body.endswith(b");\n")
            assert decode(padded.body[15:-3]) == plain.json
            bad = await client(method, f"{url}=f'", body)
            assert (bad.status, bad.json["reason"]) == (400, "invalid_callback")
            assert (await client("HEAD", f"{url}=f")).body == b""


@pytest.mark.parametrize(
    ("data", "merged"),
    [
        (b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\na:  3 \r\n\r\nbody",
         b"GET / HTTP/1.1\r\nA: 1, 3\r\nB: 2\r\n\r\nbody"),
        (b"GET / HTTP/1.1\r\nA: 1\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nA: 1\r\nA: 1\r\n", None),
        (b"\r\nA: 1\r\nA: 1\r\n\r\n", None),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\n", None),
    ],
)  # fmt: skip
def test_repeated_headers_are_put_together(data: bytes, merged: bytes | None) -> None:
    assert with_merged_headers(data) == merged


def test_phrases() -> None:
    assert phrase(404) == "Object Not Found"
    assert phrase(418) == "Internal Server Error"


def test_uuids_by_time() -> None:
    moment = 1_700_000_000_123_456_789
    config = Configuration()
    uuids = Uuids(config, clock=lambda: moment)
    config.put("uuids", "algorithm", "uuid_v7")
    made = {uuids.new() for _ in range(50)}
    assert len(made) == 50
    for uuid in made:
        assert uuid[:13] == f"{moment // 1_000_000:012x}7"
        assert uuid[16] in "89ab"
        assert len(uuid) == 32
    config.put("uuids", "algorithm", "utc_random")
    times = [uuids.new()[:14] for _ in range(50)]
    assert len(set(times)) == 50
    assert times == sorted(times)
