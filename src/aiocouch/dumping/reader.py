"""Reading a dump, compressed or not, and holding its sums against it. Blocks: call it in a thread."""

from __future__ import annotations

import hashlib
import zlib
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from aiocouch.dumping.errors import BrokenDumpError
from aiocouch.dumping.lines import CONTROL, FORMAT, VERSION, is_control, read_control
from aiocouch.dumping.sink import GZIP, Hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_READ = 1 << 18
_TEXT = 1 << 20  # bytes of text that are made of compressed ones at a time
_LONGEST = 1 << 30  # bytes of one line
_GZIP_MAGIC = b"\x1f\x8b"


class Point(NamedTuple):
    """Where a dump can be taken up: so many bytes of the file, what the mark there says, and the sum."""

    offset: int
    mark: dict[str, Any]
    sum: Hash


class Text:
    """The text of a file. `offset` is where the last whole member of gzip has ended."""

    def __init__(self, file: IO[bytes]) -> None:
        self.offset = 0
        self.ended_member = False
        self.is_compressed = True
        self._file = file
        self._read = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield its pieces. Raise `BrokenDumpError` for what cannot be decompressed."""
        first = self._take(_READ)
        if first[:2] != _GZIP_MAGIC:
            self.is_compressed = False
            while first:
                yield first
                first = self._take(_READ)
            return
        yield from self._inflated(first)

    def _take(self, size: int) -> bytes:
        raw = self._file.read(size)
        self._read += len(raw)
        return raw

    def _inflated(self, raw: bytes) -> Iterator[bytes]:
        made, broken = _decompression()
        member = made(GZIP)
        while raw:
            try:
                text = member.decompress(raw, _TEXT)
            except broken as error:
                raise BrokenDumpError(f"the dump is damaged: {error}") from None
            raw = member.unconsumed_tail or (b"" if member.eof else self._take(_READ))
            if member.eof:
                raw = member.unused_data
                self.offset, self.ended_member = self._read - len(raw), True
                raw = raw or self._take(_READ)
                member = made(GZIP)
            yield text
            self.ended_member = False
        if self.offset != self._read:
            raise BrokenDumpError("the dump breaks off in the middle of a block")


def _decompression() -> tuple[Callable[..., Any], type[Exception]]:
    """Return what decompresses, and the error it raises. isal takes a third of the time."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib.decompressobj, zlib.error
    broken: Any = isal_zlib.error  # its stubs take it for an instance
    return isal_zlib.decompressobj, broken


def _has_control(piece: bytes) -> bool:
    return b"#" in piece and CONTROL in piece  # a byte is found much faster


class Reader:
    """Reads the lines of a dump of ours. `header` is known from the start, `end` when it was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.header: dict[str, Any] = {}
        self.end: dict[str, Any] | None = None
        self.point: Point | None = None
        """The last mark that holds, if the file can be cut there."""
        self._text = Text(file)
        self._pieces = self._text.pieces()
        self._rest = b""
        self._sum = hashlib.sha256()
        self._count = 0
        self._mark: dict[str, Any] | None = None  # if that was the last line
        self._is_over = False

    def lines(self) -> list[bytes]:
        """Return some more lines, without marks; none at the end.

        Raise `BrokenDumpError` for a sum that is wrong, and for a file without the end mark.
        """
        found: list[bytes] = []
        while not found and not self._is_over:
            piece = next(self._pieces, None)
            if piece is None:
                self._finish()
                break
            lines = self._split(piece)
            # the first line has begun in an earlier piece
            has_control = _has_control(piece) or is_control(b"".join(lines[:1]))
            found = self._checked(lines) if has_control else self._plain(lines)
        return found

    def _split(self, piece: bytes) -> list[bytes]:
        text = self._rest + piece
        *lines, self._rest = text.split(b"\n")
        if len(self._rest) > _LONGEST:
            raise BrokenDumpError(f"a line has more than {_LONGEST:,} bytes")
        return lines

    def _plain(self, lines: list[bytes]) -> list[bytes]:
        """Take in documents, together."""
        if lines:
            self._check_place()
            self._mark = None
            text = b"\n".join([*lines, b""])
            self._sum.update(text)
            self._count += len(text)
        return lines

    def _check_place(self) -> None:
        if self.end is not None:
            raise BrokenDumpError("the dump goes on after its end mark")
        if not self.header:
            raise BrokenDumpError("this is not a dump: it has no header")

    def _checked(self, lines: list[bytes]) -> list[bytes]:
        kept = []
        for line in lines:
            if self.end is not None:
                raise BrokenDumpError("the dump goes on after its end mark")
            self._mark = None
            if not is_control(line) or not self._control(line):
                kept.append(line)
            if not self.header:
                raise BrokenDumpError("this is not a dump: it has no header")
            self._sum.update(line)
            self._sum.update(b"\n")
            self._count += len(line) + 1
            if self._mark is not None and not self._text.is_compressed:
                self.point = Point(self._count, self._mark, self._sum.copy())
        if self._mark is not None and self._text.ended_member and not self._rest:
            self.point = Point(self._text.offset, self._mark, self._sum.copy())
        return kept

    def _control(self, line: bytes) -> bool:
        """Take in a line about the dump; return whether nobody else need see it."""
        try:
            said = read_control(line)
        except msgspec.DecodeError as error:
            raise BrokenDumpError(f"a line of the dump is not JSON: {error}") from None
        kind = said.get("#")
        if kind == "header":
            self._take_header(said)
            return True
        if kind not in {"mark", "end"}:
            return False
        if said.get("sha256") != self._sum.hexdigest():
            raise BrokenDumpError(
                f"the dump is damaged: the sum before the {kind} mark is not that of the text"
            )
        if kind == "end":
            self.end = said
        else:
            self._mark = said
        return True

    def _take_header(self, said: dict[str, Any]) -> None:
        if said.get("format") != FORMAT or self.header:
            raise BrokenDumpError("this is not a dump of aiocouch")
        if said.get("version") != VERSION:
            raise BrokenDumpError(
                f"the dump has version {said.get('version')!r} of the format; {VERSION} is known"
            )
        self.header = said

    def _finish(self) -> None:
        self._is_over = True
        if self._rest or self.end is None:
            raise BrokenDumpError("the dump is not whole: its end mark is missing")


def last_point(path: Path) -> tuple[dict[str, Any], Point | None]:
    """Return the header of a dump that was not finished, and where it can be taken up."""
    with path.open("rb") as file:
        reader = Reader(file)
        try:
            while reader.lines():
                pass
        except BrokenDumpError:
            pass
    return reader.header, reader.point
