"""One run of a client program, and many of them in turn."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clients.work import Job, documents
from benchmarks.peers import FAST, NODE, OURS, RAW, Peer
from benchmarks.progress import watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.servers import Running

READ, WRITTEN = "bench", "bench-written"
WRITING = frozenset({"bulk", "bulk-docs", "bulk-made", "save"})
TIMEOUT = 1_800


@dataclass(frozen=True)
class Figures:
    """What a run cost: CPU and wall seconds, peak memory in KiB, documents.

    `cpu` is that of the work alone, `process` that of the whole process: its start, the imports, the
    making of the documents, the work.
    """

    cpu: float
    process: float
    wall: float
    peak_kb: int
    count: int
    total: int
    more: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """A piece of work as it is measured: its name, its size, and who can do it."""

    name: str
    count: int
    stored: int
    without: tuple[str, ...] = ()
    variant: str = ""
    """The name in ours of what the others do otherwise."""

    @property
    def title(self) -> str:
        """Its name in the tables."""
        return self.variant or self.name


Runs = dict[str, list[Figures]]


def job_of(running: Running, work: Workload, name: str) -> Job:
    """The job for a client program."""
    server = running.server
    database = WRITTEN if name in WRITING else READ
    return Job(name, server.url, server.user, server.password, database, work.count, work.stored)


def run_program(command: Sequence[str], job: Job) -> Figures:
    """Run a client program in a fresh process."""
    text = json.dumps(dataclasses.asdict(job))
    done = subprocess.run(
        [*command, text], stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT
    )
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def run_peer(running: Running, peer: Peer, work: Workload) -> Figures:
    """Let a client do the work once, and look at what it says to have seen."""
    name = work.title if peer in {OURS, FAST} else work.name
    job = job_of(running, work, name)
    if job.database == WRITTEN:
        running.recreate(WRITTEN)
    with tempfile.TemporaryDirectory() as folder:
        if peer.name == NODE:
            job.more["modules"] = str(peer.folder / "node_modules")
            job.more["documents"] = _written_down(Path(folder), work)
        figures = run_program(peer.command, job)
    if figures.count != work.count:
        raise RuntimeError(f"{peer.title}: {figures.count} of {work.count} in {work.title}")
    return figures


def _written_down(folder: Path, work: Workload) -> str | None:
    if work.name not in WRITING:
        return None
    path = folder / "documents.json"
    path.write_text(json.dumps(list(documents(work.count))))
    return str(path)


def in_turn(
    running: Running,
    work: Workload,
    peers: Sequence[Peer],
    rounds: int,
    other_rounds: int,
) -> Runs:
    """A B A B …: all peers once, then all again; those that are not aiocouch maybe less often."""
    runs: Runs = {}
    turns = list(_turns(work, peers, rounds, other_rounds))
    for number, peer in watched(turns, work.title, len(turns)):
        figures = run_peer(running, peer, work)
        runs.setdefault(peer.name, []).append(figures)
        cpu, wall, peak = figures.cpu, figures.wall, figures.peak_kb / 1024
        print(
            f"{work.title:14} round {number + 1} {peer.title:20} "
            f"cpu {cpu:6.2f} s  wall {wall:6.2f} s  {peak:5.0f} MB"
        )
    _agree(work, runs)
    return runs


def _turns(
    work: Workload, peers: Sequence[Peer], rounds: int, other_rounds: int
) -> Iterator[tuple[int, Peer]]:
    for number in range(rounds):
        for peer in peers:
            is_other = peer not in {RAW, OURS, FAST} and peer.name != "aiocouch4"
            if peer.name not in work.without and not (is_other and number >= other_rounds):
                yield number, peer


def _agree(work: Workload, runs: Runs) -> None:
    """Nobody may have read something else."""
    totals = {figures.total for all_runs in runs.values() for figures in all_runs}
    if len(totals) > 1:
        raise RuntimeError(f"the clients disagree about {work.title}: {totals}")


def ratio(runs: Runs, name: str, what: str = "cpu") -> float:
    """CPU beside raw: the median over the rounds."""
    pairs = zip(runs[name], runs[RAW.name], strict=False)
    found = [getattr(mine, what) / getattr(base, what) for mine, base in pairs]
    return float(statistics.median(found))


def median(runs: Runs, name: str, what: str) -> float:
    """The median of a figure over the rounds."""
    return float(statistics.median(getattr(figures, what) for figures in runs[name]))
