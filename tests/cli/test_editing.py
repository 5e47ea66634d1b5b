"""edit, with scripts in the place of an editor."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from aiocouch.cli.exits import Exit

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Run

_EDITOR = '''
import base64, json, sys, urllib.request
from pathlib import Path

path, here = Path(sys.argv[1]), Path(__file__).parent
number = len(list(here.glob("*.seen")))
(here / f"{number}.seen").write_bytes(path.read_bytes())
doc = json.loads(path.read_text())


def they(method, **members):
    """Somebody else saves."""
    request = urllib.request.Request(DOCUMENT, method="GET")
    request.add_header("Authorization", AUTHORIZATION)
    theirs = json.load(urllib.request.urlopen(request))
    request = urllib.request.Request(
        DOCUMENT + "?rev=" + theirs["_rev"],
        data=json.dumps(theirs | members).encode(),
        method=method,
        headers={"Content-Type": "application/json"},
    )
    request.add_header("Authorization", AUTHORIZATION)
    urllib.request.urlopen(request).close()


def save(**members):
    path.write_text(json.dumps(doc | members))


exec((here / f"{number}.step").read_text())
'''


class Editor(Protocol):
    """Sets what the editor does, one step each time it is called; gives what it has seen."""

    def __call__(self, *steps: str) -> Path: ...


@pytest.fixture
async def editor(
    db: Database, couchdb_server: CouchDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Editor:
    """An editor that does what a test says, for the document `a`, whose content is {"n": 1, "m": 1}."""
    await (await db.create("a", data={"n": 1, "m": 1})).save()

    def make(*steps: str) -> Path:
        from base64 import b64encode

        here = tmp_path / "editor"
        here.mkdir()
        who = b64encode(f"{couchdb_server.user}:{couchdb_server.password}".encode()).decode()
        names = f"DOCUMENT = '{couchdb_server.url}/{db.id}/a'\nAUTHORIZATION = 'Basic {who}'\n"
        (here / "editor.py").write_text(names + _EDITOR)
        for number, step in enumerate(steps):
            (here / f"{number}.step").write_text(step)
        monkeypatch.setenv("EDITOR", f"{sys.executable} {here / 'editor.py'}")
        return here

    monkeypatch.delenv("VISUAL", raising=False)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return make


def kept(said: str, when: str = "") -> Path:
    """Return the file that is named as having what was typed."""
    found = re.search(rf"what you typed{when} is kept in (\S+)", said)
    assert found is not None, said
    return Path(found[1])


def files(folder: Path) -> list[str]:
    """Return the names of what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """Where drafts are."""
    return tmp_path / "tmp"


async def test_edit(run: Run, db: Database, editor: Editor, left: Path) -> None:
    here = editor("save(n=2)")
    ended = await run("edit", db.id, "a", "--json")
    assert ended.status == 0
    assert json.loads(ended.out) == {"id": "a", "rev": (await db["a"]).rev}
    assert (await db["a"]).json == {"n": 2, "m": 1}
    seen = (here / "0.seen").read_text()
    assert seen.startswith('{\n  "_id": "a",\n  "_rev": "1-')
    assert not files(left)


async def test_nothing_was_changed(run: Run, db: Database, editor: Editor, left: Path) -> None:
    editor("save()")
    ended = await run("edit", db.id, "a")
    assert (ended.status, ended.out) == (0, "")
    assert "nothing was saved" in ended.err
    assert (await db["a"])["_rev"].startswith("1-")
    assert not files(left)


async def test_a_new_document(run: Run, db: Database, editor: Editor, left: Path) -> None:
    editor("save(new=True)")
    ended = await run("edit", db.id, "b")
    assert ended.status == Exit.NOT_FOUND
    assert not files(left)
    assert (await run("edit", db.id, "b", "--create")).status == 0
    assert (await db["b"]).json == {"new": True}


