"""Processes that are killed: started with a group of their own, and ended in any case."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

ROOT = Path(__file__).parents[2]
ADMIN = {"Authorization": aiohttp.encode_basic_auth("admin", "admin")}
GONE = (aiohttp.ClientError, ConnectionError)
"""What a client meets when the server is killed."""


@contextlib.contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python program with its own process group, and end it in any case."""
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        yield process
    finally:
        kill(process)
        assert process.stdout is not None
        process.stdout.close()


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children without a warning; once is enough."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Client:
    """Requests to a process that serves a folder, and its end."""

    def __init__(self, session: aiohttp.ClientSession, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert line.startswith("listening on "), line
        self.url = line.removeprefix("listening on ").strip()
        self.session = session
        self._process = process

    async def __call__(
        self, method: str, path: str, json: object = None, data: bytes | None = None
    ) -> tuple[int, object]:
        """Send a request; give the status and the decoded body. `data` is an attachment."""
        file, kind = None, {}
        if data is not None:
            file, kind = io.BytesIO(data), {"Content-Type": "application/octet-stream"}
        url = f"{self.url}/{path}"
        async with self.session.request(method, url, json=json, data=file, headers=kind) as answer:
            return answer.status, await answer.json(content_type=None)

    def kill(self) -> None:
        """Kill the server."""
        kill(self._process)

    @property
    def pid(self) -> int:
        """Give the number of the server's process."""
        return self._process.pid

    def terminate(self) -> None:
        """Ask the server to end; it answers what is under way."""
        self._process.terminate()

    async def ended(self) -> int:
        """Wait for the end, and give the status."""
        return await asyncio.to_thread(self._process.wait, 30)


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Client]:
    """Serve a folder from the command line."""
    command = ("-m", "aiocouch", "serve", "--port", "0", "--data", str(folder))
    async with aiohttp.ClientSession(headers=ADMIN) as session:
        with running(*command) as process:
            yield Client(session, process)
