"""Ids that are made here."""

import re

from aiocouch._wire.uuids import SequentialIds


def test_they_are_different_and_grow_within_a_start() -> None:
    ids = SequentialIds()
    made = [ids.new() for _ in range(30_000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{32}", id) for id in made)
    starts = [id[:26] for id in made]
    assert 3 < len(set(starts)) < 30
    runs = [[id for id in made if id[:26] == start] for start in dict.fromkeys(starts)]
    assert [id for run in runs for id in run] == made
    assert all(run == sorted(run) for run in runs)


def test_two_makers_have_nothing_in_common() -> None:
    assert SequentialIds().new()[:26] != SequentialIds().new()[:26]
