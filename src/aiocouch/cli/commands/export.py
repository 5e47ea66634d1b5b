"""`aiocouch export DATABASE [FILE]`: documents as lines of JSON, JSON, or CSV."""

from __future__ import annotations

import contextlib
import gzip
import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec

from aiocouch.cli.columns import Rows, Spool, heading_of
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Output, add_output, several
from aiocouch.cli.progress import progress
from aiocouch.cli.records import DELIMITER, FORMATS, delimiter_of, format_of
from aiocouch.cli.target import Of, add_target, read_target
from aiocouch.cli.values import object_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Iterator

    from aiocouch import Database, Document

__all__ = ["configure"]

_NOTHING = object()


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "Documents as they are, without histories, losers of conflicts and attachments, "
        "which dump has, too."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="where to; - for stdout (default: -)"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the file (default: as its name ends, else ndjson)"
    )
    parser.add_argument("--selector", metavar="JSON", help="only documents that match, as in find")
    parser.add_argument("--prefix", help="only documents whose ids begin so")
    parser.add_argument("--design", action="store_true", help="design documents, too")
    parser.add_argument(
        "--fields",
        type=_names,
        metavar="NAME,…",
        help="only these members, author.name for one below (default: all; in CSV the columns are all that "
        "documents have, in the order in which they come)",
    )
    parser.add_argument("--no-rev", action="store_true", help="without _rev")
    parser.add_argument(
        "--types",
        action="store_true",
        help="headings of CSV with types, age:int, so that load makes the same documents of it",
    )
    parser.add_argument("--delimiter", help=DELIMITER)
    add_output(parser)
    parser.set_defaults(run=_run)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


async def _run(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    kind = given.format or format_of(given.file)
    delimiter_of(given.file, given.delimiter)
    if kind != "csv" and (given.types or given.delimiter):
        raise CommandError(f"--types and --delimiter are for CSV, and this is {kind}", Exit.USAGE)
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        total = (await db.info()).get("doc_count")
        with (
            _opened(given.file) as file,
            progress(given, f"exporting {db.id}", total, prints=given.file == "-") as bar,
            _writer(file, given, kind) as writer,
        ):
            attached = 0
            async for document in _chosen(db, given):
                attached += "_attachments" in document
                writer.put(_content(document, given))
                bar.advance()
    if attached and "_attachments" not in (given.fields or ()):
        out.note(
            f"without the attachments of {several(attached, 'document')}: dump takes them, too"
        )
    return Exit.DONE


def _chosen(db: Database, given: argparse.Namespace) -> AsyncIterator[Document]:
    if given.selector is None:
        return db.docs(prefix=given.prefix, include_ddocs=given.design)
    if given.prefix is not None:
        raise CommandError("--selector or --prefix, not both", Exit.USAGE)
    return db.find(object_of(given.selector, "--selector"))


def _content(document: Document, given: argparse.Namespace) -> dict[str, Any]:
    content = dict(document)
    if given.no_rev:
        content.pop("_rev", None)
    if given.fields:
        found = ((name, _at(content, name)) for name in given.fields)
        return {name: value for name, value in found if value is not _NOTHING}
    content.pop("_attachments", None)  # what is told of them there, no database would take
    return content


def _at(value: Any, path: str) -> Any:
    if isinstance(value, dict) and path in value:
        return value[path]
    for name in path.split("."):
        value = value.get(name, _NOTHING) if isinstance(value, dict) else _NOTHING
    return value


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[str]]:
    """Open a file that is there only when it is whole, or stdout."""
    if name == "-":
        yield sys.stdout
        return
    path = Path(name)
    if path.exists():
        raise FileExistsError(17, "there is a file of that name already", name)
    part = path.with_name(f"{path.name}.part")
    try:
        with _created(part, compressed=path.suffix == ".gz") as file:
            yield file
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)


def _created(path: Path, *, compressed: bool) -> IO[str]:
    raw = gzip.open(path, "wb", compresslevel=6) if compressed else path.open("wb")  # noqa: SIM115 - given
    return io.TextIOWrapper(cast("IO[bytes]", raw), "utf-8", newline="")


@contextlib.contextmanager
def _writer(file: IO[str], given: argparse.Namespace, kind: str) -> Iterator[_Writer | Spool]:
    """Yield what takes the documents. Its `put` writes, or keeps them until all columns are known."""
    if kind == "csv" and (given.types or not given.fields):
        with Spool() as spool:
            yield spool
            _write_all(spool, file, given)
        return
    writer = _Writer(file, given, kind)
    yield writer
    writer.end()


def _write_all(spool: Spool, file: IO[str], given: argparse.Namespace) -> None:
    columns = spool.columns
    names = given.fields or columns.names
    headings, exact = names, frozenset[str]()
    if given.types:
        kinds = {name: columns.kind(name) for name in names}
        headings = [heading_of(name, kind) for name, kind in kinds.items()]
        exact = frozenset(name for name, kind in kinds.items() if kind == "json")
    rows = Rows(names, delimiter_of(given.file, given.delimiter), exact)
    file.write(rows.line(headings))
    file.writelines(map(rows.row, spool))


class _Writer:
    """Writes documents in a format, each as it comes."""

    def __init__(self, file: IO[str], given: argparse.Namespace, kind: str) -> None:
        self._file = file
        self._kind = kind
        self._count = 0
        if kind == "csv":
            self._rows = Rows(given.fields, delimiter_of(given.file, given.delimiter), frozenset())
            file.write(self._rows.line(given.fields))
        elif kind == "json":
            file.write("[\n")

    def put(self, content: dict[str, Any]) -> None:
        """Write a document."""
        self._count += 1
        if self._kind == "csv":
            self._file.write(self._rows.row(content))
            return
        text = msgspec.json.encode(content).decode()
        if self._kind == "json":
            self._file.write(("" if self._count == 1 else ",\n") + text)
        else:
            self._file.write(text + "\n")

    def end(self) -> None:
        """Write what comes after the last one."""
        if self._kind == "json":
            self._file.write("\n]\n")
