"""Counters that `_stats`, `_system` and `_prometheus` tell of."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

_METHODS = "couchdb.httpd_request_methods"
_STATUSES = "couchdb.httpd_status_codes"
_REQUESTS = "couchdb.httpd.requests"
_REQUEST_TIME = "couchdb.request_time"
_PERCENTILES = (50, 75, 90, 95, 99, 999)
_SAMPLES = 1000

Path = tuple[str, ...]


class Metric(msgspec.Struct, frozen=True):
    """One of CouchDB's metrics; `kind` is `counter`, `gauge` or `histogram`."""

    path: Path
    kind: str
    description: str


@cache
def known_metrics() -> tuple[Metric, ...]:
    """Return all metrics of CouchDB, whether they are counted here or not."""
    text = resources.files("aiocouch.embedded.node").joinpath("metrics.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in text.splitlines())
    return tuple(Metric(tuple(name.split(".")), kind, told) for name, kind, told in rows)


class Statistics:
    """What a server has done since its start."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._methods: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._times: deque[float] = deque(maxlen=_SAMPLES)
        self._others: Counter[str] = Counter()

    def add(self, name: str, count: int = 1) -> None:
        """Count something by its path in `_stats`, with dots between."""
        self._others[name] += count

    def count(self, method: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        self._methods[method] += 1
        self._statuses[status] += 1
        self._times.append(seconds * 1000)

    @property
    def uptime(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self.started)

    def metrics(self, levels: Mapping[str, int]) -> dict[Path, dict[str, Any]]:
        """Return every metric by its path, each with `value`, `type` and `desc`.

        `levels` are figures that somebody else knows, by their paths with dots between. What is
        not counted here is 0, so that monitors find what they expect.
        """
        values = {**self._counted(), **levels}
        return {
            metric.path: {
                "value": self._value(metric, values),
                "type": metric.kind,
                "desc": metric.description,
            }
            for metric in known_metrics()
        }

    def _counted(self) -> dict[str, int]:
        """Return what was counted, by its path with dots between."""
        methods = {f"{_METHODS}.{name}": count for name, count in self._methods.items()}
        statuses = {f"{_STATUSES}.{code}": count for code, count in self._statuses.items()}
        return {**self._others, **methods, **statuses, _REQUESTS: self._methods.total()}

    def _value(self, metric: Metric, values: Mapping[str, int]) -> Any:
        name = ".".join(metric.path)
        if metric.kind == "histogram":
            return summary(list(self._times) if name == _REQUEST_TIME else [])
        return values.get(name, 0)


def nested(metrics: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """Return the metrics as the tree that `_stats` answers with."""
    tree: dict[str, Any] = {}
    for path, metric in metrics.items():
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
        branch[path[-1]] = metric
    return tree


def summary(samples: list[float]) -> dict[str, Any]:
    """Return the figures of a histogram, all of them 0 where there are no samples."""
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
    """Return a standardised moment: how lopsided (3) or heavy-tailed (4) the samples are."""
    if not variance:
        return 0.0
    total = sum((each - mean) ** order for each in samples)
    return total / len(samples) / math.pow(variance, order / 2)


def _fraction(percentile: int) -> float:
    return percentile / (1000 if percentile > 100 else 100)


def _percentile(ordered: list[float], fraction: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]
