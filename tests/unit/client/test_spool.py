"""Bytes that wait for their reader."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, TYPE_CHECKING, Any

import pytest

from aiocouch._transport.spool import MOST_IN_MEMORY, Spool

if TYPE_CHECKING:
    from pathlib import Path

PIECE = bytes(range(256)) * 256  # 64 KiB
FILES = tempfile.TemporaryFile


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """The temporary files that were made."""
    made: list[IO[bytes]] = []

    def watched(**options: Any) -> IO[bytes]:
        made.append(FILES(**options))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", watched)
    return made


async def everything(spool: Spool) -> bytes:
    pieces = []
    while piece := await spool.get():
        pieces.append(piece)
    return b"".join(pieces)


async def test_a_little_stays_in_memory(files: list[IO[bytes]]) -> None:
    spool = Spool()
    for _ in range(MOST_IN_MEMORY // len(PIECE)):
        await spool.put(PIECE)
    assert await everything(spool) == PIECE * (MOST_IN_MEMORY // len(PIECE))
    await spool.close()
    assert files == []


async def test_more_goes_into_a_file_that_is_closed_in_the_end(files: list[IO[bytes]]) -> None:
    spool = Spool()
    whole = b"".join(PIECE + b"%d" % number for number in range(50))
    for start in range(0, len(whole), len(PIECE)):
        await spool.put(whole[start : start + len(PIECE)])
    (file,) = files
    assert file.seek(0, 2) > MOST_IN_MEMORY
    assert await everything(spool) == whole
    assert not spool
    await spool.close()
    assert file.closed


async def test_reading_while_writing_keeps_the_order(files: list[IO[bytes]]) -> None:
    spool = Spool()
    whole = b"".join(b"%070000d" % number for number in range(200))
    read: list[bytes] = []
    for start in range(0, len(whole), len(PIECE)):
        await asyncio.gather(spool.put(whole[start : start + len(PIECE)]), *_one_read(spool, read))
    read.append(await everything(spool))
    assert b"".join(read) == whole
    await spool.close()
    assert all(file.closed for file in files)


def _one_read(spool: Spool, read: list[bytes]) -> list[Any]:
    async def reading() -> None:
        read.append(await spool.get())

    return [reading()]


async def test_closing_waits_for_what_is_being_written(files: list[IO[bytes]]) -> None:
    spool = Spool()
    writing = asyncio.create_task(spool.put(b"x" * (MOST_IN_MEMORY + 1)))
    await asyncio.sleep(0)
    writing.cancel()
    await spool.close()
    assert [file.closed for file in files] == [True]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    await spool.put(b"x" * (MOST_IN_MEMORY + 1))
    assert names_in(tmp_path) == []
    await spool.close()
