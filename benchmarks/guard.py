"""Pairs of raw and ours on prepared bodies: is a ratio still within its limit?

Only CPU seconds of the client processes count, only as ratios, and of each side the least of several
runs, since nothing that happens beside them on the machine can make a run cheaper.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from benchmarks.canned import CITIES, STORED
from benchmarks.clients.work import Job
from benchmarks.measure import run_program
from benchmarks.peers import CLIENTS

NOISE = 1.10
"""How much worse than its limit a ratio may come out."""
PAIRS, MOST_PAIRS = 2, 7

COUNTS = {
    "bulk": STORED,
    "get1": 500,
    "get32": 1_000,
    "all": STORED,
    "ids": STORED,
    "changes": STORED,
    "find": CITIES,
    "save": 500,
}


@dataclass
class Pairs:
    """What raw and ours took, in CPU seconds."""

    raw: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The least of ours beside the least of raw."""
        return min(self.ours) / min(self.raw)


def cpu_seconds(url: str, program: str, work: str) -> float:
    """What one run of a client program takes. Raises `RuntimeError` when it left something out."""
    job = Job(work, url, "admin", "admin", "bench", COUNTS[work], STORED)
    figures = run_program([sys.executable, str(CLIENTS / program)], job)
    if figures.count != COUNTS[work]:
        raise RuntimeError(f"{program} {work}: {figures.count} of {COUNTS[work]}")
    return figures.cpu


def measured(url: str, work: str, limit: float) -> Pairs:
    """A few pairs; more of them while the ratio is above its limit."""
    pairs = Pairs()
    while len(pairs.raw) < PAIRS or (pairs.ratio > limit and len(pairs.raw) < MOST_PAIRS):
        pairs.raw.append(cpu_seconds(url, "raw.py", work))
        pairs.ours.append(cpu_seconds(url, "ours.py", work))
    return pairs
