"""Replication logs: the `_local` documents at both ends that say how far a replication got. Pure.

They have the format of CouchDB's replicator (version 4 of its replication ids).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch.replication.identity import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_SESSIONS = 50
"""Sessions that a log remembers."""

NOTHING: dict[str, Any] = {}
"""The log of an end that has none."""

_TOTALS = ("start_time", "end_time", "docs_read", "docs_written", "doc_write_failures")


class Start(NamedTuple):
    """Where to go on: the source's sequence (0: the beginning), and the sessions before."""

    seq: Any
    history: Sequence[Mapping[str, Any]]


def common_start(source: Mapping[str, Any], target: Mapping[str, Any]) -> Start:
    """Compare the logs of both ends and give the latest point that both remember."""
    session = source.get("session_id")
    if session is not None and session == target.get("session_id"):
        return Start(source.get("source_last_seq", 0), _history(source))
    return _compare(_history(source), _history(target))


def _history(log: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    history = log.get("history")
    return [item for item in history if isinstance(item, dict)] if isinstance(history, list) else []


def _compare(source: Sequence[Mapping[str, Any]], target: Sequence[Mapping[str, Any]]) -> Start:
    known = {session.get("session_id") for session in target} - {None}
    for place, session in enumerate(source):
        if session.get("session_id") in known:
            return Start(session.get("recorded_seq", 0), source[place:])
    return Start(0, [])


def new_log(
    session: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, with_totals: bool
) -> dict[str, Any]:
    """Return the log after a session, to be written to both ends.

    `with_totals` repeats the numbers of the session on top, as CouchDB does where `doc_ids` are
    given.
    """
    others = [item for item in history if item.get("session_id") != session["session_id"]]
    totals = {name: session[name] for name in _TOTALS} if with_totals else {}
    return {
        "session_id": session["session_id"],
        "source_last_seq": session["recorded_seq"],
        "replication_id_version": VERSION,
        **totals,
        "history": [session, *others][:MOST_SESSIONS],
    }


def is_same_log(written: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether a log that is there is the one we wanted to write, whose answer was lost."""
    return _without_names(written) == _without_names(found)


def _without_names(log: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in log.items() if name[:1] != "_"}
