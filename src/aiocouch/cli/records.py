"""Documents in files: lines of JSON, JSON, or CSV with types. A document is its text, whose numbers stay."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import zlib
from codecs import BOM_UTF8
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from aiocouch.cli.columns import name_and_kind
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.reading import stdin_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "DELIMITER",
    "FORMATS",
    "KINDS",
    "Kinds",
    "delimiter_of",
    "documents_of",
    "format_of",
    "opened",
    "shaped",
]

FORMATS = ("ndjson", "json", "csv")
DELIMITER = "between the values of CSV (default: a tab in .tsv, else ,)"
"""What an option is for, in the help of commands."""

_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json", ".csv": "csv", ".tsv": "csv"}
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")
_INTEGER = re.compile(r"-?(0|[1-9]\d*)")
_TRUE, _FALSE = {"true", "yes", "1"}, {"false", "no", "0"}

Kinds = dict[str, str]
"""The kinds of columns by their names."""

csv.field_size_limit(sys.maxsize)  # a cell may be any value

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Documents(msgspec.Struct):
    docs: list[msgspec.Raw] | None = None
    rows: list[_Row] | None = None


class _Row(msgspec.Struct):
    doc: msgspec.Raw


def format_of(name: str) -> str:
    """Return the format that the name of a file tells; lines of JSON where it tells none."""
    path = Path(name)
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return _SUFFIXES.get(suffix.lower(), "ndjson")


def delimiter_of(name: str, given: str | None) -> str:
    """Return what stands between the values of a file of CSV: what is `given`, else what its name tells."""
    if given is None:
        return "\t" if ".tsv" in {suffix.lower() for suffix in Path(name).suffixes[-2:]} else ","
    found = "\t" if given in {"tab", "\\t"} else given
    if len(found) != 1 or found in '"\r\n':
        raise CommandError(f"--delimiter is one character, or tab: {given!r}", Exit.USAGE)
    return found


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """Open a file, which may be compressed by gzip, or stdin as `-`, behind the mark that some begin with."""
    with stdin_bytes() if name == "-" else Path(name).open("rb") as file:
        if file.peek(2)[:2] != b"\x1f\x8b":
            yield _behind_mark(file)
            return
        try:
            with gzip.open(file) as text:
                yield cast("IO[bytes]", _behind_mark(text))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            said = "the compressed text is damaged, or breaks off"
            raise CommandError(f"{'stdin' if name == '-' else name}: {said}: {error}") from None


_Peeked = TypeVar("_Peeked", io.BufferedReader, gzip.GzipFile)


def _behind_mark(file: _Peeked) -> _Peeked:
    """Skip the three bytes by which some programs say that a text is UTF-8."""
    if file.peek(len(BOM_UTF8))[: len(BOM_UTF8)] == BOM_UTF8:
        file.read(len(BOM_UTF8))
    return file


# -- reading


def documents_of(
    file: IO[bytes], kind: str, kinds: Kinds, *, delimiter: str = ",", infer: bool = False
) -> Iterator[bytes]:
    """Yield the texts of the documents in a file. Raise `CommandError`, which names line and column."""
    if kind == "ndjson":
        return _lines_of(file)
    if kind == "json":
        return _of_json(file.read())
    return _of_csv(file, kinds, delimiter, infer=infer)


_DUMPS = (b'{"#":"header"', b'{"name":"@cloudant/couchbackup"')


def _lines_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines that are not empty. A dump is refused, whose lines are not documents as one writes them."""
    first = True
    for line in file:
        if line.strip():
            if first and line.startswith(_DUMPS):
                raise CommandError("the file is a dump: restore makes a database of it")
            first = False
            yield line


def _of_json(text: bytes) -> Iterator[bytes]:
    """Yield the documents of an array, of `docs`, or of `rows` as in `_all_docs`; or the one there is."""
    try:
        if text.lstrip()[:1] == b"[":
            yield from map(bytes, _array(text))
            return
        found = msgspec.json.decode(text, type=_Documents)
        if found.docs is None and found.rows is None:
            yield text
            return
    except msgspec.DecodeError as error:
        raise CommandError(f"the file has no JSON of documents: {error}") from None
    yield from map(bytes, found.docs or [row.doc for row in found.rows or []])


