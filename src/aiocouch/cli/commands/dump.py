"""`aiocouch dump DATABASE [FILE]`: all leaves of a database into a file."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output, as_bytes, as_count
from aiocouch.cli.progress import add_parallel, progress
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from aiocouch import Database
    from aiocouch.cli.progress import Progress
    from aiocouch.dumping import DumpProgress

__all__ = ["configure"]

_FACTS = (
    Column("file"),
    Column("leaves", shown=as_count),
    Column("deleted", shown=as_count),
    Column("attachments", shown=as_count),
    Column("local", "local documents", as_count),
    Column("bytes", shown=as_bytes),
    Column("seconds", shown="{:.1f}".format),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "The file has lines of JSON, compressed by gzip: zcat and jq read it. "
        "While it is written it is FILE.part. The same command goes on where one was broken off."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="where to; - for stdout (default: DATABASE.dump.gz)"
    )
    parser.add_argument("--local", action="store_true", help="with the local documents")
    parser.add_argument(
        "--no-attachments", action="store_true", help="with stubs in the place of attachments"
    )
    parser.add_argument(
        "--level",
        type=int,
        choices=range(10),
        default=1,
        help="of gzip: 1 is fast, 9 small, 0 writes plain text (default: %(default)s)",
    )
    parser.add_argument(
        "--format",
        choices=["aiocouch", "couchbackup"],
        default="aiocouch",
        help="couchbackup writes what couchrestore reads, plain (default: %(default)s)",
    )
    add_parallel(parser)
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    level = 0 if given.format == "couchbackup" else given.level
    name = given.file or _name(target.name or "", given.format, level)
    if name == "-" and sys.stdout.isatty():
        raise CommandError("a dump is not for a terminal: give a file", Exit.USAGE)
    given.goes_on = name != "-" and given.format == "aiocouch"
    began = time.monotonic()
    async with target.connect() as couchdb:
        done = await _dump(given, target.database(couchdb), name, level)
    if name == "-":
        return Exit.DONE
    facts: dict[str, Any] = {"file": name, **asdict(done), "bytes": _size(name)}
    facts["seconds"] = round(time.monotonic() - began, 3)
    del facts["pending"], facts["size"]
    out.facts(facts, _FACTS)
    return Exit.DONE


def _size(name: str) -> int:
    return Path(name).stat().st_size


def _name(database: str, kind: str, level: int) -> str:
    """Return what a dump is called by default."""
    end = ".couchbackup" if kind == "couchbackup" else ".dump.gz" if level else ".dump"
    return f"{database.replace('/', '%2F')}{end}"


async def _dump(given: argparse.Namespace, db: Database, name: str, level: int) -> DumpProgress:
    from aiocouch.dumping import Dump, ForeignDumpError

    info = await db.info()
    total = info.get("doc_count", 0) + info.get("doc_del_count", 0)
    with progress(given, f"dumping {db.id}", total) as bar:
        dump = Dump(
            db,
            sys.stdout.buffer if name == "-" else name,
            attachments=not given.no_attachments,
            local=given.local,
            level=level,
            window=given.parallel,
            couchbackup=given.format == "couchbackup",
            on_progress=_shown_by(bar, total),
        )
        try:
            return await dump
        except ForeignDumpError as error:
            raise CommandError(str(error), Exit.CONFLICT) from None


def _shown_by(bar: Progress, least: int) -> Callable[[DumpProgress], None]:
    """Return what shows how far it is: a document has one leaf at least, and changes are read ahead."""

    def show(now: DumpProgress) -> None:
        bar.to(now.leaves, max(least, now.leaves + (now.pending or 0)))

    return show
