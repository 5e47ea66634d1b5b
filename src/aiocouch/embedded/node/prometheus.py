"""The text that `_prometheus` answers with: metrics under the names that CouchDB gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from aiocouch.embedded.node.statistics import Path

    Metrics = Mapping[Path, Mapping[str, Any]]
    Samples = Sequence[tuple[str, float]]


class _Family(msgspec.Struct, frozen=True):
    """How a metric of `_stats` is told: `plus` is another one that is added to it."""

    name: str
    kind: str = "counter"
    description: str | None = None
    plus: Path | None = None


_REPLICATOR = "couch_replicator"
_RENAMED: dict[Path, _Family] = {
    (_REPLICATOR, "checkpoints", "failure"): _Family(f"{_REPLICATOR}_checkpoints_failure_total"),
    (_REPLICATOR, "checkpoints", "success"): _Family(
        f"{_REPLICATOR}_checkpoints_total",
        description="number of checkpoint saves",
        plus=(_REPLICATOR, "checkpoints", "failure"),
    ),
    (_REPLICATOR, "responses", "failure"): _Family(f"{_REPLICATOR}_responses_failure_total"),
    (_REPLICATOR, "responses", "success"): _Family(
        f"{_REPLICATOR}_responses_total",
        description="number of HTTP responses received by the replicator",
        plus=(_REPLICATOR, "responses", "failure"),
    ),
    (_REPLICATOR, "stream_responses", "failure"): _Family(
        f"{_REPLICATOR}_stream_responses_failure_total"
    ),
    (_REPLICATOR, "stream_responses", "success"): _Family(
        f"{_REPLICATOR}_stream_responses_total",
        description="number of streaming HTTP responses received by the replicator",
        plus=(_REPLICATOR, "stream_responses", "failure"),
    ),
    ("couchdb", "auth_cache_hits"): _Family(
        "auth_cache_requests_total",
        description="number of authentication cache requests",
        plus=("couchdb", "auth_cache_misses"),
    ),
    # these go down again, so they are not counters for Prometheus
    ("couchdb", "open_databases"): _Family("open_databases", "gauge"),
    ("couchdb", "open_os_files"): _Family("open_os_files", "gauge"),
    ("couchdb", "httpd", "clients_requesting_changes"): _Family(
        "httpd_clients_requesting_changes", "gauge"
    ),
    ("ddoc_cache", "hit"): _Family(
        "ddoc_cache_requests_total",
        description="number of design doc cache requests",
        plus=("ddoc_cache", "miss"),
    ),
    ("ddoc_cache", "miss"): _Family("ddoc_cache_requests_failures_total"),
    ("ddoc_cache", "recovery"): _Family("ddoc_cache_requests_recovery_total"),
    ("fabric", "read_repairs", "failure"): _Family("fabric_read_repairs_failures_total"),
    ("fabric", "read_repairs", "success"): _Family(
        "fabric_read_repairs_total",
        description="number of fabric read repairs",
        plus=("fabric", "read_repairs", "failure"),
    ),
}

_LABELLED: dict[Path, tuple[str, str, str]] = {
    ("couch_log", "level"): ("couch_log_requests_total", "level", "number of logged messages"),
    ("couchdb", "httpd_request_methods"): (
        "httpd_request_methods",
        "method",
        "number of HTTP requests by method",
    ),
    ("couchdb", "httpd_status_codes"): (
        "httpd_status_codes",
        "code",
        "number of HTTP responses by status code",
    ),
}
"""Metrics that are told together: their name, the label that tells them apart, their meaning."""

_STREAM = ("rexi", "streams", "timeout", "init_stream")
_QUANTILES = {50: "0.5", 75: "0.75", 90: "0.9", 95: "0.95", 99: "0.99", 999: "0.999"}


def prometheus(metrics: Metrics, system: Mapping[str, Any]) -> str:
    """Return all metrics; `system` is what `_system` answers with."""
    lines = [*_stats_lines(metrics), *_system_lines(system)]
    return "".join(f"{line}\n" for line in lines)


def _stats_lines(metrics: Metrics) -> Iterator[str]:
    begun: set[str] = set()
    for path, metric in metrics.items():
        if path[:-1] in _LABELLED:
            name, label, description = _LABELLED[path[:-1]]
            if name not in begun:
                yield from _head(name, "counter", description)
                begun.add(name)
            yield _sample(f'{name}{{{label}="{path[-1]}"}}', metric["value"])
        elif metric["type"] == "histogram":
            yield from _spread(path, metric)
        else:
            yield from _single(path, metric, metrics)


def _single(path: Path, metric: Mapping[str, Any], metrics: Metrics) -> Iterator[str]:
    value = metric["value"]
    if path == _STREAM:
        samples = [('{stage="init_stream"}', value)]
        description = "number of rexi stream timeouts"
        yield from _family("rexi_streams_timeout_total", "counter", description, samples)
        return
    family = _RENAMED.get(path) or _Family(_name(path, metric["type"]), metric["type"])
    if family.plus is not None:
        value += metrics[family.plus]["value"]
    description = family.description or metric["desc"]
    yield from _family(family.name, family.kind, description, [("", value)])


def _name(path: Path, kind: str) -> str:
    name = "_".join(path).removeprefix("couchdb_")
    return name if kind == "gauge" or name.endswith("_total") else f"{name}_total"


def _spread(path: Path, metric: Mapping[str, Any]) -> Iterator[str]:
    """Yield a histogram; Prometheus wants seconds, CouchDB takes all to be milliseconds."""
    name = "_".join(path).removeprefix("couchdb_") + "_seconds"
    value = metric["value"]
    quantiles = [
        (f'{{quantile="{_QUANTILES[percent]}"}}', height / 1000)
        for percent, height in value["percentile"]
    ]
    yield from _family(name, "summary", metric["desc"], quantiles)
    yield _sample(f"{name}_sum", value["n"] * value["arithmetic_mean"] / 1000)
    yield _sample(f"{name}_count", value["n"])


def _family(name: str, kind: str, description: str, samples: Samples) -> Iterator[str]:
    yield from _head(name, kind, description)
    for labels, value in samples:
        yield _sample(f"{name}{labels}", value)


def _head(name: str, kind: str, description: str) -> Iterator[str]:
    yield f"\n# HELP couchdb_{name} {description}"
    yield f"# TYPE couchdb_{name} {kind}"


def _sample(name: str, value: float) -> str:
    return f"couchdb_{name} {value}"


# of the process

_SYSTEM = (
    ("uptime_seconds", "counter", "couchdb uptime", "uptime"),
    (
        "erlang_io_recv_bytes_total",
        "counter",
        "the total number of bytes received through ports",
        "io_input",
    ),
    (
        "erlang_io_sent_bytes_total",
        "counter",
        "the total number of bytes output to ports",
        "io_output",
    ),
    (
        "erlang_scheduler_queues",
        "gauge",
        "the total size of all normal run queues",
        "run_queue",
    ),
    (
        "erlang_dirty_cpu_scheduler_queues",
        "gauge",
        "the total size of all dirty CPU scheduler run queues",
        "run_queue_dirty_cpu",
    ),
    (
        "erlang_gc_collections_total",
        "counter",
        "number of garbage collections by the Erlang emulator",
        "garbage_collection_count",
    ),
    (
        "erlang_gc_words_reclaimed_total",
        "counter",
        "number of words reclaimed by garbage collections",
        "words_reclaimed",
    ),
    (
        "erlang_context_switches_total",
        "counter",
        "total number of context switches",
        "context_switches",
    ),
    ("erlang_reductions_total", "counter", "total number of reductions", "reductions"),
    ("erlang_processes", "gauge", "the number of Erlang processes", "process_count"),
    (
        "erlang_process_limit",
        "gauge",
        "the maximum number of simultaneously existing Erlang processes",
        "process_limit",
    ),
    ("erlang_ets_table", "gauge", "number of ETS tables", "ets_table_count"),
    (
        "internal_replication_jobs",
        "gauge",
        "count of internal replication changes to process",
        "internal_replication_jobs",
    ),
)


def _system_lines(system: Mapping[str, Any]) -> Iterator[str]:
    for name, kind, description, member in _SYSTEM:
        yield from _family(name, kind, description, [("", system[member])])
    yield from _memory_lines(system["memory"])
    yield from _queue_lines(system["message_queues"])
    members = [('{nodes="cluster_nodes"}', 1), ('{nodes="all_nodes"}', 1)]
    yield from _family("membership", "gauge", "count of nodes in the cluster", members)
    cache, told = system["bt_engine_cache"], "couchdb_bt_engine_cache"
    yield from _family(
        f"{told}_memory", "gauge", "memory used by the btree cache", [("", cache["memory"])]
    )
    yield from _family(
        f"{told}_size", "gauge", "number of entries in the btree cache", [("", cache["size"])]
    )


def _memory_lines(memory: Mapping[str, int]) -> Iterator[str]:
    rest = {name: size for name, size in memory.items() if name != "other"}
    parts = ("atom", "binary", "code", "ets")
    system = memory["other"] + sum(memory[part] for part in parts)
    sizes = {"total": memory["processes"] + system, "system": system, **rest}
    samples = [(f'{{memory_type="{name}"}}', size) for name, size in sizes.items()]
    description = "size of memory (in bytes) dynamically allocated by the Erlang emulator"
    yield from _family("erlang_memory_bytes", "gauge", description, samples)


def _queue_lines(queues: Mapping[str, Any]) -> Iterator[str]:
    sizes = {name: size for name, size in queues.items() if isinstance(size, int)}
    for name, description, value in (
        ("erlang_message_queues", "total size of all message queues", sum(sizes.values())),
        (
            "erlang_message_queue_min",
            "minimum size across all message queues",
            min(sizes.values()),
        ),
        (
            "erlang_message_queue_max",
            "maximum size across all message queues",
            max(sizes.values()),
        ),
    ):
        yield from _family(name, "gauge", description, [("", value)])
    samples = [(f'{{queue_name="{name}"}}', size) for name, size in sizes.items()]
    yield from _family("erlang_message_queue_size", "gauge", "size of message queue", samples)
    for kind in ("couch_file", "couch_db_updater"):
        yield from _process_lines(kind, queues[kind])


def _process_lines(kind: str, sizes: Mapping[str, int]) -> Iterator[str]:
    if not sizes:
        return
    name = f"erlang_message_queue_{kind}"
    description = f"size of message queue across {kind} processes"
    quantiles = [
        (f'{{quantile="{_QUANTILES[percent]}"}}', sizes[str(percent)]) for percent in (50, 90, 99)
    ]
    yield from _family(name, "summary", description, quantiles)
    # all are empty
    yield _sample(f"{name}_sum", sizes["max"] * sizes["count"])
    for part in ("count", "min", "max"):
        yield _sample(f"{name}_{part}", sizes[part])
