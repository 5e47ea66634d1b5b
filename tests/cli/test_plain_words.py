"""What a newcomer gets wrong is told in words, in one line, with the right status, and at once."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import _aiocouch_command
from aiocouch import RetryPolicy
from aiocouch.cli import target as targets
from aiocouch.cli.conditions import selector_of
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.parsing import parser_of
from aiocouch.cli.reading import apart
from aiocouch.cli.told import words_of
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiocouch import CouchDB, Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Ended, Run


def line_of(ended: Ended) -> str:
    """Return the one line that a command has told of its failure."""
    assert "Traceback" not in ended.err
    (line,) = ended.err.splitlines()
    return line


# -- numbers


@pytest.mark.parametrize(
    "words",
    [
        ["ls", "x", "--limit", "-1"],
        ["ls", "x", "--limit", "1.5"],
        ["find", "x", "--skip", "-1"],
        ["view", "x", "d/v", "--group-level", "x"],
        ["tail", "x", "--last", "-3"],
        ["dump", "x", "--parallel", "0"],
        ["load", "x", "-", "--parallel", "-1"],
        ["load", "x", "-", "--shards", "0"],
        ["restore", "x", "-", "--shards", "0"],
        ["copy", "x", "y", "--shards", "0"],
    ],
)
async def test_numbers_are_looked_at_before_anything_is_sent(alone: Run, words: list[str]) -> None:
    ended = await alone(*words)
    assert ended.status == Exit.USAGE
    assert f"{words[-1]!r} is not a whole number, " in ended.err


async def test_what_is_too_much_is_told_with_the_usage_of_the_command(alone: Run) -> None:
    for words in (["ls", "x", "y"], ["users", "rm", "http://h", "ada", "bob"]):
        ended = await alone(*words)
        assert ended.status == Exit.USAGE
        assert ended.err.startswith(f"usage: aiocouch {words[0]}")
        assert f"unrecognized arguments: {words[-1]}" in ended.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["dump", "x", "--local", "f"], {"target": "x", "file": "f", "local": True}),
        (["dump", "--local", "x", "f"], {"target": "x", "file": "f", "local": True}),
        (["dump", "x", "--level", "0"], {"target": "x", "file": None, "level": 0}),
        (["ls", "--limit", "1"], {"target": None, "limit": 1}),
        (["cat", "x", "a", "--revs", "b"], {"target": "x", "ids": ["a", "b"], "revs": True}),
        (["cat", "x", "--", "-a", "b"], {"target": "x", "ids": ["-a", "b"]}),
        (["cat", "x", "--revs", "--", "-a"], {"target": "x", "ids": ["-a"], "revs": True}),
        (["find", "x", "--limit", "1", "a=1"], {"target": "x", "conditions": ["a=1"]}),
        (["users", "rm", "--quiet", "http://h", "ada"], {"target": "http://h", "name": "ada"}),
        (["load", "x", "--drop", "a", "f", "--drop", "b"], {"files": ["f"], "drop": ["a", "b"]}),
    ],
)
def test_options_stand_anywhere(words: list[str], wanted: dict[str, object]) -> None:
    given = vars(parser_of(words).parse_args(words))
    assert {name: given[name] for name in wanted} == wanted


# -- servers that are not there


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=10) as server:
        yield server.getsockname()[1]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands give up soon."""
    import aiohttp

    monkeypatch.setattr(targets, "_TIMEOUT", aiohttp.ClientTimeout(total=60, sock_connect=0.2))
    policy = type(vars(targets)["_RETRY"])(first_wait=0.01)
    assert isinstance(policy, RetryPolicy)
    monkeypatch.setattr(targets, "_RETRY", policy)


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_is_not_there(alone: Run) -> None:
    for command in (["ls"], ["top"], ["info"], ["doctor"]):
        ended = await alone(*command, "http://127.0.0.1:1/")
        assert ended.status == Exit.NO_ANSWER
        told = f"aiocouch {command[0]}: no answer from 127.0.0.1, port 1: Connection refused"
        assert line_of(ended) == told


@pytest.mark.usefixtures("hasty")
async def test_a_host_without_an_address(alone: Run) -> None:
    ended = await alone("ls", "http://no-such-host.invalid/")
    assert ended.status == Exit.NO_ANSWER
    assert line_of(ended).startswith("aiocouch ls: no answer from no-such-host.invalid, port 80: ")
    assert "ssl:default" not in ended.err


