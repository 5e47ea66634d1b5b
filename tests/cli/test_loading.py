"""load and export, as commands."""

from __future__ import annotations

import codecs
import gzip
import json
from typing import TYPE_CHECKING

import pytest

from aiocouch.cli.columns import Columns
from aiocouch.cli.exits import Exit
from tests.dumping.databases import leaf

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from tests.cli.conftest import Run

BIG = "123456789012345678901234567890"


async def text_of(db: Database, doc_id: str) -> str:
    answer = await db.couchdb.request("GET", f"{db.endpoint}/{doc_id}")
    return answer.body.decode()


# -- load


async def test_lines_of_json(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text(f'{{"_id":"a","n":{BIG}}}\n\n{{"n":2}}\r\n{{"_id":"c"}}')
    ended = await run("load", db.id, path, "--json")
    assert (ended.status, ended.err) == (0, "")
    told = json.loads(ended.out)
    assert (told["documents"], told["written"], told["failed"]) == (3, 3, 0)
    assert f'"n":{BIG}' in await text_of(db, "a")
    assert (await db.info())["doc_count"] == 3


async def test_many_from_a_compressed_file(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.gz"
    lines = b"".join(b'{"key":%d}\n' % number for number in range(5_000))
    path.write_bytes(gzip.compress(lines))
    ended = await run("load", db.id, path, "--id", "key")
    assert (ended.status, ended.err) == (0, "")
    assert (await db.info())["doc_count"] == 5_000
    assert (await db["4999"])["key"] == 4999


@pytest.mark.parametrize(
    "text",
    [
        '[{"_id":"a","n":1},{"_id":"b"}]',
        '{"docs":[{"_id":"a","n":1},{"_id":"b"}]}',
        '{"total_rows":2,"rows":[{"id":"a","doc":{"_id":"a","n":1}},{"doc":{"_id":"b"}}]}',
    ],
)
async def test_json(run: Run, db: Database, tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    assert (await run("load", db.id, path)).status == 0
    assert [each async for each in db.akeys()] == ["a", "b"]


async def test_one_document(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"_id":"a",\n"docs":null}')
    assert (await run("load", db.id, path)).status == 0
    assert (await db["a"])["docs"] is None


CSV = """\
isbn,title,pages:int,price,new,tags
0140,"Hamlet, Prince",104,9.90,yes,"[1, ""a""]"
0141,Utopia,,123456789012345678901234567890.5,0,
"""


async def test_csv_with_types(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + CSV)
    types = ["--type", "price=number", "--type", "new=bool", "--type", "tags=json"]
    ended = await run("load", db.id, path, "--id", "isbn", *types)
    assert (ended.status, ended.err) == (0, "")
    hamlet = (await db["0140"]).json
    tags = [1, "a"]
    assert hamlet == {
        **{"isbn": "0140", "title": "Hamlet, Prince", "pages": 104, "price": 9.9, "new": True},
        "tags": tags,
    }
    assert (await db["0141"]).json.keys() == {"isbn", "title", "price", "new"}


async def test_csv_is_text_unless_inferred(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("id\tzip\tn\tb\n1\t01234\t1.50\ttrue\n")
    words = ["load", db.id, str(path), "--id", "id", "--delimiter", "\t"]
    assert (await run(*words)).status == 0
    assert (await db["1"]).json == {"id": "1", "zip": "01234", "n": "1.50", "b": "true"}
    assert (await run(*words, "--infer", "--on-conflict", "overwrite")).status == 0
    assert (await db["1"]).json == {"id": 1, "zip": "01234", "n": 1.5, "b": True}


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("a,b\n1,2\nx,2\n", ["--type", "a=int"], "line 3, column 'a'"),
        ("a,b\n1,2\n1\n", [], "line 3: 1 values for 2 columns"),
        ("a,a\n1,2\n", [], "two columns"),
        ("a,b\n1,2\n", ["--type", "c=int"], "no column 'c'"),
        ('a,b\n1,"2\n', [], "not CSV"),
        ("a,b\n1,2\n,2\n", ["--id", "a"], "document 2: 'a'"),
    ],
)
async def test_bad_csv_is_named(
    run: Run, db: Database, tmp_path: Path, text: str, words: list[str], said: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    ended = await run("load", db.id, path, *words)
    assert ended.status == Exit.FAILED
    assert said in ended.err


async def test_what_was_written_before_an_error_is_told(
    run: Run, db: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"_id":"a"}\n{"_id":"b"}\n{"_id":\n')
    ended = await run("load", db.id, path)
    assert ended.status == Exit.FAILED
    assert "document 3" in ended.err
    assert "2 are written" in ended.err


@pytest.mark.parametrize("words", [["--type", "a=date"], ["--type", "a"], ["--format", "xml"]])
async def test_wrong_words(run: Run, db: Database, words: list[str]) -> None:
    assert (await run("load", db.id, "-", *words)).status == Exit.USAGE


async def test_what_is_there_already(run: Run, db: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"_id":"a","n":1}\n{"_id":"b","n":1}\n')
    await db.bulk_docs([{"_id": "a", "n": 0}])
    ended = await run("load", db.id, path, "--json")
    assert ended.status == Exit.PARTLY
    assert ended.err.startswith("a: conflict")
    assert json.loads(ended.out)["failed"] == 1
    ended = await run("load", db.id, path, "--on-conflict", "skip", "--json")
    assert (ended.status, json.loads(ended.out)["skipped"]) == (0, 2)
    assert (await db["a"])["n"] == 0
    assert (await run("load", db.id, path, "--on-conflict", "overwrite")).status == 0
    assert (await db["a"])["n"] == 1


async def test_a_database_is_made_when_asked(run: Run, fresh_name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"_id":"a","_rev":"1-x"}\n')
    assert (await run("load", fresh_name, path)).status == Exit.NOT_FOUND
    ended = await run("load", fresh_name, path, "--create", "--shards", "1", "--drop", "_rev")
    assert (ended.status, ended.err) == (0, "")


# -- export


async def some(db: Database) -> None:
    leaves = [leaf(f"d{at}", f"a{at}", n=at, author={"name": f"n,{at}"}) for at in range(3)]
    leaves.append(leaf("_design/x", "a", views={}))
    leaves.append(leaf("gone", "a", _deleted=True))
    await db.bulk_docs(leaves, new_edits=False)


async def test_export_lines(run: Run, db: Database) -> None:
    await some(db)
    ended = await run("export", db.id)
    assert [json.loads(line)["_id"] for line in ended.lines] == ["d0", "d1", "d2"]
    assert "_rev" in ended.lines[0]
    ended = await run("export", db.id, "--no-rev", "--design", "--prefix", "_design/")
    assert json.loads(ended.out) == {"_id": "_design/x", "views": {}}
    ended = await run("export", db.id, "--selector", '{"n": 1}', "--fields", "n,author.name")
    assert json.loads(ended.out) == {"n": 1, "author.name": "n,1"}


async def test_what_is_exported_can_be_loaded(
    run: Run, db: Database, fresh_name: str, tmp_path: Path
) -> None:
    await some(db)
    for name in ("a.ndjson", "a.json"):
        assert (await run("export", db.id, tmp_path / name, "--no-rev")).status == 0
        words = ["--create", "--on-conflict", "overwrite"]
        ended = await run("load", fresh_name, tmp_path / name, *words)
        assert (ended.status, ended.err) == (0, "")
        copy = db.couchdb.database(fresh_name)
        assert [doc.json async for doc in copy.docs()] == [doc.json async for doc in db.docs()]


async def test_export_csv(run: Run, db: Database, tmp_path: Path) -> None:
    await some(db)
    path = tmp_path / "a.csv"
    assert (await run("export", db.id, path, "--fields", "_id,n,author.name,none")).status == 0
    assert path.read_text() == '_id,n,author.name,none\nd0,0,"n,0",\nd1,1,"n,1",\nd2,2,"n,2",\n'
    assert (await run("export", db.id, path, "--fields", "n")).status == Exit.CONFLICT


async def test_export_csv_of_whatever_there_is(run: Run, db: Database, tmp_path: Path) -> None:
    leaves = [
        leaf("a", "a", n=1, text="one, two"),
        leaf("b", "b", more=[1, {"x": None}], n=None),
        leaf("c", "c", text="", flag=True, n=2),
    ]
    await db.bulk_docs(leaves, new_edits=False)
    ended = await run("export", db.id, "--format", "csv", "--no-rev")
    assert ended.lines == [
        "_id,n,text,more,flag",
        'a,1,"one, two",,',
        'b,,,"[1,{""x"":null}]",',
        "c,2,,,true",
    ]
    ended = await run("export", db.id, "--format", "csv", "--no-rev", "--types")
    assert ended.lines == [
        "_id:text,n:json,text:json,more:json,flag:bool",
        'a,1,"""one, two""",,',
        'b,null,,"[1,{""x"":null}]",',
        'c,2,"""""",,true',
    ]
    ended = await run("export", db.id, "--format", "csv", "--types", "--fields", "text,_id,none")
    assert ended.lines == ["text:json,_id:text,none:text", '"""one, two""",a,', ",b,", '"""""",c,']


async def test_tabs_and_compression_by_the_name(
    run: Run, db: Database, fresh_name: str, tmp_path: Path
) -> None:
    await some(db)
    path = tmp_path / "a.tsv.gz"
    assert (await run("export", db.id, path, "--no-rev", "--types")).status == 0
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[:2] == ["_id:text\tn:int\tauthor:json", 'd0\t0\t"{""name"":""n,0""}"']
    assert (await run("load", fresh_name, path, "--create")).status == 0
    copy = db.couchdb.database(fresh_name)
    assert [doc.json async for doc in copy.docs()] == [doc.json async for doc in db.docs()]
    ended = await run("export", db.id, "--format", "csv", "--delimiter", "tab", "--fields", "_id,n")
    assert ended.lines[1] == "d0\t0"


async def test_an_export_leaves_attachments_out_and_tells_it(
    run: Run, db: Database, fresh_name: str, tmp_path: Path
) -> None:
    await db.bulk_docs([{"_id": "a", "_attachments": {"x": {"data": "eA=="}}}, {"_id": "b"}])
    path = tmp_path / "a.ndjson"
    ended = await run("export", db.id, path, "--no-rev")
    assert (ended.status, "attachments of 1 document" in ended.err) == (0, True)
    assert (await run("load", fresh_name, path, "--create")).status == 0
    assert (await run("export", db.id, tmp_path / "b.csv", "--quiet")).err == ""
    ended = await run("export", db.id, "--fields", "_attachments")
    assert "content_type" in json.loads(ended.lines[0])["_attachments"]["x"]
    assert ended.err == ""


async def test_an_export_that_fails_leaves_nothing(
    run: Run, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await some(db)

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Columns, "take", broken)
    ended = await run("export", db.id, tmp_path / "a.csv")
    assert ended.status == Exit.FAILED
    assert "No space left" in ended.err
    assert not list(tmp_path.iterdir())


async def test_a_cell_may_be_long(run: Run, db: Database, fresh_name: str, tmp_path: Path) -> None:
    await db.bulk_docs([{"_id": "a", "long": ["x" * 300_000]}])
    path = tmp_path / "a.csv"
    assert (await run("export", db.id, path, "--no-rev", "--types")).status == 0
    assert (await run("load", fresh_name, path, "--create")).status == 0
    assert (await db.couchdb.database(fresh_name)["a"]).json == (await db["a"]).json


async def test_an_empty_export(run: Run, db: Database) -> None:
    assert (await run("export", db.id, "--format", "json")).out == "[\n\n]\n"
    assert (await run("export", db.id, "--format", "csv")).out == "\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--types"],
        ["--delimiter", ";", "--format", "json"],
        ["--format", "csv", "--delimiter", ""],
        ["--format", "csv", "--delimiter", "||"],
        ["--selector", "{"],
        ["--selector", "{}", "--prefix", "a"],
    ],
)
async def test_wrong_exports(run: Run, db: Database, words: list[str]) -> None:
    ended = await run("export", db.id, *words)
    assert ended.status == Exit.USAGE
    assert ended.err


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.ndjson", '{"_id":"a"}\r\n'),
        ("a.json", '[{"_id":"a"}]'),
        ("a.csv", "_id\r\na\r\n"),
    ],
)
async def test_a_file_that_begins_with_a_mark(
    run: Run, db: Database, tmp_path: Path, name: str, text: str, *, compressed: bool
) -> None:
    """As programs of Windows write them."""
    raw = codecs.BOM_UTF8 + text.encode()
    file = tmp_path / (f"{name}.gz" if compressed else name)
    file.write_bytes(gzip.compress(raw) if compressed else raw)
    ended = await run("load", db.id, file)
    assert (ended.status, ended.err) == (0, "")
    assert [each async for each in db.akeys()] == ["a"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "sum", "head"])
async def test_a_damaged_file(run: Run, db: Database, tmp_path: Path, damage: str) -> None:
    raw = bytearray(gzip.compress(b"".join(b'{"_id":"%d"}\n' % n for n in range(5_000))))
    if damage == "cut":
        del raw[len(raw) // 2 :]
    else:
        raw[{"flipped": 12, "sum": len(raw) - 6, "head": 2}[damage]] ^= 0xFF
    file = tmp_path / "a.ndjson.gz"
    file.write_bytes(raw)
    ended = await run("load", db.id, file)
    assert ended.status == Exit.FAILED
    told = ended.err.splitlines()[-1]
    assert told.startswith(
        f"aiocouch load: {file}: the compressed text is damaged, or breaks off: "
    )
