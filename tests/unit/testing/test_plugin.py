"""The pytest plugin, as a user's project has it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STRICT = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""
TESTS = """\
import pytest

from _aiocouch_pytest import delete_leftover

names = []


@pytest.mark.asyncio
@pytest.mark.parametrize("time", range(2))
async def test_databases_are_new_and_empty(couchdb_database, couchdb, time):
    assert [id async for id in couchdb_database.akeys()] == []
    await (await couchdb_database.create("doc")).save()
    assert couchdb_database.id not in names
    assert not set(names) & set(await couchdb.keys())
    names.append(couchdb_database.id)


@pytest.mark.asyncio
async def test_a_database_may_be_deleted_by_the_test(couchdb_database):
    await couchdb_database.delete()


@pytest.mark.asyncio
async def test_a_leftover_is_deleted_at_another_try(couchdb_faults, couchdb_database):
    rule = couchdb_faults.answer(500, method="DELETE", times=2)
    async with couchdb_faults.server.connect() as session:
        await delete_leftover(session.database(couchdb_database.id))
    assert rule.hits == 2
    with pytest.raises(Exception, match="404"):
        await couchdb_database.info()


@pytest.mark.asyncio
@pytest.mark.parametrize(("status", "tries"), [(403, 1), (500, 3)])
async def test_a_leftover_that_stays_is_told(couchdb_faults, couchdb_database, status, tries):
    rule = couchdb_faults.answer(status, method="DELETE", times=None)
    async with couchdb_faults.server.connect() as session:
        with pytest.raises(Exception, match=str(status)):
            await delete_leftover(session.database(couchdb_database.id))
    assert rule.hits == tries


@pytest.mark.asyncio
async def test_faults(couchdb_faults, couchdb):
    couchdb_faults.answer(503, path="/_all_dbs")
    async with couchdb_faults.server.connect(retry=None) as session:
        with pytest.raises(Exception, match="503"):
            await session.keys()
        assert await session.keys() == await couchdb.keys()


def test_the_server_is_shown_without_its_password(couchdb_server):
    assert couchdb_server.password in couchdb_server.auth_url
    assert "password" not in repr(couchdb_server)
"""


OWN_OPTION = """\
def pytest_addoption(parser):
    parser.addoption("--couchdb-url", action="append", type=int, default=[7])
"""
OWN_TESTS = """\
import sys


def test_the_option_is_the_projects(request):
    assert request.config.getoption("--couchdb-url") == [7, 5]
    assert request.config.getoption("couchdb_url") == [7, 5]


def test_the_fixture_goes_by_the_environment(couchdb_server):
    assert couchdb_server.url == "http://127.0.0.1:9/here"
"""
# As the entry point loads it, whatever is installed.
AS_INSTALLED = ("-p", "no:aiocouch", "-p", "_aiocouch_pytest")
BY_NAME = ("-p", "no:aiocouch", "-p", "aiocouch.testing.plugin")
HEAVY = """\
import sys


def test_nothing_of_ours_is_loaded():
    heavy = {"aiocouch", "aiohttp", "msgspec", "pytest_asyncio"}
    assert heavy.isdisjoint(name.split(".")[0] for name in sys.modules)
    assert "_aiocouch_pytest" in sys.modules
"""
COST = """\
import sys, time
import pytest
from _pytest.config import get_config

config = get_config()
start = time.process_time()
before = set(sys.modules)
import _aiocouch_pytest as plugin

plugin.add_option(config._parser, ["tests"])
plugin.pytest_configure(config)
milliseconds = 1000 * (time.process_time() - start)
assert set(sys.modules) - before == {"_aiocouch_pytest"}
assert "--couchdb-url" in config._parser.optparser.format_help()
print(milliseconds)
"""


WHERE = """\
import pytest
import pytest_asyncio


@pytest.mark.asyncio
async def test_sessions_only(couchdb, couchdb_database):
    assert couchdb.remote.url == "embedded:"
    assert couchdb_database.id in await couchdb.keys()


@pytest.mark.asyncio
async def test_with_the_url(couchdb, couchdb_server):
    assert couchdb.remote.url == couchdb_server.url


@pytest.mark.asyncio
async def test_with_the_url_for_another_fixture(couchdb, program):
    assert couchdb.remote.url == program


@pytest_asyncio.fixture
async def program(couchdb_server):
    return couchdb_server.url
"""
OWN_SERVER = """\
import pytest
from aiocouch.testing import BackgroundCouchDB


