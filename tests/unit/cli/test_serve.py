"""`python -m aiocouch serve`, as a person types it."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

import aiocouch
from aiocouch.cli import main

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
        assert main(["serve", "--port", "0", "--data", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_tells_that_a_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as (_, url):
        assert main(["serve", "--port", url.rpartition(":")[2]]) == 1
    assert "in use" in capsys.readouterr().err


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
