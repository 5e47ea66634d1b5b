"""Servers that are killed without a warning, and started again on the same data and port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch.testing import CouchDBServer
from tests.support.installed import start_couchdb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Self

ROOT = Path(__file__).parents[2]
Running: TypeAlias = "tuple[subprocess.Popen[str], CouchDBServer]"


def start_embedded(folder: Path, port: int) -> Running:
    """Serve a folder from the command line; give the process once it answers."""
    command = ("-m", "aiocouch", "serve", "--port", str(port), "--data", str(folder))
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        _kill(process)
        raise RuntimeError(f"the embedded server did not start: {line!r}")
    return process, CouchDBServer(line.removeprefix("listening on ").strip().rstrip("/"))


class KillableServer:
    """A server in a folder, by the way it is started. Its URL stays the same."""

    def __init__(self, start: Callable[[Path, int], Running], folder: Path) -> None:
        self._start = start
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[str] | None = None
        self.server = CouchDBServer(f"http://127.0.0.1:{self._port}")
        self.kills = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end()

    async def start(self) -> None:
        """Start it; it answers already."""
        self._process, _ = await asyncio.to_thread(self._start, self._folder, self._port)

    def kill(self) -> None:
        """Kill it."""
        self.kills += 1
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            _kill(self._process)
            self._process = None


@contextlib.asynccontextmanager
async def killable(kind: str, folder: Path) -> AsyncIterator[KillableServer]:
    """Run an ``embedded`` or an ``installed`` server that can be killed."""
    starts: dict[str, Any] = {"embedded": start_embedded, "installed": start_couchdb}
    async with KillableServer(starts[kind], folder) as server:
        yield server


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
