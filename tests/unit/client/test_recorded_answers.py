"""Recorded answers are of the types that the client declares."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch import CouchDB
from aiocouch.server import Node
from tests.support.recorded import TASKS, VERSIONS
from tests.support.shapes import misfits, returned


@pytest.mark.parametrize(
    ("method", "answer"), [(Node.versions, VERSIONS), (CouchDB.active_tasks, TASKS)]
)
def test_recorded_answers_are_of_their_types(method: Any, answer: Any) -> None:
    assert list(misfits(answer, returned(method))) == []
