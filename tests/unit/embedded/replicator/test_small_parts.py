"""Pauses of jobs."""

from __future__ import annotations

from aiocouch.embedded.replicator.jobs import LONGEST_PAUSE, pause_after


def test_pauses_double_up_to_a_limit() -> None:
    assert [pause_after(errors, 1.0) for errors in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert pause_after(1000, 1.0) == LONGEST_PAUSE
