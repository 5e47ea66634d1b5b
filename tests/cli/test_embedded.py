"""Commands on databases in their own process: `embedded:///folder/database`."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiocouch import CouchDB
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.registry import COMMANDS
from aiocouch.cli.target import Of, Target, read_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.cli.conftest import Run

FOLDERS = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=60)
LINES = '{"_id": "a", "n": 1}\n{"_id": "b", "n": 2}\n'


def target(text: str | None, of: Of = Of.EITHER, *, creates: bool = False) -> Target:
    return read_target(argparse.Namespace(target=text), of, creates=creates)


def refusal(text: str | None, of: Of = Of.EITHER, *, creates: bool = False) -> tuple[Exit, str]:
    with pytest.raises(CommandError) as caught:
        target(text, of, creates=creates)
    return caught.value.status, str(caught.value)


def make_home(folder: Path) -> Path:
    """Make what looks like the folder of a server."""
    (folder / "databases").mkdir(parents=True)
    (folder / "lock").touch()
    return folder


@pytest.fixture
def home(tmp_path: Path, no_settings: Path) -> Path:
    return make_home(tmp_path.resolve() / "my data")


# -- addresses


def test_the_last_part_is_a_database(home: Path) -> None:
    at = home.as_uri().replace("file:", "embedded:")
    for of in (Of.EITHER, Of.DATABASE):
        assert target(f"{at}/books", of) == Target(at, "books")
        assert target(f"embedded:{home}/books", of) == Target(at, "books")
        assert target(f"{at}/a%2Fb", of) == Target(at, "a/b")
    assert target(f"{at}/books/", Of.DATABASE) == Target(at, "books")
    for of in (Of.EITHER, Of.SERVER):
        assert target(at, of) == target(f"{at}/", of) == Target(at)


def test_a_folder_from_here_or_from_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = home.as_uri().replace("file:", "embedded:")
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("HOME", str(home.parent))
    for start in (".", "~", f"../{home.parent.name}"):
        assert target(f"embedded:{start}/my data/books") == Target(at, "books")


def test_in_memory() -> None:
    assert target("embedded:") == target("embedded:", Of.SERVER) == Target("embedded:")
    for of in (Of.EITHER, Of.DATABASE):
        assert target("embedded:a%2Fb", of) == Target("embedded:", "a/b")
    assert "names no database" in refusal("embedded:", Of.DATABASE)[1]
    assert "embedded:books names a database" in refusal("embedded:books", Of.SERVER)[1]


@pytest.mark.parametrize(
    "text", ["embedded:data/books", "embedded://data/books", "embedded:////a/b"]
)
def test_what_could_be_this_or_that_is_refused(text: str) -> None:
    status, said = refusal(text)
    assert status == Exit.USAGE
    assert "embedded:./from/here" in said


def test_a_folder_where_a_database_is_wanted(home: Path) -> None:
    status, said = refusal(f"embedded://{home}", Of.DATABASE)
    assert status == Exit.USAGE
    assert f"names no database: {home} is the folder of a server" in said


def test_a_server_in_the_folder_of_another(home: Path) -> None:
    inner = make_home(home / "inner")
    status, said = refusal(f"embedded://{inner}")
    assert status == Exit.USAGE
    assert f"{home} and {inner} are both" in said
    assert target(f"embedded://{inner}/").name is None
    assert target(f"embedded://{inner}", Of.DATABASE).name == "inner"


def test_no_folder_is_made_by_mistake(home: Path) -> None:
    away = home.parent / "away"
    for of in Of:
        status, said = refusal(f"embedded://{away}/books", of)
        assert status == Exit.NOT_FOUND
        assert f"no server has its data in {away}" in said
    assert target(f"embedded://{away}/books", Of.DATABASE, creates=True).name == "books"
    status, said = refusal(f"embedded://{home.parent}/books", Of.DATABASE, creates=True)
    assert status == Exit.USAGE
    assert f"{home.parent} has other files" in said
    assert not away.exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@for_all(FOLDERS.filter(lambda name: name not in {".", ".."}), st.text(min_size=1, max_size=60))
def test_any_name_round_trips(home: Path, folder: str, name: str) -> None:
    assume(not name.startswith((".", "/")) and "\0" not in name)
    try:
        where, quoted = quote(f"{home.parent}/{folder}"), quote(name, safe="")
    except UnicodeEncodeError:  # a half of a pair, which UTF-8 has not
        return
    found = target(f"embedded://{where}/{quoted}", Of.DATABASE, creates=True)
    assert found == Target(f"embedded://{where}", name)


# -- who we are


def test_credentials_of_the_environment_are_not_for_folders(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUCHDB_USER", "ada")
    monkeypatch.setenv("COUCHDB_PASSWORD", "secret")
    assert target(f"embedded://{home}/x").user is None
    assert target("embedded:").user is None
    monkeypatch.setenv("COUCHDB_URL", "http://h")
    assert target(f"embedded://{home}/x").user is None
    monkeypatch.setenv("COUCHDB_URL", f"embedded:{home}")
    for address in (f"embedded://{home}/x", "x"):
        found = target(address)
        assert (found.name, found.user, found.password) == ("x", "ada", "secret")
    assert target("http://h/x").user is None
    assert target("embedded:x").user is None


def test_a_profile_may_name_a_folder(home: Path, no_settings: Path) -> None:
    no_settings.mkdir(parents=True)
    path = no_settings / "profiles.toml"
    path.write_text(f'[notes]\nurl = "embedded://{home}"\n')
    path.chmod(0o600)
    assert target("@notes/x") == target(f"embedded://{home}/x")
    assert target("@notes") == target(f"embedded://{home}")


# -- commands


@pytest.fixture
async def folder(alone: Run, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a folder with a database `x`, which has two documents."""
    at = f"embedded://{tmp_path}/data"
    ended = await alone("load", f"{at}/x", "-", "--create", stdin=LINES)
    assert (ended.status, ended.err) == (0, "")
    yield at
    async with CouchDB(at) as couchdb:  # nobody has it open any more
        await couchdb.info()