@pytest.mark.usefixtures("hasty")
async def test_https_where_nobody_speaks_it(alone: Run, silent_port: int) -> None:
    """CouchDB says nothing to it for a minute; a person is told after the second try."""
    began = time.monotonic()
    ended = await alone("ls", f"https://127.0.0.1:{silent_port}/")
    assert time.monotonic() - began < 5
    assert ended.status == Exit.NO_ANSWER
    assert "no connection came about" in line_of(ended)


@pytest.mark.usefixtures("hasty")
async def test_https_to_a_server_of_http(alone: Run, couchdb_server: CouchDBServer) -> None:
    ended = await alone("ls", couchdb_server.url.replace("http:", "https:") + "/")
    assert ended.status == Exit.NO_ANSWER
    told = line_of(ended)
    assert "does not speak https as it should" in told or "no connection came about" in told


@pytest.mark.usefixtures("hasty")
async def test_a_certificate_of_ones_own(alone: Run, tmp_path: Path) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path).issue("server"))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ended = await alone("ls", f"https://localhost:{port}/")
    assert ended.status == Exit.NO_ANSWER
    assert f"the certificate of localhost, port {port}, is not trusted: " in line_of(ended)


# -- names


async def test_a_path_before_the_database_is_told(run: Run, couchdb_server: CouchDBServer) -> None:
    ended = await run("ls", f"{couchdb_server.auth_url}/books/x")
    assert ended.status == Exit.NOT_FOUND
    assert f"looked for at {couchdb_server.url}/books:" in line_of(ended)
    assert couchdb_server.password not in ended.err.replace("admin:", "")
    assert "looked for" not in (await run("ls", "no-such-database")).err


async def test_files_are_named_without_numbers(run: Run, db: Database, tmp_path: Path) -> None:
    await db.bulk_docs([{"_id": "a"}])
    nofile = str(tmp_path / "none")
    for words in (["put", db.id, "x", nofile], ["load", db.id, nofile], ["restore", db.id, nofile]):
        ended = await run(*words)
        assert ended.status == Exit.NOT_FOUND
        assert line_of(ended) == f"aiocouch {words[0]}: {nofile}: No such file or directory"
    assert line_of(await run("load", db.id, tmp_path)).endswith(f"{tmp_path}: Is a directory")
    for words in (["export", db.id, "--quiet"], ["dump", db.id, "--quiet"]):
        file = str(tmp_path / f"{words[0]}.json")
        assert (await run(*words, file)).status == 0
        ended = await run(*words, file)
        assert ended.status == Exit.CONFLICT
        assert line_of(ended).endswith(f"{file}: there is a file of that name already")


def test_errors_of_the_system_without_a_file() -> None:
    assert words_of(OSError("odd"), Namespace()) == "odd"
    assert words_of(OSError(28, "No space left on device"), Namespace()).endswith(
        "No space left on device"
    )


async def test_what_is_not_text(run: Run, db: Database) -> None:
    for words in (["cat", db.id, "-"], ["put", db.id, "x", "-"], ["rm", db.id, "-"]):
        ended = await run(*words, stdin=b"\xff\xfe\n")
        assert ended.status == Exit.FAILED
        assert "a text that is not UTF-8" in line_of(ended)


async def test_who_is_not_a_member(run: Run, db: Database) -> None:
    ended = await run("security", "rm", db.id, "--member-role", "nobody")
    assert ended.status == Exit.NOT_FOUND
    assert line_of(ended) == "aiocouch security: 'nobody' is not among the member roles"


async def test_a_replication_that_is_not_there_is_not_waited_for(run: Run) -> None:
    began = time.monotonic()
    ended = await run("replications", "wait", "no-such-replication")
    assert time.monotonic() - began < 10
    assert ended.status == Exit.NOT_FOUND


