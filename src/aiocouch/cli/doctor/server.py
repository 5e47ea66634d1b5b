"""Checks of a server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocouch import ForbiddenError, NotFoundError, UnauthorizedError
from aiocouch.cli.doctor.finding import Finding, Severity
from aiocouch.cli.doctor.holes import judge_version
from aiocouch.cli.doctor.settings import judge_settings
from aiocouch.cli.figures import replication_rows
from aiocouch.cli.output import several

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping

    from aiocouch.answers import Membership
    from aiocouch.cli.doctor.patient import Check, Patient

__all__ = [
    "CHECKS",
    "judge_certificates",
    "judge_load",
    "judge_members",
    "judge_queries",
    "judge_replication",
    "judge_url",
]

_SYSTEM = ("_users", "_replicator")
_LOOPBACK = re.compile(r"localhost|127\.[\d.]+|::1")
_QUEUE = 1_000  # messages
_SHARE = 0.9
_MAX_OPEN = 500  # shards, if nothing else is set
_SHOWN = 20  # replications


async def _version(patient: Patient) -> AsyncGenerator[Finding, None]:
    if patient.is_embedded:
        return  # it speaks as that version does, and has none of its code
    for finding in judge_version((await patient.couchdb.info())["version"]):
        yield finding


async def _url(patient: Patient) -> AsyncGenerator[Finding, None]:
    for finding in judge_url(patient.url):
        yield finding


def judge_url(url: str) -> Iterator[Finding]:
    """Yield what is to be said of the way to the server."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.hostname or ""):
        yield Finding(
            Severity.WARNING,
            "clear-text",
            f"{url} is not encrypted",
            "passwords and documents can be read on the way",
            "use https: by a proxy in front of CouchDB, or its own [ssl]",
        )


async def _anonymous(patient: Patient) -> AsyncGenerator[Finding, None]:
    try:
        roles = await patient.anonymous.session.roles()
        names = await patient.anonymous.keys()
    except (UnauthorizedError, ForbiddenError):
        return
    if "_admin" in roles:
        yield Finding(
            Severity.PROBLEM,
            "admin-party",
            "everybody is an admin",
            "the server has no admin, so that who can reach it may do anything",
            "create an admin: [admins] in local.ini",
        )
    else:
        yield Finding(
            Severity.WARNING,
            "open-list",
            "without a login one gets the names of all databases",
            "[chttpd] admin_only_all_dbs = false lets anybody list them",
            "set it to true",
            measured={"databases": len(names)},
        )


async def _nodes(patient: Patient) -> list[str]:
    """Return the nodes that are there; of the others the members tell."""
    members = await patient.couchdb.cluster.membership()
    return sorted(set(members["cluster_nodes"]) & set(members["all_nodes"]))


async def _settings(patient: Patient) -> AsyncGenerator[Finding, None]:
    for name in await _nodes(patient):
        for finding in judge_settings(await patient.couchdb.node(name).config.all(), name):
            yield finding


async def _cluster(patient: Patient) -> AsyncGenerator[Finding, None]:
    for finding in judge_members(await patient.couchdb.cluster.membership()):
        yield finding
    try:
        await patient.couchdb.up()
    except NotFoundError:
        yield Finding(
            Severity.PROBLEM,
            "not-up",
            "the server says that it does not take requests",
            "load balancers send nothing to it",
            "look at [couchdb] maintenance_mode, and at its log",
        )


def judge_members(members: Membership) -> Iterator[Finding]:
    """Yield nodes that are away, or not known."""
    there, known = set(members["all_nodes"]), set(members["cluster_nodes"])
    for name in sorted(known - there):
        yield Finding(
            Severity.PROBLEM,
            "node-down",
            f"the node {name} is not connected",
            "its shards have a copy less, and what is written meanwhile must be caught up with",
            "start it, or look at the network between the nodes",
            name,
        )
    for name in sorted(there - known):
        yield Finding(
            Severity.WARNING,
            "node-unknown",
            f"the node {name} is connected and does not belong to the cluster",
            "it holds no shards",
            "add it, or stop it",
            name,
        )


async def _system_databases(patient: Patient) -> AsyncGenerator[Finding, None]:
    there = set(await patient.couchdb.keys(startkey='"_"', endkey='"_z"'))
    for name in _SYSTEM:
        if name not in there:
            yield Finding(
                Severity.PROBLEM,
                "system-database",
                f"there is no database {name}",
                "users cannot log in" if name == "_users" else "nothing replicates by documents",
                f"create it: PUT /{name}",
            )


async def _load(patient: Patient) -> AsyncGenerator[Finding, None]:
    for name in await _nodes(patient):
        node = patient.couchdb.node(name)
        stats, system = await node.stats(), await node.system()
        settings = await node.config.all()
        for finding in [*judge_load(stats, system, settings, name), *judge_queries(stats, name)]:
            yield finding


