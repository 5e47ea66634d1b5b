"""One replication from its start to its end: checkpoints, changes, missing revisions, copies."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from typing import TYPE_CHECKING, Any

from aiocouch.exception import CouchDBError, TruncatedError
from aiocouch.replication.checkpoints import Start, common_start, new_log
from aiocouch.replication.copying import Copier
from aiocouch.replication.planning import Forecast, InOrder
from aiocouch.replication.progress import Counts, Progress
from aiocouch.replication.together import Crew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiocouch.replication.endpoint import Change, Endpoint
    from aiocouch.replication.options import Options

_BATCH_BYTES = 4 << 20
_LOST_HEARTBEATS = 3
_SILENCE = 300.0
_FAREWELL = 5.0  # seconds for a last checkpoint when the replication has failed


class CheckpointError(CouchDBError):
    """A database is not the one that it was when the replication began, or its log cannot be kept."""


class Session:
    """Copies from source to target what the options say; `name` is the id of the checkpoints.

    `told` is called whenever `progress` has changed.
    """

    def __init__(
        self,
        name: str,
        source: Endpoint,
        target: Endpoint,
        options: Options,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._source = source
        self._target = target
        self._options = options
        self._told = told
        self.progress = Progress(Counts())
        self._before = Counts()
        self._id = secrets.token_hex(16)
        self._started = formatdate(usegmt=True)
        self._start = Start(0, [])
        self._log: dict[str, Any] = {}
        self._revs: dict[Endpoint, str | None] = {}
        self._made: dict[Endpoint, Any] = {}
        self._in_order = InOrder()
        self._forecast = Forecast(target_is_empty=False)
        self._reading: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._is_left = False
        self._has_caught_up = False
        self.is_open = False
        """Whether both ends are there."""

    @property
    def has_moved(self) -> bool:
        """Whether anything was copied up to a later sequence than that of the start."""
        return bool(self.progress.through_seq != self._start.seq)

    @property
    def counted(self) -> Counts:
        """What this session has done, without those before."""
        return self.progress.counts - self._before

    @property
    def is_idle(self) -> bool:
        """Whether it has copied all changes that there were when it last asked."""
        return self._has_caught_up and self._in_order.is_done

    def stop(self) -> None:
        """Read no more changes; what was read is copied, and then `run` ends."""
        self._is_stopped = True
        if self._reading is not None:
            self._reading.cancel()

    def leave(self) -> None:
        """End at once: an end is away, and what is under way cannot be finished."""
        self._is_left = True
        self.stop()

    async def run(self) -> dict[str, Any]:
        """Replicate until the end of the changes (when continuous, until `stop`); give the answer.

        The answer is that of CouchDB's `_replicate`.
        """
        await self._open()
        await self._find_start()
        try:
            await self._follow()
        except Exception:
            await self._keep_what_is_done()
            raise
        return {} if self._is_left else self._answer()

    async def _keep_what_is_done(self) -> None:
        """Note how far it got, so that the next attempt need not start from the beginning."""
        with contextlib.suppress(CouchDBError, TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await self._checkpoint()

    # the start

    async def _open(self) -> None:
        again = self._options.patience.again
        self._made[self._source] = (await again(self._source.info)).get("instance_start_time")
        if self._options.create_target:
            await self._target.create(self._options.create_target_params)
        info = await again(self._target.info)
        self._made[self._target] = info.get("instance_start_time")
        self.is_open = True
        self._told()
        is_empty = info.get("doc_count") == 0 == info.get("doc_del_count")
        self._forecast = Forecast(target_is_empty=is_empty and self._options.include_docs)

    async def _find_start(self) -> None:
        logs = []
        for end in (self._source, self._target):
            log = await self._options.patience.again(partial(end.checkpoint, self._name))
            rev = log.get("_rev")
            self._revs[end] = rev if isinstance(rev, str) else None
            logs.append(log)
        start = common_start(*logs)
        if start.history:
            # CouchDB goes on counting where the session before has stopped.
            self.progress.counts.go_on(start.history[0])
            self._before = replace(self.progress.counts)
            self._log = {name: value for name, value in logs[0].items() if name[:1] != "_"}
        if self._options.since_seq is not None and not start.seq:
            # a checkpoint knows better
            start = Start(self._options.since_seq, start.history)
        self._start = start
        self.progress.through_seq = self.progress.checkpointed_seq = start.seq

    # the pipeline: one reads the changes, some copy them

    async def _follow(self) -> None:
        batches: asyncio.Queue[tuple[int, Sequence[Change]]] = asyncio.Queue(1)
        copier = Copier(
            self._source, self._target, self._options, self.progress.counts, self._forecast
        )
        over = asyncio.Event()
        async with Crew() as crew:
            keeping = crew.start(self._keep_checkpoints(over))
            for _ in range(self._options.window):
                crew.start(self._copy(copier, batches))
            self._reading = crew.start(self._read(batches))
            await crew.until(self._reading)
            if self._is_left:
                return
            await crew.until(crew.start(batches.join()))
            over.set()
            await crew.until(keeping)

    async def _copy(
        self, copier: Copier, batches: asyncio.Queue[tuple[int, Sequence[Change]]]
    ) -> None:
        while True:
            number, changes = await batches.get()
            if changes:
                await copier.copy(changes)
            reached = self._in_order.end(number)
            if reached is not None:
                self.progress.through_seq = reached
            self._told()
            batches.task_done()

    # the changes

    async def _read(self, batches: asyncio.Queue[tuple[int, Sequence[Change]]]) -> None:
        """Read changes, page by page, until there are no more."""
        since = self._start.seq
        while since is not None and not self._is_stopped:
            since = await self._options.patience.again(partial(self._page, since, batches))

    async def _page(self, since: Any, batches: asyncio.Queue[tuple[int, Sequence[Change]]]) -> Any:
        """Hand on the changes after a sequence; return where the next ones begin, None at the end."""
        options = self._options
        include_docs = options.include_docs and self._forecast.is_to_include()
        waits = options.continuous and self._has_caught_up
        query = options.query(since, include_docs=include_docs, waits=waits)
        patience = _LOST_HEARTBEATS * options.heartbeat if waits else _SILENCE
        batch: list[Change] = []
        count, size, last = 0, 0, None
        async with self._source.changes(query, options.body(), patience=patience) as page:
            options.patience.goes_on()
            while rows := await page.rows():
                for row in rows:
                    if size >= _BATCH_BYTES:
                        await batches.put((self._in_order.begin(None), batch))
                        batch, size = [], 0
                    batch.append(row)
                    size += len(bytes(row.doc))
                count += len(rows)
                last = rows[-1].seq
            end = page.end
        if end.last_seq is None:
            raise TruncatedError(f"{self._source.name}: the changes ended without a last sequence")
        await self._end_page(batches, batch, last or end.last_seq, end.pending)
        self._has_caught_up = self._is_last(count, end.pending)
        self._told()
        return None if self._has_caught_up and not options.continuous else end.last_seq

    async def _end_page(
        self,
        batches: asyncio.Queue[tuple[int, Sequence[Change]]],
        batch: Sequence[Change],
        seq: Any,
        pending: int | None,
    ) -> None:
        if self._options.doc_ids is None:
            self.progress.pending = pending
        # Like CouchDB, a session that copied nothing leaves no trace.
        skipped = self._options.record_skipped and self._options.is_filtered
        if batch or skipped or self._options.continuous:
            await batches.put((self._in_order.begin(seq), batch))

    def _is_last(self, count: int, pending: int | None) -> bool:
        # fewer rows than asked for are the last ones, unless the source says that it has more
        return pending == 0 or (count < self._options.batch_size and not (pending and count))

    # checkpoints

    async def _keep_checkpoints(self, over: asyncio.Event) -> None:
        """Write a checkpoint now and then, and when it is over."""
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.checkpoint_interval):
                    await over.wait()
            await self._checkpoint()

    async def _checkpoint(self) -> None:
        """Note at both ends how far everything is copied."""
        progress = self.progress
        if self._is_left:
            return
        if not self._options.use_checkpoints or progress.through_seq == progress.checkpointed_seq:
            return
        seq = progress.through_seq
        log = new_log(
            self._entry(seq),
            self._start.history,
            with_totals=self._options.doc_ids is not None,
        )
        await self._commit()
        for end in (self._source, self._target):
            await self._save(end, log)
        self._log = log
        progress.checkpointed_seq = seq
        self._told()

    async def _commit(self) -> None:
        """Have on disk what the log will say; no log is for a database made anew meanwhile."""
        for what, end in (("target", self._target), ("source", self._source)):
            made = await self._options.patience.again(end.commit)
            known = self._made[end]
            if made not in {known, "0", None} and known not in {"0", None}:
                raise CheckpointError(
                    f"instance_start_time on {what} database has changed since last checkpoint."
                )

    async def _save(self, end: Endpoint, log: Mapping[str, Any]) -> None:
        rev = self._revs[end]
        document = {"_id": f"_local/{self._name}", **({"_rev": rev} if rev else {}), **log}
        # An end that may only be read keeps no log; the next replication looks again.
        self._revs[end] = await self._options.patience.again(
            partial(end.save_checkpoint, self._name, document)
        )

    def _entry(self, seq: Any) -> dict[str, Any]:
        return {
            "session_id": self._id,
            "start_time": self._started,
            "end_time": formatdate(usegmt=True),
            "start_last_seq": self._start.seq,
            "end_last_seq": seq,
            "recorded_seq": seq,
            **self.progress.counts.for_log(),
        }

    def _answer(self) -> dict[str, Any]:
        through = self.progress.through_seq
        is_unchanged = through == self._start.seq
        # where nothing came after a checkpoint of an earlier one, CouchDB tells of that all the same
        if not self._options.use_checkpoints and through and not (is_unchanged and self._log):
            return {"ok": True, "use_checkpoints": False}
        if is_unchanged:
            return {"ok": True, "no_changes": True, **self._log}
        return {"ok": True, **self._log}
