"""What was measured, as JSON, as tables and as charts, in `docs/performance/`."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Runs, Workload, median, ratio
from benchmarks.peers import PEERS
from benchmarks.plots import Bar, bars

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "performance"
LIMITS = {
    "all": 0.55,
    "ids": 0.45,
    "changes": 0.75,
    "find": 0.80,
    "bulk": 1.15,
    "bulk-docs": 1.15,
    "bulk-made": 1.15,
    "get1": 1.10,
    "get32": 1.10,
    "save": 1.10,
    "get32-batched": 0.35,
}
"""CPU of ours beside raw, at most: of the whole process for the kinds of bulk, else of the work."""

MEMORY_LIMITS = {"all": 60, "changes": 50, "find": 60}
"""Peak memory of ours, in MB, at most."""

TITLES = {peer.name: peer.title for peer in PEERS}
Results = Mapping[str, tuple[Workload, Runs]]


def machine(server: str, rounds: int) -> dict[str, Any]:
    """Where and when it was measured."""
    return {
        "server": server,
        "rounds": rounds,
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }


def said(about: Mapping[str, Any]) -> str:
    """The same as a sentence."""
    rounds = about["rounds"]
    how = f"{rounds} rounds in turn, medians" if rounds > 1 else "one round"
    return (
        f"Measured on {about['date']} against {about['server']} with Python {about['python']} "
        f"on {about['machine']}; {how}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def ratio_table(results: Results) -> str:
    """CPU of ours beside raw, the limits, and the memory."""
    rows = [
        [f"`{title}`", *_figures(title, runs)]
        for title, (_, runs) in results.items()
        if "ours" in runs and "raw" in runs
    ]
    head = ["work", "limit", "CPU beside raw", "with `fast`", "4.0.1"]
    whole = ["whole process", "with `fast`", "4.0.1"]
    return table([*head, *whole, "peak MB"], rows)


def _figures(title: str, runs: Runs) -> list[str]:
    ratios = [
        f"{ratio(runs, name, what):.2f}" if name in runs else ""
        for what in ("cpu", "process")
        for name in ("ours", "fast", "aiocouch4")
    ]
    memory = f"{median(runs, 'ours', 'peak_kb') / 1024:.0f}"
    most = f" (limit {MEMORY_LIMITS[title]})" if title in MEMORY_LIMITS else ""
    return [f"{LIMITS[title]:.2f}", *ratios, memory + most]


def peer_table(results: Results) -> str:
    """CPU, wall and memory of everyone."""
    names = [name for name in TITLES if any(name in runs for _, runs in results.values())]
    rows = [
        [f"`{title}`", *(_cell(runs, name, work.count) for name in names)]
        for title, (work, runs) in results.items()
    ]
    return table(["work", *(TITLES[name] for name in names)], rows)


def _cell(runs: Runs, name: str, count: int) -> str:
    if name not in runs:
        return "-"
    cpu, wall = median(runs, name, "cpu"), median(runs, name, "wall")
    return (
        f"{cpu:.2f} s, {cpu / count * 1e6:.0f} µs<br>wall {wall:.2f} s<br>"
        f"{median(runs, name, 'peak_kb') / 1024:.0f} MB"
    )


def write(results: Results, about: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Write everything."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        title: {"work": dataclasses.asdict(work), "runs": _plain(runs)}
        for title, (work, runs) in results.items()
    }
    write_json(folder / "results.json", {"about": dict(about), "results": kept})
    (folder / "ratios.md").write_text(f"{ratio_table(results)}\n{said(about)}\n")
    (folder / "peers.md").write_text(peer_table(results))
    for title, (work, runs) in results.items():
        _charts(folder, title, work, runs)


def write_json(path: Path, value: Any) -> None:
    """Write down results."""
    path.write_text(json.dumps(value, indent=1) + "\n")


def _plain(runs: Runs) -> dict[str, list[dict[str, Any]]]:
    return {name: [dataclasses.asdict(one) for one in all_runs] for name, all_runs in runs.items()}


def _charts(folder: Path, title: str, work: Workload, runs: Runs) -> None:
    if "raw" in runs:
        values: list[Bar] = [(TITLES[name], ratio(runs, name), name) for name in runs]
        chart = bars(f"{title}: CPU beside raw", "", values, LIMITS.get(title))
        (folder / f"{title}-ratio.svg").write_text(chart)
    scales = {"cpu": 1e6 / work.count, "wall": 1.0, "peak_kb": 1 / 1024}
    words = {
        "cpu": ("CPU per document", "µs"),
        "wall": ("wall", "s"),
        "peak_kb": ("peak memory", "MB"),
    }
    for what, scale in scales.items():
        said_as, unit = words[what]
        shown: list[Bar] = [(TITLES[name], median(runs, name, what) * scale, name) for name in runs]
        chart = bars(f"{title}: {said_as}", unit, shown)
        (folder / f"{title}-{what.removesuffix('_kb')}.svg").write_text(chart)
