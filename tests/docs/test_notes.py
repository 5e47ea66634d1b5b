"""The example of the page "Offline first": devices, a server, cuts and conflicts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aiocouch import NotFoundError
from aiocouch.testing import Faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer

PROGRAM = Path(__file__).parents[2] / "examples" / "notes.py"
DATABASE = "test-notes"


class Device:
    """A folder, and the program that works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """Start the program."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", str(PROGRAM), str(self.folder), *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    async def run(self, *words: str) -> str:
        """Run it to its end, and return what it prints."""
        program = await self.start(*words)
        out, errors = await program.communicate()
        assert (program.returncode, errors) == (0, b""), (words, out, errors)
        return out.decode().strip()

    async def texts(self) -> list[str]:
        """Return the texts of all notes."""
        lines = (await self.run("list")).splitlines()
        return sorted(line.partition("  ")[2] for line in lines)


@pytest.fixture
async def faults(couchdb_server: CouchDBServer) -> AsyncIterator[Faults]:
    """The network between the devices and the server."""
    async with Faults(couchdb_server) as faults, couchdb_server.connect() as couchdb:
        yield faults
        with contextlib.suppress(NotFoundError):
            await couchdb.database(DATABASE).delete()


@pytest.mark.timeout(240)
async def test_two_devices_become_equal_whatever_the_network_does(
    faults: Faults, tmp_path: Path
) -> None:
    url = f"{faults.server.auth_url}/{DATABASE}"
    phone, laptop = Device(tmp_path / "phone"), Device(tmp_path / "laptop")
    milk = await phone.run("add", "Buy milk")
    faults.cut(10, path="*/_bulk_docs")
    faults.lose(method="PUT", path="*/_local/*")
    await phone.run("sync", url)
    await laptop.run("sync", url)
    assert await laptop.texts() == ["Buy milk"]

    await phone.run("edit", milk, "Buy two litres of milk")
    await laptop.run("edit", milk, "Buy oat milk")
    plumber = await laptop.run("add", "Call the plumber")
    faults.cut(10, path="*/_changes*")
    for device in (phone, laptop, phone):
        await device.run("sync", url)
    assert await phone.texts() == ["Buy oat milk / Buy two litres of milk", "Call the plumber"]
    assert await laptop.texts() == await phone.texts()

    await phone.run("remove", plumber)
    for device in (phone, laptop):
        await device.run("sync", url)
    assert await laptop.texts() == ["Buy oat milk / Buy two litres of milk"]
    assert faults.broken.total() == 3


@pytest.mark.timeout(240)
async def test_a_device_that_follows_gets_what_others_write(faults: Faults, tmp_path: Path) -> None:
    url = f"{faults.server.auth_url}/{DATABASE}"
    phone, laptop = Device(tmp_path / "phone"), Device(tmp_path / "laptop")
    following = await laptop.start("follow", url)
    try:
        assert following.stdout is not None
        while b"idle" not in await following.stdout.readline():
            pass
        await phone.run("add", "Buy milk")
        await phone.run("sync", url)
        async with faults.server.connect() as couchdb:
            copied = couchdb.database(DATABASE)
            assert [note["text"] async for note in copied.docs()] == ["Buy milk"]
        while b"idle, 1 got" not in await following.stdout.readline():
            pass
    finally:
        following.send_signal(signal.SIGINT)
    await following.wait()
    assert await laptop.texts() == ["Buy milk"]
