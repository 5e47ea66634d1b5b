"""Settings that bite. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from aiocouch.cli.doctor.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Settings", "judge_settings"]

Settings: TypeAlias = Mapping[str, Mapping[str, str]]
"""The sections of a configuration, as CouchDB tells them: those that are set."""


class _Bite(NamedTuple):
    section: str
    key: str
    bites: Callable[[str], bool]
    severity: Severity
    means: str
    do: str


def _is(*values: str) -> Callable[[str], bool]:
    return lambda value: value.strip().lower() in values


def _below(most: int) -> Callable[[str], bool]:
    return lambda value: value.strip().isdecimal() and int(value) < most


def _above(least: int) -> Callable[[str], bool]:
    return lambda value: value.strip().isdecimal() and int(value) > least


_TABLE = (
    _Bite(
        "couchdb",
        "maintenance_mode",
        _is("true", "nolb"),
        Severity.PROBLEM,
        "the node answers load balancers that it is not there, and leaves work to the others",
        "when the maintenance is over: set it to false",
    ),
    _Bite(
        "native_query_servers",
        "enable_erlang_query_server",
        _is("true"),
        Severity.PROBLEM,
        "functions of design documents in Erlang run with all rights of the server: who may write a design "
        "document may do anything on the machine",
        "set it to false, unless all who may write design documents may do so",
    ),
    _Bite(
        "couchdb",
        "default_security",
        _is("everyone", "admin_local"),
        Severity.WARNING,
        "new databases can be read and written by anybody who can reach the server",
        "set it to admin_only, and name members of each database",
    ),
    _Bite(
        "couchdb",
        "users_db_security_editable",
        _is("true"),
        Severity.WARNING,
        "an admin of _users can let others read the hashes of passwords",
        "set it to false when you have changed what you wanted",
    ),
    _Bite(
        "chttpd_auth",
        "users_db_public",
        _is("true"),
        Severity.WARNING,
        "users can read the documents of other users",
        "set it to false",
    ),
    _Bite(
        "chttpd_auth",
        "iterations",
        _below(1_000),
        Severity.WARNING,
        "passwords whose hashes get out are quickly guessed",
        "remove it, so that the default counts, and let users log in: hashes are then made anew",
    ),
    _Bite(
        "log",
        "level",
        _is("debug"),
        Severity.WARNING,
        "each request writes many lines, which makes the server slow and fills the disk",
        "set it to info, or to notice",
    ),
    _Bite(
        "smoosh",
        "db_channels",
        _is(""),
        Severity.WARNING,
        "databases are not compacted by themselves, so their files grow",
        "remove it, or compact at times of your own: `aiocouch compact`",
    ),
    _Bite(
        "couchdb",
        "max_document_size",
        _above(64_000_000),
        Severity.WARNING,
        "such documents cost a multiple of their size in memory, at each read, index and replication",
        "set it to 8000000, and keep what is large in attachments",
    ),
    _Bite(
        "query_server_config",
        "reduce_limit",
        _is("false"),
        Severity.NOTE,
        "reduce functions whose results grow with the rows are not stopped, and make views slow",
        "set it to true, or to log",
    ),
    _Bite(
        "uuids",
        "algorithm",
        _is("random"),
        Severity.NOTE,
        "new documents are written all over the file, which is slower and takes more room",
        "set it to sequential, if the ids need not be hard to guess",
    ),
    _Bite(
        "couch_peruser",
        "delete_dbs",
        _is("true"),
        Severity.NOTE,
        "when a user is deleted, so is the database of that user",
        "make sure that this is meant",
    ),
)


def judge_settings(settings: Settings, where: str) -> Iterator[Finding]:
    """Yield the settings of a node that bite."""
    for bite in _TABLE:
        value = settings.get(bite.section, {}).get(bite.key)
        if value is not None and bite.bites(value):
            yield Finding(
                bite.severity,
                "setting",
                f"[{bite.section}] {bite.key} = {value}",
                bite.means,
                bite.do,
                where,
                {"section": bite.section, "key": bite.key, "value": value},
            )
    yield from _judge_cors(settings, where)


def _judge_cors(settings: Settings, where: str) -> Iterator[Finding]:
    cors = settings.get("cors", {})
    enabled = any(
        settings.get(section, {}).get("enable_cors") == "true" for section in ("chttpd", "httpd")
    )
    if enabled and cors.get("origins") == "*" and cors.get("credentials") == "true":
        yield Finding(
            Severity.PROBLEM,
            "setting",
            "[cors] origins = * with credentials = true",
            "any page that a user visits can read and write with the login of that user",
            "name the origins that are yours",
            where,
            {"section": "cors", "key": "origins", "value": "*"},
        )