def _of_csv(file: IO[bytes], kinds: Kinds, delimiter: str, *, infer: bool) -> Iterator[bytes]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        columns, known = _columns(next(rows, []), kinds)
        usual: Callable[[str], Any] = _inferred if infer else str
        readers = [_READERS.get(known[name], usual) if name in known else usual for name in columns]
        for row in rows:
            if row:
                yield _document(row, columns, readers, rows.line_num)
    except (csv.Error, UnicodeDecodeError) as error:
        raise CommandError(f"line {rows.line_num}: it is not CSV: {error}") from None
    finally:
        with suppress(ValueError):  # who has opened the file has closed it already
            text.detach()


def _columns(heading: Sequence[str], kinds: Kinds) -> tuple[list[str], Kinds]:
    """Return the names of the columns, and their kinds: those given, and those of headings as `age:int`."""
    columns: list[str] = []
    known: Kinds = {}
    for cell in heading:
        name, kind = name_and_kind(cell, KINDS)
        columns.append(name)
        known |= {name: kind} if kind else {}
    if unknown := sorted(kinds.keys() - set(columns)):
        raise CommandError(f"the file has no column {unknown[0]!r}, but {', '.join(columns)}")
    if len(set(columns)) < len(columns):
        raise CommandError(f"two columns have one name: {', '.join(columns)}")
    return columns, known | kinds


def _document(
    row: Sequence[str], columns: Sequence[str], readers: Sequence[Callable[[str], Any]], line: int
) -> bytes:
    if len(row) != len(columns):
        raise CommandError(f"line {line}: {len(row)} values for {len(columns)} columns")
    content = {}
    for name, value, read in zip(columns, row, readers, strict=True):
        if value == "":
            continue  # nothing is not an empty text
        try:
            content[name] = read(value)
        except ValueError as error:
            raise CommandError(f"line {line}, column {name!r}: {error}") from None
    return msgspec.json.encode(content)


# -- the kinds of values


def _as_number(text: str) -> msgspec.Raw:
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a number")
    return msgspec.Raw(text.strip().encode())  # with all its digits


def _as_integer(text: str) -> msgspec.Raw:
    if not _INTEGER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not an integer")
    return msgspec.Raw(text.strip().encode())


def _as_truth(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither true nor false")
    return word in _TRUE


def _as_json(text: str) -> msgspec.Raw:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise ValueError(f"{text!r} is not JSON") from None
    return msgspec.Raw(text.encode())


def _inferred(text: str) -> Any:
    if _NUMBER.fullmatch(text):
        return msgspec.Raw(text.encode())
    return {"true": True, "false": False}.get(text, text)


_READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": _as_number,
    "int": _as_integer,
    "bool": _as_truth,
    "json": _as_json,
}
KINDS = tuple(_READERS)
"""What a column of CSV can hold."""


# -- ids


def shaped(texts: Iterator[bytes], id_field: str | None, drop: Sequence[str]) -> Iterator[bytes]:
    """Yield documents with ids out of one of their members, and without some members."""
    for number, text in enumerate(texts, 1):
        try:
            found = _members(text)
        except msgspec.DecodeError as error:
            raise CommandError(f"document {number} is not a JSON object: {error}") from None
        for name in drop:
            found.pop(name, None)
        if id_field is not None:
            found = {"_id": msgspec.Raw(_id(found, id_field, number)), **found}
        yield msgspec.json.encode(found)


def _id(found: Mapping[str, msgspec.Raw], name: str, number: int) -> bytes:
    value = msgspec.json.decode(found[name]) if name in found else None
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise CommandError(f"document {number}: {name!r} is not an id: {value!r}")
    return msgspec.json.encode(str(value))
