"""Whatever is typed, a command ends with a status and in words."""

from __future__ import annotations

import io
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as for_all
from hypothesis import strategies as st

from aiocouch.cli import main
from aiocouch.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

COMMANDS = [
    *(["attachments", action] for action in ("list", "get", "put", "rm")),
    *(["conflicts", action] for action in ("list", "show", "resolve")),
    *(["users", action] for action in ("list", "add", "passwd", "roles", "rm")),
    *(["security", action] for action in ("show", "add", "rm")),
    *(["replications", action] for action in ("list", "show", "rm", "wait")),
    *(["schema", action] for action in ("diff", "apply")),
    *([name] for name in ("cat", "compact", "copy", "doctor", "dump", "edit", "export", "find")),
    *([name] for name in ("info", "load", "ls", "put", "restore", "rm", "sync", "tail", "view")),
]
ADDRESSES = [
    "{at}",
    "{at}/",
    "{at}/x",
    "{at}/none",
    "{at}/B",
    "{at}/a%2Fb",
    "{at}/_users",
    "{at}/%00",
]
ADDRESSES += ["embedded:", "embedded:x", "embedded:{at}", "x", "@x", "http://[", "ftp://x", ""]
WORDS = [
    "a",
    "",
    "none",
    "_design/x",
    "-",
    "n=1",
    "n>1",
    "n>>1",
    "n~(",
    "{{}}",
    "{{",
    "[]",
    "d/all",
]
WORDS += [
    "_all_docs",
    "{file}",
    "/none/x",
    "{folder}",
    "os:path",
    "none:x",
    "ü",
    "a\nb",
    "..",
    "1-x",
]
WORDS += ["0", "-1", "1e9", "null", '"', "tab", "text", "csv", "json", "couchbackup"]
OPTIONS = [
    "--json",
    "-q",
    "--limit",
    "--skip",
    "--create",
    "--selector",
    "--id",
    "--fields",
    "--rev",
]
OPTIONS += ["--format", "--key", "--group", "--reduce", "--since", "--filter", "--last", "--merge"]
OPTIONS += [
    "--force",
    "--all",
    "--keep",
    "--deep",
    "--scan",
    "--plan",
    "--sort",
    "--index",
    "--type",
]
OPTIONS += [
    "--infer",
    "--delimiter",
    "--drop",
    "--role",
    "--none",
    "--member",
    "--server",
    "--local",
]
OPTIONS += ["--level", "--parallel", "--types", "--profile", "--password-stdin", "--include-docs"]
OPTIONS += ["--views", "--wait", "--no-rev", "--shards", "--revs", "--conflicts", "--attachments"]
STDIN = [b"", b"a\n", b'{"a":1}\n', b'{"_id":"z"}\n', b"\xff\xfe", b"secret\n"]


@pytest.fixture
async def places(alone: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A folder with a database, a file, and a folder to be in."""
    monkeypatch.setenv("EDITOR", "true")
    monkeypatch.chdir(tmp_path)
    at, file = f"embedded://{tmp_path}/data", tmp_path / "a.ndjson"
    file.write_text('{"_id": "a", "n": 1}\n{"_id": "b"}\n')
    assert (await alone("load", f"{at}/x", file, "--create")).status == 0
    return {"at": at, "file": str(file), "folder": str(tmp_path)}


@pytest.fixture
def patience() -> Iterator[None]:
    """Let none of them last."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(100)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=120,
)
@for_all(
    st.sampled_from(COMMANDS),
    st.sampled_from(ADDRESSES),
    st.lists(st.sampled_from([*WORDS, *ADDRESSES]), max_size=3),
    st.lists(st.tuples(st.sampled_from(OPTIONS), st.sampled_from([None, *WORDS])), max_size=2),
    st.sampled_from(STDIN),
)
@pytest.mark.usefixtures("patience")
def test_it_ends_in_words(
    places: dict[str, str],
    command: list[str],
    address: str,
    words: list[str],
    options: list[tuple[str, str | None]],
    stdin: bytes,
) -> None:
    more = [word for pair in options for word in pair if word is not None]
    typed = [*command, *(word.format(**places) for word in [address, *words, *more])]
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = main(typed)
    except SystemExit as ended:
        status = int(str(ended.code))
    finally:
        sys.stdin = before
    assert status in set(Exit), typed
    assert status != Exit.INTERRUPTED, f"{typed} lasts"
    told = err.getvalue()
    for ugly in ("Traceback", "Errno", " object at 0x", "never awaited", "<Database", "window="):
        assert ugly not in told, (typed, told)