@pytest.fixture(scope="session")
def couchdb_server():
    with BackgroundCouchDB(settings={"vendor": {"name": "mine"}}) as server:
        yield server
"""
ON_OWN_SERVER = """\
import pytest


@pytest.mark.asyncio
async def test_it_is_theirs(couchdb):
    assert (await couchdb.info())["vendor"]["name"] == "mine"
"""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COUCHDB_"))}
    return kept | more


def run_pytest(folder: Path, *arguments: str, tests: str = TESTS, **more: str) -> str:
    (folder / "test_user.py").write_text(tests, encoding="utf-8")
    (folder / "pytest.ini").write_text(STRICT, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "--rootdir", folder, *arguments],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )
    return result.stdout + result.stderr


def test_an_embedded_server_by_default(tmp_path: Path) -> None:
    assert "= 8 passed in" in run_pytest(tmp_path)


def test_a_session_needs_a_socket_where_the_url_is_used_only(tmp_path: Path) -> None:
    assert "= 3 passed in" in run_pytest(tmp_path, tests=WHERE)


def test_a_server_of_the_project_is_the_one(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(OWN_SERVER, encoding="utf-8")
    assert "= 1 passed in" in run_pytest(tmp_path, tests=ON_OWN_SERVER)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_a_server_by_its_url(tmp_path: Path, by: str, embedded_server: object) -> None:
    url = getattr(embedded_server, "auth_url", "")
    if by == "option":
        assert "= 8 passed in" in run_pytest(tmp_path, f"--couchdb-url={url}")
    else:
        assert "= 8 passed in" in run_pytest(tmp_path, COUCHDB_URL=url)


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, "--couchdb-url=http://127.0.0.1:9")
    assert "TransportError" in output or "Connect" in output
    assert " error" in output


@pytest.mark.parametrize("how", [AS_INSTALLED, BY_NAME])
def test_named_or_found_it_is_the_same(
    tmp_path: Path, how: tuple[str, ...], embedded_server: object
) -> None:
    url = getattr(embedded_server, "auth_url", "")
    assert "= 8 passed in" in run_pytest(tmp_path, *how, f"--couchdb-url={url}")


def test_it_is_loaded_by_name_in_a_conftest(tmp_path: Path, embedded_server: object) -> None:
    line = 'pytest_plugins = ["aiocouch.testing.plugin"]\n'
    (tmp_path / "conftest.py").write_text(line, encoding="utf-8")
    url = getattr(embedded_server, "auth_url", "")
    output = run_pytest(tmp_path, "-p", "no:aiocouch", f"--couchdb-url={url}")
    assert "= 8 passed in" in output


@pytest.mark.parametrize("where", ["conftest", "plugin"])
def test_an_option_of_the_same_name_is_the_projects(tmp_path: Path, where: str) -> None:
    (tmp_path / f"{where}.py").write_text(OWN_OPTION, encoding="utf-8")
    theirs = ("-p", "plugin") if where == "plugin" else ()
    output = run_pytest(
        tmp_path,
        *AS_INSTALLED,
        *theirs,
        "--couchdb-url=5",
        tests=OWN_TESTS,
        PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        COUCHDB_URL="http://127.0.0.1:9/here",
    )
    assert "= 2 passed in" in output, output


def test_help_shows_the_option(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, *AS_INSTALLED, "--help")
    assert "--couchdb-url=URL" in output
    assert "COUCHDB_URL" in output


def test_nothing_is_loaded_before_a_fixture_is_used(tmp_path: Path) -> None:
    alone = ("-p", "no:asyncio", "-p", "no:randomly")
    (tmp_path / "test_user.py").write_text(HEAVY, encoding="utf-8")
    output = subprocess.run(
        [sys.executable, "-m", "pytest", *AS_INSTALLED, *alone],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "= 1 passed in" in output.stdout, output.stdout


def test_it_costs_a_start_of_pytest_next_to_nothing(tmp_path: Path) -> None:
    """In milliseconds of CPU; the first start writes the bytecode."""
    kept = environment(PYTHONPYCACHEPREFIX=str(tmp_path))
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    times = [
        float(
            subprocess.run(
                [sys.executable, "-c", COST],
                capture_output=True,
                text=True,
                check=True,
                cwd=tmp_path,
                env=kept,
            ).stdout
        )
        for _ in range(6)
    ]
    assert min(times) < 5
