"""`python -m benchmarks`: measure aiocouch beside its peers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks import more, report
from benchmarks.measure import READ, Workload, in_turn
from benchmarks.peers import FAST, OURS, PEERS, RAW, Peer
from benchmarks.seeding import build_index, seed
from benchmarks.servers import Running, serving

STORED = 50_000


def workloads(scale: float = 1.0) -> list[Workload]:
    """The seven of the table, ids only, and reads that are collected."""
    stored = int(STORED * scale)

    fast = (FAST.name,)  # differs in writing only
    few = tuple(peer.name for peer in PEERS if peer not in {RAW, OURS, FAST})
    foreign = tuple(name for name in few if name != "aiocouch4")

    def some(count: int) -> int:
        return int(count * scale)

    return [
        Workload("bulk", some(20_000), stored),
        Workload("bulk", some(20_000), stored, few, "bulk-docs"),
        Workload("bulk-made", some(20_000), stored, foreign),
        Workload("get1", some(3_000), stored, fast),
        Workload("get32", some(6_000), stored, (*fast, "ibmcloudant")),
        Workload("get32", some(6_000), stored, (*fast, *few), "get32-batched"),
        Workload("all", stored, stored, fast),
        Workload("ids", stored, stored, fast),
        Workload("changes", stored, stored, fast),
        Workload("find", stored * 2 // 5, stored, fast),
        Workload("save", some(2_000), stored),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents, one round")
    parser.add_argument("--rounds", type=int, default=None, help="how often (default: 3)")
    parser.add_argument(
        "--other-rounds", type=int, default=None, help="how often for what is not aiocouch"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WORK",
        default=["peers", "more"],
        help="these only; peers and more are groups of them",
    )
    parser.add_argument("--peers", nargs="+", metavar="PEER", help="raw, ours and these only")
    parser.add_argument("--out", type=Path, default=report.FOLDER, help="where the tables go")
    parser.add_argument(
        "--server",
        default=os.environ.get("COUCHDB_URL") or "embedded",
        help="embedded, couchdb (a private Apache CouchDB), or a URL (default: COUCHDB_URL)",
    )
    return parser.parse_args()


def _peers(given: list[str] | None) -> list[Peer]:
    wanted = [RAW, OURS, FAST] + [
        peer for peer in PEERS[3:] if (given is None or peer.name in given) and peer.is_possible()
    ]
    for peer in wanted:
        peer.install()
    return wanted


def _measure(running: Running, given: argparse.Namespace) -> None:
    rounds = given.rounds or (1 if given.quick else 3)
    wanted = [
        work
        for work in workloads(0.1 if given.quick else 1.0)
        if {work.title, "peers"} & set(given.only)
    ]
    about = report.machine(running.title(), rounds)
    if wanted:
        peers = _peers(given.peers)
        seed(running, READ, wanted[0].stored)
        build_index(running, READ)
        others = given.other_rounds or rounds
        results = {
            work.title: (work, in_turn(running, work, peers, rounds, others)) for work in wanted
        }
        print(f"\n{report.ratio_table(results)}\n{report.peer_table(results)}")
        report.write(results, about, given.out)
    beyond = [name for name in more.WORKS if {name, "more"} & set(given.only)]
    if beyond:
        OURS.install()
        more.measure(running, beyond, about, given.out, quick=given.quick)


def main() -> None:
    """Do what the command line asks for."""
    given = _arguments()
    with serving(given.server) as running:
        _measure(running, given)


if __name__ == "__main__":
    main()