async def test_a_new_document_into_which_nothing_was_typed(
    run: Run, db: Database, editor: Editor, left: Path
) -> None:
    """Who thinks better of it leaves the editor, and finds no empty document later."""
    editor("pass")
    ended = await run("edit", db.id, "b", "--create")
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == "nothing was typed: nothing was saved\n"
    assert "b" not in [each async for each in db.akeys()]
    assert not files(left)


async def test_an_editor_that_leaves_no_file(
    run: Run, db: Database, editor: Editor, left: Path
) -> None:
    editor("path.unlink()")
    ended = await run("edit", db.id, "a")
    assert ended.status == Exit.FAILED, "the document is there"
    assert ended.err == "aiocouch edit: the editor left no file. Nothing was saved\n"
    assert not files(left)


async def test_no_such_database(run: Run, fresh_name: str, editor: Editor) -> None:
    editor()
    assert (await run("edit", fresh_name, "b", "--create")).status == Exit.NOT_FOUND


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("path.write_text('{\"typed\":\\n}')", "not JSON"),
        ("path.write_text('[]')", "not a JSON object"),
        ("save(_id='other')", "_id cannot be changed"),
        ("save(_rev='1-other')", "_rev is CouchDB's"),
        ("save(n=2); sys.exit(3)", "ended with 3"),
    ],
)
async def test_what_cannot_be_saved_is_kept(
    run: Run, db: Database, editor: Editor, step: str, said: str
) -> None:
    editor(step)
    ended = await run("edit", db.id, "a")
    assert ended.status == Exit.FAILED
    assert said in ended.err
    assert kept(ended.err).read_text()
    assert (await db["a"]).json == {"n": 1, "m": 1}


async def test_what_cannot_be_saved_is_edited_again(
    run: Run, db: Database, editor: Editor, left: Path
) -> None:
    here = editor("path.write_text('{')", "path.write_text('{\"n\": 5}')")
    (here / "editor.py").write_text(
        (here / "editor.py").read_text().replace("doc = ", "doc = None #")
    )
    ended = await run("edit", db.id, "a", stdin="x\ne\n", terminal=True)
    assert ended.status == 0
    assert (here / "1.seen").read_text() == "{"
    assert (await db["a"]).json == {"n": 5}
    assert not files(left)


