"""Ids, statistics, tasks, cross-origin headers, and ranges of database names."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.http.cors import answer_headers, preflight_headers
from aiocouch.embedded.http.query import Query
from aiocouch.embedded.http.routes.database_lists import NameRange
from aiocouch.embedded.node.config import Configuration
from aiocouch.embedded.node.statistics import Statistics, nested, summary
from aiocouch.embedded.node.tasks import ActiveTasks
from aiocouch.embedded.node.uuids import Uuids

ORIGIN = "http://a.example"


def test_sequential_ids_grow() -> None:
    uuids = Uuids(Configuration())
    made = [uuids.new() for _ in range(20_000)]
    assert len(set(made)) == 20_000
    assert all(len(each) == 32 for each in made)
    runs = sum(first > second for first, second in pairwise(made))
    assert runs <= 4


@pytest.mark.parametrize(
    ("algorithm", "length"), [("random", 32), ("utc_random", 32), ("utc_id", 16)]
)
def test_other_ids(algorithm: str, length: int) -> None:
    config = Configuration()
    config.put("uuids", "algorithm", algorithm)
    config.put("uuids", "utc_id_suffix", "-x")
    uuids = Uuids(config, clock=lambda: 1_795_508_000_000_000_000)
    made = uuids.new()
    assert len(made) == length
    assert algorithm == "random" or made.startswith("06610148880800")


def test_statistics() -> None:
    statistics = Statistics()
    statistics.count("GET", 200, 0.001)
    statistics.count("PUT", 201, 0.003)
    statistics.add("couchdb.document_writes", 7)
    metrics = statistics.metrics({"couchdb.open_databases": 3})
    tree = nested(metrics)["couchdb"]
    assert tree["httpd"]["requests"]["value"] == 2
    assert tree["httpd_status_codes"]["201"]["value"] == 1
    assert tree["open_databases"]["value"] == 3
    assert tree["request_time"]["value"]["max"] == pytest.approx(3)
    assert tree["document_writes"] == {
        "value": 7,
        "type": "counter",
        "desc": "number of document write operations",
    }


def test_a_histogram_of_nothing_is_all_zero() -> None:
    assert summary([])["n"] == 0
    assert summary([])["max"] == 0


def test_the_figures_of_a_histogram() -> None:
    figures = summary([1.0, 2.0, 4.0, 4.0])
    assert figures["arithmetic_mean"] == 2.75
    assert figures["geometric_mean"] == pytest.approx(32**0.25)
    assert figures["harmonic_mean"] == pytest.approx(2.0)
    assert figures["skewness"] < 0 < figures["kurtosis"]


def test_tasks_come_and_go() -> None:
    tasks = ActiveTasks()
    with tasks.add("indexer", database="db", progress=0) as task:
        task.update(progress=50)
        (shown,) = tasks.shown()
        assert shown["type"] == "indexer"
        assert shown["progress"] == 50
        assert {"node", "pid", "started_on", "updated_on"} <= set(shown)
    assert tasks.shown() == []
    task.end()


def _cors(**cors: str) -> Configuration:
    return Configuration(None, {"chttpd": {"enable_cors": "true"}, "cors": cors})


def test_cors_is_off_until_it_is_switched_on() -> None:
    assert answer_headers({"Origin": ORIGIN}, Configuration()) == {}
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    assert preflight_headers("OPTIONS", preflight, Configuration()) is None


def test_answers_to_another_origin() -> None:
    config = _cors(origins=f"{ORIGIN}, http://b.example", credentials="true")
    headers = answer_headers({"Origin": ORIGIN}, config)
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert headers["Access-Control-Expose-Headers"].startswith("content-type, cache-control, ")
    assert answer_headers({"Origin": "http://c.example"}, config) == {}
    assert answer_headers({"Origin": ORIGIN.upper()}, config) == {}, "as CouchDB compares them"
    assert answer_headers({}, config) == {}


def test_any_origin() -> None:
    headers = answer_headers({"Origin": ORIGIN}, _cors(origins="*"))
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in headers


def test_a_host_may_have_rules_of_its_own() -> None:
    config = _cors(origins="*")
    config.put("cors:other.example", "origins", "http://b.example")
    sent = {"Origin": ORIGIN, "Host": "other.example:5984"}
    assert answer_headers(sent, config) == {}


def test_preflight() -> None:
    config = _cors(origins=ORIGIN, methods="GET, PUT", max_age="7")
    sent = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "Content-Type, if-match",
    }
    assert preflight_headers("OPTIONS", sent, config) == {
        "Access-Control-Allow-Origin": ORIGIN,
        "Access-Control-Max-Age": "7",
        "Access-Control-Allow-Methods": "GET, PUT",
        "Access-Control-Allow-Headers": "Content-Type, if-match",
    }
    for changes in (
        {"Origin": "http://c.example"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "X-Strange"},
    ):
        assert preflight_headers("OPTIONS", {**sent, **changes}, config) is None
    assert preflight_headers("GET", sent, config) is None


NAMES = ["a", "b", "b/c", "d"]


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("", ["a", "b", "b/c", "d"]),
        ("startkey=%22b%22", ["b", "b/c", "d"]),
        ("start_key=%22b%22&end_key=%22b/c%22", ["b", "b/c"]),
        ("end_key=%22b/c%22&inclusive_end=false", ["a", "b"]),
        ("descending=true&start_key=%22b%22", ["b", "a"]),
        ("descending=true&limit=1&skip=1", ["b/c"]),
        ("key=%22b%22", ["b"]),
        ("limit=0", []),
        ("startkey=5", ["a", "b", "b/c", "d"]),
        ("startkey=[]", []),
        ("endkey={}&startkey=%22d%22", ["d"]),
        ("endkey=null", []),
        ("keys=[%22d%22,%22no%22,5,%22a%22]", ["d", "a"]),
    ],
)
def test_ranges_of_names(query: str, chosen: list[str]) -> None:
    assert NameRange.of(Query(query)).choose(NAMES) == chosen


@pytest.mark.parametrize(
    "query", ["startkey=unquoted", "limit=x", "limit=-1", "descending=maybe", "keys=5"]
)
def test_bad_ranges(query: str) -> None:
    with pytest.raises(CouchError) as caught:
        NameRange.of(Query(query))
    assert caught.value.status == 400