@pytest.mark.parametrize("schema", ['{"designs": 5}', '{"indexes": 5}', '{"indexes": [5]}'])
async def test_a_schema_whose_members_are_wrong(
    run: Run, db: Database, tmp_path: Path, schema: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(schema)
    ended = await run("schema", "diff", db.id, file)
    assert ended.status == Exit.USAGE
    name = schema.split('"')[1]
    assert f"{file}: {name} is not a" in line_of(ended)


# -- conditions


def test_ways_to_write_the_same_condition() -> None:
    assert selector_of(["a==1"]) == selector_of(["a=1"])
    assert selector_of(["a<>1"]) == selector_of(["a!=1"])


@pytest.mark.parametrize("word", ["a>>1", "a===1", "a=>1", "a><1", "a=<1"])
def test_comparisons_that_are_none_are_refused(word: str) -> None:
    with pytest.raises(CommandError, match="not a condition"):
        selector_of([word])
    assert selector_of(['a=">1"']) == {"a": {"$eq": ">1"}}


async def test_a_query_for_everything_needs_no_index(run: Run, db: Database) -> None:
    await db.bulk_docs([{"_id": "a"}])
    ended = await run("find", db.id)
    assert (ended.status, "index to optimize" in ended.err) == (0, False)


async def test_a_selector_that_is_none(run: Run, db: Database) -> None:
    ended = await run("export", db.id, "--selector", "5")
    assert ended.status == Exit.USAGE
    assert line_of(ended) == "aiocouch export: --selector is not a JSON object"


# -- load


async def test_a_dump_is_not_loaded(run: Run, db: Database, tmp_path: Path) -> None:
    await db.bulk_docs([{"_id": "a"}])
    for form in ("aiocouch", "couchbackup"):
        file = tmp_path / form
        assert (await run("dump", db.id, file, "--format", form)).status == 0
        ended = await run("load", db.id, file)
        assert ended.status == Exit.FAILED
        assert line_of(ended) == "aiocouch load: the file is a dump: restore makes a database of it"
    assert (await db.info())["doc_count"] == 1


async def test_a_database_that_load_could_make(run: Run, fresh_name: str) -> None:
    ended = await run("load", fresh_name, "-", stdin="{}\n")
    assert ended.status == Exit.NOT_FOUND
    assert ended.err.splitlines()[-1].endswith("--create makes it")


async def test_a_compressed_stream_is_loaded(run: Run, db: Database) -> None:
    ended = await run("load", db.id, "-", stdin=gzip.compress(b'{"_id": "a"}\n'))
    assert (ended.status, ended.err) == (0, "")
    assert (await db.info())["doc_count"] == 1


async def test_a_document_that_is_none_is_told_with_its_file(
    run: Run, db: Database, tmp_path: Path
) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text('{"_id":"a"}\n[1]\n')
    ended = await run("load", db.id, file)
    assert ended.status == Exit.FAILED
    assert f"document 2 of {file}: " in ended.err


async def test_a_load_that_is_broken_off_tells_how_far_it_was(
    db: Database, couchdb_server: CouchDBServer
) -> None:
    words = ["load", f"{couchdb_server.auth_url}/{db.id}", "-"]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", *words],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"".join(b'{"n":%d}\n' % number for number in range(5_000)))
    await process.stdin.drain()
    while (await db.info())["doc_count"] < 2_000:
        pass
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.stderr is not None
    told = (await process.stderr.read()).decode()
    assert await process.wait() == Exit.INTERRUPTED
    assert told.startswith("broken off: read ")
    assert told.count("\n") == 1


async def test_authorities_that_are_none(alone: Run, tmp_path: Path) -> None:
    """The file is told by its name, before anything is sent."""
    (tmp_path / "not.pem").write_text("no certificate")
    for name, status in (("no.pem", Exit.NOT_FOUND), ("not.pem", Exit.USAGE), (".", Exit.USAGE)):
        ended = await alone("ls", "https://127.0.0.1:1/", "--ca", tmp_path / name)
        assert ended.status == status
        assert str(tmp_path / name) in line_of(ended)


@pytest.mark.usefixtures("hasty")
async def test_an_answer_that_breaks_off(alone: Run) -> None:
    """What HTTP calls it is for who writes programs."""

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1,2,")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ended = await alone("ls", f"http://127.0.0.1:{port}/")
    assert ended.status == Exit.NO_ANSWER
    assert line_of(ended) == "aiocouch ls: GET /_all_dbs: the answer broke off"


@pytest.mark.parametrize(
    "words", [["conflicts", "resolve", "{url}", "a", "--merge"], ["cat", "{url}", "a"]]
)
async def test_nobody_listens_to_what_asks_for_each_document(alone: Run, words: list[str]) -> None:
    ended = await alone(*[word.format(url="http://127.0.0.1:1/a") for word in words])
    assert ended.status == Exit.NO_ANSWER
    assert line_of(ended).endswith("no answer from 127.0.0.1, port 1: Connection refused")


async def test_files_that_cannot_be_loaded_are_known_before_anything_is_made(
    run: Run, couchdb: CouchDB, fresh_name: str, tmp_path: Path
) -> None:
    (tmp_path / "a.ndjson").write_text('{"_id":"a"}\n')
    for wrong, status in (("no", Exit.NOT_FOUND), (".", Exit.FAILED)):
        ended = await run("load", fresh_name, tmp_path / "a.ndjson", tmp_path / wrong, "--create")
        assert ended.status == status
        assert str(tmp_path / wrong) in line_of(ended)
    assert fresh_name not in await couchdb.keys()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dump", "{url}", "{folder}/b"], "broken off: the same command goes on\n"),
        (["restore", "{url}", "{folder}/a"], "broken off: the same command goes on\n"),
        (["copy", "{url}", "embedded:b", "--create"], "broken off: the same command goes on\n"),
        (["dump", "{url}", "{folder}/b", "--quiet"], ""),
        (["dump", "{url}", "{folder}/b", "--format", "couchbackup"], ""),
        (["ls", "{url}"], ""),
    ],
)
async def test_what_goes_on_after_ctrl_c_says_so(
    run: Run, db: Database, tmp_path: Path, words: list[str], told: str
) -> None:
    assert (await run("dump", db.id, tmp_path / "a")).status == 0
    asked, over = asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
    async with server:
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "aiocouch"],
            *[word.format(url=url, folder=tmp_path) for word in words],
            stderr=subprocess.PIPE,
        )
        await asked.wait()
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
        over.set()
    assert (process.returncode, said.decode()) == (Exit.INTERRUPTED, told)


