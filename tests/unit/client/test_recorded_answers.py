"""Recorded answers are of the types that the client declares."""

from __future__ import annotations

from aiocouch import CouchDB
from tests.support.recorded import TASKS
from tests.support.shapes import misfits, returned


def test_recorded_tasks_are_of_their_type() -> None:
    assert list(misfits(TASKS, returned(CouchDB.active_tasks))) == []
