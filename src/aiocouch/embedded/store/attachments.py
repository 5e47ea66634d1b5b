"""The bytes of attachments, in SQLite, content-addressed and in chunks.

Content is stored once however many revisions have it. It is written chunk by chunk before the
document that refers to it is committed, so a crash leaves at worst content that nobody refers to;
`collect_garbage` removes that when the database is compacted.

All functions take a connection and run in its transaction.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from aiocouch.embedded.documents.attachment import (
    NOT_STORED,
    Attachment,
    Content,
    Encoder,
    content_key,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

CHUNK = 256 * 1024
"""Bytes of content in one row; reading or writing a chunk takes well under a millisecond."""

_SPAN = 1 << 24
"""Chunks one content may have: a chunk's row id is `blob * _SPAN + number`."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS attachment_blobs (
    blob INTEGER PRIMARY KEY,
    key BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS attachment_blobs_key ON attachment_blobs (key);
CREATE TABLE IF NOT EXISTS attachment_chunks (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
"""
"""Tables to make with a database. `key` is NULL while content is still being uploaded."""


class Holds:
    """Contents that requests are bringing, which no document has yet, or are reading.

    Compaction leaves them, and no other content gets their numbers, not even when the transaction
    that gave them was undone.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._counts)

    def __iter__(self) -> Iterator[int]:
        return iter(self._counts)

    def hold(self, blob: int) -> None:
        """Hold a content until it is let go as often as it was held."""
        self._counts[blob] += 1

    def let_go(self, blob: int) -> None:
        """Say that one who held a content is done with it."""
        self._counts[blob] -= 1
        if not self._counts[blob]:
            del self._counts[blob]

    @contextlib.contextmanager
    def holding(self, blob: int) -> Iterator[None]:
        """Hold a content while somebody reads it."""
        self.hold(blob)
        try:
            yield
        finally:
            self.let_go(blob)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables unless they are there."""
    for statement in SCHEMA.split(";"):
        connection.execute(statement)


def save(
    connection: sqlite3.Connection,
    resolved: Iterable[tuple[Attachment, bytes | None]],
    held: Iterable[int] = (),
) -> list[Attachment]:
    """Store the bytes of a document's new attachments; return all with their `blob` set."""
    return [
        attachment
        if data is None
        else msgspec.structs.replace(attachment, blob=save_bytes(connection, data, held))
        for attachment, data in resolved
    ]


def save_bytes(connection: sqlite3.Connection, data: bytes, held: Iterable[int] = ()) -> int:
    """Store content that is in memory and return its number."""
    key = content_key(data)
    found = _find(connection, key)
    if found is not None:
        return found
    blob = begin(connection, held)
    for number, start in enumerate(range(0, len(data), CHUNK)):
        append(connection, blob, number, data[start : start + CHUNK])
    return finish(connection, blob, key)


def _find(connection: sqlite3.Connection, key: bytes) -> int | None:
    row = connection.execute("SELECT blob FROM attachment_blobs WHERE key = ?", (key,)).fetchone()
    return None if row is None else int(row[0])


def begin(connection: sqlite3.Connection, held: Iterable[int] = ()) -> int:
    """Make room for content that will come in chunks; return its number, which is not `held`."""
    (last,) = connection.execute("SELECT max(blob) FROM attachment_blobs").fetchone()
    blob = max([last or 0, *held]) + 1
    connection.execute("INSERT INTO attachment_blobs (blob, key) VALUES (?, NULL)", (blob,))
    return blob


def append(connection: sqlite3.Connection, blob: int, number: int, data: bytes) -> None:
    """Store one chunk; all but the last must be `CHUNK` bytes long."""
    connection.execute(
        "INSERT INTO attachment_chunks (id, data) VALUES (?, ?)", (blob * _SPAN + number, data)
    )


def finish(connection: sqlite3.Connection, blob: int, key: bytes) -> int:
    """Say that content is complete; return the number of the same content stored before, if any."""
    found = _find(connection, key)
    if found is not None:
        remove(connection, blob)
        return found
    connection.execute("UPDATE attachment_blobs SET key = ? WHERE blob = ?", (key, blob))
    return blob


def remove(connection: sqlite3.Connection, blob: int) -> None:
    """Remove content and its chunks."""
    first = blob * _SPAN
    connection.execute(
        "DELETE FROM attachment_chunks WHERE id >= ? AND id < ?", (first, first + _SPAN)
    )
    connection.execute("DELETE FROM attachment_blobs WHERE blob = ?", (blob,))


