"""`_stats`, `_system` and `_prometheus`: all of CouchDB's names, as monitors expect them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.node.prometheus import prometheus
from aiocouch.embedded.node.statistics import Statistics, known_metrics
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

USER = {"type": "user", "roles": []}
STATS = "/_node/_local/_stats"
SAMPLE = re.compile(r'^(couchdb_\w+)(?:\{(\w+="[^"]*")\})? (\S+)$', re.MULTILINE)


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A fresh server."""
    async with ServerClient() as client:
        yield client


def _leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if "desc" in tree:
        yield path, tree
        return
    for name, branch in tree.items():
        yield from _leaves(branch, f"{path}.{name}" if path else name)


async def test_every_metric_has_its_type_and_description(client: ServerClient) -> None:
    found = dict(_leaves((await client("GET", STATS)).json))
    assert len(found) == 209
    assert Counter(each["type"] for each in found.values()) == {
        "counter": 183,
        "gauge": 6,
        "histogram": 20,
    }
    assert found["mem3.shard_cache.eviction"] == {
        "value": 0,
        "type": "counter",
        "desc": "number of shard cache evictions",
    }
    assert found["couch_replicator.jobs.total"]["type"] == "gauge"
    assert found["couchdb.bt_engine_cache.hits"]["desc"] == "number of bt_engine cache hits"
    assert found["fsync.time"]["value"]["percentile"] == [
        [50, 0], [75, 0], [90, 0], [95, 0], [99, 0], [999, 0],
    ]  # fmt: skip


async def test_groups_and_single_metrics_have_paths(client: ServerClient) -> None:
    tree = (await client("GET", STATS)).json
    assert (await client("GET", f"{STATS}/couchdb/httpd")).json.keys() == tree["couchdb"][
        "httpd"
    ].keys()
    single = (await client("GET", f"{STATS}/couchdb/httpd_status_codes/404")).json
    assert single == {
        "value": 0,
        "type": "counter",
        "desc": "number of HTTP 404 Not Found responses",
    }
    assert (await client("GET", f"{STATS}/fsync/count/value")).json == 0
    for missing in ("nosuch", "couchdb/nosuch", "fsync/count/value/0", "couchdb/httpd/requests/x"):
        answer = await client("GET", f"{STATS}/{missing}")
        assert (answer.status, answer.json) == (200, None)


async def test_what_happens_is_counted(client: ServerClient) -> None:
    await client("GET", "/nosuch")
    await client("PUT", "/_users/org.couchdb.user:a", {"name": "a", "password": "pw"})
    tree = (await client("GET", f"{STATS}/couchdb")).json
    assert tree["httpd_status_codes"]["404"]["value"] == 1
    assert tree["httpd_request_methods"]["PUT"]["value"] == 1
    assert tree["httpd"]["requests"]["value"] == 2
    assert tree["request_time"]["value"]["n"] == 2
    assert tree["password_hashing_slow"]["value"] == 1
    # the admin came three times with a password that is known
    assert tree["password_hashing_fast"]["value"] == 3
    assert tree["open_databases"]["value"] == 2
    assert tree["open_os_files"]["value"] > 0


async def test_users_that_are_found_and_looked_for_are_counted(client: ServerClient) -> None:
    await client("PUT", "/_users/org.couchdb.user:a", {**USER, "name": "a", "password": "pw"})
    for name in ("a", "a", "a", "b"):
        await client("GET", "/_session", auth=(name, "pw"))
    counted = (await client("GET", f"{STATS}/couchdb")).json
    # the admin has no document, and is not looked for
    assert counted["auth_cache_misses"]["value"] == 2
    assert counted["auth_cache_hits"]["value"] == 2


async def test_the_system_has_couchdbs_members(client: ServerClient) -> None:
    system = (await client("GET", "/_node/_local/_system")).json
    assert system["process_limit"] == 1_048_576
    assert system["bt_engine_cache"].keys() == {
        "size", "memory", "max_memory", "full", "hits", "misses", "shard_count",
    }  # fmt: skip
    assert system["memory"]["processes"] > 1_000_000
    assert system["message_queues"]["couch_file"]["count"] == 2


