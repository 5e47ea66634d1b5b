"""What people are asked on a real terminal, and how they get out of it."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from aiocouch.cli.exits import Exit

if TYPE_CHECKING:
    from aiocouch import CouchDB
    from aiocouch.testing import CouchDBServer


_ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "aiocouch", *sys.argv[1:]])
"""


def typed(words: list[str], answers: list[tuple[str, bytes]]) -> tuple[int, str]:
    """Run a command on a terminal, and type when it asks. Return its status, and all that was to be seen."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-c", _ON_TERMINAL, *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        os.close(theirs)
        seen, left = "", list(answers)
        while True:
            try:
                seen += os.read(terminal, 65_536).decode()
            except OSError:  # it has ended
                break
            if left and left[0][0] in seen:
                os.write(terminal, left.pop(0)[1])
    os.close(terminal)
    assert not left, seen
    assert "Traceback" not in seen
    return process.returncode, seen


CTRL_C, CTRL_D = b"\x03", b"\x04"


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        ("{password}\n", Exit.DONE, "_users"),
        ("\x03", Exit.INTERRUPTED, ""),
        ("\x04", Exit.USAGE, "no password was typed"),
    ],
)
async def test_the_password(
    couchdb_server: CouchDBServer, answer: str, status: Exit, told: str
) -> None:
    words = ["ls", f"{couchdb_server.url}/", "--user", couchdb_server.user]
    answers = [("password of", answer.format(password=couchdb_server.password).encode())]
    ended, seen = await asyncio.to_thread(typed, words, answers)
    assert (ended, told in seen) == (status, True)
    assert couchdb_server.password not in seen.replace(f"of {couchdb_server.user} at", "")


async def test_a_new_password(couchdb_server: CouchDBServer, couchdb: CouchDB) -> None:
    name = f"user-{uuid.uuid4().hex[:8]}"
    words = ["users", "add", f"{couchdb_server.auth_url}/", name]
    for first, second, status in (
        (CTRL_C, None, Exit.INTERRUPTED),
        (CTRL_D, None, Exit.USAGE),
        (b"one\n", CTRL_C, Exit.INTERRUPTED),
        (b"one\n", b"two\n", Exit.USAGE),
        (b"one\n", b"one\n", Exit.DONE),
    ):
        answers = [("new password", first), *([] if second is None else [("once more", second)])]
        assert (await asyncio.to_thread(typed, words, answers))[0] == status
    await couchdb.users.delete(name)


async def test_a_question_can_be_broken_off(
    couchdb_server: CouchDBServer,
    couchdb: CouchDB,
    fresh_name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    db = await couchdb.create(fresh_name)
    await db.bulk_docs([{"_id": "a"}])
    monkeypatch.setenv("EDITOR", "sed -i s/{/[/")
    words = ["edit", f"{couchdb_server.auth_url}/{fresh_name}", "a"]
    for answer in (CTRL_C, CTRL_D, b"q\n"):
        ended, seen = await asyncio.to_thread(typed, words, [("edit again", answer)])
        assert "what you typed is kept in" in seen
        assert ended == (Exit.INTERRUPTED if answer == CTRL_C else Exit.FAILED)
