"""put, rm and attachments."""

from __future__ import annotations

import hashlib
import json
import random
from typing import TYPE_CHECKING

import pytest

from aiocouch import NotFoundError
from aiocouch.cli.exits import Exit
from tests.cli.test_editing import files

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from tests.cli.conftest import Run


async def test_put_pairs(run: Run, db: Database) -> None:
    ended = await run("put", db.id, "a", "title=Hamlet", "acts=5", 'zip="01"', "read=true", "x=y=z")
    assert ended.status == 0
    document = await db["a"]
    assert ended.lines == ["id\ta", f"revision\t{document.rev}"]
    assert document.json == {"title": "Hamlet", "acts": 5, "zip": "01", "read": True, "x": "y=z"}


async def test_put_a_file_and_stdin(run: Run, db: Database, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"n": 123456789012345678901234567890, "m": 1}')
    ended = await run("put", db.id, "a", file, "-", "p=1", "--json", stdin='{"m": 2}')
    assert json.loads(ended.out) == {"id": "a", "rev": (await db["a"]).rev}
    assert (await db["a"]).json == {"n": 123456789012345678901234567890, "m": 2, "p": 1}


async def test_put_does_not_take_the_place_of_another(run: Run, db: Database) -> None:
    document = await db.create("a", data={"n": 1, "kept": True})
    await document.save()
    ended = await run("put", db.id, "a", "n=2")
    assert ended.status == Exit.CONFLICT
    assert "--merge" in ended.err
    assert (await db["a"])["n"] == 1
    assert (await run("put", db.id, "a", "n=2", "--rev", str(document.rev))).status == 0
    assert (await db["a"]).json == {"n": 2}
    assert (await run("put", db.id, "a", "n=3", "--rev", str(document.rev))).status == Exit.CONFLICT
    assert (await run("put", db.id, "a", "m=3", "--merge")).status == 0
    assert (await db["a"]).json == {"n": 2, "m": 3}
    assert (await run("put", db.id, "a", "m=4", "--force")).status == 0
    assert (await db["a"]).json == {"m": 4}
    text = json.dumps(dict(await db["a"]) | {"m": 5})
    assert (await run("put", db.id, "a", "-", stdin=text)).status == 0
    assert (await db["a"]).json == {"m": 5}


@pytest.mark.parametrize(
    ("words", "stdin", "said"),
    [
        (["-"], '{"a":\n]', "line 2"),
        (["-"], "[]", "not a JSON object"),
        (["-"], '{"a": [{"b": 1, "c": 2, "b": 3}]}', "'b' twice"),
        (["-"], "{" * 2, "not JSON"),
        (["-"], '{"_id": "b"}', "'b'"),
        (["-", "--force"], '{"_rev": "1-a"}', "_rev"),
        (["=1"], "", "no name"),
    ],
)
async def test_put_what_cannot_be(
    run: Run, db: Database, words: list[str], stdin: str, said: str
) -> None:
    ended = await run("put", db.id, "a", *words, stdin=stdin)
    assert ended.status == Exit.USAGE
    assert said in ended.err
    with pytest.raises(NotFoundError):
        await db["a"]


async def test_put_a_file_that_is_not_there(run: Run, db: Database, tmp_path: Path) -> None:
    assert (await run("put", db.id, "a", tmp_path / "none.json")).status == Exit.NOT_FOUND


async def test_rm(run: Run, db: Database) -> None:
    await db.bulk_docs({"_id": f"d{number}"} for number in range(4))
    ended = await run("rm", db.id, "d0")
    assert ended.status == 0
    assert ended.lines[0].startswith("d0\t2-")
    ended = await run("rm", db.id, "-", "none", stdin="d1\nd2\n")
    assert ended.status == Exit.PARTLY
    assert [line.split("\t")[0] for line in ended.lines] == ["d1", "d2"]
    assert "none" in ended.err
    assert [doc_id async for doc_id in db.akeys()] == ["d3"]
    assert (await run("rm", db.id, "none", "d0")).status == Exit.NOT_FOUND


async def test_rm_one_revision(run: Run, db: Database) -> None:
    document = await db.create("a", data={"n": 1})
    await document.save()
    old = str(document.rev)
    document["n"] = 2
    await document.save()
    assert (await run("rm", db.id, "a", "--rev", old)).status == Exit.CONFLICT
    assert (await run("rm", db.id, "a", "b", "--rev", old)).status == Exit.USAGE
    ended = await run("rm", db.id, "a", "--rev", str(document.rev), "--json")
    assert (ended.status, json.loads(ended.out)["id"]) == (0, "a")
    with pytest.raises(NotFoundError):
        await db["a"]


async def test_attachments(run: Run, db: Database, tmp_path: Path) -> None:
    await (await db.create("a", data={"n": 1})).save()
    content = random.Random(1).randbytes(300_000)
    file = tmp_path / "picture.png"
    file.write_bytes(content)
    ended = await run("attachments", "put", db.id, "a", file)
    assert (ended.status, ended.lines[:2]) == (0, ["id\ta", "name\tpicture.png"])
    ended = await run(
        "attachments", "put", db.id, "a", "-", "--name", "b", "--type", "text/plain", stdin="hé"
    )
    assert ended.status == 0
    ended = await run("attachments", "list", db.id, "a", "--json")
    listed = {row["name"]: row for row in map(json.loads, ended.lines)}
    assert (listed["picture.png"]["content_type"], listed["b"]["length"]) == ("image/png", 3)
    assert (await run("attachments", "get", db.id, "a", "b")).out == "hé"
    got = tmp_path / "got"
    assert (await run("attachments", "get", db.id, "a", "picture.png", got)).status == 0
    assert hashlib.md5(got.read_bytes()).digest() == hashlib.md5(content).digest()
    assert files(tmp_path) == ["got", "picture.png"]
    assert (await run("attachments", "rm", db.id, "a", "b")).status == 0
    assert list((await db["a"])["_attachments"]) == ["picture.png"]


async def test_attachments_that_are_not_there(run: Run, db: Database, tmp_path: Path) -> None:
    await (await db.create("a", data={"n": 1})).save()
    for words in (["get", db.id, "a", "x", str(tmp_path / "x")], ["rm", db.id, "a", "x"]):
        ended = await run("attachments", *words)
        assert (ended.status, ended.out) == (Exit.NOT_FOUND, "")
    assert not files(tmp_path)
    put = ["attachments", "put", db.id]
    assert (await run(*put, "a", tmp_path / "none")).status == Exit.NOT_FOUND
    assert (await run(*put, "none", __file__)).status == Exit.NOT_FOUND
    assert (await run(*put, "a", "-")).status == Exit.USAGE
    assert (await run("attachments", "list", db.id, "a")).out == ""
