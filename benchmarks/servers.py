"""The server that the clients talk to: any by its URL, an embedded one, or Apache CouchDB."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiocouch.testing.server import CouchDBServer

if TYPE_CHECKING:
    from collections.abc import Iterator

COUCHDB = Path("/opt/couchdb")
COUCHDB_KIND, CALM_KIND = "couchdb", "couchdb-calm"
_NOT_WAITING_BUSILY = "+sbwt none\n+sbwtdcpu none\n+sbwtdio none\n"
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = """[couchdb]
single_node = true
database_dir = {folder}/data
view_index_dir = {folder}/data
[smoosh]
state_dir = {folder}/data
[chttpd]
bind_address = 127.0.0.1
port = {port}
[admins]
admin = admin
"""


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: CouchDBServer
    pid: int | None = None
    """Its process, where it is one of ours."""
    start_seconds: float = 0.0
    """How long it took from the start of the process to the first answer."""
    kind: str = ""
    """What `serving` was asked for."""

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, and return the answer. Raises `urllib.error.HTTPError`."""
        given = f"{self.server.user}:{self.server.password}".encode()
        headers = {"Authorization": "Basic " + b64encode(given).decode()}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.server.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)

    def has(self, path: str) -> bool:
        """Whether there is such a thing."""
        try:
            self.ask("GET", path)
        except urllib.error.HTTPError:
            return False
        return True

    def recreate(self, database: str, query: str = "") -> None:
        """Make the database new and empty, with the options of the query."""
        if self.has(database):
            self.ask("DELETE", database)
        for _ in range(50):
            try:
                self.ask("PUT", f"{database}{query}")
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.PRECONDITION_FAILED:
                    raise
                time.sleep(0.1)  # CouchDB forgets it a moment after it has said so
            else:
                return
        raise RuntimeError(f"the database {database} does not go away")

    def title(self) -> str:
        """What it calls itself."""
        answer = self.ask("GET", "")
        vendor = answer.get("vendor", {}).get("name", "")
        return f"{vendor} {answer['version']}".strip()

    def memory_kb(self) -> int:
        """How much memory its process has now, in KiB."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+)", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def cpu_seconds(self) -> float:
        """How much CPU its process has had, 0 for a server that is none of ours."""
        if self.pid is None:
            return 0.0
        figures = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(figures[11]) + int(figures[12])) / _TICKS


@contextlib.contextmanager
def serving(kind: str) -> Iterator[Running]:
    """A server: "embedded", "couchdb" (a private Apache CouchDB), or the URL of one.

    "couchdb-calm" is a CouchDB whose Erlang does not wait busily, as one that shares its machine.
    """
    if "://" in kind:
        yield Running(CouchDBServer.from_url(kind))
        return
    with tempfile.TemporaryDirectory(prefix="aiocouch-bench-") as folder:
        began = time.perf_counter()
        if kind == "embedded":
            process, url = _start_embedded(Path(folder))
        else:
            process, url = _start_couchdb(Path(folder), calm=kind == CALM_KIND)
        try:
            running = Running(CouchDBServer(url), process.pid)
            _wait(running)
            seconds = time.perf_counter() - began
            _finish(running, kind)
            yield Running(running.server, process.pid, seconds, kind)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _start_embedded(folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "aiocouch", "serve", "--port", "0", "--data"]
    process = subprocess.Popen([*command, str(folder / "data")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("listening on ").strip()
    return process, url.rstrip("/")


def _start_couchdb(folder: Path, *, calm: bool) -> tuple[subprocess.Popen[str], str]:
    port = _free_port()
    (folder / "data").mkdir()
    (folder / "local.ini").write_text(_SETTINGS.format(folder=folder, port=port))
    kept = [
        line
        for line in (COUCHDB / "etc" / "vm.args").read_text().splitlines(keepends=True)
        if not line.startswith("-name")
    ]
    (folder / "vm.args").write_text("".join([*kept, _NOT_WAITING_BUSILY if calm else ""]))
    settings = f"{COUCHDB}/etc/default.ini {folder}/local.ini"
    environment = {
        **os.environ,
        "COUCHDB_ARGS_FILE": str(folder / "vm.args"),
        "COUCHDB_INI_FILES": settings,
        "ERL_CRASH_DUMP": str(folder / "erl_crash.dump"),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [str(COUCHDB / "bin" / "couchdb")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    return process, f"http://127.0.0.1:{port}"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(running: Running) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            running.ask("GET", "")
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError("the server does not answer")


def _finish(running: Running, kind: str) -> None:
    """Wait until CouchDB has made its own databases."""
    if kind != "embedded":
        while not (running.has("_users") and running.has("_replicator")):
            time.sleep(0.1)
