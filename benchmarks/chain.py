"""`python -m benchmarks.chain TREE`: what the client costs beside that of another checkout.

The CPU of single reads and single saves, which every step of the transport adds to. Each figure is of a
process of its own, both trees in turn; the ratios are of pairs. Answers are canned.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from aiocouch import CouchDB
from benchmarks.canned import serving
from benchmarks.pairs import SIZES, Ours, cost

ROOT = Path(__file__).resolve().parent.parent
WORKS = ("get1", "save")


async def cost_of(url: str, name: str, times: int) -> float:
    """Seconds of CPU of the work, after one to warm up."""
    async with CouchDB(url) as couchdb:
        work = getattr(Ours(couchdb), name)
        await cost(work, SIZES[name], 1)
        return await cost(work, SIZES[name], times)


def cost_in(tree: Path, url: str, name: str, times: int) -> float:
    """The same, with the client of a tree."""
    path = os.pathsep.join((str(tree / "src"), str(ROOT)))
    program = [sys.executable, "-m", "benchmarks.chain", "--url", url, name, str(times)]
    done = subprocess.run(
        program,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
    )
    return float(json.loads(done.stdout))


def compare(tree: Path, url: str, name: str, pairs: int, times: int) -> list[float]:
    """The ratios of our cost to the other's, which of them is first in turn."""
    ratios = []
    for pair in range(pairs):
        order = (ROOT, tree) if pair % 2 else (tree, ROOT)
        seconds = {one: cost_in(one, url, name, times) for one in order}
        ratios.append(seconds[ROOT] / seconds[tree])
    return ratios


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chain", description=__doc__)
    parser.add_argument("tree", help="another checkout, or what is measured of it")
    parser.add_argument("times", type=int, nargs="?", default=10)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        sys.stdout.write(json.dumps(asyncio.run(cost_of(given.url, given.tree, given.times))))
        return
    print("| work | median | lowest | highest |\n|---|---|---|---|")
    with serving() as url:
        for name in WORKS:
            ratios = compare(Path(given.tree).resolve(), url, name, given.pairs, given.times)
            figures = statistics.median(ratios), min(ratios), max(ratios)
            print(f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |", flush=True)


if __name__ == "__main__":
    main()
