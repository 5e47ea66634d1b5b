"""find, view, tail and conflicts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.cli.exits import Exit
from tests.cli.test_output import Terminal

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer
    from tests.cli.conftest import Ended, Run


def rows(ended: Ended) -> list[Any]:
    """Return the lines of `--json`."""
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.lines]


@pytest.fixture
async def people(db: Database) -> Database:
    """Ten documents, with an age, a name, and an object."""
    await db.bulk_docs(
        {"_id": f"p{n}", "age": 20 + n, "name": f"N{n}", "at": {"city": "ab"[n % 2]}}
        for n in range(10)
    )
    return db


# -- find


async def test_find(run: Run, people: Database) -> None:
    found = rows(await run("find", people.id, "age>27", "--json"))
    assert [doc["_id"] for doc in found] == ["p8", "p9"]
    found = rows(await run("find", people.id, "-", "--json", stdin='{"name": "N3"}'))
    assert [doc["age"] for doc in found] == [23]
    ended = await run("find", people.id, "at.city=a", "name~[02]", "--fields", "name,at.city")
    assert ended.lines == ["N0\ta", "N2\ta"]
    assert (await run("find", people.id, "--limit", "2", "--skip", "1", "--json")).out.count(
        "\n"
    ) == 2


async def test_find_tells_how(run: Run, people: Database) -> None:
    ended = await run("find", people.id, "age>27", "--fields", "age")
    assert ended.lines == ["28", "29"]
    assert "no index; 10 documents looked at, 2 found" in ended.err
    assert "An index on age would" in ended.err
    assert "No matching index" not in ended.err
    await people.index({"fields": ["age"]}, name="by-age", ddoc="ages")
    ended = await run("find", people.id, "age>27", "--fields", "age", "--sort", "age:desc")
    assert ended.lines == ["29", "28"]
    assert "index by-age of _design/ages, which has all fields; 0 documents looked at" in ended.err
    ended = await run("find", people.id, "age>=28", "--json")
    assert "index by-age of _design/ages; 2 documents looked at, 2 found" in ended.err
    assert "would" not in ended.err
    ended = await run("find", people.id, "name=N1", "--fields", "age", "--quiet")
    assert (ended.out, ended.err) == ("21\n", "")


async def test_no_index_could_serve_it(run: Run, people: Database) -> None:
    ended = await run("find", people.id, "name~^N", "--limit", "1", "--json")
    assert "no index serves it" in ended.err
    assert "$beginsWith" in ended.err
    assert "would" not in ended.err
    for words in (["--limit", "1"], ["_id=p3"]):
        ended = await run("find", people.id, *words, "--json")
        assert ended.out.count("\n") == 1
        assert "serves" not in ended.err


async def test_plans(run: Run, people: Database) -> None:
    await people.index({"fields": ["age"]}, name="by-age", ddoc="ages")
    ended = await run("find", people.id, "age>1", "--plan")
    assert ended.lines[:2] == ["index\tby-age", "design document\t_design/ages"]
    ended = await run("find", people.id, "name=x", "--plan")
    assert ended.lines[0] == "index\t_all_docs"
    assert "An index on name would" in ended.err
    (plan,) = rows(
        await run("find", people.id, "age>1", "--plan", "--json", "--index", "ages/by-age")
    )
    assert plan["index"]["name"] == "by-age"


async def test_find_what_cannot_be(run: Run, people: Database) -> None:
    assert (await run("find", people.id, "age")).status == Exit.USAGE
    assert (await run("find", people.id, '{"a": {"$no": 1}}')).status == Exit.FAILED
    assert (await run("find", people.id, "age>1", "--sort", "age")).status == Exit.FAILED


# -- view


@pytest.fixture
async def viewed(people: Database) -> Database:
    """The people, in a view by city and age, with a sum."""
    ddoc = await people.design_doc("d")
    function = "function (doc) { emit([doc.at.city, doc.age], doc.age); }"
    names = "function (doc) { emit(doc.name); }"
    ddoc["views"] = {"ages": {"map": function, "reduce": "_sum"}, "names": {"map": names}}
    await ddoc.save()
    return people


async def test_view(run: Run, viewed: Database) -> None:
    assert (await run("view", viewed.id, "d/ages")).lines == ["\t\t245"]
    ended = await run("view", viewed.id, "d/ages", "--group-level", "1")
    assert ended.lines == ['\t["a"]\t120', '\t["b"]\t125']
    found = rows(
        await run(
            "view",
            viewed.id,
            "_design/d/_view/ages",
            "--no-reduce",
            "--startkey",
            '["b", 27]',
            "--json",
        )
    )
    assert found == [
        {"id": "p7", "key": ["b", 27], "value": 27},
        {"id": "p9", "key": ["b", 29], "value": 29},
    ]
    found = rows(await run("view", viewed.id, "d/ages", "--group", "--key", '["a",20]', "--json"))
    assert found == [{"key": ["a", 20], "value": 20}]


async def test_keys_of_views(run: Run, viewed: Database) -> None:
    view = ["view", viewed.id, "d/names", "--json"]
    ended = await run(*view, "--key", "N3", "--include-docs")
    (row,) = rows(ended)
    assert (row["id"], row["doc"]["age"]) == ("p3", 23)
    assert [row["id"] for row in rows(await run(*view, "--key", "N3", "--key", "N1"))] == [
        "p3",
        "p1",
    ]
    assert len(rows(await run(*view, "--prefix", "N"))) == 10
    ended = await run(*view, "--endkey", "N4", "--descending", "--limit", "2", "--skip", "1")
    assert [row["id"] for row in rows(ended)] == ["p8", "p7"]
    assert (await run(*view, "--prefix", "N", "--key", "a")).status == Exit.USAGE
    assert len(rows(await run(*view, "--startkey", "N8", "--update", "true"))) == 2


async def test_views_that_every_database_has(run: Run, viewed: Database) -> None:
    ended = await run("view", viewed.id, "_all_docs", "--json", "--key", "p1", "--key", "none")
    assert [row.get("error") for row in rows(ended)] == [None, "not_found"]
    (row,) = rows(await run("view", viewed.id, "_design_docs", "--json"))
    assert row["id"] == "_design/d"


async def test_no_view(run: Run, viewed: Database) -> None:
    assert (await run("view", viewed.id, "d")).status == Exit.USAGE
    assert (await run("view", viewed.id, "d/none")).status == Exit.NOT_FOUND


# -- tail


async def test_tail(run: Run, people: Database) -> None:
    await (await people["p3"]).delete()
    ended = await run("tail", people.id)
    told = {line.split("\t")[0]: line.split("\t")[2:] for line in ended.lines}
    assert told == {f"p{n}": ["deleted"] if n == 3 else [] for n in range(10)}
    assert len((await run("tail", people.id, "-n", "2")).lines) == 2
    found = rows(await run("tail", people.id, "--since", "0", "--json", "--include-docs"))
    assert {row["id"] for row in found} == {f"p{n}" for n in range(10)}
    assert {row["doc"]["_id"] for row in found} == {f"p{n}" for n in range(10)}
    ended = await run("tail", people.id, "--since", str(found[-1]["seq"]))
    assert (ended.status, ended.out) == (0, "")
    assert len((await run("tail", people.id, "--since", "0", "--limit", "3")).lines) == 3
    assert (await run("tail", people.id, "--since", "0", "-n", "1")).status == Exit.USAGE


async def test_tail_filters(run: Run, people: Database) -> None:
    tail = ["tail", people.id, "--since", "0", "--json"]
    found = rows(await run(*tail, "--filter", "age>27", "--filter", "at.city=a"))
    assert [row["id"] for row in found] == ["p8"]
    ddoc = await people.design_doc("d")
    ddoc["filters"] = {"young": "function (doc, req) { return doc.age < 21; }"}
    await ddoc.save()
    assert [row["id"] for row in rows(await run(*tail, "--filter", "d/young"))] == ["p0"]
    assert (await run(*tail, "--filter", "young")).status == Exit.USAGE
    assert (await run(*tail, "--filter", "d/young", "--filter", "a=1")).status == Exit.USAGE


async def test_tail_follows_line_by_line(people: Database, couchdb_server: CouchDBServer) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "aiocouch", "tail", people.id, "-f", "-n", "2"),
        env={**os.environ, "COUCHDB_URL": couchdb_server.auth_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    first = [await process.stdout.readline() for _ in range(2)]
    assert {line[:1] for line in first} == {b"p"}
    await (await people.create("new", data={"n": 1})).save()
    assert (await process.stdout.readline()).startswith(b"new\t1-")
    process.send_signal(signal.SIGINT)
    assert await process.communicate() == (b"", b"")
    assert process.returncode == Exit.INTERRUPTED


async def test_tail_follows_until_a_limit(run: Run, people: Database) -> None:
    running = asyncio.create_task(run("tail", people.id, "-f", "--since", "now", "--limit", "1"))
    number = 0
    while not running.done():
        await people.bulk_docs([{"_id": f"new{number}"}])
        number += 1
    ended = await running
    assert (ended.status, len(ended.lines), ended.out[:3]) == (0, 1, "new")


# -- conflicts


async def leave_conflict(db: Database, doc_id: str, *contents: dict[str, Any]) -> list[str]:
    """Leave versions of a document beside one another, of one base; return their revisions."""
    base = await db.create(doc_id, data={"n": 1, "m": 1})
    await base.save()
    start, first = str(base.rev).split("-")
    docs = [
        {
            "_id": doc_id,
            "_rev": f"2-{number:032x}",
            "_revisions": {"start": int(start) + 1, "ids": [f"{number:032x}", first]},
            **content,
        }
        for number, content in enumerate(contents)
    ]
    await db.bulk_docs(docs, new_edits=False)
    return [doc["_rev"] for doc in docs]


async def test_conflicts_are_listed(run: Run, db: Database) -> None:
    revs = await leave_conflict(db, "a", {"n": 2, "m": 1}, {"n": 1, "m": 2})
    await (await db.create("b", data={})).save()
    assert (await run("conflicts", "list", db.id)).lines == [f'a\t{revs[1]}\t["{revs[0]}"]']
    assert rows(await run("conflicts", "list", db.id, "--json")) == [
        {"id": "a", "rev": revs[1], "conflicts": [revs[0]]}
    ]


async def test_conflicts_are_shown(run: Run, db: Database) -> None:
    revs = await leave_conflict(db, "a", {"n": 2, "m": 1, "x": 0}, {"n": 3, "m": 1})
    ended = await run("conflicts", "show", db.id, "a")
    assert ended.lines[0].split("\t")[2:] == [f"winner {revs[1]}", revs[0]]
    assert ended.lines[1:] == ["n\t1\t3\t2", "x\t\t\t0"]
    (told,) = rows(await run("conflicts", "show", db.id, "a", "--json"))
    assert (told["differing"], told["base"]["n"]) == (["n", "x"], 1)
    assert [version["_rev"] for version in told["versions"]] == revs[::-1]
    assert (await run("conflicts", "show", db.id, "none")).status == Exit.NOT_FOUND


async def test_values_of_conflicts_are_told_from_one_another(run: Run, db: Database) -> None:
    """5 is not "5", null is not nothing, and an empty text neither."""
    await leave_conflict(db, "a", {"n": 5, "m": None, "e": ""}, {"n": "5", "t": "plain"})
    ended = await run("conflicts", "show", db.id, "a")
    assert ended.lines[1:] == [
        'n\t1\t"5"\t5',
        "t\t\tplain\t",
        "m\t1\t\tnull",
        'e\t\t\t""',
    ]


async def test_versions_that_do_not_fit_beside_one_another(
    run: Run, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal shows each value once, with the versions that have it."""
    revs = await leave_conflict(db, "a", *({"n": 1, "m": number // 4} for number in range(6)))
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "90")
    ended = await run("conflicts", "show", db.id, "a")
    assert ended.status == 0
    base = (await db.leaves("a")).ancestor
    shown = sys.stdout.getvalue() if isinstance(sys.stdout, Terminal) else ""
    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["m", "1", "base", base],
        ["1", "winner", revs[5], "and", "1", "other"],
        ["0", revs[3], "and", "3", "others"],
    ]


async def test_conflicts_are_merged(run: Run, db: Database) -> None:
    await leave_conflict(db, "a", {"n": 2, "m": 1}, {"n": 1, "m": 2})
    await leave_conflict(db, "b", {"n": 2, "m": 1}, {"n": 3, "m": 2})
    ended = await run("conflicts", "resolve", db.id, "--all", "--merge", "--json")
    assert ended.status == Exit.PARTLY
    assert "overlap in n" in ended.err
    assert (await db["a"]).json == {"n": 2, "m": 2}
    assert json.loads(ended.out) == {"id": "a", "rev": (await db["a"]).rev}
    assert [found.id async for found in db.conflicts()] == ["b"]
    assert (await run("conflicts", "resolve", db.id, "b", "--merge")).status == Exit.CONFLICT


async def test_attachments_are_merged(run: Run, db: Database) -> None:
    one = {"one": {"content_type": "text/plain", "data": "MQ=="}}
    two = {"two": {"content_type": "text/plain", "data": "Mg=="}}
    both = {"n": 1, "m": 1}
    await leave_conflict(db, "a", {**both, "_attachments": one}, {**both, "_attachments": two})
    assert (await run("conflicts", "resolve", db.id, "a", "--merge")).status == 0
    document = await db["a"]
    assert sorted(document["_attachments"]) == ["one", "two"]
    assert await document.attachment("one").fetch() == b"1"


async def test_one_version_is_kept(run: Run, db: Database) -> None:
    revs = await leave_conflict(db, "a", {"n": 2}, {"n": 3})
    await leave_conflict(db, "b", {"n": 2}, {"n": 3})
    resolve = ["conflicts", "resolve", db.id]
    assert (await run(*resolve, "a", "--keep", "2-none")).status == Exit.NOT_FOUND
    assert (await run(*resolve, "a", "--keep", revs[0])).status == 0
    assert (await run(*resolve, "-", "--keep", "winner", stdin="b\n")).status == 0
    assert [(await db[doc_id]).json for doc_id in "ab"] == [{"n": 2}, {"n": 3}]
    assert (await run("conflicts", "list", db.id)).out == ""
    assert (await run(*resolve, "--keep", "winner")).status == Exit.USAGE
    assert (await run(*resolve, "a")).status == Exit.USAGE


async def test_without_an_ancestor_nothing_is_merged(run: Run, db: Database) -> None:
    await db.bulk_docs(
        [{"_id": "a", "_rev": f"1-{number:032x}", "n": number} for number in range(2)],
        new_edits=False,
    )
    ended = await run("conflicts", "resolve", db.id, "a", "--merge")
    assert ended.status == Exit.CONFLICT
    assert "ancestor" in ended.err