EACH: dict[str, list[tuple[str, ...]]] = {
    "attachments": [("list", "{x}", "a")],
    "cat": [("{x}", "a")],
    "compact": [("{x}", "--wait", "--views")],
    "conflicts": [("list", "{x}")],
    "copy": [("{x}", "{at}/y", "--create")],
    "doctor": [("{at}/",), ("{x}",)],
    "dump": [("{x}", "{file}.dump.gz")],
    "edit": [("{x}", "a")],
    "export": [("{x}", "{file}.ndjson")],
    "find": [("{x}", "n>1")],
    "info": [("{at}",), ("{x}",)],
    "load": [("{x}", "{lines}", "--on-conflict", "skip")],
    "ls": [("{at}",), ("{x}",)],
    "put": [("{x}", "c", "n=3")],
    "replications": [("list", "{at}")],
    "restore": [("{at}/z", "{dump}")],
    "rm": [("{x}", "b")],
    "schema": [("apply", "{x}", "{schema}"), ("diff", "{x}", "{schema}")],
    "security": [("show", "{x}"), ("add", "{x}", "--member", "ada")],
    "sync": [("{x}", "{at}/y", "--create")],
    "tail": [("{x}",)],
    "top": [("{at}", "--every", "0.1")],
    "users": [("list", "{at}")],
    "view": [("{x}", "d/all")],
}
OTHERS = {"completion", "serve"}
"""Commands that have no address."""


def test_no_command_is_left_out() -> None:
    assert EACH.keys() | OTHERS == {command.name for command in COMMANDS}


@pytest.mark.parametrize("command", EACH)
async def test_it_takes_a_folder(
    command: str, alone: Run, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "true")
    lines, schema, dump = (tmp_path / name for name in ("lines.ndjson", "schema.json", "dump"))
    lines.write_text(LINES)
    view = {"map": "function (doc) { emit(doc.n, null); }"}
    schema.write_text(json.dumps({"designs": {"d": {"views": {"all": view}}}}))
    assert (await alone("schema", "apply", f"{folder}/x", schema)).status == 0
    assert (await alone("dump", f"{folder}/x", dump)).status == 0
    places = {
        "at": folder,
        "x": f"{folder}/x",
        "file": str(tmp_path / "out"),
        "lines": str(lines),
        "schema": str(schema),
        "dump": str(dump),
    }
    for words in EACH[command]:
        ended = await alone(command, *(word.format(**places) for word in words))
        assert ended.status == Exit.DONE, ended
        assert "Traceback" not in ended.err


async def test_what_was_written_is_there(alone: Run, folder: str, tmp_path: Path) -> None:
    ended = await alone("cat", "x", "a", "--json", "--profile", "none")
    assert ended.status == Exit.USAGE
    ended = await alone("cat", f"{folder}/x", "a", "--json")
    assert json.loads(ended.out)["n"] == 1
    assert (await alone("ls", f"{folder}/")).lines == ["_replicator", "_users", "x"]
    assert (await alone("ls", folder)).lines == ["_replicator", "_users", "x"]
    assert (await alone("ls", f"{folder}/x")).lines == ["a", "b"]
    ended = await alone("ls", f"{folder}/y")
    assert ended.status == Exit.NOT_FOUND
    assert ended.err.count("\n") == 1


