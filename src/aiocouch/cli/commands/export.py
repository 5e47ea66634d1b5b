"""`aiocouch export DATABASE [FILE]`: documents as lines of JSON, JSON, or CSV."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import add_output
from aiocouch.cli.progress import progress
from aiocouch.cli.records import FORMATS, format_of
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Iterator, Sequence

    from aiocouch import Database, Document

__all__ = ["configure"]


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
        help="only these members, author.name for one below; CSV needs them",
    )
    parser.add_argument("--no-rev", action="store_true", help="without _rev")
    parser.add_argument("--delimiter", default=",", help="of CSV (default: %(default)s)")
    add_output(parser)
    parser.set_defaults(run=_run)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


async def _run(given: argparse.Namespace) -> int:
    target, kind = read_target(given, Of.DATABASE), given.format or format_of(given.file)
    if kind == "csv" and not given.fields:
        raise CommandError("CSV has the columns that --fields names", Exit.USAGE)
    async with target.connect() as couchdb:
        db = target.database(couchdb)
        total = (await db.info()).get("doc_count")
        with _opened(given.file) as file, progress(given, f"exporting {db.id}", total) as bar:
            write = _Writer(file, kind, given.fields or [], given.delimiter)
            async for document in _chosen(db, given):
                write.row(_content(document, given))
                bar.advance()
            write.end()
    return Exit.DONE


def _chosen(db: Database, given: argparse.Namespace) -> AsyncIterator[Document]:
    if given.selector is None:
        return db.docs(prefix=given.prefix, include_ddocs=given.design)
    if given.prefix is not None:
        raise CommandError("--selector or --prefix, not both", Exit.USAGE)
    try:
        return db.find(msgspec.json.decode(given.selector))
    except msgspec.DecodeError as error:
        raise CommandError(f"--selector is not JSON: {error}", Exit.USAGE) from None


def _content(document: Document, given: argparse.Namespace) -> dict[str, Any]:
    content = dict(document)
    if given.no_rev:
        content.pop("_rev", None)
    if given.fields:
        return {name: value for name in given.fields if (value := _at(content, name)) is not None}
    return content


def _at(value: Any, path: str) -> Any:
    if isinstance(value, dict) and path in value:
        return value[path]
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
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
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(path)


class _Writer:
    """Writes documents in a format."""

    def __init__(self, file: IO[str], kind: str, fields: Sequence[str], delimiter: str) -> None:
        self._file = file
        self._kind = kind
        self._fields = fields
        self._count = 0
        self._line = io.StringIO()
        self._csv = csv.writer(self._line, delimiter=delimiter, lineterminator="\n")
        if kind == "csv":
            self._csv_row(fields)
        elif kind == "json":
            file.write("[\n")

    def row(self, content: dict[str, Any]) -> None:
        """Write a document."""
        self._count += 1
        if self._kind == "csv":
            self._csv_row([_cell(content.get(name)) for name in self._fields])
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

    def _csv_row(self, cells: Sequence[str]) -> None:
        self._line.seek(0)
        self._line.truncate()
        self._csv.writerow(cells)
        self._file.write(self._line.getvalue())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
