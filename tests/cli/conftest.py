"""Commands as a person types them, in this process, against the server of the tests."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

from aiocouch.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.testing import CouchDBServer


class Ended(NamedTuple):
    """How a command has ended: its status, and what it has printed."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """The lines of the output."""
        return self.out.splitlines()


class Run(Protocol):
    """Runs a command."""

    async def __call__(
        self, *words: str | Path, stdin: str | bytes = "", terminal: bool = False
    ) -> Ended: ...


class Typed(io.TextIOWrapper):
    """What somebody types, or what comes from a pipe."""

    def __init__(self, typed: str | bytes, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(typed if isinstance(typed, bytes) else typed.encode()))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nothing in the environment, and no profiles; the folder where they would be."""
    for name in ("COUCHDB_URL", "COUCHDB_USER", "COUCHDB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "aiocouch"


@pytest.fixture
def alone(
    no_settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Run a command that knows of no server."""

    async def run(*words: str | Path, stdin: str | bytes = "", terminal: bool = False) -> Ended:
        monkeypatch.setattr("sys.stdin", Typed(stdin, terminal=terminal))
        capsys.readouterr()
        try:
            status = await asyncio.to_thread(main, [str(word) for word in words])
        except SystemExit as ended:
            status = int(str(ended.code))
        printed = capsys.readouterr()
        return Ended(status, printed.out, printed.err)

    return run


@pytest.fixture
def run(alone: Run, couchdb_server: CouchDBServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command that knows the server of the test, and so takes the name of a database."""
    monkeypatch.setenv("COUCHDB_URL", couchdb_server.auth_url)
    return alone
