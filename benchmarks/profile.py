"""`python -m benchmarks.profile`: in which layer the client spends its CPU, from a profile.

It needs no CouchDB: the answers are canned ones of another process. A profile makes calls in Python
dearer than they are, so the shares tell where to look, and the total beside them what it really takes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import re
import time
from pathlib import Path

from aiocouch import CouchDB
from benchmarks import canned, report
from benchmarks.pairs import SIZES, Ours
from benchmarks.steps import measure

LAYERS = ("aiocouch", "msgspec", "aiohttp", "asyncio", "socket", "other")
_SOCKET = re.compile(r"_socket|socket\.")
_WAITING = re.compile(r"epoll|select|kqueue")
_TIMES = 5
Place = tuple[str, int, str]


def layer(place: Place) -> str:
    """Whose a function is."""
    file, _, name = place
    if file == "~" and _SOCKET.search(name):
        return "socket"
    for known in ("aiocouch", "msgspec", "aiohttp", "asyncio"):
        if known in (re.split(r"\W", name) if file == "~" else Path(file).parts[-4:]):
            return known
    return "other"


def shares(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds by layer."""
    found: dict[str, float] = dict.fromkeys(LAYERS, 0.0)
    stats: dict[Place, tuple[int, int, float, float, object]] = vars(pstats.Stats(profile))["stats"]
    for place, each in stats.items():
        if not _WAITING.search(place[2]):
            found[layer(place)] += each[2]
    return found


async def profiled(url: str, name: str) -> tuple[float, dict[str, float]]:
    """CPU seconds of the work without a profile, and the shares with one."""
    async with CouchDB(url) as couchdb:
        work = getattr(Ours(couchdb), name)
        await work()
        start = time.process_time()
        for _ in range(_TIMES):
            await work()
        taken = time.process_time() - start
        with cProfile.Profile() as profile:
            for _ in range(_TIMES):
                await work()
        return taken, shares(profile)


def row(url: str, name: str) -> list[str]:
    """One line of the table: µs for each document."""
    taken, found = asyncio.run(profiled(url, name))
    each = 1e6 / (_TIMES * SIZES[name])
    scale = taken * each / sum(found.values())
    return [f"`{name}`", f"{taken * each:.1f}", *(f"{found[name] * scale:.1f}" for name in LAYERS)]


def main() -> None:
    """Profile each work, and write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the table goes")
    given = parser.parse_args()
    with canned.serving() as url:
        layers = report.table(["work", "µs CPU", *LAYERS], [row(url, name) for name in SIZES])
    steps = report.table(["step", "µs CPU"], [[name, f"{us:.1f}"] for name, us in measure()])
    about = report.machine("canned answers", _TIMES)
    made = f"Measured on {about['date']} with Python {about['python']} on {about['machine']}."
    text = f"{layers}\n{steps}\n{made}\n"
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "profile.md").write_text(text)


if __name__ == "__main__":
    main()
