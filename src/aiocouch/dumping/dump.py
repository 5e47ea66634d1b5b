"""A dump of a database into a file: `await Dump(db, "books.dump.gz")`."""

from __future__ import annotations

import asyncio
import datetime
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from aiocouch.dumping.lines import FORMAT, VERSION, control
from aiocouch.dumping.part import Begun, finish, opened, take_up
from aiocouch.dumping.sink import CouchbackupSink, Sink
from aiocouch.dumping.source import INLINE, Leaves, Totals
from aiocouch.exception import ForbiddenError, InvalidInputError, UnauthorizedError
from aiocouch.replication.remote_endpoint import RemoteEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from aiocouch.database import Database

__all__ = ["Dump", "DumpProgress"]

_MARK_SECONDS = 5.0
_MARK_BYTES = 64 << 20


@dataclass(frozen=True)
class DumpProgress:
    """How far a dump is, with what an earlier run has written.

    `leaves` counts leaf revisions, `deleted` those of them that are deletions, `local` local documents;
    `size` is the bytes of text that this run has written, `pending` how many changes it has yet to read.
    """

    leaves: int = 0
    deleted: int = 0
    attachments: int = 0
    local: int = 0
    size: int = 0
    pending: int | None = None
    is_resumed: bool = False


class Dump:
    """A dump of all leaves of a database, with their histories, into a file. `await` it, once.

    Deleted leaves, conflicts and design documents are in it, the security object, where it may be read,
    and with `local` the local documents. Without `attachments` there are only stubs of them. The file has
    lines of JSON, compressed by gzip of that `level` (1 is fast, 9 small, 0 plain text). While it is
    written it is `NAME.part`; one that was left half is taken up. With `couchbackup` it is a file of that
    program, which has neither local documents nor the security object, and begins anew each time.

    What is changed while the dump runs is in it as it was at some time meanwhile, or in both versions.

    Raise `FileExistsError` for a file that is there, `DumpError` for a half one that is of something else,
    `CouchDBError` for what the server says.
    """

    def __init__(
        self,
        database: Database,
        file: str | os.PathLike[str] | IO[bytes],
        *,
        attachments: bool = True,
        local: bool = False,
        level: int = 1,
        window: int = 4,
        couchbackup: bool = False,
        on_progress: Callable[[DumpProgress], None] | None = None,
    ) -> None:
        if not 0 <= level <= 9:
            raise InvalidInputError(f"level={level} is not one of zlib: 0 to 9")
        if window < 1:
            raise InvalidInputError(f"window={window} must be 1 or more")
        if couchbackup and local:
            raise InvalidInputError("a file of couchbackup has no local documents")
        self.database = database
        self._file = file
        self._options = {"attachments": attachments, "local": local, "gzip": level > 0}
        self._level = level
        self._window = window
        self._couchbackup = couchbackup
        self._on_progress = on_progress
        self._endpoint = RemoteEndpoint(database.remote, database.endpoint)
        self._totals = Totals()
        self._local = 0
        self._is_resumed = False
        self._leaves: Leaves | None = None
        self._sink: Sink | None = None
        self._marked = (time.monotonic(), 0)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.database!r}>"

    def __await__(self) -> Generator[Any, None, DumpProgress]:
        return self.run().__await__()

    @property
    def progress(self) -> DumpProgress:
        """How far it is now."""
        return DumpProgress(
            **asdict(self._totals),
            local=self._local,
            size=0 if self._sink is None else self._sink.size,
            pending=None if self._leaves is None else self._leaves.pending,
            is_resumed=self._is_resumed,
        )

    async def run(self) -> DumpProgress:
        """Dump, and tell what is in the file. The same as `await`."""
        header = await self._header()
        if not isinstance(self._file, str | os.PathLike):
            return await self._write(self._file, header, Begun())
        path = Path(self._file)
        if await asyncio.to_thread(path.exists):
            raise FileExistsError(17, "there is a file of that name already", str(path))
        part = path.with_name(f"{path.name}.part")
        with opened(part) as file:
            if self._couchbackup:
                file.truncate()
                begun = Begun()
            else:
                begun = await asyncio.to_thread(take_up, part, file, header)
            done = await self._write(file, header, begun)
            finish(part, path)
        return done

    async def _header(self) -> dict[str, Any]:
        info, server = await self._endpoint.info(), await self.database.couchdb.info()
        return {
            "format": FORMAT,
            "version": VERSION,
            "database": self.database.id,
            "uuid": server.get("uuid"),
            "created": info.get("instance_start_time"),
            "options": self._options,
            "couchdb": server.get("version"),
            "began": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "shards": info.get("cluster", {}).get("q"),
            "partitioned": bool(info.get("props", {}).get("partitioned")),
        }

    async def _write(self, file: IO[bytes], header: dict[str, Any], begun: Begun) -> DumpProgress:
        made = CouchbackupSink if self._couchbackup else Sink
        sink = self._sink = made(file, self._level, begun.sum)
        self._leaves = Leaves(
            self._endpoint,
            self._totals,
            self._write_lines,
            self._reached,
            window=self._window,
            attachments=bool(self._options["attachments"]),
            inline=math.inf if self._couchbackup else INLINE,
        )
        try:
            if begun.mark is None:
                since = await self._begin(sink, header)
            else:
                since = self._go_on(begun.mark)
            await self._leaves.read(since)
            await sink.mark("end", self._counts)
        finally:
            await sink.close()
        self._tell()
        return self.progress

    async def _begin(self, sink: Sink, header: dict[str, Any]) -> Any:
        """Write what stands before the documents."""
        await sink.begin(header)
        if not self._couchbackup:
            await self._write_security(sink)
            if self._options["local"]:
                await self._write_local(sink)
        await sink.mark("mark", lambda: {"since": "0", **self._counts()})
        return "0"

    def _go_on(self, mark: dict[str, Any]) -> Any:
        self._is_resumed = True
        self._local = mark.get("local", 0)
        for name in ("leaves", "deleted", "attachments"):
            setattr(self._totals, name, mark.get(name, 0))
        return mark["since"]

    async def _write_security(self, sink: Sink) -> None:
        path = f"{self.database.endpoint}/_security"
        try:
            found = (await self.database.remote.request("GET", path)).body
        except (UnauthorizedError, ForbiddenError):
            return
        await sink.write([control("security", {"document": msgspec.Raw(found.strip())})])

    async def _write_local(self, sink: Sink) -> None:
        async for row in self.database.local.all_docs.docs():
            await sink.write([control("local", {"document": row.data})])
            self._local += 1

    async def _write_lines(self, lines: Iterable[bytes], written: Callable[[], None]) -> None:
        if self._sink is not None:
            await self._sink.write(lines, written)
        self._tell()

    async def _reached(self, seq: Any) -> None:
        """Note now and then how far it is."""
        if self._sink is None:
            return
        at, size = self._marked
        now = time.monotonic()
        if now - at >= _MARK_SECONDS or self._sink.size - size >= _MARK_BYTES:
            self._marked = (now, self._sink.size)
            await self._sink.mark("mark", lambda: {"since": seq, **self._counts()})

    def _counts(self) -> dict[str, int]:
        return {**asdict(self._totals), "local": self._local}

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.progress)