# -- a stdin, stdout or stderr that is closed


@pytest.mark.parametrize(
    ("words", "closed", "status"),
    [
        (["ls"], ">&-", Exit.DONE),
        (["ls"], "<&- >&- 2>&-", Exit.DONE),
        (["cat", "-"], "<&-", Exit.DONE),
        (["load", "-"], "<&-", Exit.DONE),
        (["put", "a", "-"], "<&-", Exit.USAGE),
        (["cat", "no-such"], "2>&-", Exit.NOT_FOUND),
        (["dump", "-"], ">&-", Exit.DONE),
        (["dump", "-"], ">/dev/null", Exit.DONE),
    ],
)
def test_closed(
    words: list[str], closed: str, status: Exit, couchdb_server: CouchDBServer, fresh_name: str
) -> None:
    """What a daemon or a cron job has closed takes nothing, and what is told never gets into the answer."""
    command, *others = words
    typed = [command, f"{couchdb_server.auth_url}/{fresh_name}", *others]
    program = [sys.executable, "-m", "aiocouch"]
    made = subprocess.run(
        [*program, "load", typed[1], os.devnull, "--create"], check=False, capture_output=True
    )
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "-", *program, *typed],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (made.returncode, ended.returncode) == (0, status)
    assert "Traceback" not in ended.stderr
    assert "no-such" not in ended.stdout


# -- Ctrl-C while the program begins