def remove_unfinished(connection: sqlite3.Connection, blob: int) -> None:
    """Remove content whose upload has failed, unless it is complete: others may have it by now."""
    row = connection.execute(
        "SELECT 1 FROM attachment_blobs WHERE blob = ? AND key IS NULL", (blob,)
    ).fetchone()
    if row is not None:
        remove(connection, blob)


def unfinished(connection: sqlite3.Connection) -> list[int]:
    """Return contents that are being uploaded, or were when the process was killed."""
    rows = connection.execute("SELECT blob FROM attachment_blobs WHERE key IS NULL").fetchall()
    return [row[0] for row in rows]


def are_there(connection: sqlite3.Connection, blobs: Iterable[int]) -> bool:
    """Return whether contents are stored."""
    statement = "SELECT 1 FROM attachment_blobs WHERE blob = ?"
    return all(connection.execute(statement, (blob,)).fetchone() for blob in blobs)


def read_chunk(connection: sqlite3.Connection, blob: int, number: int) -> bytes:
    """Return one chunk of content, b"" after its end."""
    row = connection.execute(
        "SELECT data FROM attachment_chunks WHERE id = ?", (blob * _SPAN + number,)
    ).fetchone()
    return b"" if row is None else bytes(row[0])


def chunk_numbers(start: int, end: int) -> Iterator[tuple[int, slice]]:
    """Yield which part of which chunk holds the bytes from `start` up to, not with, `end`."""
    for number in range(start // CHUNK, (max(end, start) + CHUNK - 1) // CHUNK):
        base = number * CHUNK
        yield number, slice(max(start - base, 0), min(end - base, CHUNK))


def collect_garbage(connection: sqlite3.Connection, used: Container[int]) -> int:
    """Remove content that is not among `used` (documents' and running uploads'); count it."""
    rows = connection.execute("SELECT blob FROM attachment_blobs").fetchall()
    unused: Sequence[int] = [row[0] for row in rows if row[0] not in used]
    for blob in unused:
        remove(connection, blob)
    return len(unused)


class Spool:
    """Content on its way in: what to write, as functions that a transaction runs.

    The caller runs each function that `feed` and `finish` return in a transaction, in order.
    At most one chunk is held in memory.
    """

    def __init__(self, encoder: Encoder, holds: Holds | None = None) -> None:
        self._encoder = encoder
        self._holds = Holds() if holds is None else holds
        self._held: list[int] = []
        self._pending = bytearray()
        self._number = 0
        self._blob = NOT_STORED

    @property
    def encoder(self) -> Encoder:
        """Counts and digests of what came so far."""
        return self._encoder

    def feed(self, data: bytes) -> list[Callable[[sqlite3.Connection], None]]:
        """Take uploaded bytes; return the writes that have become due."""
        self._pending += self._encoder.feed(data)
        writes = []
        while len(self._pending) >= CHUNK:
            writes.append(self._write(bytes(self._pending[:CHUNK])))
            del self._pending[:CHUNK]
        return writes

    def _write(self, data: bytes) -> Callable[[sqlite3.Connection], None]:
        number = self._number
        self._number += 1

        def write(connection: sqlite3.Connection) -> None:
            if self._blob == NOT_STORED:
                self._blob = begin(connection, self._holds)
                self._hold(self._blob)
            append(connection, self._blob, number, data)

        return write

    def finish(self) -> Callable[[sqlite3.Connection], Content]:
        """Return the last write; it gives the content's facts.

        Content of less than one chunk is not written at all: its bytes are in the facts, and go
        into the document's own transaction.
        """
        self._pending += self._encoder.finish()
        if self._number == 0 and len(self._pending) <= CHUNK:
            return lambda _connection: self._encoder.content(data=bytes(self._pending))
        rest = bytes(self._pending)
        last = [self._write(rest[at : at + CHUNK]) for at in range(0, len(rest), CHUNK)]

        def complete(connection: sqlite3.Connection) -> Content:
            for write in last:
                write(connection)
            blob = finish(connection, self._blob, self._encoder.key)
            # in the transaction: a compaction that comes next must know of it
            self._hold(blob)
            return self._encoder.content(blob=blob)

        return complete

    def abandon(self, connection: sqlite3.Connection) -> None:
        """Remove what an upload that failed has written."""
        if self._blob != NOT_STORED:
            remove_unfinished(connection, self._blob)

    def _hold(self, blob: int) -> None:
        self._holds.hold(blob)
        self._held.append(blob)

    def let_go(self) -> None:
        """Hold the content no longer: a document has it, or never will."""
        for blob in self._held:
            self._holds.let_go(blob)
        self._held.clear()
