"""The wheel and the source archive hold what they should, and work where only they are."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import aiocouch
from aiocouch.testing import CouchDBServer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
# What aiohttp and msgspec bring along, and nothing of ours.
ALLOWED = {
    *("aiocouch", "aiohttp", "msgspec"),
    *("aiohappyeyeballs", "aiosignal", "attrs", "async-timeout", "frozenlist", "idna"),
    *("multidict", "propcache", "typing-extensions", "yarl"),
}
# The lowest that pyproject.toml allows.
OLDEST = ("msgspec==0.19.*", "aiohttp==3.12.15")
ROUND_TRIP = """
import asyncio
from aiocouch import CouchDB

async def main():
    async with CouchDB({url!r}) as couchdb:
        db = await couchdb.create("letters")
        async with db.create_docs() as bulk:
            for n, id in enumerate("abc"):
                bulk.create(id, {{"n": n}})
        ids = [id async for id in db.akeys(limit=2)]
        events = [event async for event in db.changes(include_docs=True)]
        numbers = sorted([(await event.doc())["n"] for event in events])
        found = [doc async for doc in db.find({{"n": {{"$gt": 0}}}})]
        print(*ids, len(bulk.ok), numbers, len(found))

asyncio.run(main())
"""
UNUSED = """
import sys


def test_the_plugin_is_there_and_nothing_else(request):
    assert request.config.pluginmanager.has_plugin("aiocouch")
    loaded = {name.split(".")[0] for name in sys.modules}
    assert loaded.isdisjoint({"aiocouch", "aiohttp", "msgspec", "yarl"})
"""
ADD_UP = {"views": {"sum": {"map": "function (doc) { emit(null, doc.n); }", "reduce": "_sum"}}}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


class Environment:
    """A virtual environment with nothing but what was installed into it."""

    def __init__(self, folder: Path) -> None:
        self.python = folder / "bin/python"
        self.folder = folder
        run(sys.executable, "-m", "venv", "--without-pip", folder)

    def install(self, *requirements: str) -> None:
        self._pip("install", "--quiet", *requirements)

    def installed(self) -> set[str]:
        listed = json.loads(self._pip("list", "--format=json"))
        return {package["name"].lower().replace("_", "-") for package in listed}

    def run(self, code: str) -> str:
        return run(self.python, "-I", "-W", "error", "-c", code, cwd=self.folder)

    def _pip(self, *arguments: str) -> str:
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        return run(*pip, "--python", self.python, *arguments)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the source archive, and the wheel from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


def test_the_oldest_dependencies_are_those_that_we_ask_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lowest = {one.split(",")[0].replace(">=", "==") for one in project["dependencies"]}
    assert lowest == {one.removesuffix(".*") for one in OLDEST}


def test_the_version_is_the_same_everywhere(archives: tuple[Path, Path]) -> None:
    wheel, sdist = archives
    assert wheel.name.startswith(f"aiocouch-{aiocouch.__version__}-")
    assert sdist.name == f"aiocouch-{aiocouch.__version__}.tar.gz"


def test_the_wheel_holds_the_package_and_nothing_else(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[0]) as wheel:
        names = wheel.namelist()
    assert "aiocouch/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    top = {name.split("/")[0].split("-")[0] for name in names}
    assert top == {"aiocouch", "_aiocouch_command.py", "_aiocouch_pytest.py"}
    packaged = {name for name in names if name.startswith(("aiocouch/", "_aiocouch_"))}
    tracked = run("git", "ls-files", "src", cwd=ROOT).split() if (ROOT / ".git").exists() else []
    assert {name.removeprefix("src/") for name in tracked} <= packaged


def test_the_source_archive_holds_what_a_developer_needs(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {"Makefile", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "docs/conf.py"}
    wanted |= {"tests/conftest.py", "examples/demo.py", "tests/conformance/revisions.json"}
    assert wanted <= names


def test_the_client_alone(archives: tuple[Path, Path], tmp_path: Path) -> None:
    environment = Environment(tmp_path / "client")
    environment.install(str(archives[0]))
    assert environment.installed() <= ALLOWED
    assert environment.run("import aiocouch; print(aiocouch.CouchDB.__name__)") == "CouchDB\n"
    assert environment.run("import aiocouch.testing; print('ok')") == "ok\n"
    with serving(environment, tmp_path / "data") as server:
        assert send(server, "PUT", "/numbers")["ok"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            send(server, "PUT", "/numbers/_design/add", ADD_UP)
        assert b"aiocouch[embedded]" in refused.value.read()


def test_the_embedded_server(archives: tuple[Path, Path], tmp_path: Path) -> None:
    environment = Environment(tmp_path / "server")
    environment.install(f"{archives[0]}[embedded]")
    with serving(environment, tmp_path / "data") as server:
        assert send(server, "PUT", "/numbers")["ok"]
        for number in range(3):
            send(server, "PUT", f"/numbers/{number}", {"n": number})
        send(server, "PUT", "/numbers/_design/add", ADD_UP)
        answer = send(server, "GET", "/numbers/_design/add/_view/sum")
        assert answer["rows"] == [{"key": None, "value": 3}]


def test_the_oldest_dependencies(archives: tuple[Path, Path], tmp_path: Path) -> None:
    environment = Environment(tmp_path / "oldest")
    environment.install(f"{archives[0]}[embedded]", *OLDEST)
    introspection = ROOT / "tests/surface/introspection.py"
    told = environment.run(introspection.read_text(encoding="utf-8"))
    count, _, failures = told.partition(" names\n")
    assert int(count) > 100
    assert failures.strip() == ""
    with serving(environment, tmp_path / "data") as server:
        assert environment.run(ROUND_TRIP.format(url=server.auth_url)) == "a b 3 [0, 1, 2] 2\n"


def test_the_plugin_costs_who_does_not_use_it_nothing(
    archives: tuple[Path, Path], tmp_path: Path
) -> None:
    environment = Environment(tmp_path / "tests")
    environment.install(str(archives[0]))
    environment.install("pytest>=8.3")
    module = tmp_path / "test_nothing.py"
    module.write_text(UNUSED, encoding="utf-8")
    pytest_command = (environment.python, "-m", "pytest", "-W", "error", module)
    assert "1 passed" in run(*pytest_command, cwd=tmp_path)


@contextlib.contextmanager
def serving(environment: Environment, data: Path) -> Iterator[CouchDBServer]:
    """Run the command `serve`, and see that it ends cleanly when it is told to."""
    arguments = ("serve", "--port", "0", "--data", str(data), "--admin", "ada:secret")
    process = subprocess.Popen(
        [environment.python, "-I", "-m", "aiocouch", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=environment.folder,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = re.fullmatch(r"listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert address, line
        yield CouchDBServer(address[1], "ada", "secret")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def send(server: CouchDBServer, method: str, path: str, body: Any = None) -> dict[str, Any]:
    manager = urllib.request.HTTPPasswordMgrWithPriorAuth()
    manager.add_password(None, server.url, server.user, server.password, is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with opener.open(request, timeout=30) as answer:
        result: dict[str, Any] = json.load(answer)
        return result