def judge_load(
    stats: Mapping[str, Any],
    system: Mapping[str, Any],
    settings: Mapping[str, Mapping[str, str]],
    where: str,
) -> Iterator[Finding]:
    """Yield where a node is at its limits."""
    couch = stats["couchdb"]
    failed = couch["httpd_status_codes"].get("500", {}).get("value", 0)
    if failed:
        yield Finding(
            Severity.WARNING,
            "status-500",
            f"{several(failed, 'answer')} with status 500 since it was started",
            "something in the server has failed",
            "look at its log",
            where,
            {"count": failed, "uptime": system["uptime"]},
        )
    queues = {name: _length(queue) for name, queue in system["message_queues"].items()}
    for name, length in queues.items():
        if length > _QUEUE:
            yield Finding(
                Severity.PROBLEM,
                "queue",
                f"{several(length, 'message')} waiting for {name}",
                "the node has more to do than it can: requests wait, and memory grows",
                "find out who asks so much; give it more cores, or a faster disk",
                where,
                {"queue": name, "length": length},
            )
    told = settings.get("couchdb", {}).get("max_dbs_open", "")
    most = int(told) if told.isdecimal() else _MAX_OPEN
    opened = couch["open_databases"]["value"]
    if opened >= most * _SHARE:
        yield Finding(
            Severity.WARNING,
            "open-databases",
            f"{several(opened, 'shard')} open, of {most:,} that may be",
            "others must be closed before one is opened, which makes requests slow",
            "raise [couchdb] max_dbs_open, and the limit of open files with it",
            where,
            {"open": opened, "max_dbs_open": most},
        )
    share = system["process_count"] / system["process_limit"]
    if share >= _SHARE:
        yield Finding(
            Severity.PROBLEM,
            "processes",
            f"{share:.0%} of all Erlang processes are in use",
            "when there are no more, the node ends",
            "raise +P in vm.args, and find out what takes them",
            where,
            {"processes": system["process_count"], "limit": system["process_limit"]},
        )


def _length(queue: Any) -> int:
    """Return the length of a queue; of many of a kind the longest."""
    return int(queue.get("max", 0)) if isinstance(queue, dict) else int(queue)


def judge_queries(stats: Mapping[str, Any], where: str) -> Iterator[Finding]:
    """Yield what queries of Mango have cost."""
    mango = stats.get("mango", {})
    counts = {name: mango.get(name, {}).get("value", 0) for name in _QUERIES}
    if counts["unindexed_queries"]:
        yield Finding(
            Severity.WARNING,
            "missing-index",
            f"{several(counts['unindexed_queries'], 'query')} without an index since it was started",
            "each looks at all documents of its database",
            "`aiocouch find --plan` tells which; `aiocouch schema apply` creates indexes",
            where,
            counts,
        )
    if poor := counts["too_many_docs_scanned"]:
        yield Finding(
            Severity.NOTE,
            "poor-index",
            f"{several(poor, 'query')} that looked at many documents for each that was found",
            "their index does not have all fields by which they choose",
            "`aiocouch find` tells how many documents were looked at",
            where,
            counts,
        )


_QUERIES = ("unindexed_queries", "too_many_docs_scanned", "query_invalid_index")


async def _replications(patient: Patient) -> AsyncGenerator[Finding, None]:
    count, encrypted = 0, 0
    async for row in replication_rows(patient.couchdb):
        encrypted += any(str(row[end]).startswith("https:") for end in ("source", "target"))
        for finding in judge_replication(row):
            count += 1
            if count <= _SHOWN:
                yield finding
    if encrypted and not patient.is_embedded:  # which verifies them in any case
        config = patient.couchdb.node().config
        verifies = await config.get("replicator", "verify_ssl_certificates", "false")
        for finding in judge_certificates(verifies, encrypted):
            yield finding


def judge_certificates(verifies: str | None, count: int) -> Iterator[Finding]:
    """Yield that replications believe whoever answers."""
    if verifies != "true":
        yield Finding(
            Severity.WARNING,
            "certificates",
            f"{several(count, 'replication')} over https, and certificates are not verified",
            "who can get between the servers gets the password and the documents",
            "set [replicator] verify_ssl_certificates = true, and ssl_trusted_certificates_file",
            measured={"replications": count},
        )


def judge_replication(row: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a replication that does not go."""
    severity = {"failed": Severity.PROBLEM, "error": Severity.PROBLEM, "crashing": Severity.WARNING}
    state = str(row["state"])
    if state in severity:
        yield Finding(
            severity[state],
            "replication",
            f"the replication {row['id']} is {state}: {row['error']}",
            f"{row['target']} does not get what {row['source']} has",
            "mend what it says; a failed one is begun anew when its document is written again",
            measured={"state": state, "errors": row["errors"]},
        )


CHECKS: tuple[tuple[str, Check], ...] = (
    ("version", _version),
    ("clear-text", _url),
    ("anonymous", _anonymous),
    ("settings", _settings),
    ("cluster", _cluster),
    ("system-databases", _system_databases),
    ("load", _load),
    ("replications", _replications),
)
"""What is looked at in a server."""
