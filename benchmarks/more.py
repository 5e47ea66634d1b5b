"""Beyond the seven workloads: very many documents, large bodies, many feeds, the start."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks.clients.work import Job
from benchmarks.measure import Figures, run_program
from benchmarks.peers import CLIENTS, OURS
from benchmarks.report import said, table, write_json
from benchmarks.seeding import seed
from benchmarks.servers import CALM_KIND, COUCHDB_KIND, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.servers import Running

SCALE, WRITTEN = "bench-scale", "bench-written"
PROGRAM = str(CLIENTS / "ours_more.py")
PYTHON = str(OURS.folder / "bin" / "python")
Row = tuple[str, str, float, float, float, str]
"""Work, amount, CPU and wall seconds, peak MB, and a remark."""


def _run(running: Running, work: str, database: str, count: int, **more: Any) -> Figures:
    server = running.server
    job = Job(work, server.url, server.user, server.password, database, count, count, more)
    return run_program([PYTHON, PROGRAM], job)


def _row(work: str, amount: str, figures: Figures, remark: str = "") -> Row:
    return (work, amount, figures.cpu, figures.wall, figures.peak_kb / 1024, remark)


def scale(running: Running, quick: bool) -> list[Row]:
    """Reads of ever more documents: flat memory, linear time."""
    counts = [10_000, 30_000, 100_000] if quick else [100_000, 300_000, 1_000_000]
    seed(running, SCALE, counts[-1])
    rows = []
    for work in ("docs", "dump"):
        for count in counts:
            figures = _run(running, work, SCALE, count)
            remark = f"{figures.cpu / count * 1e6:.1f} µs CPU each"
            rows.append(_row(f"scale: {work}", f"{count:,} documents", figures, remark))
    return rows


def bulk_scale(running: Running, quick: bool) -> list[Row]:
    """Very many documents through one operation, and as a stream."""
    count = 10_000 if quick else 100_000
    rows = []
    for work in ("one-bulk", "streamed-bulk"):
        running.recreate(WRITTEN)
        figures = _run(running, work, WRITTEN, count)
        _check(figures, count, work)
        remark = f"{figures.cpu / count * 1e6:.1f} µs CPU each"
        rows.append(_row(f"bulk-scale: {work}", f"{count:,} documents", figures, remark))
    return rows


def _check(figures: Figures, count: int, work: str) -> None:
    if figures.count != count:
        raise RuntimeError(f"{work}: {figures.count} of {count}")


def attachments(running: Running, quick: bool) -> list[Row]:
    """A large attachment, up and down."""
    size = (20 if quick else 200) << 20
    running.recreate(WRITTEN)
    rows = []
    for work in ("upload", "download"):
        figures = _run(running, work, WRITTEN, size)
        _check(figures, size, work)
        speed = f"{size / figures.wall / 1e6:.0f} MB/s"
        rows.append(_row(f"attachments: {work}", f"{size >> 20} MiB", figures, speed))
    return rows


def idle(running: Running, quick: bool) -> list[Row]:
    """Feeds that wait."""
    count = 100 if quick else 1_000
    running.recreate(WRITTEN)
    figures = _run(running, "idle", WRITTEN, count, seconds=5 if quick else 20)
    _check(figures, count, "idle")
    return [_row("idle", f"{count:,} feeds", figures, f"{figures.total / 1024:.1f} KiB each")]


def slices(running: Running, quick: bool) -> list[Row]:
    """A whole database by several requests at a time, beside one.

    They help as far as one request leaves cores to spare. On few cores that is a CouchDB that does not
    wait busily, and a database of one shard.
    """
    count = 20_000 if quick else 100_000
    rows = _sliced(running, count, "")
    if running.kind == COUCHDB_KIND:
        with serving(CALM_KIND) as calm:
            rows += _sliced(calm, count, ", q=2, not waiting busily")
        with serving(CALM_KIND) as calm:
            rows += _sliced(calm, count, ", q=1, not waiting busily", "?q=1")
    return rows


def _sliced(running: Running, count: int, how: str, query: str = "") -> list[Row]:
    seed(running, "bench-slices", count, query)
    wall = 0.0
    rows: list[Row] = []
    for streams, call in ((1, "docs()"), (4, "docs(streams=4)")):
        work = "docs" if streams == 1 else "sliced"
        runs = [_with_cores(running, work, count, streams) for _ in range(3)]
        figures, cores = sorted(runs, key=lambda run: run[0].wall)[1]
        wall = wall or figures.wall
        faster = f"{wall / figures.wall:.2f} times as fast; " if streams > 1 else ""
        remark = f"{faster}the server used {cores:.1f} cores"
        rows.append(_row(f"slices: {call}{how}", f"{count:,} documents", figures, remark))
    return rows


def _with_cores(running: Running, work: str, count: int, streams: int) -> tuple[Figures, float]:
    before = running.cpu_seconds()
    figures = _run(running, work, "bench-slices", count, streams=streams)
    return figures, (running.cpu_seconds() - before) / figures.wall


def _seconds(command: Sequence[str], times: int = 15) -> float:
    """The wall time of a command, the best of some."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.PIPE)
        taken.append(time.perf_counter() - start)
    return min(taken)


def imports(_: Running, __: bool) -> list[Row]:
    """What the import takes, beside an empty program and aiohttp."""
    empty = _seconds([PYTHON, "-c", "pass"])
    theirs = _seconds([PYTHON, "-c", "import aiohttp"]) - empty
    ours = _seconds([PYTHON, "-c", "import aiocouch"]) - empty
    remark = f"of which aiohttp {theirs:.2f} s; an empty Python {empty:.2f} s before"
    return [("import", "aiocouch", 0.0, ours, 0.0, remark)]


def cold(running: Running, _: bool) -> list[Row]:
    """From no session to the first answer."""
    running.recreate(WRITTEN)
    server = running.server
    command = [PYTHON, PROGRAM, "cold", server.url, server.user, server.password, WRITTEN]
    taken = [
        float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in range(7)
    ]
    return [("cold", "2 requests", 0.0, statistics.median(taken), 0.0, "after the import")]


WORKS: dict[str, Callable[[Running, bool], list[Row]]] = {
    "import": imports,
    "cold": cold,
    "slices": slices,
    "bulk-scale": bulk_scale,
    "attachments": attachments,
    "idle": idle,
    "scale": scale,
}


def measure(
    running: Running, names: Sequence[str], about: Mapping[str, Any], folder: Path, *, quick: bool
) -> None:
    """Measure these, and write the table; others that were measured on the same day stay in it."""
    found = _kept(folder / "more.json", about)
    for name in names:
        found[name] = WORKS[name](running, quick)
        print(*found[name], sep="\n", flush=True)
    found = {name: found[name] for name in WORKS if name in found}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "more.json", {"about": dict(about), "works": found})
    rows = [row for some in found.values() for row in some]
    (folder / "more.md").write_text(f"{as_table(rows)}\n{said({**about, 'rounds': 1})}\n")


def _kept(path: Path, about: Mapping[str, Any]) -> dict[str, list[Row]]:
    """What was measured before by the same means."""
    if not path.exists():
        return {}
    old = json.loads(path.read_text())
    return old["works"] if old["about"] == about else {}


def as_table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    return table(
        ["work", "amount", "CPU s", "wall s", "peak MB", ""],
        [
            [work, amount, _or_dash(cpu), f"{wall:.3f}", _or_dash(peak), remark]
            for work, amount, cpu, wall, peak, remark in rows
        ],
    )


def _or_dash(value: float) -> str:
    return f"{value:.2f}" if value else "-"
