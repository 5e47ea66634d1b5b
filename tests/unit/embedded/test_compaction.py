"""Compaction beside writes: every leaf keeps its body and its content, at any moment."""

from __future__ import annotations

import asyncio
import base64
import random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import pytest

from aiocouch.embedded.documents.attachment import Compression, decode_list
from aiocouch.embedded.documents.edits import Edit, read_edit, read_rev
from aiocouch.embedded.feeds.changes import leaves_of
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.attachment_texts import plain_chunks
from aiocouch.embedded.store.compaction import compact

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.store.database import Database

T = TypeVar("T")

DOCUMENTS = 60
STEPS = 40


@pytest.fixture(params=["memory", "folder"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path if request.param == "folder" else None)
    yield server
    await server.close()


def replicated(doc_id: str, path: tuple[str, ...]) -> dict[str, Any]:
    """Make a revision as a replication brings it; what is in it follows from its name."""
    digest = path[0]
    return {
        "_id": doc_id,
        "_rev": f"{len(path)}-{digest}",
        "_revisions": {"start": len(path), "ids": list(path)},
        "of": digest,
        "_attachments": {"a": {"data": base64.b64encode(digest.encode()).decode()}},
    }


async def grow(server: Server, database: Database, name: str, chance: random.Random) -> None:
    """Let one document get branches, of any length, on any of its revisions."""
    update = server.update(database, SYSTEM, replicated=True)
    paths: list[tuple[str, ...]] = [(f"{chance.getrandbits(128):032x}",)]
    for _ in range(STEPS):
        path = (f"{chance.getrandbits(128):032x}", *chance.choice(paths))
        value = replicated(name, path)
        await update.write(read_edit(value, Compression()))
        paths.append(path)


def check(database: Database, doc_id: str) -> int:
    """Read all leaves whole; give how many there are."""
    entry = database.get(doc_id)
    assert entry is not None
    for node in entry.tree.leaves:
        revision = database.revision(entry, node.rev)
        assert revision is not None, (doc_id, node.rev)
        digest = msgspec.json.decode(revision.body)["of"]
        (attachment,) = decode_list(revision.attachments)
        assert b"".join(plain_chunks(database.reader, attachment)) == digest.encode()
    return len(entry.tree.leaves)


def let_writes_wait(
    database: Database, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let others write between what a writer has seen and its transaction."""
    write = database.write

    async def later(job: Callable[[sqlite3.Connection], T]) -> T:
        for _ in range(chance.randrange(50)):
            await asyncio.sleep(0)
        return await write(job)

    monkeypatch.setattr(database, "write", later)


async def test_all_leaves_stay_whole_while_they_grow_and_are_compacted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(2026)
    database = server.databases.create("db")
    let_writes_wait(database, chance, monkeypatch)
    names = [f"d{number}" for number in range(DOCUMENTS)]
    growing = asyncio.gather(*(grow(server, database, name, chance) for name in names))
    while not growing.done():
        await compact(database)
        await asyncio.sleep(0)
    await growing
    await compact(database)
    leaves = sum(check(database, name) for name in names)
    assert leaves > DOCUMENTS
    rows = database.reader.execute("SELECT count(*) FROM revs").fetchone()
    assert rows == (leaves - DOCUMENTS,)
    assert database.reader.execute("SELECT count(*) FROM attachment_blobs").fetchone() == (leaves,)


async def test_what_was_a_leaf_stays_for_who_reads_as_of_then(server: Server) -> None:
    database = server.databases.create("db")
    update = server.update(database, SYSTEM, replicated=True)
    winner, loser, longer = (letter * 32 for letter in "fae")
    for path in ((winner,), (loser,)):
        await update.write(read_edit(replicated("doc", path), Compression()))
    with database.snapshots.open() as snapshot:
        await update.write(read_edit(replicated("doc", (longer, loser)), Compression()))
        await compact(database)
        (entry,) = snapshot.changes(0, 10)
        leaves = leaves_of(database, entry, "all_docs")
        read = [decode_list(leaf.revision.attachments) for leaf in leaves if leaf.revision]
        texts = [b"".join(plain_chunks(database.reader, item)) for (item,) in read]
        assert texts == [winner.encode(), loser.encode()]
    await compact(database)
    assert database.reader.execute("SELECT count(*) FROM revs").fetchone() == (1,)


async def test_pages_that_are_free_are_given_back_many_at_a_time(server: Server) -> None:
    database = server.databases.create("db")
    update = server.update(database, SYSTEM)
    made: list[tuple[Rev, ...]] = [()] * 300
    for turn in "01":
        body = {"text": turn * 3000}
        edits = [Edit(f"d{number}", body, revs=revs) for number, revs in enumerate(made)]
        made = [(read_rev(outcome.rev),) for outcome in await update.run(edits)]
    before = database.sizes()["file"]
    statements: list[str] = []
    database.writer.connection.set_trace_callback(statements.append)
    await compact(database)
    assert database.sizes()["file"] < before * 0.7
    assert statements.count("COMMIT") < 50
