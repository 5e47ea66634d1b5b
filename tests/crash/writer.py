"""The program that is killed: it writes as fast as it can, and tells of every acknowledged write.

`python -m tests.crash.writer FOLDER ROUND` works on the store alone, so that it starts quickly.
A line on its standard output is `[id, revision, sequence]`; the revision of a `_local` document is 0
and the sequence the highest that was known.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch.embedded.documents.attachment import Compression
from aiocouch.embedded.documents.edits import Edit, read_edit
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.compaction import compact

if TYPE_CHECKING:
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.writing.update import Update

WORKERS = 6
DATABASE = "crash"


def attached(number: int) -> bytes:
    """Give the attachment of a worker's document: one of a few contents, some of them large."""
    return bytes([number % 7]) * (600_000 if number % 7 == 3 else 150)


def acknowledge(doc_id: str, revision: str | int, seq: int) -> None:
    """Tell the parent, in one system call: half a line is no acknowledgement."""
    os.write(1, msgspec.json.encode([doc_id, revision, seq]) + b"\n")


def edit(doc_id: str, rev: str | None, **body: Any) -> Edit:
    """Make the edit of a document."""
    value: dict[str, Any] = {"_id": doc_id, **body}
    if rev is not None:
        value["_rev"] = rev
    return read_edit(value, Compression())


async def write(database: Database, update: Update, edits: list[Edit]) -> list[str]:
    """Write documents, and acknowledge them once that is done."""
    revs = []
    for outcome in await update.run(edits):
        if outcome.error is not None:
            raise outcome.error
        acknowledge(outcome.id, outcome.rev, database.update_seq)
        revs.append(outcome.rev)
    return revs


async def work(server: Server, database: Database, name: str) -> None:
    """Create, change and delete documents, alone and in bulk, with attachments and without."""
    update = server.update(database, SYSTEM)
    number = 0
    while True:
        number += 1
        doc_id = f"{name}-{number}"
        (rev,) = await write(database, update, [edit(doc_id, None, n=number, text="x" * 300)])
        files = {"a.bin": {"data": base64.b64encode(attached(number)).decode()}}
        changed = edit(doc_id, rev, n=-number, _attachments=files)
        (rev,) = await write(database, update, [changed])
        parts = [edit(f"{doc_id}-{part}", None, part=part) for part in range(5)]
        await write(database, update, parts)
        await write(database, update, [edit(f"_local/{doc_id}", None, n=number)])
        if number % 3 == 0:
            await write(database, update, [edit(doc_id, rev, _deleted=True)])


async def compact_always(database: Database) -> None:
    """Compact again and again, so that some kills hit that as well."""
    while True:
        await compact(database)
        await asyncio.sleep(0)


async def main(folder: Path, number: str) -> None:
    """Open the folder, and write until the end."""
    server = Server(folder)
    if DATABASE not in server.databases:
        server.databases.create(DATABASE)
    database = server.databases.open(DATABASE)
    assert database is not None
    workers = [work(server, database, f"{number}-{worker}") for worker in range(WORKERS)]
    await asyncio.gather(*workers, compact_always(database))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
