"""`python -m aiocouch serve`, as a person types it."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

import aiocouch
from aiocouch.cli import main
from aiocouch.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command until it listens; give the process and the URL."""
    command = [sys.executable, "-W", "error", "-m", "aiocouch", "serve", "--port", "0", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"listening on (http://\S+)\n", line)
            assert found, line
            yield process, found[1]
        finally:
            process.kill()


def put(url: str, authorization: tuple[str, str]) -> int:
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    manager.add_password(None, url, *authorization, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    with opener.open(urllib.request.Request(url, method="PUT"), timeout=20) as answer:
        status: int = answer.status
        return status


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listens_and_stops_cleanly(number: signal.Signals) -> None:
    with serving() as (process, url):
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")


def test_takes_an_address_of_ipv6() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with serving("--host", "::1") as (_, url):
        assert re.fullmatch(r"http://\[::1\]:\d+", url)
        with urllib.request.urlopen(url, timeout=20) as answer:
            assert answer.status == 200


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("only Linux tells the limits of another process")
    number = resource.RLIMIT_NOFILE
    soft, hard = resource.getrlimit(number)
    resource.setrlimit(number, (min(soft, 256), hard))
    try:
        with serving() as (process, _):
            assert resource.prlimit(process.pid, number) == (hard, hard)
    finally:
        resource.setrlimit(number, (soft, hard))


def test_keeps_data_in_a_folder_for_its_admin(tmp_path: Path) -> None:
    arguments = ("--data", tmp_path / "couch", "--admin", "ada:se:cret")
    for status in (201, 412):
        with serving(*arguments) as (process, url):
            try:
                found = put(f"{url}/kept", ("ada", "se:cret"))
            except urllib.error.HTTPError as error:
                error.close()
                found = error.code
            assert found == status
            process.terminate()
            process.communicate(timeout=20)


def test_refuses_a_folder_that_is_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving("--data", tmp_path):
        assert main(["serve", "--port", "0", "--data", str(tmp_path)]) == Exit.CONFLICT
    assert str(tmp_path) in capsys.readouterr().err


def test_tells_that_a_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as (_, url):
        assert main(["serve", "--port", url.rpartition(":")[2]]) == 1
    assert "in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--port", "70000"], "the last one is 65535"),
        (["--port", "-1"], "is not a whole number"),
        (["--data", ""], "it is empty"),
    ],
)
def test_arguments_that_are_wrong(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *words])
    assert ended.value.code == Exit.USAGE
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--data", "/proc/none"], "/proc/none: No such file or directory"),
        (["--host", "no-such-host.invalid"], "no-such-host.invalid: "),
    ],
)
def test_what_fails_is_told_in_words(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--port", "0", *words]) == Exit.FAILED
    err = capsys.readouterr().err
    assert err.startswith(f"aiocouch serve: {told}")
    assert "Errno" not in err


@pytest.mark.parametrize("admin", ["secret", ":secret", "user:", ""])
def test_refuses_half_an_admin_without_showing_it(
    admin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--admin", admin])
    assert ended.value.code == 2
    errors = capsys.readouterr().err
    assert "USER:PASSWORD" in errors
    assert "secret" not in errors


def test_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"aiocouch {aiocouch.__version__}\n"


# folders that cannot be served


def refusal(folder: Path, *capabilities_to_drop: int) -> str:
    """Serve a folder that cannot be served; give what it says, one line."""
    command = [sys.executable, "-W", "error", "-c", _RUN, *map(str, capabilities_to_drop), "--"]
    command += ["serve", "--port", "0", "--data", str(folder)]
    ended = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    return lines[0].removeprefix("aiocouch serve: ")


# root may write anywhere unless it gives that up
_RUN = """
import ctypes, os, sys
at = sys.argv.index("--")
for number in sys.argv[1:at]:
    ctypes.CDLL(None).prctl(24, int(number), 0, 0, 0)
command = [sys.executable, "-W", "error", "-m", "aiocouch", *sys.argv[at + 1:]]
os.execv(command[0], command)
"""
_MAY_WRITE_ANYWHERE = (1, 2)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A folder that has been served; all may be removed afterwards."""
    folder = tmp_path / "couch"
    with serving("--data", folder) as (process, _):
        process.terminate()
        process.communicate(timeout=20)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    assert "Not a directory" in refusal(file)
    assert "Not a directory" in refusal(file / "below")
    assert file.read_text() == "text"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has capabilities")
@pytest.mark.parametrize("place", [".", "databases/_users", "databases/_users/database.sqlite"])
def test_a_folder_that_may_not_be_written_is_refused(served: Path, place: str) -> None:
    path = served / place
    (served / "lock").chmod(0o400)
    if place != ".":
        (served / "lock").chmod(0o600)
    path.chmod(0o500)
    said = refusal(served, *_MAY_WRITE_ANYWHERE)
    wanted = "Permission denied" if place == "." else "The database '_users' may not be written"
    assert wanted in said


@pytest.mark.parametrize("name", ["_users", "_replicator"])
def test_a_damaged_system_database_is_named(served: Path, name: str) -> None:
    (served / "databases" / name / "database.sqlite").write_bytes(b"no database at all" * 99)
    assert refusal(served) == f"The database {name!r} is damaged (file is not a database)."


def test_settings_that_are_no_text_are_refused(served: Path) -> None:
    (served / "local.ini").write_bytes(b"\xff\xfe")
    assert refusal(served) == f"The file {served / 'local.ini'} is not UTF-8 text."
