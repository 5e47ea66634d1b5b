"""Ids in paths, a glance at documents, pauses."""

from __future__ import annotations

import pytest

from aiocouch.embedded.replicator.jobs import LONGEST_PAUSE, pause_after
from aiocouch.embedded.replicator.peer import FetchedRevision, glance, quote_id


@pytest.mark.parametrize(
    ("doc_id", "path"),
    [
        ("plain", "plain"),
        ("a/b c+d?", "a%2Fb%20c%2Bd%3F"),
        ("é", "%C3%A9"),
        ("_design/x/y", "_design/x%2Fy"),
        (".", "%2E"),
        ("..", "%2E%2E"),
    ],
)
def test_ids_in_paths(doc_id: str, path: str) -> None:
    assert quote_id(doc_id) == path


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        (b'{"_id":"a","_rev":"1-x"}', False),
        (b'{"_id":"a","_rev":"1-x","_attachments":{}}', False),
        (b'{"_id":"a","_rev":"1-x","_attachments":{"t":{"stub":true}}}', True),
        (b'{"_id":"a","_rev":"1-x","n":12345678901234567890123,"_deleted":true}', False),
    ],
)
def test_a_glance_leaves_the_text_alone(text: bytes, filled: bool) -> None:
    assert glance(text) == FetchedRevision(text, "1-x", filled)


def test_pauses_double_up_to_a_limit() -> None:
    assert [pause_after(errors, 1.0) for errors in (1, 2, 3, 4)] == [1.0, 2.0, 4.0, 8.0]
    assert pause_after(1000, 1.0) == LONGEST_PAUSE
