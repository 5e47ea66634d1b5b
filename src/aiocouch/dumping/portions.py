"""A dump, ours or couchbackup's, cut into portions that are written together. All but `take` blocks."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

import msgspec

from aiocouch._wire.related import following
from aiocouch.dumping.choice import Choice, Fingerprint
from aiocouch.dumping.couchbackup import documents_of, is_header, to_ours
from aiocouch.dumping.errors import BrokenDumpError
from aiocouch.dumping.lines import data_of, is_control, look, read_control
from aiocouch.dumping.reader import Reader, Text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Iterator

_MEMORY = 4 << 20  # bytes of attachments of a document before they are a file
_PIECE = 1 << 18


class Lines(Protocol):
    """Reads a dump. `lacking` counts attachments that it does not have."""

    header: dict[str, Any]
    lacking: int

    def lines(self) -> list[bytes]:
        """Return some more lines; none at the end."""
        ...


class OurLines(Reader):
    """Reads a dump of ours."""

    lacking = 0


class CouchbackupLines:
    """Reads a file of couchbackup: each document is a line."""

    def __init__(self, file: IO[bytes]) -> None:
        self.header: dict[str, Any] = {"format": "couchbackup"}
        self.lacking = 0
        self._pieces = Text(file).pieces()
        self._rest = b""

    def lines(self) -> list[bytes]:
        """Return the documents of some lines; none at the end."""
        found: list[bytes] = []
        while not found:
            piece = next(self._pieces, None)
            text = self._rest + (piece or b"")
            *lines, self._rest = text.split(b"\n")
            if piece is None:
                lines, self._rest = [*lines, self._rest], b""
            for line in lines:
                found.extend(self._documents(line))
            if piece is None:
                break
        return found

    def _documents(self, line: bytes) -> Iterator[bytes]:
        if line.strip() and not is_header(line):
            for text in documents_of(line):
                ours, lacking = to_ours(text)
                self.lacking += lacking
                yield ours


def lines_of(file: IO[bytes]) -> Lines:
    """Return what reads a dump, by what it begins with. The file is read from its beginning."""
    file.seek(0)
    first = next(Text(file).pieces(), b"").lstrip()
    file.seek(0)
    if first[:1] == b"[" or is_header(first.partition(b"\n")[0]):
        return CouchbackupLines(file)
    return OurLines(file)


@dataclass
class Spooled:
    """A document, and behind it a file with the contents of its attachments."""

    text: bytes
    contents: IO[bytes]

    async def attachments(self) -> AsyncGenerator[AsyncIterable[bytes], None]:
        """Yield the contents, in the order of the text."""
        self.contents.seek(0)
        for _, stub in following(self.text):
            yield self._piece_by_piece(stub.stored_length)

    async def _piece_by_piece(self, left: int) -> AsyncGenerator[bytes, None]:
        while left and (piece := self.contents.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


@dataclass
class Portion:
    """What is written together: documents, or one with large attachments; and local documents.

    `through` is how many documents of the dump were read with it.
    """

    texts: list[bytes] = field(default_factory=list)
    size: int = 0
    large: Spooled | None = None
    local: list[dict[str, Any]] = field(default_factory=list)
    through: int = 0

    def close(self) -> None:
        """Remove the file of a large document."""
        if self.large is not None:
            self.large.contents.close()


class Portions:
    """Cuts a dump into portions, without its first `skip` documents and those that are not chosen.

    `fingerprint` is that of all that are chosen, those skipped, too.
    """

    def __init__(
        self, lines: Lines, choice: Choice, *, skip: int, most: int, most_bytes: int
    ) -> None:
        self.fingerprint = Fingerprint()
        self.security: dict[str, Any] | None = None
        self.read = 0
        self._lines = lines
        self._choice = choice
        self._skip = skip
        self._most = most
        self._most_bytes = most_bytes
        self._portion = Portion()
        self._large: Spooled | None = None
        self._left = 0
        self._all = self._each()

    def next(self) -> Portion | None:
        """Return the next portion, None at the end."""
        return next(self._all, None)

    async def take(self) -> Portion | None:
        """Return the next portion, read in a thread. Who is cancelled waits for it; no file stays open."""
        reading = asyncio.ensure_future(asyncio.to_thread(self.next))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])
            if reading.exception() is None and (lost := reading.result()) is not None:
                lost.close()
            raise

    def _each(self) -> Iterator[Portion]:
        while lines := self._lines.lines():
            for line in lines:
                if is_control(line):
                    yield from self._control(read_control(line))
                else:
                    yield from self._document(line)
        if self._left:
            raise BrokenDumpError("the dump breaks off in an attachment")
        self._portion.through = self.read
        yield self._portion

    def _document(self, text: bytes) -> Iterator[Portion]:
        if self._left:
            raise BrokenDumpError("the dump lacks a part of an attachment")
        try:
            seen = look(text)
        except msgspec.DecodeError as error:
            raise BrokenDumpError(f"a line of the dump is not a document: {error}") from None
        self.read += 1
        follows = following(text) if len(seen.attachments) > 2 and b'"follows"' in text else []
        self._left = sum(stub.stored_length for _, stub in follows)
        self._large = None
        if not self._choice.takes(seen, text):
            return
        self.fingerprint.add(seen.id, seen.rev)
        if self.read <= self._skip:
            return
        if follows:
            contents = tempfile.SpooledTemporaryFile(_MEMORY)  # noqa: SIM115 - the portion has it
            self._large = Spooled(text, contents)
            return
        if self._portion.size + len(text) > self._most_bytes and self._portion.texts:
            yield self._cut(self.read - 1)
        self._portion.texts.append(text)
        self._portion.size += len(text)
        if len(self._portion.texts) >= self._most:
            yield self._cut(self.read)

    def _cut(self, through: int, large: Spooled | None = None) -> Portion:
        done, self._portion = self._portion, Portion()
        done.through, done.large = through, large
        return done

    def _control(self, said: dict[str, Any]) -> Iterator[Portion]:
        kind = said.get("#")
        if kind == "data":
            yield from self._data(said)
        elif kind == "security":
            self.security = said["document"]
        elif kind == "local":
            self._portion.local.append(said["document"])
            if len(self._portion.local) >= self._most:
                yield self._cut(self.read)

    def _data(self, said: dict[str, Any]) -> Iterator[Portion]:
        try:
            content = data_of(said)
        except ValueError as error:
            raise BrokenDumpError(f"an attachment of the dump is not base64: {error}") from None
        if len(content) > self._left:
            raise BrokenDumpError("the dump has more of an attachment than there should be")
        self._left -= len(content)
        if self._large is not None:
            self._large.contents.write(content)
            if not self._left:
                yield self._cut(self.read, self._large)