async def test_a_dump_is_tried_in_memory(alone: Run, folder: str, tmp_path: Path) -> None:
    assert (await alone("dump", f"{folder}/x", tmp_path / "dump")).status == 0
    ended = await alone("restore", "embedded:trial", tmp_path / "dump", "--json")
    assert ended.status == 0
    assert json.loads(ended.out)["equal"] is True


async def test_a_copy_between_two_folders(alone: Run, folder: str, tmp_path: Path) -> None:
    new = f"embedded://{tmp_path}/new/x"
    assert (await alone("copy", f"{folder}/x", new)).status == Exit.NOT_FOUND
    assert (await alone("copy", new, f"{folder}/x", "--create")).status == Exit.NOT_FOUND
    assert not (tmp_path / "new").exists()
    ended = await alone("copy", f"{folder}/x", new, "--create", "--json")
    assert json.loads(ended.out)["docs_written"] == 2
    assert (await alone("ls", new)).lines == ["a", "b"]
    ended = await alone("copy", f"{folder}/x", f"embedded:{tmp_path}/./data/x")
    assert (ended.status, "same" in ended.err) == (Exit.USAGE, True)


async def test_a_server_cannot_be_told_of_a_folder(alone: Run, folder: str) -> None:
    ended = await alone("copy", f"{folder}/x", f"{folder}/y", "--server")
    assert ended.status == Exit.USAGE
    assert "embedded: is in this process" in ended.err


async def test_as_somebody_else(alone: Run, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = await alone("users", "add", folder, "ada", "--password-stdin", stdin="secret\n")
    assert ended.status == 0
    monkeypatch.setenv("COUCHDB_URL", folder)
    monkeypatch.setenv("COUCHDB_USER", "ada")
    monkeypatch.setenv("COUCHDB_PASSWORD", "wrong")
    assert (await alone("info")).status == Exit.REFUSED
    monkeypatch.setenv("COUCHDB_PASSWORD", "secret")
    ended = await alone("info", "--json")
    assert json.loads(ended.out)["user"] == "ada"
    assert (await alone("ls", "x")).status == Exit.REFUSED


async def test_doctor_tells_what_nobody_may(alone: Run, folder: str) -> None:
    ended = await alone("doctor", f"{folder}/x")
    assert (ended.status, "open" in ended.out) == (0, False)
    async with CouchDB(folder) as couchdb:
        security = await couchdb.database("x").security()
        security["members"] = {"names": [], "roles": []}
        await security.save()
    ended = await alone("doctor", f"{folder}/x")
    assert (ended.status, "open" in ended.out) == (Exit.FOUND, True)


# -- two processes, and bad folders


async def test_a_folder_that_another_process_has(alone: Run, folder: str) -> None:
    words = [sys.executable, "-m", "aiocouch", "tail", "--follow", f"{folder}/x"]
    other = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert (await other.stdout.readline()).startswith(b"a\t")
        for command in (("ls", folder), ("put", f"{folder}/x", "c", "n=3")):
            ended = await alone(*command)
            assert ended.status == Exit.CONFLICT
            assert ended.err.startswith(f"aiocouch {command[0]}: The folder")
            assert "in use" in ended.err
            assert ended.err.count("\n") == 1
    finally:
        other.send_signal(signal.SIGINT)
        await other.communicate()
    assert other.returncode == Exit.INTERRUPTED


async def test_a_folder_that_is_damaged(alone: Run, folder: str) -> None:
    path = Path(folder.removeprefix("embedded://")) / "databases" / "_users" / "database.sqlite"
    whole = path.read_bytes()
    path.write_bytes(b"damaged".ljust(len(whole), b"!"))
    ended = await alone("ls", folder)
    assert ended.status == Exit.FAILED
    assert ended.err.startswith("aiocouch ls: ")
    assert ended.err.count("\n") == 1
    path.write_bytes(whole)


async def test_a_file_in_the_place_of_a_folder(alone: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = await alone("ls", f"embedded:{tmp_path}/file/x")
    assert ended.status == Exit.NOT_FOUND
    ended = await alone("load", f"embedded:{tmp_path}/file/x", "-", "--create", stdin=LINES)
    assert ended.status == Exit.FAILED
    assert ended.err.count("\n") == 1


async def test_without_the_server_installed(
    alone: Run, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lacking:
        lacking.setitem(sys.modules, "aiocouch.embedded.running", None)
        ended = await alone("ls", folder)
    assert ended.status == Exit.FAILED
    assert "pip install 'aiocouch[embedded]'" in ended.err
    assert ended.err.count("\n") == 1
