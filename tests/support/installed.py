"""Start the Apache CouchDB that is installed on this machine, with data of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from aiocouch.testing import CouchDBServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Settings = Mapping[str, Mapping[str, str]]

BINARY = Path(os.environ.get("COUCHDB_BINARY", "/opt/couchdb/bin/couchdb"))
_STARTED = re.compile(r"Apache CouchDB has started on (http://127\.0\.0\.1:\d+)/")
_SYSTEM_DATABASES = ("_users", "_replicator")
_TRIES = 200
_INI = """\
[couchdb]
single_node = true
database_dir = {folder}/data
view_index_dir = {folder}/data
uuid = {secret}
[smoosh]
state_dir = {folder}/data
[chttpd]
bind_address = 127.0.0.1
port = {port}
[admins]
admin = admin
[chttpd_auth]
secret = {secret}
[log]
level = info
"""


def is_installed() -> bool:
    """Say whether this machine has a CouchDB to start."""
    return BINARY.is_file()


@contextlib.contextmanager
def installed_couchdb(settings: Settings | None = None) -> Iterator[CouchDBServer]:
    """Run the installed CouchDB in a new folder, on a free port, until the block is left."""
    with tempfile.TemporaryDirectory(prefix="couchdb-", ignore_cleanup_errors=True) as name:
        process, server = start_couchdb(Path(name), settings=settings)
        try:
            yield server
        finally:
            _stop(process)


def start_couchdb(
    folder: Path, port: int = 0, settings: Settings | None = None
) -> tuple[subprocess.Popen[str], CouchDBServer]:
    """Start the installed CouchDB with its data in a folder, which may have some already.

    The settings are sections by their names, beside those that every server here has.

    It has a process group of its own. Give it back once it answers.
    """
    process = _start(folder, port, settings or {})
    try:
        server = CouchDBServer(_address_of(process), "admin", "admin")
        _await_system_databases(server)
    except BaseException:
        _stop(process)
        raise
    return process, server


def _start(folder: Path, port: int, settings: Settings) -> subprocess.Popen[str]:
    root = BINARY.parent.parent
    file = folder / "local.ini"
    if not file.exists():  # a server that is started again keeps its name and its secret
        ours = _INI.format(folder=folder, secret=secrets.token_hex(16), port=port)
        file.write_text(ours + "".join(_sections(settings)))
        (folder / "vm.args").write_text(_named((root / "etc/vm.args").read_text()))
    environment = os.environ | {
        "COUCHDB_ARGS_FILE": str(folder / "vm.args"),
        "COUCHDB_INI_FILES": f"{root}/etc/default.ini {folder}/local.ini",
    }
    return subprocess.Popen(
        [BINARY],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def _named(arguments: str) -> str:
    """Give the node a name of its own.

    A search asks another node, if there is a service or not. Without a name, CouchDB's queue of reads and
    writes falls over then, and what comes next is answered by 500. The node listens to nobody and needs no
    port mapper, so that no two servers can get in each other's way.
    """
    kept = [each for each in arguments.splitlines() if not each.startswith(("-name", "-sname"))]
    name = f"-name couchdb-{secrets.token_hex(8)}@127.0.0.1"
    return "\n".join([*kept, name, "-dist_listen false", "-start_epmd false"])


def _sections(settings: Settings) -> Iterator[str]:
    """Those that stand there already go on: CouchDB reads them as one."""
    for name, section in settings.items():
        yield f"[{name}]\n"
        yield from (f"{key} = {value}\n" for key, value in section.items())


def _address_of(process: subprocess.Popen[str]) -> str:
    """Read the log up to the line that tells the address, then keep the pipe empty."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := _STARTED.search(line):
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            return found[1]
    raise RuntimeError(f"{BINARY} ended with status {process.wait()} before it had started")


def _drain(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError):  # closed by _stop
        for _ in process.stdout:
            pass


def _await_system_databases(server: CouchDBServer) -> None:
    """CouchDB makes these shortly after the port is open, and says nothing when it is done."""
    waiting = threading.Event()
    for _ in range(_TRIES):
        if all(_exists(server, name) for name in _SYSTEM_DATABASES):
            return
        waiting.wait(0.05)
    raise RuntimeError("CouchDB did not create its system databases")


def _exists(server: CouchDBServer, database: str) -> bool:
    password = urllib.request.HTTPPasswordMgrWithPriorAuth()
    password.add_password(None, server.url, server.user, server.password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(password))
    try:
        with opener.open(f"{server.url}/{database}", timeout=10):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
