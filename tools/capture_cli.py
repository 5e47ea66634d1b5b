"""Run commands, and write what a terminal shows as pictures for the docs.

    python -m tools.capture_cli

The server is the CouchDB that is installed, or else the embedded one. The figures are those of the
machine that it runs on.
"""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from tests.support.installed import installed_couchdb, is_installed
from tools.capture import FONTS, PICTURE

from aiocouch import CouchDB
from aiocouch.cli.looks import look, report
from aiocouch.cli.screen import screen
from aiocouch.testing import BackgroundCouchDB

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

FOLDER = PICTURE.parent
COLUMNS = 112
DOCTOR = ("doctor", "books", "--scan")
SHOWN_AS = "http://127.0.0.1:5984"  # in place of a port that was free


def main() -> None:
    """Capture both pictures."""
    with installed_couchdb() if is_installed() else BackgroundCouchDB() as server:
        asyncio.run(fill(server))
        picture("cli-doctor", command(server, *DOCTOR), "aiocouch " + " ".join(DOCTOR))
        picture("cli-top", asyncio.run(top(server)), "aiocouch top")


async def fill(server: CouchDBServer) -> None:
    """Make a database in which something is wrong."""
    async with CouchDB(server.auth_url) as couchdb:
        books = await couchdb.create("books")
        await books.bulk_docs({"_id": f"book-{n:04}", "pages": n} for n in range(3_000))
        await books.bulk_docs([{"_id": "scan-of-all", "text": "x" * 2_400_000}])
        await leave_conflicts(books)
        await books.index({"fields": ["pages"]}, ddoc="by-pages", name="pages")
        await books.index({"fields": ["pages", "title"]}, ddoc="by-both", name="both")
        design = await books.design_doc("shop")
        emits = "function (doc) { emit(doc.pages, doc); }"
        design["views"] = {
            "pages": {"map": emits, "reduce": "function (k, v) { return v.length; }"}
        }
        await design.save()
        security = await books.security()
        security["members"] = {"names": [], "roles": []}
        await security.save()


async def leave_conflicts(books: Database) -> None:
    """Leave versions beside one another, as replication does."""
    docs = [
        {"_id": f"hamlet-{n}", "_rev": f"1-{side:032x}", "side": side}
        for n in range(3)
        for side in range(2)
    ]
    await books.bulk_docs(docs, new_edits=False)


async def top(server: CouchDBServer) -> Text:
    """Return the screen of `top` while somebody writes."""
    async with CouchDB(server.auth_url) as couchdb:
        books = await couchdb["books"]
        await couchdb.replications.create(
            "backup",
            f"{server.auth_url}/books",
            f"{server.auth_url}/copy",
            create_target=True,
            continuous=True,
        )
        before = await look(couchdb, 500)
        for number in range(2_000):
            await books.bulk_docs([{"_id": f"new-{number}"}])
        told = report(before, await look(couchdb, 500), 15)
    console = Console(
        file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor"
    )
    console.print(screen(told, server.url))
    return Text.from_ansi(console.file.getvalue().replace(server.url, SHOWN_AS))


def command(server: CouchDBServer, *words: str) -> Text:
    """Return what a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "aiocouch", *words, "--quiet"],
        stdout=theirs,
        env={**os.environ, "COUCHDB_URL": server.auth_url, "COLUMNS": str(COLUMNS)},
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65_536):
            written += piece
    except OSError:  # the other end is closed
        pass
    process.wait()
    return Text.from_ansi(written.decode().replace("\r\n", "\n").rstrip())


def picture(name: str, text: Text, title: str) -> None:
    """Write a picture."""
    console = Console(file=io.StringIO(), record=True, width=COLUMNS, highlight=False)
    console.print(Text(f"$ {title}", style="bold"))
    console.print(text)
    svg = console.export_svg(title=title, unique_id=name)
    (FOLDER / f"{name}.svg").write_text(FONTS.sub("", svg), encoding="utf-8")


if __name__ == "__main__":
    main()
