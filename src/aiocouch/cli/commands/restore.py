"""`aiocouch restore DATABASE FILE`: a database out of a dump."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output, as_count
from aiocouch.cli.progress import add_parallel, progress
from aiocouch.cli.reading import interruptible
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import some

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from aiocouch import Database
    from aiocouch.cli.progress import Progress
    from aiocouch.dumping import RestoreProgress, RestoreResult

__all__ = ["configure"]

_FACTS = (
    Column("database"),
    Column("from", "dump of"),
    Column("chosen", "leaves", as_count),
    Column("written", shown=as_count),
    Column("refused", shown=as_count),
    Column("missing", shown=as_count),
    Column("lacking", "attachments the file lacks", as_count),
    Column("local", "local documents", as_count),
    Column("equal"),
    Column("seconds", shown="{:.1f}".format),
)
_MOST_TOLD = 20
_PHASES = {"checking": "checking the dump", "writing": "restoring {}", "comparing": "comparing {}"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Reads what dump has written, compressed or not, and files of couchbackup. The file is "
        "checked before anything is written. The same command goes on where one was broken off. "
        "Ends with 7 if the database does not take all, or does not have all afterwards."
    )
    add_target(parser, Of.DATABASE, help="the database, which may have another name than it had")
    parser.add_argument("file", metavar="FILE", help="the dump; - for stdin")
    parser.add_argument(
        "--id", action="append", metavar="ID", help="only this document; may be given several times"
    )
    parser.add_argument("--selector", metavar="JSON", help="only documents that match, as in find")
    design = parser.add_mutually_exclusive_group()
    design.add_argument("--only-design", action="store_true", help="only design documents")
    design.add_argument("--no-design", action="store_true", help="no design documents")
    parser.add_argument(
        "--merge", action="store_true", help="into a database that has documents already"
    )
    parser.add_argument("--security", action="store_true", help="the security object, too")
    parser.add_argument("--local", action="store_true", help="the local documents, too")
    parser.add_argument(
        "--no-compare", action="store_true", help="do not look afterwards whether all is there"
    )
    parser.add_argument("--shards", type=some, metavar="Q", help="of a database that is created")
    add_parallel(parser)
    add_output(parser)
    parser.set_defaults(run=_run)


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE, creates=True), Output(given)
    given.goes_on = True
    began = time.monotonic()
    with _opened(given.file) as file:
        async with target.connect() as couchdb:
            done = await _restore(given, target.database(couchdb), file)
    facts = {
        "database": target.name,
        "from": done.header.get("database"),
        "chosen": done.chosen,
        "written": done.written,
        "refused": done.refused_count,
        "missing": done.missing_count,
        "lacking": done.lacking or None,
        "local": done.local,
        "equal": done.is_equal,
        "is_resumed": done.is_resumed,
        "seconds": round(time.monotonic() - began, 3),
    }
    out.facts(facts, _FACTS)
    return _told(done)


def _told(done: RestoreResult) -> int:
    """Tell what is not there, and return the status."""
    lines = [
        f"refused: {each.id} {each.rev or ''}: {each.error}: {each.reason}" for each in done.refused
    ]
    lines += [f"missing: {doc_id} {rev}" for doc_id, rev in done.missing]
    for line in lines[:_MOST_TOLD]:
        print(line, file=sys.stderr)  # noqa: T201 - for the person
    if done.lacking:
        words = f"{done.lacking} attachments are not in the file; their documents were written without them"
        print(words, file=sys.stderr)  # noqa: T201 - for the person
    is_whole = not (done.refused_count or done.missing_count or done.lacking)
    return Exit.DONE if is_whole else Exit.PARTLY


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file that can be read twice; what comes through a pipe is kept in one."""
    with contextlib.ExitStack() as stack:
        if name == "-":
            file: IO[bytes] = sys.stdin.buffer
        else:
            with interruptible():  # a named pipe waits for who writes into it
                file = stack.enter_context(Path(name).open("rb"))
        if name == "-" or not file.seekable():
            kept = stack.enter_context(tempfile.TemporaryFile())
            with interruptible():
                shutil.copyfileobj(file, kept)
            kept.seek(0)
            file = kept
        yield file


async def _restore(given: argparse.Namespace, db: Database, file: IO[bytes]) -> RestoreResult:
    from aiocouch.dumping import OccupiedError, Restore

    with progress(given, _PHASES["checking"]) as bar:
        restore = Restore(
            db,
            file,
            ids=given.id,
            design=True if given.only_design else False if given.no_design else None,
            choose=None if given.selector is None else _matcher(given.selector),
            merge=given.merge,
            security=given.security,
            local=given.local,
            compare=not given.no_compare,
            shards=given.shards,
            window=given.parallel,
            on_progress=_shown_by(bar, db.id),
        )
        try:
            return await restore
        except OccupiedError as error:
            raise CommandError(f"{error}: --merge", Exit.CONFLICT) from None


def _matcher(text: str) -> Callable[[dict[str, Any]], bool]:
    """Return what tells whether a document matches a selector."""
    try:
        from aiocouch.embedded.errors import CouchError
        from aiocouch.embedded.selectors.match import matcher
    except ImportError as error:
        raise CommandError(f"{error}. Install it with: pip install 'aiocouch[cli]'") from None
    try:
        return matcher(msgspec.json.decode(text))
    except msgspec.DecodeError as error:
        raise CommandError(f"--selector is not JSON: {error}", Exit.USAGE) from None
    except CouchError as error:
        raise CommandError(f"--selector: {error.reason}", Exit.USAGE) from None


def _shown_by(bar: Progress, name: str) -> Callable[[RestoreProgress], None]:
    def show(now: RestoreProgress) -> None:
        bar.phase(_PHASES[now.phase].format(name))
        bar.to(now.compared if now.phase == "comparing" else now.read, now.total)

    return show
