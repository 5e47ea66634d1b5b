"""users, security, replications, compact and schema."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from argparse import Namespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from aiocouch import CouchDB, NotFoundError, UnauthorizedError
from aiocouch.cli.exits import Exit
from aiocouch.cli.figures import Watch, database_of_shard, task_rows, without_credentials
from aiocouch.cli.output import Output
from aiocouch.cli.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Ended, Run


def rows(ended: Ended) -> list[Any]:
    """Return the lines of `--json`."""
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.lines]


# -- users


@pytest.fixture
async def name(couchdb: CouchDB) -> AsyncIterator[str]:
    """The name of a user that does not exist yet."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    yield name
    with contextlib.suppress(NotFoundError):
        await couchdb.users.delete(name)


async def who(server: CouchDBServer, name: str, password: str) -> list[str]:
    """Log in, and return the roles that one has."""
    async with CouchDB(server.url, name, password) as session:
        await session.check_credentials()
        return await session.session.roles()


async def may_log_in(server: CouchDBServer, name: str, password: str) -> bool:
    """Return whether a password is taken."""
    try:
        await who(server, name, password)
    except UnauthorizedError:
        return False
    return True


async def test_users(run: Run, name: str, couchdb_server: CouchDBServer) -> None:
    add = ["users", "add", name, "--role", "a", "--role", "b", "--password-stdin"]
    ended = await run(*add, stdin="secret\n")
    assert (ended.status, ended.lines) == (0, [f"name\t{name}", 'roles\t["a","b"]'])
    assert await who(couchdb_server, name, "secret") == ["a", "b"]
    assert f'{name}\t["a","b"]' in (await run("users", "list")).lines
    assert (await run(*add, stdin="other\n")).status == Exit.CONFLICT
    assert (await run("users", "passwd", name, "--password-stdin", stdin="new\n")).status == 0
    while await may_log_in(couchdb_server, name, "secret"):  # nodes learn of it a little later
        pass
    assert (await run("users", "roles", name, "--role", "c")).status == 0
    while await who(couchdb_server, name, "new") != ["c"]:
        pass
    assert (await run("users", "roles", name, "--none")).status == 0
    assert {"name": name, "roles": []} in rows(await run("users", "list", "--json"))
    assert (await run("users", "rm", name)).status == 0
    assert (await run("users", "rm", name)).status == Exit.NOT_FOUND


async def test_a_password_that_cannot_be(run: Run, name: str) -> None:
    ended = await run("users", "add", name)
    assert ended.status == Exit.USAGE
    assert "--password-stdin" in ended.err
    assert (await run("users", "add", name, "--password-stdin")).status == Exit.USAGE


