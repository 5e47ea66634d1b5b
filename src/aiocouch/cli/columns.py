"""Documents as rows of CSV: which columns there are, what they hold, and the texts of their cells."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Self

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Columns", "Rows", "Spool", "heading_of", "name_and_kind"]

_IN_MEMORY = 16 << 20  # bytes of documents that wait until all columns are known; more is on disk
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def heading_of(name: str, kind: str) -> str:
    """Return the heading of a column: its name and its kind, `age:int`.

    A name that a reader would change stands in it as JSON.
    """
    is_plain = name.isprintable() and name == name.strip() and name[:1] not in {"", '"'}
    return f"{name if is_plain else json.dumps(name)}:{kind}"


def name_and_kind(heading: str, kinds: Sequence[str]) -> tuple[str, str]:
    """Return the name and the kind that a heading tells; the kind is empty if it tells none."""
    name, _, kind = heading.strip().rpartition(":")
    if not name or kind not in kinds:
        name, kind = heading.strip(), ""
    if name[:1] == '"':
        with suppress(msgspec.DecodeError):  # then it is a name as it stands
            name = msgspec.json.decode(name, type=str)
    return name, kind


class Columns:
    """The members that documents have, in the order in which they came, and what they hold."""

    def __init__(self) -> None:
        self._shapes: dict[str, set[str]] = {}

    def take(self, content: Mapping[str, Any]) -> None:
        """Look at a document."""
        for name, value in content.items():
            self._shapes.setdefault(name, set()).add(_shape(value))

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self._shapes)

    def kind(self, name: str) -> str:
        """Return the kind that all values of a column are of, by which `load` reads them as they are."""
        shapes = self._shapes.get(name, set())
        for kind, fitting in _FITTING.items():
            if shapes <= fitting:
                return kind
        return "json"


def _shape(value: Any) -> str:
    if isinstance(value, str):
        return "text" if value else "nothing"  # an empty cell is a member that is not there
    return _SHAPES.get(type(value), "other")


_SHAPES: dict[type, str] = {bool: "bool", int: "int", float: "float"}
_FITTING = {"text": {"text"}, "int": {"int"}, "number": {"int", "float"}, "bool": {"bool"}}


class Spool:
    """Documents that wait until all columns are known: some megabytes in memory, more on disk."""

    def __init__(self) -> None:
        self.columns = Columns()
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def put(self, content: Mapping[str, Any]) -> None:
        """Take a document."""
        self.columns.take(content)
        self._file.write(msgspec.json.encode(content) + b"\n")

    @property
    def is_on_disk(self) -> bool:
        """Whether it was too much for memory."""
        return self._file.name is not None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Return the documents, as they came."""
        self._file.seek(0)
        return map(_decode, self._file)


class Rows:
    """Makes lines of CSV. Of columns that are `exact` all cells are JSON, of others texts are as they are."""

    def __init__(self, names: Sequence[str], delimiter: str, exact: frozenset[str]) -> None:
        self._names = names
        self._exact = exact
        self._line = io.StringIO()
        # This line end, so that it puts a lone "\r" in quotes, too; files have "\n".
        self._csv = csv.writer(self._line, delimiter=delimiter, lineterminator="\r\n")

    def line(self, cells: Sequence[str]) -> str:
        """Return a line of cells."""
        self._line.seek(0)
        self._line.truncate()
        self._csv.writerow(cells)
        return self._line.getvalue().removesuffix("\r\n") + "\n"

    def row(self, content: Mapping[str, Any]) -> str:
        """Return the line of a document."""
        return self.line([self._cell(content, name) for name in self._names])

    def _cell(self, content: Mapping[str, Any], name: str) -> str:
        value = content.get(name)
        if name in self._exact:
            return msgspec.json.encode(value).decode() if name in content else ""
        if value is None:
            return ""
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()
