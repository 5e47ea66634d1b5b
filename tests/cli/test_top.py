"""top: what two looks tell, on a terminal and in a pipe."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from aiocouch.cli.exits import Exit
from aiocouch.cli.looks import Look, report, sequence_number
from aiocouch.cli.screen import screen

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Run


def node(**figures: Any) -> dict[str, Any]:
    """Return the figures of a node."""
    known = dict.fromkeys(
        ("run_queue", "os_processes", "open_databases", "requests", "reads", "writes"), 0
    )
    return {"uptime": 90_060, "memory": 10**9, "p50_ms": 1.0, "p99_ms": 9.0, **known, **figures}


def looked(at: float, counter: int, databases: dict[str, int], **more: Any) -> Look:
    """Return a look at a node that has counted so far, and at databases with so many changes."""
    infos = {
        name: {
            "update_seq": f"{count}-g1",
            "doc_count": count,
            "sizes": {"file": 1_000, "active": 500},
        }
        for name, count in databases.items()
    }
    nodes: dict[str, dict[str, Any] | str] = {"n@h": node(requests=counter)}
    known: dict[str, Any] = {"tasks": [], "replications": [], "database_count": len(infos), **more}
    return Look(at=at, nodes=nodes, databases=infos, **known)


def test_rates() -> None:
    before, now = looked(10, 100, {"a": 5, "b": 5}), looked(12, 150, {"a": 5, "b": 9, "new": 3})
    told = report(before, now, 10)
    assert told["seconds"] == 2
    assert told["nodes"][0]["requests_per_second"] == 25
    rates = [(row["name"], row["changes_per_second"]) for row in told["databases"]]
    assert rates == [("b", 2.0), ("a", 0.0), ("new", None)]


def test_what_cannot_be_told_is_not_told() -> None:
    told = report(None, looked(1, 100, {"a": 5}), 10)
    assert told["nodes"][0]["requests_per_second"] is None
    assert told["databases"][0]["changes_per_second"] is None
    # The server was started anew in between.
    told = report(looked(1, 100, {"a": 5}), looked(2, 3, {"a": 2}), 10)
    assert told["nodes"][0]["requests_per_second"] is None


def test_a_node_that_is_down() -> None:
    now = looked(2, 5, {})
    now.nodes["other@h"] = "nodedown"
    told = report(looked(1, 0, {}), now, 10)
    assert told["nodes"][1] == {"node": "other@h", "error": "nodedown"}
    assert "nodedown" in shown(told)


def test_sequences() -> None:
    assert sequence_number("12-g1AAA") == 12
    assert sequence_number(7) == 7
    assert sequence_number(None) == 0


def shown(told: dict[str, Any], trouble: str | None = None) -> str:
    """Return what a terminal shows."""
    console = Console(file=io.StringIO(), record=True, width=140)
    console.print(screen(told, "http://h:5984", trouble))
    return console.export_text()


def test_the_screen() -> None:
    tasks = [{"task": "indexer", "database": "a", "design_doc": "_design/v", "progress": 4}]
    replication = {"id": "r", "state": "running", "source": "s", "target": "t", "written": 1_000}
    now = looked(2, 5, {"a": 1, "b": 2}, tasks=tasks, replications=[replication], database_count=7)
    text = shown(report(looked(1, 0, {}), now, 1))
    for words in ("http://h:5984", "n@h", "1 d 01:01", "5.0", "1.0 GB", "indexer", "4 %", "1,000"):
        assert words in text
    assert "1 of 7 databases; only the first 2 were looked at" in text
    assert "no answer" in shown(report(None, now, 1), "no answer")


async def test_top_in_a_pipe(run: Run, db: Database) -> None:
    running = asyncio.create_task(
        run("top", "--every", "0.3", "--most", "100000", "--limit", "100000")
    )
    number = 0
    while not running.done():
        await db.bulk_docs([{"_id": f"d{number}"}])
        number += 1
    ended = await running
    assert ended.status == 0
    told = json.loads(ended.out)
    assert told["seconds"] >= 0.3
    assert told["nodes"][0]["uptime"] >= 0
    (row,) = [row for row in told["databases"] if row["name"] == db.id]
    assert row["changes_per_second"] > 0
    assert told["databases_total"] == told["databases_looked_at"]


async def test_top_of_what_cannot_be(run: Run, couchdb_server: CouchDBServer) -> None:
    assert (await run("top", "--every", "0")).status == Exit.USAGE
    assert (await run("top", "--limit", "0")).status == Exit.USAGE
    assert (await run("top", couchdb_server.url)).status == Exit.REFUSED


async def test_top_on_a_terminal(db: Database, couchdb_server: CouchDBServer) -> None:
    await db.bulk_docs([{"_id": "d"}])

    def look() -> tuple[int, bytes]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 200, 0, 0))
        command = ["top", "--every", "0.1", "--limit", "100000", "--most", "100000"]
        environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if name not in {"COLUMNS", "LINES"}
            },
            "COUCHDB_URL": couchdb_server.auth_url,
            "TERM": "xterm",
        }
        with subprocess.Popen(
            [sys.executable, "-m", "aiocouch", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        ) as process:
            os.close(theirs)
            seen = b""
            while db.id.encode() not in seen or b"rates of" not in seen:
                seen += os.read(ours, 65_536)
            process.send_signal(signal.SIGINT)
            while True:
                try:
                    seen += os.read(ours, 65_536)
                except OSError:  # the other end is closed
                    break
        os.close(ours)
        return process.returncode, seen

    status, seen = await asyncio.to_thread(look)
    assert status == Exit.INTERRUPTED
    assert b"\x1b[?1049h" in seen
    assert seen.rstrip().endswith(b"\x1b[?25h") or b"\x1b[?1049l" in seen
    assert b"Traceback" not in seen
    assert couchdb_server.password.encode() + b"@" not in seen


@pytest.mark.parametrize("name", ["top"])
async def test_a_server_that_goes_away(run: Run, name: str) -> None:
    ended = await run(name, "http://ada:secret@127.0.0.1:1")
    assert ended.status == Exit.NO_ANSWER
    assert "secret" not in ended.err
