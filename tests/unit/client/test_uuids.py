"""Ids that are made here."""

import os
import re
import subprocess
import sys

import pytest

from aiocouch._wire.uuids import SequentialIds, new_id


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


def test_all_that_ask_here_get_ids_in_one_order() -> None:
    ids = [new_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert len({id[:26] for id in ids}) <= 2


FORKED = """
import os
from aiocouch._wire.uuids import new_id

mine = new_id()
ours, theirs = os.pipe()
if os.fork() == 0:
    os.write(theirs, new_id().encode())
    os._exit(0)
print(mine[:26] == new_id()[:26], mine[:26] == os.read(ours, 32).decode()[:26])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_process_has_a_start_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False"]
