"""Counters that `_stats`, `_system` and `_prometheus` tell of."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from typing import Any

_METHODS = ("COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
_STATUSES = (
    200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 414,
    415, 416, 417, 500, 501, 503, 507,
)  # fmt: skip
_UNCOUNTED = (
    "auth_cache_hits",
    "auth_cache_misses",
    "coalesced_updates.interactive",
    "coalesced_updates.replicated",
    "commits",
    "couch_server.lru_skip",
    "database_purges",
    "database_reads",
    "database_writes",
    "document_inserts",
    "document_purges.failure",
    "document_purges.success",
    "document_purges.total",
    "document_writes",
    "httpd.abandoned_streaming_requests",
    "httpd.aborted_requests",
    "httpd.all_docs_timeouts",
    "httpd.bulk_requests",
    "httpd.clients_requesting_changes",
    "httpd.explain_timeouts",
    "httpd.find_timeouts",
    "httpd.partition_all_docs_requests",
    "httpd.partition_all_docs_timeouts",
    "httpd.partition_explain_requests",
    "httpd.partition_explain_timeouts",
    "httpd.partition_find_requests",
    "httpd.partition_find_timeouts",
    "httpd.partition_view_requests",
    "httpd.partition_view_timeouts",
    "httpd.purge_requests",
    "httpd.temporary_view_reads",
    "httpd.view_reads",
    "httpd.view_timeouts",
    "io_queue.search",
    "io_queue2.search.count",
    "legacy_checksums",
    "local_document_writes",
    "mrview.emits",
    "mrview.map_doc",
    "open_os_files",
    "password_hashing_fast",
    "password_hashing_slow",
    "query_server.acquired_processes",
    "query_server.calls.add_fun",
    "query_server.calls.ddoc_filter",
    "query_server.calls.ddoc_new",
    "query_server.calls.ddoc_other",
    "query_server.calls.ddoc_vdu",
    "query_server.calls.map",
    "query_server.calls.other",
    "query_server.calls.reduce",
    "query_server.calls.reset",
    "query_server.calls.spawn_proc",
    "query_server.process_error_exits",
    "query_server.process_errors",
    "query_server.process_exits",
    "query_server.process_prompts",
    "query_server.process_starts",
    "query_server.time.add_fun",
    "query_server.time.ddoc_filter",
    "query_server.time.ddoc_new",
    "query_server.time.ddoc_other",
    "query_server.time.ddoc_vdu",
    "query_server.time.map",
    "query_server.time.other",
    "query_server.time.reduce",
    "query_server.time.reset",
    "query_server.time.spawn_proc",
    "query_server.vdu_rejects",
)
_UNCOUNTED_SPREADS = (
    "collect_results_time",
    "db_open_time",
    "dbinfo",
    "httpd.bulk_docs",
    "query_server.vdu_process_time",
)
_PERCENTILES = (50, 75, 90, 95, 99, 999)
_SAMPLES = 1000

Path = tuple[str, ...]


class Statistics:
    """What a server has done since its start."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._times: deque[float] = deque(maxlen=_SAMPLES)

    def count(self, method: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        self._methods[method] += 1
        self._statuses[status] += 1
        self._times.append(seconds * 1000)

    @property
    def uptime(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self.started)

    def metrics(self, open_databases: int) -> dict[Path, dict[str, Any]]:
        """Give every metric by its path, each with `value`, `type` and `desc`.

        Those of CouchDB that are not counted here are 0, so that monitors find what they expect.
        """
        found: dict[Path, dict[str, Any]] = {
            ("couchdb", *name.split(".")): _counter(0, f"{name} (not counted here)")
            for name in _UNCOUNTED
        }
        for name in _UNCOUNTED_SPREADS:
            path = ("couchdb", *name.split("."))
            found[path] = _spread([], f"{name} (not measured here)")
        found |= {
            ("couchdb", "open_databases"): _counter(open_databases, "number of open databases"),
            ("couchdb", "request_time"): _spread(
                list(self._times), "milliseconds that a request took inside the server"
            ),
            ("couchdb", "httpd", "requests"): _counter(
                self._methods.total(), "number of HTTP requests"
            ),
        }
        for method in _METHODS:
            path = ("couchdb", "httpd_request_methods", method)
            found[path] = _counter(self._methods[method], f"number of HTTP {method} requests")
        for status in _STATUSES:
            path = ("couchdb", "httpd_status_codes", str(status))
            found[path] = _counter(self._statuses[status], f"number of HTTP {status} answers")
        return found


def nested(metrics: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """Give the metrics as the tree that `_stats` answers with."""
    tree: dict[str, Any] = {}
    for path, metric in metrics.items():
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = metric
    return tree


def prometheus(metrics: dict[Path, dict[str, Any]]) -> str:
    """Give the counters in the text format of Prometheus."""
    lines: list[str] = []
    for path, metric in metrics.items():
        if metric["type"] == "counter":
            name = f"{'_'.join(path).replace('.', '_')}_total"
            lines += [f"# HELP {name} {metric['desc']}", f"# TYPE {name} counter"]
            lines.append(f"{name} {metric['value']}")
    return "\n".join(lines) + "\n"


def summary(samples: list[float]) -> dict[str, Any]:
    """Give the figures of a histogram, all of them 0 where there are no samples."""
    ordered = sorted(samples) or [0.0]
    count = len(ordered)
    mean = sum(ordered) / count
    variance = sum((each - mean) ** 2 for each in ordered) / count
    return {
        "n": len(samples),
        "min": ordered[0],
        "max": ordered[-1],
        "arithmetic_mean": mean,
        "geometric_mean": _mean_of_logs(ordered),
        "harmonic_mean": _mean_of_inverses(ordered),
        "median": _percentile(ordered, 0.5),
        "variance": variance,
        "standard_deviation": variance**0.5,
        "skewness": _moment(ordered, mean, variance, 3),
        "kurtosis": _moment(ordered, mean, variance, 4),
        "percentile": [[each, _percentile(ordered, _fraction(each))] for each in _PERCENTILES],
        "histogram": [[0, 0]],
    }


def _mean_of_logs(samples: list[float]) -> float:
    return math.exp(sum(map(math.log, samples)) / len(samples)) if min(samples) > 0 else 0.0


def _mean_of_inverses(samples: list[float]) -> float:
    return len(samples) / sum(1 / each for each in samples) if min(samples) > 0 else 0.0


def _moment(samples: list[float], mean: float, variance: float, order: int) -> float:
    """Give a standardised moment: how lopsided (3) or heavy-tailed (4) the samples are."""
    if not variance:
        return 0.0
    total = sum((each - mean) ** order for each in samples)
    return total / len(samples) / math.pow(variance, order / 2)


def _fraction(percentile: int) -> float:
    return percentile / (1000 if percentile > 100 else 100)


def _percentile(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def _spread(samples: list[float], description: str) -> dict[str, Any]:
    return {"value": summary(samples), "type": "histogram", "desc": description}


def _counter(value: int, description: str) -> dict[str, Any]:
    return {"value": value, "type": "counter", "desc": description}
