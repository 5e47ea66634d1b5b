"""The CPU that the client needs, beside what a reader written by hand needs in the same moment.

No CouchDB and no absolute time: both read the same canned answers from another process, in turn. A
machine that is busy disturbs single pairs, so the median of some is compared, and only what is too
slow three times fails. The answers come at once here, so that what is left is the work of the client:
beside a real CouchDB, which sends many small pieces, the ratios are better (see docs/performance.md).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from benchmarks import canned

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES = 3
PAIRS = 5
LIMITS = {
    "all": (0.95, 1),
    "ids": (1.45, 3),
    "changes": (1.9, 2),
    "find": (2.2, 5),
    "bulk": (2.3, 5),
    "bulk_docs": (0.95, 5),
    "get1": (1.25, 1),
    "together": (0.35, 8),
    "save": (1.25, 1),
}
"""The ratio that is allowed, noise included, and how often the work is done for a figure."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with canned.serving() as address:
        yield address


def ratio(url: str, name: str, times: int) -> float:
    """The median of some pairs."""
    command = [sys.executable, "-m", "benchmarks.pairs", url, name, str(PAIRS), str(times)]
    done = subprocess.run(command, cwd=canned.ROOT, stdout=subprocess.PIPE, check=True, timeout=60)
    found: list[float] = json.loads(done.stdout)
    return statistics.median(found)


@pytest.mark.xdist_group("performance")
@pytest.mark.parametrize("name", LIMITS)
def test_the_client_needs_no_more_cpu_than_its_limit_beside_a_reader_by_hand(
    url: str, name: str
) -> None:
    limit, times = LIMITS[name]
    seen: list[float] = []
    for _ in range(TRIES):
        seen.append(ratio(url, name, times))
        if seen[-1] <= limit:
            return
    pytest.fail(f"{name}: {min(seen):.2f} times the CPU of a reader by hand; the limit is {limit}")