@pytest.mark.parametrize("again", ["typed", "other"])
async def test_a_password_is_typed_twice(
    run: Run, name: str, couchdb_server: CouchDBServer, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = ["typed", again]
    monkeypatch.setattr("getpass.getpass", lambda prompt: typed.pop(0))
    ended = await run("users", "add", name, terminal=True)
    assert "typed" not in ended.out + ended.err
    if again == "typed":
        assert ended.status == 0
        assert await who(couchdb_server, name, "typed") == []
    else:
        assert ended.status == Exit.USAGE


# -- security


async def test_security(run: Run, db: Database) -> None:
    who = ["--admin", "ann", "--admin-role", "chiefs", "--member", "bob", "--member-role", "staff"]
    assert (await run("security", "add", db.id, *who)).status == 0
    security = await db.security()
    assert (security.admins, security.members) == (["ann"], ["bob"])
    ended = await run("security", "show", db.id)
    assert {"admins\tname\tann", "members\trole\tstaff"} < set(ended.lines)
    (told,) = rows(await run("security", "show", db.id, "--json"))
    assert "chiefs" in told["admins"]["roles"]
    ended = await run("security", "rm", db.id, "--admin", "ann", "--member-role", "staff", "--json")
    assert rows(ended)[0]["admins"]["names"] == []
    assert (await run("security", "rm", db.id, "--admin", "ann")).status == Exit.NOT_FOUND
    assert (await run("security", "add", db.id)).status == Exit.USAGE


async def test_a_database_that_is_open(run: Run, db: Database) -> None:
    security = await db.security()
    security["members"] = {"names": [], "roles": []}
    await security.save()
    assert "everybody" in (await run("security", "show", db.id)).err
    assert (await run("security", "add", db.id, "--member", "bob")).status == 0
    assert "everybody" not in (await run("security", "show", db.id)).err


# -- replications


async def test_replications(
    run: Run, db: Database, couchdb: CouchDB, couchdb_server: CouchDBServer, fresh_name: str
) -> None:
    await db.bulk_docs({"_id": f"d{number}"} for number in range(5))
    source, target = (f"{couchdb_server.auth_url}/{name}" for name in (db.id, fresh_name))
    doc_id = f"r-{uuid.uuid4().hex[:8]}"
    await couchdb.replications.create(doc_id, source, target, create_target=True)
    ended = await run("replications", "wait", doc_id)
    assert ended.status == 0
    assert json.loads(ended.out)["state"] == "completed"
    assert len([row async for row in couchdb.database(fresh_name).akeys()]) == 5
    row = None
    while row is None or row["state"] != "completed":  # another copy of the document may be read
        listed = {each["id"]: each for each in rows(await run("replications", "list", "--json"))}
        row = listed.get(doc_id)
    assert (row["state"], row["written"]) == ("completed", 5)
    assert db.id in row["source"]
    shown = await run("replications", "show", doc_id)
    assert json.loads(shown.out)["doc_id"] == doc_id
    for told in (ended, shown, await run("replications", "list")):
        assert f":{couchdb_server.password}@" not in told.out + told.err
    assert (await run("replications", "rm", doc_id)).status == 0
    assert (await run("replications", "rm", doc_id)).status == Exit.NOT_FOUND


def test_credentials_are_hidden() -> None:
    told = {"a": ["http://ada:s%40crt@h:1/x", 1, None], "b": "ftp: http://h/a@b"}
    assert without_credentials(told) == {"a": ["http://…@h:1/x", 1, None], "b": "ftp: http://h/a@b"}


async def test_what_a_replication_waits_for_is_told(
    db: Database, couchdb_server: CouchDBServer, fresh_name: str
) -> None:
    """A server tries for ever, which is not to be waited for in silence."""
    source = {"url": f"{couchdb_server.url}/{fresh_name}"}  # nobody may read it, nor is it there
    login = {"username": couchdb_server.user, "password": couchdb_server.password}
    target = {"url": f"{couchdb_server.url}/{db.id}", "auth": {"basic": login}}
    await db.couchdb.replications.create(f"of-{fresh_name}", source, target, continuous=True)
    document = await db.couchdb.database("_replicator").get(f"of-{fresh_name}")
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", "replications", "wait"],
        *[couchdb_server.auth_url, document.id],
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        told = (await process.stderr.readline()).decode()
        process.kill()
        await process.communicate()
        assert told.startswith("the server tries again: ")
    finally:
        await document.delete()


def test_a_replication_by_the_server_is_watched(capsys: pytest.CaptureFixture[str]) -> None:
    """How far it is, and once what it waits for, without credentials."""

    class Bar(Progress):
        shown: ClassVar[list[tuple[float, float | None]]] = []

        def to(self, done: float, total: float | None = None) -> None:
            self.shown.append((done, total))

    watch = Watch(Output(Namespace()), Bar())
    error = "no answer from http://ada:secret@h:1/x"
    watch.look({"state": "running", "info": {"docs_written": 3, "changes_pending": 4}})
    watch.look({"state": "crashing", "info": {"docs_written": 5, "error": error}})
    watch.look({"state": "crashing", "info": error})
    watch.look({"state": "completed", "info": None})
    assert Bar.shown == [(3, 7), (5, None)]
    assert capsys.readouterr().err == "the server tries again: no answer from http://…@h:1/x\n"


# -- compact


async def test_compact(run: Run, db: Database) -> None:
    ddoc = await db.design_doc("d")
    ddoc["views"] = {"v": {"map": "function (doc) { emit(doc.n); }"}}
    await ddoc.save()
    for number in range(5):
        await db.upsert("a", {"n": number, "text": "x" * 10_000})
        await db.view("d", "v").get()
    ended = await run("compact", db.id, "--views", "--wait", "--json")
    (told,) = rows(ended)
    assert told["database"] == db.id
    assert told["after"] > 0
    assert not (await db.info())["compact_running"]
    ended = await run("compact", db.id)
    assert (ended.status, ended.out) == (0, "")
    assert "begun" in ended.err


async def test_compact_what_is_not_there(run: Run, fresh_name: str) -> None:
    assert (await run("compact", fresh_name)).status == Exit.NOT_FOUND


def test_tasks() -> None:
    shard = "shards/80000000-ffffffff/a/b.1795957069"
    assert database_of_shard(shard) == "a/b"
    told: list[dict[str, Any]] = [
        {"type": "indexer", "database": shard, "design_document": "_design/v", "progress": 4},
        {"type": "replication", "source": "x"},
        {"type": "database_compaction", "database": "a", "progress": 0},
    ]
    assert task_rows(told) == [
        {"task": "database compaction", "database": "a", "design_doc": None, "progress": 0},
        {"task": "indexer", "database": "a/b", "design_doc": "_design/v", "progress": 4},
    ]


# -- schema

_TOML = """
security = { members = { names = ["ann"] } }

[[indexes]]
name = "by-age"
fields = ["age"]
ddoc = "ages"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A schema as a folder."""
    view = tmp_path / "shop" / "designs" / "shop" / "views" / "titles"
    view.mkdir(parents=True)
    (view / "map.js").write_text("function (doc) { emit(doc.title); }")
    (tmp_path / "shop" / "schema.toml").write_text(_TOML)
    return tmp_path / "shop"


async def test_schema(run: Run, couchdb: CouchDB, fresh_name: str, folder: Path) -> None:
    ended = await run("schema", "diff", fresh_name, folder)
    assert ended.status == Exit.FOUND
    assert [line.split("\t")[:3] for line in ended.lines] == [
        ["create", "database", ""],
        ["change", "security", ""],
        ["create", "index", "ages/by-age"],
        ["create", "design", "shop"],
    ]
    done = await run("schema", "apply", fresh_name, folder)
    assert (done.status, done.lines) == (0, ended.lines)
    assert (await run("schema", "diff", fresh_name, folder)) == (0, "", "")
    again = await run("schema", "apply", fresh_name, folder)
    assert (again.status, again.out) == (0, "")
    assert (await couchdb.database(fresh_name).security()).members == ["ann"]
    (folder / "designs" / "shop" / "views" / "titles" / "map.js").write_text("function (doc) {}")
    (row,) = [
        json.loads(line)
        for line in (await run("schema", "diff", fresh_name, folder, "--json")).lines
    ]
    assert (row["kind"], row["places"]) == ("design", ["views.titles.map"])


async def test_schemas_in_files_and_modules(
    run: Run, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.json"
    file.write_text('{"designs": {"d": {"views": {}}}, "options": {"q": 1}}')
    ended = await run("schema", "diff", db.id, file)
    assert ended.lines == ["create\tdesign\td\t[]"]
    monkeypatch.chdir(tmp_path)
    module = f"schema_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{module}.py").write_text(
        "from aiocouch.schema import Schema\nwanted = Schema(designs={'e': {}})\nother = 1\n"
    )
    ended = await run("schema", "diff", db.id, f"{module}:wanted")
    assert ended.lines == ["create\tdesign\te\t[]"]
    assert (await run("schema", "diff", db.id, f"{module}:other")).status == Exit.USAGE
    assert (await run("schema", "diff", db.id, f"{module}:none")).status == Exit.NOT_FOUND
    assert (await run("schema", "diff", db.id, "no_such_module:x")).status == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.toml", "indexes = 1 2", "not TOML"),
        ("s.toml", "index = 1", "index; what it may have"),
        ("s.toml", "[[indexes]]\nname = 'a'", "fields"),
        ("s.toml", "[[indexes]]\nname = 'a'\nfields = []", "needs a list of fields"),
        ("s.json", "{", "not JSON"),
        ("other.txt", None, "no designs/"),
    ],
)
async def test_schemas_that_are_wrong(
    run: Run, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    place = tmp_path / name if text is not None else tmp_path
    ended = await run("schema", "diff", "db", place)
    assert ended.status == Exit.USAGE
    assert said in ended.err


async def test_no_schema(run: Run, tmp_path: Path) -> None:
    assert (await run("schema", "apply", "db", tmp_path / "none")).status == Exit.NOT_FOUND