async def test_prometheus_tells_every_metric_under_couchdbs_name(client: ServerClient) -> None:
    answer = await client("GET", "/_node/_local/_prometheus")
    assert answer.headers["Content-Type"] == "text/plain; version=2.0"
    assert "Cache-Control" not in answer.headers
    names = {name for name, _, _ in SAMPLE.findall(answer.body.decode())}
    assert {
        "couchdb_auth_cache_misses_total",
        "couchdb_auth_cache_requests_total",
        "couchdb_bt_engine_cache_hits_total",
        "couchdb_couch_log_requests_total",
        "couchdb_couch_replicator_checkpoints_total",
        "couchdb_couchdb_bt_engine_cache_size",
        "couchdb_ddoc_cache_requests_failures_total",
        "couchdb_document_purges_total",
        "couchdb_erlang_memory_bytes",
        "couchdb_erlang_process_limit",
        "couchdb_fsync_time_seconds_count",
        "couchdb_httpd_clients_requesting_changes",
        "couchdb_httpd_request_methods",
        "couchdb_mango_query_time_seconds",
        "couchdb_membership",
        "couchdb_open_databases",
        "couchdb_rexi_streams_timeout_total",
        "couchdb_rexi_streams_timeout_stream_total",
        "couchdb_uptime_seconds",
    } <= names
    assert len(names) > len(known_metrics()) - 7 - 25 - 9, "some are told together"


async def test_prometheus_lines(client: ServerClient) -> None:
    await client("GET", "/nosuch")
    lines = (await client("GET", "/_node/_local/_prometheus")).body.decode().split("\n")
    begin = lines.index("# HELP couchdb_httpd_status_codes number of HTTP responses by status code")
    assert lines[begin - 1] == ""
    assert lines[begin + 1] == "# TYPE couchdb_httpd_status_codes counter"
    assert 'couchdb_httpd_status_codes{code="404"} 1' in lines
    assert 'couchdb_membership{nodes="all_nodes"} 1' in lines
    assert "couchdb_open_databases 2" in lines
    assert "# TYPE couchdb_open_databases gauge" in lines
    assert "# TYPE couchdb_request_time_seconds summary" in lines
    told = [line.split(" ")[2] for line in lines if line.startswith("# HELP")]
    typed = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
    assert told == typed
    assert len(set(told)) == len(told)


def test_successes_and_failures_are_told_as_a_total() -> None:
    statistics = Statistics()
    statistics.add("couch_replicator.checkpoints.success", 5)
    statistics.add("couch_replicator.checkpoints.failure", 2)
    statistics.count("GET", 200, 0.004)
    system = {
        "memory": {"processes": 8, "atom": 0, "binary": 0, "code": 0, "ets": 0, "other": 0},
        "message_queues": {"couch_file": {}, "couch_db_updater": {}, "couch_server": 0},
        "bt_engine_cache": {"memory": 0, "size": 0},
        **dict.fromkeys(
            (
                "uptime", "io_input", "io_output", "run_queue", "run_queue_dirty_cpu",
                "garbage_collection_count", "words_reclaimed", "context_switches", "reductions",
                "process_count", "process_limit", "ets_table_count", "internal_replication_jobs",
            ),
            0,
        ),
    }  # fmt: skip
    text = prometheus(statistics.metrics({}), system)
    found = {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}
    assert found["couchdb_couch_replicator_checkpoints_total", ""] == 7
    assert found["couchdb_couch_replicator_checkpoints_failure_total", ""] == 2
    assert found["couchdb_request_time_seconds", 'quantile="0.5"'] == pytest.approx(0.004)
    assert found["couchdb_request_time_seconds_sum", ""] == pytest.approx(0.004)
    assert found["couchdb_request_time_seconds_count", ""] == 1
    assert found["couchdb_erlang_memory_bytes", 'memory_type="total"'] == 8
    assert "queue_couch_file" not in text
