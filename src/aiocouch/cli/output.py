"""What a command prints: tables for people, JSON for machines.

On a terminal a list is a table of rich, elsewhere it is a line each with tabs between exact values, and with
`--json` a JSON object a line. One thing is one JSON document. Texts of documents are never decoded, so that
numbers stay as CouchDB has them.
"""

from __future__ import annotations

import importlib
import json
import sys
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
    from types import ModuleType

__all__ = [
    "Column",
    "Output",
    "add_output",
    "as_bytes",
    "as_count",
    "as_text",
    "rich_module",
    "several",
]

_TOGETHER = 1_000  # rows of one table on a terminal
_WITHOUT_RICH = "aiocouch: tables and progress need rich: pip install 'aiocouch[cli]'"


class Column(NamedTuple):
    """A column: the member of a row that it shows, its heading, and how a person reads the value."""

    name: str
    heading: str = ""
    shown: Callable[[Any], str] | None = None
    is_number: bool = False


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a command prints."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, for machines: one document, or one a line"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no notes")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tell about each request, on stderr"
    )


class Output:
    """Prints what a command has to say, in the way that was asked for."""

    def __init__(self, given: argparse.Namespace, stream: IO[str] | None = None) -> None:
        self.is_json = bool(getattr(given, "json", False))
        self.is_quiet = bool(getattr(given, "quiet", False))
        self._command = str(getattr(given, "command", ""))
        self._given_stream = stream
        self.is_terminal = self._stream.isatty()

    @property
    def _stream(self) -> IO[str]:
        # While a line of progress is shown, sys.stdout is what writes above it.
        return self._given_stream or sys.stdout

    def write(self, text: str) -> None:
        """Write a text as it is, and a line end."""
        self._stream.write(text + "\n")

    def note(self, text: str) -> None:
        """Tell the person something beside the answer, by stderr."""
        if not self.is_quiet:
            print(text, file=sys.stderr)  # noqa: T201 - what it is for

    def problem(self, text: str) -> None:
        """Tell the person by stderr what went wrong on the way, even with `--quiet`."""
        print(f"aiocouch {self._command}: {text}", file=sys.stderr)  # noqa: T201 - what it is for

    def document(self, document: bytes | object) -> None:
        """Print one JSON document, given as its text or as a value: indented, or as one line of `--json`."""
        text = document if isinstance(document, bytes) else msgspec.json.encode(document)
        indent = 0 if self.is_json else 2
        shown = msgspec.json.format(text.strip(), indent=indent or -1).decode()
        rich = rich_module("rich.console") if self.is_terminal and not self.is_json else None
        if rich is None:
            self.write(shown)
            return
        lit = importlib.import_module("rich.highlighter").JSONHighlighter()(shown)
        rich.Console(file=self._stream, soft_wrap=True).print(lit)

    def facts(self, facts: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """Print what is known of one thing: its facts as JSON, or some of them, a line each."""
        if self.is_json:
            self.document(dict(facts))
            return
        known = [column for column in columns if facts.get(column.name) is not None]
        width = max((len(_heading(column)) for column in known), default=0)
        for column in known:
            value = facts[column.name]
            shown = _shown(column, value) if self.is_terminal else as_text(value)
            end = "\t" if not self.is_terminal else " " * (width - len(_heading(column)) + 2)
            self.write(f"{_heading(column)}{end}{shown}")

    def table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        """Print rows as they come; a terminal gets tables of some rows."""
        if self.is_json:
            for row in rows:
                self.write(msgspec.json.encode(row).decode())
        elif self.is_terminal:
            left, count = iter(rows), 0
            while some := list(islice(left, _TOGETHER)):
                count += len(some)
                self._table(some, columns)
            if not count:
                self.note("there are none")
        else:
            for row in rows:
                self.write("\t".join(as_text(row.get(column.name)) for column in columns))

    async def stream(
        self, rows: AsyncIterable[Mapping[str, Any]], columns: Sequence[Column]
    ) -> None:
        """Print rows that come one after the other, as `table` does."""
        gathered: list[Mapping[str, Any]] = []
        most = _TOGETHER if self.is_terminal and not self.is_json else 1
        count = 0
        async for row in rows:
            gathered.append(row)
            count += 1
            if len(gathered) >= most:
                self.table(gathered, columns)
                gathered.clear()
        if gathered or not count:
            self.table(gathered, columns)

    def flush(self) -> None:
        """Have on its way what was printed, for somebody who waits for it."""
        self._stream.flush()

    def _table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        shown = [[_shown(column, row.get(column.name)) for column in columns] for row in rows]
        rich = rich_module("rich.table")
        if rich is None:
            self._aligned([[_heading(column) for column in columns], *shown])
            return
        table = rich.Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            side = "right" if column.is_number else "left"
            table.add_column(_heading(column), justify=side, overflow="fold")
        text = importlib.import_module("rich.text").Text
        for row in shown:
            table.add_row(*(text(cell) for cell in row))
        importlib.import_module("rich.console").Console(file=self._stream).print(table)

    def _aligned(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self.write("  ".join(cells).rstrip())


def _heading(column: Column) -> str:
    return column.heading or column.name.replace("_", " ")


def _shown(column: Column, value: Any) -> str:
    return "" if value is None else (column.shown or as_text)(value)


def as_text(value: Any) -> str:
    """Return a value as text of one line: a text as it is, unless a terminal would act on it, else JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value)
    return msgspec.json.encode(value).decode()


def as_count(value: int) -> str:
    """Return a number as people read it: 1,234."""
    return f"{value:,}"


def several(count: int, what: str) -> str:
    """Return how many there are of something: 1 document, 1,234 documents."""
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count:,} {what if count == 1 else plural}"


def as_bytes(value: int) -> str:
    """Return a number of bytes as people read it: 1.2 MB."""
    size, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.95 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{value} B" if units[0] == "B" else f"{size:.1f} {units[0]}"


_told = False


def rich_module(name: str) -> ModuleType | None:
    """Load a module of rich. Where it is not installed, say once how to get it, and give None."""
    global _told  # noqa: PLW0603 - once for a program
    try:
        return importlib.import_module(name)
    except ImportError:
        if not _told:
            print(_WITHOUT_RICH, file=sys.stderr)  # noqa: T201 - for the person
        _told = True
        return None
