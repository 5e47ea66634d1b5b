"""Counters that `_stats`, `_system` and `_prometheus` tell of."""

from __future__ import annotations

import time
from collections import Counter, deque
from typing import Any

_METHODS = ("COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT")
_STATUSES = (
    200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 414,
    415, 416, 417, 500, 501, 503,
)  # fmt: skip
_UNCOUNTED = (
    "auth_cache_hits",
    "auth_cache_misses",
    "database_reads",
    "database_writes",
    "document_inserts",
    "document_writes",
    "local_document_writes",
    "open_os_files",
    "httpd.aborted_requests",
    "httpd.bulk_requests",
    "httpd.clients_requesting_changes",
    "httpd.purge_requests",
    "httpd.temporary_view_reads",
    "httpd.view_reads",
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
        found |= {
            ("couchdb", "open_databases"): _counter(open_databases, "number of open databases"),
            ("couchdb", "request_time"): {
                "value": summary(list(self._times)),
                "type": "histogram",
                "desc": "milliseconds that a request took inside the server",
            },
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
        "median": _percentile(ordered, 0.5),
        "variance": variance,
        "standard_deviation": variance**0.5,
        "percentile": [[each, _percentile(ordered, _fraction(each))] for each in _PERCENTILES],
        "histogram": [[0, 0]],
    }


def _fraction(percentile: int) -> float:
    return percentile / (1000 if percentile > 100 else 100)


def _percentile(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def _counter(value: int, description: str) -> dict[str, Any]:
    return {"value": value, "type": "counter", "desc": description}