def test_ctrl_c_while_it_is_imported() -> None:
    code = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'aiohttp': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from _aiocouch_command import main\n"
        "sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (Exit.INTERRUPTED, "")
    code = code.replace("'aiohttp'", "'aiocouch.cli.commands.ls'")
    ended = subprocess.run(
        [sys.executable, "-c", code, "ls", "http://127.0.0.1:1/"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (Exit.INTERRUPTED, "")
    code = "from _aiocouch_command import main; import sys; sys.argv[1:] = ['--version']; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert ended.stdout.startswith("aiocouch ")


# -- copy by a server


async def test_the_server_is_not_told_of_what_is_not_there(
    run: Run, db: Database, fresh_name: str
) -> None:
    for words in ([db.id, fresh_name], [fresh_name, db.id, "--create"]):
        ended = await run("copy", *words, "--server")
        assert ended.status == Exit.NOT_FOUND
        assert fresh_name in line_of(ended)


async def test_a_copy_by_the_server_that_is_broken_off_is_ended(
    db: Database, fresh_name: str, couchdb_server: CouchDBServer
) -> None:
    """The server cannot get what it wants, and tries for ever; Ctrl-C takes that away."""
    words = ["copy", "http://127.0.0.1:9/none", f"{couchdb_server.auth_url}/{fresh_name}"]
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", *words, "--create", "--server", "-v"],
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    assert process.stderr is not None
    told = b""
    while b"_scheduler" not in told:
        line = await process.stderr.readline()
        assert line, told
        told += line
    process.send_signal(signal.SIGINT)
    _, rest = await process.communicate()
    assert process.returncode == Exit.INTERRUPTED
    assert b"Traceback" not in told + rest
    left = [each async for each in db.couchdb.database("_replicator").akeys()]
    assert not [each for each in left if each.startswith("aiocouch-")]


async def test_an_attachment_is_written_to_a_file(run: Run, db: Database, tmp_path: Path) -> None:
    await db.bulk_docs([{"_id": "a", "_attachments": {"x": {"data": "eA=="}}}])
    assert (await run("attachments", "get", db.id, "a", "x")).out == "x"
    assert (await run("attachments", "get", db.id, "a", "x", tmp_path / "x")).status == 0
    assert (tmp_path / "x").read_text() == "x"
    assert json.loads((await run("cat", db.id, "a", "--json")).out)["_id"] == "a"


def test_the_program_loads_nothing_before_it_takes_ctrl_c() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import _aiocouch_command\n"
        "print(sorted(set(sys.modules) - before))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(_aiocouch_command.__file__).parent)},
    )
    assert ended.stdout == "['__future__', '_aiocouch_command']\n"


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ValueError"])
def test_a_second_ctrl_c_where_nothing_can_be_raised(error: str) -> None:
    """Python tells of each of these on stderr, with a traceback."""
    code = (
        "import sys\n"
        "from _aiocouch_command import main\n"
        "class Ended:\n"
        f"    def __del__(self): raise {error}\n"
        "sys.argv[1:] = ['completion', 'bash']\n"
        "main()\n"
        "Ended()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, error == "ValueError")


@pytest.mark.parametrize(
    "words",
    [
        ["load", "-"],
        ["load", "{pipe}"],
        ["put", "a", "-"],
        ["put", "a", "{pipe}"],
        ["find", "-"],
        ["cat", "-"],
        ["rm", "-"],
        ["conflicts", "resolve", "-", "--merge"],
        ["attachments", "put", "a", "-", "--name", "b"],
        ["restore", "-"],
        ["restore", "{pipe}"],
    ],
    ids=" ".join,
)
async def test_ctrl_c_while_nobody_types(
    db: Database, couchdb_server: CouchDBServer, tmp_path: Path, words: list[str]
) -> None:
    """The first one ends it, though what is read has not ended and never will."""
    await db.bulk_docs([{"_id": "a"}])
    os.mkfifo(tmp_path / "pipe")
    at = 2 if words[0] in {"attachments", "conflicts"} else 1
    typed = [word.format(pipe=tmp_path / "pipe") for word in words]
    typed.insert(at, f"{couchdb_server.auth_url}/{db.id}")
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "aiocouch", *typed], stdin=reading, stderr=subprocess.PIPE
    )
    os.close(reading)
    if any("{pipe}" in word for word in words):
        os.close(writing)
        writing = await until_it_is_opened(tmp_path / "pipe", process)
    os.write(writing, b"x")
    while unread(writing) and process.returncode is None:  # noqa: ASYNC110 - a pipe tells nobody
        await asyncio.sleep(0)
    process.send_signal(signal.SIGINT)
    _, told = await process.communicate()
    os.close(writing)  # which was open until here
    assert process.returncode == Exit.INTERRUPTED
    assert told.decode() in {"", "broken off: the same command goes on\n"}


async def until_it_is_opened(pipe: Path, process: asyncio.subprocess.Process) -> int:
    """Open a named pipe to write into, which somebody must have opened to read from."""
    while process.returncode is None:
        with contextlib.suppress(OSError):
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        await asyncio.sleep(0)
    raise AssertionError("it has ended before it has opened the pipe")


def unread(pipe: int) -> int:
    """Return how many bytes in a pipe nobody has read yet."""
    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


async def test_what_reads_on_is_left_alone() -> None:
    over = threading.Event()
    reading = asyncio.create_task(apart(over.wait))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    over.set()
    assert await apart(lambda: 5) == 5
    with pytest.raises(ValueError, match="no number"):
        await apart(failing)


def failing() -> int:
    """Raise."""
    raise ValueError("no number")
