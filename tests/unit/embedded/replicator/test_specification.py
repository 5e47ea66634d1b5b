"""What a replication is asked to do."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.replicator.specification import (
    Specification,
    job_id,
    read_specification,
    replication_id,
)

HERE = "127.0.0.1:5984"
ENDS = {"source": "http://a/b", "target": "http://c/d"}


def read(**body: Any) -> Specification:
    return read_specification({**ENDS, **body}, HERE)


def test_credentials_do_not_stay_in_the_url() -> None:
    source = read(source="HTTP://jan:s%40cret@host:80/db").source
    assert source.url == "http://host:80/db/"
    assert source.credentials == ("jan", "s@cret")
    assert "cret" not in repr(source)


def test_an_end_may_be_an_object() -> None:
    auth = {"basic": {"username": "jan", "password": "x"}}
    target = read(target={"url": "https://h/db/", "headers": {"X": 1}, "auth": auth}).target
    assert (target.url, target.headers, target.credentials) == (
        "https://h/db/",
        {"X": "1"},
        ("jan", "x"),
    )


@pytest.mark.parametrize(
    ("name", "url"),
    [("db", "db/"), ("a/b+", "a%2Fb%2B/"), ("", ""), (5, "5/"), ("ftp://x", "ftp%3A%2F%2Fx/")],
)
def test_anything_else_is_a_database_of_this_server(name: object, url: str) -> None:
    source = read(source=name).source
    assert source.url == f"http://{HERE}/{url}"
    assert source.local is not None


def test_basic_credentials_are_the_same_in_a_header() -> None:
    headers = {"X": "1", "authorization": "Basic amFuOng="}
    source = read(source={"url": "http://a/b", "headers": headers}).source
    assert source == read(source={"url": "http://jan:x@a/b", "headers": {"X": "1"}}).source
    for other in ("Bearer abc", "Basic *", "Basic amFu"):
        headers = {"Authorization": other}
        assert read(source={"url": "http://a/b", "headers": headers}).source.headers == headers


def test_documents_may_not_name_local_databases() -> None:
    with pytest.raises(CouchError, match="local_endpoints_not_supported"):
        read_specification({"source": "db", "target": "http://c/d"}, HERE, local=False)


def test_proxies() -> None:
    both = read(proxy="http://p:1", target_proxy="http://q:2")
    assert (both.source.proxy, both.target.proxy) == ("http://p:1", "http://q:2")
    assert read().source.proxy is None


def test_defaults_and_options() -> None:
    plain = read()
    assert (plain.continuous, plain.use_checkpoints, plain.use_bulk_get) == (False, True, True)
    assert plain.doc_ids is None
    full = read(
        continuous=True,
        doc_ids=["b", "a", "b"],
        use_checkpoints=False,
        worker_batch_size=7,
        checkpoint_interval=500,
        since_seq="5-x",
    )
    assert full.doc_ids == ("a", "b")
    assert (full.batch, full.checkpoint_interval, full.since_seq) == (7, 0.5, "5-x")
    assert full.use_checkpoints is False


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"source": None}, 500),
        ({"source": {}}, 400),
        ({"source": "http://"}, 400),
        ({"continuous": "x"}, 400),
        ({"create_target": 1}, 400),
        ({"create_target_params": []}, 400),
        ({"selector": 5}, 400),
        ({"query_params": 5}, 400),
        ({"doc_ids": "x"}, 400),
        ({"doc_ids": [5]}, 500),
        ({"filter": 5}, 500),
        ({"filter": "x"}, 500),
        ({"worker_batch_size": "x"}, 500),
        ({"source_proxy": 5}, 500),
        ({"proxy": "foo"}, 500),
        ({"doc_ids": ["a"], "selector": {}}, 400),
        ({"filter": "a/b", "selector": {}}, 400),
    ],
)
def test_what_is_refused(body: dict[str, Any], status: int) -> None:
    with pytest.raises(CouchError) as caught:
        read(**body)
    assert caught.value.status == status


def test_the_id_names_what_is_copied_where() -> None:
    def identity(**body: Any) -> str:
        return replication_id(read(**body), "uuid", None)

    same = [identity(), identity(continuous=True), identity(source="http://a/b/"), identity(x=1)]
    assert len(set(same)) == 1
    others = [
        identity(target="http://c/e"),
        identity(source="http://jan:x@a/b"),
        identity(doc_ids=["a"]),
        identity(selector={"a": 1}),
        identity(filter="a/b"),
        identity(filter="a/b", query_params={"x": 1}),
        identity(since_seq="1"),
        identity(winning_revs_only=True),
        replication_id(read(), "other", None),
        replication_id(read(filter="a/b"), "uuid", "function () {}"),
    ]
    assert len({*same, *others}) == 1 + len(others)
    assert identity(doc_ids=["b", "a"]) == identity(doc_ids=["a", "b"])
    assert len(identity()) == 32


def test_the_job_has_the_kind_in_its_id() -> None:
    assert job_id("x", read()) == "x"
    assert job_id("x", read(continuous=True, create_target=True)) == "x+continuous+create_target"
