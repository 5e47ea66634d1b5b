"""A database out of a dump: `await Restore(db, "books.dump.gz")`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from aiocouch.dumping.choice import Choice
from aiocouch.dumping.compare import contained, fingerprint_of, has_no_others
from aiocouch.dumping.errors import OccupiedError
from aiocouch.dumping.lines import is_control
from aiocouch.dumping.portions import Portion, Portions, lines_of
from aiocouch.dumping.target import Target
from aiocouch.exception import InvalidInputError, NotFoundError
from aiocouch.replication.planning import InOrder
from aiocouch.replication.remote_endpoint import RemoteEndpoint
from aiocouch.replication.together import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from aiocouch.database import Database
    from aiocouch.replication.endpoint import Refused

__all__ = ["Restore", "RestoreProgress", "RestoreResult"]

_TOGETHER = 1_000
_TOGETHER_BYTES = 2 << 20
_MARK_SECONDS = 5.0
_MOST_TOLD = 1_000
_AHEAD = 3  # portions that are read before anybody takes them


@dataclass(frozen=True)
class RestoreProgress:
    """How far a restore is: `read` of the `total` leaves in the file, `written` by this run.

    The `phase` is "checking", "writing" or "comparing"; in the last one `compared` leaves were looked at.
    """

    phase: str = "checking"
    total: int | None = None
    read: int = 0
    written: int = 0
    compared: int = 0


@dataclass(frozen=True)
class RestoreResult:
    """What a restore has done. Numbers are of leaves, but `local` and `lacking`.

    `chosen` is how many of the file were to be restored, `written` how many this run has sent and the
    server has taken, `refused` which it has not, the first thousand, of `refused_count`. `missing` is which
    of the chosen are not there afterwards, the first thousand; `is_equal` says that the database has the
    chosen leaves and no others (None: it was not compared). Of a leaf that the file has twice, or together
    with what was made of it meanwhile, the database has what came last. `lacking` counts attachments that
    the file does not have.
    """

    chosen: int
    written: int
    refused: tuple[Refused, ...]
    refused_count: int
    missing: tuple[tuple[str, str], ...]
    missing_count: int
    is_equal: bool | None
    local: int
    lacking: int
    is_resumed: bool
    header: Mapping[str, Any]


class Restore:
    """Writes the leaves of a dump into a database, with their histories. `await` it, once.

    The file is one that `Dump` has written, compressed or not, or one of couchbackup. Its sums are checked
    before anything is written. A database that does not exist is created; one that has documents already is
    left alone, unless `merge`, or a restore of the same file into it was broken off: then it goes on.

    `ids`, `design` (True: only design documents, False: no such) and the function `choose` say what is
    restored. `security` and `local` put back the security object and the local documents. With `compare` the
    leaves that are there afterwards are held against those of the file.

    Raise `BrokenDumpError` for a file that is not whole, `OccupiedError` for a database that has documents,
    `CouchDBError` for what the server says. What it refuses of single documents is told in the result.
    """

    def __init__(
        self,
        database: Database,
        file: str | os.PathLike[str] | IO[bytes],
        *,
        ids: Iterable[str] | None = None,
        design: bool | None = None,
        choose: Callable[[dict[str, Any]], bool] | None = None,
        merge: bool = False,
        security: bool = False,
        local: bool = False,
        compare: bool = True,
        shards: int | None = None,
        window: int = 4,
        on_progress: Callable[[RestoreProgress], None] | None = None,
    ) -> None:
        if window < 1:
            raise InvalidInputError(f"window={window} must be 1 or more")
        if isinstance(ids, str):
            raise InvalidInputError("ids= takes several ids, not a text")
        self.database = database
        self.progress = RestoreProgress()
        """How far it is now."""
        self._file = file
        self._choice = Choice(None if ids is None else frozenset(ids), design, choose)
        self._merge = merge
        self._with_security = security
        self._with_local = local
        self._compare = compare
        self._shards = shards
        self._window = window
        self._on_progress = on_progress
        self._target = Target(
            database, RemoteEndpoint(database.remote, database.endpoint), self._refuse
        )
        self._refused: list[Refused] = []
        self._refused_count = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} into {self.database!r}>"

    def __await__(self) -> Generator[Any, None, RestoreResult]:
        return self.run().__await__()

    async def run(self) -> RestoreResult:
        """Restore, and tell what was done. The same as `await`."""
        if not isinstance(self._file, str | os.PathLike):
            return await self._restore(self._file)
        file = await asyncio.to_thread(Path(self._file).open, "rb")
        with file:
            return await self._restore(file)

    async def _restore(self, file: IO[bytes]) -> RestoreResult:
        header, total, lacking = await asyncio.to_thread(_checked, file)
        self._tell(phase="writing", total=total)
        name = f"aiocouch-restore-{_digest(header, self._choice)}"
        was_empty, done = await self._prepare(header, name)
        portions = Portions(
            await asyncio.to_thread(lines_of, file),
            self._choice,
            skip=0,
            most=_TOGETHER,
            most_bytes=_TOGETHER_BYTES,
        )
        writing = _Writing(self, self._target, portions, name, is_resumed=done is not None)
        await writing.run(self._window)
        if self._with_security and portions.security is not None:
            await self._target.write_security(portions.security)
        is_equal, missing = await self._compared(file, portions, was_empty=was_empty)
        await self._target.forget(name)
        return RestoreResult(
            chosen=portions.fingerprint.count,
            written=self.progress.written,
            refused=tuple(self._refused),
            refused_count=self._refused_count,
            missing=tuple(missing[:_MOST_TOLD]),
            missing_count=len(missing),
            is_equal=is_equal,
            local=self._target.local,
            lacking=lacking,
            is_resumed=done is not None,
            header=header,
        )

    async def _prepare(self, header: Mapping[str, Any], name: str) -> tuple[bool, int | None]:
        """Make the database, unless it is there; tell whether it had nothing of others, and what is done.

        The latter is None unless a restore was broken off.
        """
        try:
            info = await self._target.endpoint.info()
        except NotFoundError:
            options: dict[str, Any] = {} if self._shards is None else {"q": self._shards}
            if header.get("partitioned"):
                options["partitioned"] = True
            await self._target.endpoint.create(options)
            info = {}
        documents = _documents(info)
        known = await self._target.known(name)
        if documents and known is None and not self._merge:
            raise OccupiedError(
                f"the database {self.database.id} has {documents} documents already. "
                "Choose another name, or merge"
            )
        if known is None:
            await self._target.begin(name, is_empty=not documents)
            return not documents, None
        return bool(known.get("was_empty")), known.get("documents", 0)

    async def _compared(
        self, file: IO[bytes], portions: Portions, *, was_empty: bool
    ) -> tuple[bool | None, list[tuple[str, str]]]:
        if not self._compare:
            return None, []
        self._tell(phase="comparing")
        endpoint = self._target.endpoint
        most = portions.fingerprint.count
        may_be_equal = was_empty or _documents(await endpoint.info()) <= most
        leaves = await fingerprint_of(endpoint, self._has_compared) if may_be_equal else None
        if leaves == portions.fingerprint:
            return True, []
        lines = await asyncio.to_thread(lines_of, file)
        again = Portions(lines, self._choice, skip=0, most=_TOGETHER, most_bytes=_TOGETHER_BYTES)
        missing = await contained(endpoint, again, self._has_compared)
        if missing or leaves is None:
            return False, missing
        return await has_no_others(endpoint, file, self._choice, leaves.count), []

    def _refuse(self, refused: Refused) -> None:
        self._refused_count += 1
        if len(self._refused) < _MOST_TOLD:
            self._refused.append(refused)

    def tell(self, *, read: int, written: int) -> None:
        """Note that some more is written."""
        self._tell(read=max(read, self.progress.read), written=self.progress.written + written)

    def _has_compared(self, count: int) -> None:
        self._tell(compared=count)

    def _tell(self, **news: Any) -> None:
        self.progress = replace(self.progress, **news)
        if self._on_progress is not None:
            self._on_progress(self.progress)

    @property
    def with_local(self) -> bool:
        """Whether local documents are restored."""
        return self._with_local


class _Writing:
    """Writes the portions of a dump, some at a time, and notes how far it has got."""

    def __init__(
        self, restore: Restore, target: Target, portions: Portions, name: str, *, is_resumed: bool
    ) -> None:
        self._restore = restore
        self._target = target
        self._portions = portions
        self._name = name
        self._is_resumed = is_resumed
        self._in_order = InOrder()
        self._queue: asyncio.Queue[tuple[int, Portion] | None] = asyncio.Queue(_AHEAD)
        self._marked_at = time.monotonic()
        self._gate = asyncio.Lock()

    async def run(self, window: int) -> None:
        """Write all of it."""
        try:
            async with Crew() as crew:
                reader = crew.start(self._read(window))
                workers = [crew.start(self._work()) for _ in range(window)]
                await crew.until(reader)
                for worker in workers:
                    await crew.until(worker)
        finally:
            while not self._queue.empty():
                if (item := self._queue.get_nowait()) is not None:
                    item[1].close()

    async def _read(self, window: int) -> None:
        while (portion := await self._portions.take()) is not None:
            with contextlib.ExitStack() as stack:
                stack.callback(portion.close)
                await self._queue.put((self._in_order.begin(portion.through), portion))
                stack.pop_all()
        for _ in range(window):
            await self._queue.put(None)

    async def _work(self) -> None:
        while (item := await self._queue.get()) is not None:
            number, portion = item
            with contextlib.closing(portion):
                written = await self._write(portion)
            self._restore.tell(read=portion.through, written=written)
            through = self._in_order.end(number)
            if through is not None and time.monotonic() - self._marked_at >= _MARK_SECONDS:
                self._marked_at = time.monotonic()
                async with self._gate:
                    await self._target.note(self._name, through)

    async def _write(self, portion: Portion) -> int:
        texts = portion.texts
        if self._is_resumed and texts:
            texts = await self._target.lacking(texts)
        written = await self._target.write(texts) if texts else 0
        if portion.large is not None:
            written += await self._target.write_large(portion.large)
        if self._restore.with_local:
            for document in portion.local:
                await self._target.write_local(document)
        return written


def _checked(file: IO[bytes]) -> tuple[dict[str, Any], int, int]:
    """Read a whole dump; give its header, how many leaves it has, and how many attachments it lacks."""
    lines = lines_of(file)
    count = 0
    while found := lines.lines():
        count += sum(not is_control(line) for line in found)
    return lines.header, count, lines.lacking


def _documents(info: Mapping[str, Any]) -> int:
    """Return how many documents a database has, deleted ones included."""
    count: int = info.get("doc_count", 0) + info.get("doc_del_count", 0)
    return count


def _digest(header: Mapping[str, Any], choice: Choice) -> str:
    ids = None if choice.ids is None else sorted(choice.ids)
    facts = [dict(header), ids, choice.design, choice.function is not None]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:24]