async def test_an_editor_that_does_not_start(
    run: Run, db: Database, editor: Editor, left: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    ended = await run("edit", db.id, "a")
    assert ended.status == Exit.USAGE
    assert "/no/such/editor" in ended.err
    assert not files(left)


async def test_somebody_was_faster(run: Run, db: Database, editor: Editor) -> None:
    editor("they('PUT', m=3); save(n=2)")
    ended = await run("edit", db.id, "a")
    assert ended.status == Exit.CONFLICT
    assert "changed m" in ended.err
    assert json.loads(kept(ended.err).read_text())["n"] == 2
    assert (await db["a"]).json == {"n": 1, "m": 3}


@pytest.mark.parametrize("asked", [True, False])
async def test_what_does_not_overlap_is_merged(
    run: Run, db: Database, editor: Editor, left: Path, asked: bool
) -> None:
    editor("they('PUT', m=3, more=[1]); save(n=2)")
    how = {"stdin": "m\n", "terminal": True} if asked else {}
    words = [] if asked else ["--on-conflict", "merge"]
    ended = await run("edit", db.id, "a", *words, **how)  # type: ignore[arg-type]
    assert ended.status == 0
    assert (await db["a"]).json == {"n": 2, "m": 3, "more": [1]}
    assert not files(left)


async def test_what_overlaps_is_not_merged(run: Run, db: Database, editor: Editor) -> None:
    editor("they('PUT', n=3); save(n=2)")
    ended = await run("edit", db.id, "a", "--on-conflict", "merge")
    assert ended.status == Exit.CONFLICT
    assert "both changed n: yours 2, theirs 3" in ended.err
    assert json.loads(kept(ended.err).read_text())["n"] == 2


async def test_what_overlaps_is_edited_again(
    run: Run, db: Database, editor: Editor, left: Path
) -> None:
    here = editor("they('PUT', n=3, m=9); save(n=2)", "save(n=4)")
    # There is nothing to merge: "m" is no answer.
    ended = await run("edit", db.id, "a", stdin="m\ne\n", terminal=True)
    assert ended.status == 0
    again = json.loads((here / "1.seen").read_text())
    assert (again["n"], again["m"], again["_rev"][:2]) == (2, 9, "2-")
    assert (await db["a"]).json == {"n": 4, "m": 9}
    assert "what they saved is in" in ended.err
    assert not files(left)


@pytest.mark.parametrize(("answers", "saved"), [("e\ns\n", 2), ("e\nq\n", 3), ("e\ne\n", 4)])
async def test_who_leaves_the_editor_at_once_is_asked(
    run: Run, db: Database, editor: Editor, answers: str, saved: int
) -> None:
    editor("they('PUT', n=3); save(n=2)", "pass", "save(n=4)")
    ended = await run("edit", db.id, "a", stdin=answers, terminal=True)
    assert ended.status == (Exit.CONFLICT if saved == 3 else 0)
    assert (await db["a"])["n"] == saved
    if saved == 3:
        assert json.loads(kept(ended.err, " before").read_text())["n"] == 2


async def test_again_and_again(run: Run, db: Database, editor: Editor) -> None:
    editor("they('PUT', n=3); save(n=2)", "they('PUT', n=5); save(n=4)")
    ended = await run("edit", db.id, "a", stdin="e\nq\n", terminal=True)
    assert ended.status == Exit.CONFLICT
    assert json.loads(kept(ended.err, " before").read_text())["n"] == 2
    assert json.loads(kept(ended.err).read_text())["n"] == 4
    assert (await db["a"])["n"] == 5


async def test_somebody_deleted_it(run: Run, db: Database, editor: Editor) -> None:
    editor("they('DELETE'); save(n=2)")
    ended = await run("edit", db.id, "a", "--on-conflict", "merge")
    assert ended.status == Exit.CONFLICT
    assert "deleted" in ended.err
    assert json.loads(kept(ended.err).read_text())["n"] == 2


async def test_somebody_deleted_it_and_it_is_created_anew(
    run: Run, db: Database, editor: Editor
) -> None:
    editor("they('DELETE'); save(n=2)")
    ended = await run("edit", db.id, "a", stdin="m\n", terminal=True)
    assert ended.status == 0
    assert (await db["a"]).json == {"n": 2, "m": 1}


async def test_a_server_that_went_away(
    run: Run, db: Database, editor: Editor, tmp_path: Path
) -> None:
    editor("save(n=2)", "save(n=3)")
    await db.delete()
    await db.couchdb.create(db.id)
    await (await db.create("a", data={"n": 1})).save()
    here = tmp_path / "editor"
    (here / "0.step").write_text(
        "urllib.request.urlopen(urllib.request.Request(DOCUMENT.rpartition('/')[0], method='DELETE',"
        " headers={'Authorization': AUTHORIZATION})).close(); save(n=2)"
    )
    ended = await run("edit", db.id, "a")
    assert ended.status == Exit.NOT_FOUND
    assert json.loads(kept(ended.err).read_text())["n"] == 2


async def test_ctrl_c_is_for_the_editor(
    db: Database, editor: Editor, couchdb_server: CouchDBServer
) -> None:
    editor(
        "import os, signal\n"
        "came = []\n"
        "signal.signal(signal.SIGINT, lambda *_: came.append(1))\n"
        "print('typing', flush=True)\n"
        "while not came:\n"
        "    signal.pause()\n"
        "save(n=2)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "aiocouch", "edit", db.id, "a"),
        env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"typing\n"
    os.killpg(process.pid, signal.SIGINT)
    assert (await process.stdout.read()).startswith(b"id\ta\n")
    assert await process.wait() == 0
    assert (await db["a"])["n"] == 2
