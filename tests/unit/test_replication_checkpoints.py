"""Where a replication goes on, from the logs at both ends."""

from __future__ import annotations

from typing import Any

from aiocouch.replication.checkpoints import (
    MOST_SESSIONS,
    NOTHING,
    Start,
    common_start,
    new_log,
)
from aiocouch.replication.progress import Counts, Progress


def session(name: str, seq: Any, **numbers: int) -> dict[str, Any]:
    return {
        "session_id": name,
        "recorded_seq": seq,
        "start_time": "s",
        "end_time": "e",
        **Counts(**numbers).for_log(),
    }


def log(*sessions: dict[str, Any]) -> dict[str, Any]:
    return {
        "session_id": sessions[0]["session_id"],
        "source_last_seq": sessions[0]["recorded_seq"],
        "history": list(sessions),
    }


def test_without_a_log_it_starts_at_the_beginning() -> None:
    both = log(session("a", "5-x"))
    assert common_start(NOTHING, NOTHING) == Start(0, [])
    assert common_start(both, NOTHING) == Start(0, [])
    assert common_start(NOTHING, both) == Start(0, [])


def test_equal_logs_go_on_where_they_end() -> None:
    both = log(session("b", "9-x"), session("a", "5-x"))
    assert common_start(both, both) == Start("9-x", both["history"])


def test_one_end_may_have_missed_the_last_checkpoints() -> None:
    old, new = session("a", "5-x"), session("b", "9-x")
    assert common_start(log(new, old), log(old)) == Start("5-x", [old])
    assert common_start(log(old), log(new, old)) == Start("5-x", [old])


def test_ends_with_nothing_in_common_start_anew() -> None:
    assert common_start(log(session("a", "5-x")), log(session("b", "9-x"))) == Start(0, [])


def test_a_broken_log_is_no_log() -> None:
    assert common_start({"history": 5}, {"history": "x"}) == Start(0, [])


def test_a_new_log() -> None:
    old = session("a", "5-x", docs_read=1)
    now = session("b", "9-x", docs_read=3, docs_written=2, doc_write_failures=1)
    made = new_log(now, [old], with_totals=False)
    assert made == {
        "session_id": "b",
        "source_last_seq": "9-x",
        "replication_id_version": 4,
        "history": [now, old],
    }
    # A later checkpoint of the same session takes the place of the earlier one.
    later = session("b", "12-x")
    assert new_log(later, made["history"], with_totals=False)["history"] == [later, old]
    totals = new_log(now, [], with_totals=True)
    assert (totals["docs_read"], totals["docs_written"], totals["doc_write_failures"]) == (3, 2, 1)


def test_the_history_is_bounded() -> None:
    many = [session(str(n), n) for n in range(MOST_SESSIONS + 10)]
    history = new_log(session("new", 1), many, with_totals=False)["history"]
    assert len(history) == MOST_SESSIONS
    assert history[0]["session_id"] == "new"


def test_counts_go_on_from_the_session_before() -> None:
    counts = Counts()
    counts.go_on(session("a", 1, missing_checked=4, docs_written=3))
    assert (counts.missing_checked, counts.docs_written, counts.docs_read) == (4, 3, 0)
    counts.go_on({"docs_read": "x"})
    assert counts.docs_read == 0


def test_progress_as_it_is_shown() -> None:
    progress = Progress(Counts(missing_checked=2, missing_found=1), checkpointed_seq="5-x")
    info = progress.info()
    assert (info["revisions_checked"], info["missing_revisions_found"]) == (2, 1)
    assert (info["checkpointed_source_seq"], info["changes_pending"]) == ("5-x", None)
