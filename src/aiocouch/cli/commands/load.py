"""`aiocouch load DATABASE FILE …`: documents out of files."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from errno import EACCES, EISDIR
from functools import partial
from itertools import islice
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

from aiocouch import CouchDBError, InvalidInputError, InvalidTypeError, NotFoundError
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output, as_bytes, as_count, several
from aiocouch.cli.progress import add_parallel, progress
from aiocouch.cli.reading import apart
from aiocouch.cli.records import (
    DELIMITER,
    FORMATS,
    KINDS,
    delimiter_of,
    documents_of,
    format_of,
    opened,
    shaped,
)
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import some

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from aiocouch import Database, WriteOutcome, WriteProgress
    from aiocouch.cli.progress import Progress

__all__ = ["configure"]

_FACTS = (
    Column("database"),
    Column("documents", shown=as_count),
    Column("written", shown=as_count),
    Column("skipped", shown=as_count),
    Column("failed", shown=as_count),
    Column("bytes", shown=as_bytes),
)
_TOGETHER = 2_000  # documents that are read in one go, in a thread
_MOST_TOLD = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Documents without an id get one. With --on-conflict skip the same command can be run again. "
        "Ends with 7 if the database does not take all."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="the files, which may be compressed; - for stdin"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the files (default: as their names end, else ndjson)"
    )
    parser.add_argument("--id", metavar="FIELD", help="the member whose value is the id, too")
    parser.add_argument(
        "--drop", action="append", default=[], metavar="FIELD", help="leave this member out: _rev"
    )
    parser.add_argument(
        "--type",
        action="append",
        default=[],
        type=_kind,
        metavar="COLUMN=TYPE",
        help=f"what a column of CSV holds: {', '.join(KINDS)}; also as a heading, age:int",
    )
    parser.add_argument(
        "--infer",
        action="store_true",
        help="take values of CSV for numbers, true or false if they look so; else they are text",
    )
    parser.add_argument("--delimiter", help=DELIMITER)
    parser.add_argument(
        "--on-conflict",
        choices=["report", "skip", "overwrite"],
        default="report",
        help="what to do with documents that are there already (default: %(default)s)",
    )
    parser.add_argument("--create", action="store_true", help="make the database if need be")
    parser.add_argument("--shards", type=some, metavar="Q", help="of a database that is created")
    add_parallel(parser)
    add_output(parser)
    parser.set_defaults(run=_run)


def _kind(text: str) -> tuple[str, str]:
    name, _, kind = text.rpartition("=")
    if not name or kind not in KINDS:
        raise argparse.ArgumentTypeError(f"it must be COLUMN= and one of {', '.join(KINDS)}")
    return name, kind


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE, creates=given.create), Output(given)
    for name in given.files:
        _check(name)
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        if given.create:
            options = {} if given.shards is None else {"q": given.shards}
            await couchdb.create(db.id, exists_ok=True, **options)
        done = await _load(given, db)
    facts = {
        "database": db.id,
        "documents": done.taken,
        "written": done.written,
        "skipped": done.skipped,
        "failed": done.failed,
        "bytes": done.bytes,
    }
    out.facts(facts, _FACTS)
    return Exit.PARTLY if done.failed else Exit.DONE


def _check(name: str) -> None:
    """Raise what opening a file would, before anything is made or written. A pipe is not opened twice."""
    if name == "-":
        return
    if S_ISDIR(Path(name).stat().st_mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), name)
    if not os.access(name, os.R_OK):
        raise PermissionError(EACCES, os.strerror(EACCES), name)


async def _load(given: argparse.Namespace, db: Database) -> WriteProgress:
    writer = db.write(
        _in_thread(_documents(given)),
        on_conflict=given.on_conflict,
        ordered=False,
        window=given.parallel,
    )
    told = 0
    with progress(given, f"loading into {db.id}") as bar:
        try:
            async for outcome in writer:
                if not outcome.ok:
                    told += 1
                    _tell(outcome, told)
                _show(bar, writer.progress)
        except (CommandError, CouchDBError) as error:
            _sum_up(writer.progress)
            raise _explained(error, given) from None
        except asyncio.CancelledError:
            _sum_up(writer.progress)
            raise
    return writer.progress


def _show(bar: Progress, now: WriteProgress) -> None:
    done = now.written + now.skipped + now.failed
    if not done % 500:
        bar.to(done)


def _tell(outcome: WriteOutcome, number: int) -> None:
    if number <= _MOST_TOLD:
        words = f"{outcome.id}: {outcome.error or outcome.state}: {outcome.reason or ''}".rstrip(
            ": "
        )
        print(words, file=sys.stderr)  # noqa: T201 - for the person


def _sum_up(now: WriteProgress) -> None:
    if now.taken:
        words = f"broken off: read {several(now.taken, 'document')}, of which {now.written:,} are written"
        print(words, file=sys.stderr)  # noqa: T201 - for the person


def _explained(error: Exception, given: argparse.Namespace) -> Exception:
    """Return an error that tells what is wrong with a file, or what can be done."""
    if isinstance(error, NotFoundError) and "does not exist" in str(error):
        return CommandError(f"{error} --create makes it", Exit.NOT_FOUND)
    if isinstance(error, InvalidInputError | InvalidTypeError):
        words = str(error).replace(" of the stream:", f" of {', '.join(given.files)}:")
        return CommandError(words, Exit.FAILED)
    return error


def _documents(given: argparse.Namespace) -> Iterator[bytes]:
    for name in given.files:
        with opened(name) as file:
            kind = given.format or format_of(name)
            texts = documents_of(
                file,
                kind,
                dict(given.type),
                delimiter=delimiter_of(name, given.delimiter),
                infer=given.infer,
            )
            if given.id is not None or given.drop:
                texts = shaped(texts, given.id, given.drop)
            yield from texts


async def _in_thread(texts: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield what is read in a thread, some at a time, so that a slow pipe holds up no answer."""
    while some := await apart(partial(_some, texts)):
        for text in some:
            yield text


def _some(texts: Iterator[bytes]) -> list[bytes]:
    return list(islice(texts, _TOGETHER))
