"""One replication from its start to its end: checkpoints, changes, missing revisions, copies."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import aiohttp

from aiocouch.embedded.codec import encode
from aiocouch.embedded.multipart.multipart import MultipartError
from aiocouch.embedded.replicator.checkpoints import Start, common_start, new_log
from aiocouch.embedded.replicator.copying import Copier, Wanted
from aiocouch.embedded.replicator.peer import HEARTBEAT, RefusedError, ReplicationError
from aiocouch.embedded.replicator.progress import Counts, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiocouch.embedded.replicator.peer import Peer
    from aiocouch.embedded.replicator.specification import Specification


class Replication:
    """Copies what `spec` names from source to target.

    `name` is the id of the checkpoints. `told` is called whenever `progress` has changed.
    """

    def __init__(
        self,
        spec: Specification,
        name: str,
        source: Peer,
        target: Peer,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        self._spec = spec
        self._name = name
        self._source = source
        self._target = target
        self._told = told
        self.progress = Progress(Counts())
        self._copier = Copier(source, target, self.progress.counts, bulk_get=spec.use_bulk_get)
        self._session = secrets.token_hex(16)
        self._started = formatdate(usegmt=True)
        self._start = Start(0, [])
        self._log: dict[str, Any] = {}
        self._revs: dict[Peer, str | None] = {}
        self._checkpointed_at = time.monotonic()

    async def run(self) -> dict[str, Any]:
        """Replicate until the end of the changes (never, when continuous); give the answer.

        Raises ReplicationError.
        """
        try:
            await self._open()
            await self._find_start()
            try:
                await self._follow()
            except Exception:
                await self._keep_what_is_done()
                raise
            return self._answer()
        except RefusedError as error:
            raise ReplicationError(error.error or "error", error.reason) from error
        except (aiohttp.ClientError, TimeoutError, MultipartError) as error:
            raise ReplicationError("error", f"{type(error).__name__}: {error}") from error

    async def _keep_what_is_done(self) -> None:
        """Note how far it got, so that the next attempt need not start from the beginning."""
        with contextlib.suppress(RefusedError, ReplicationError, aiohttp.ClientError):
            await self._checkpoint(force=True)

    # the start

    async def _open(self) -> None:
        await self._source.info()
        if self._spec.create_target:
            await self._target.create(self._spec.create_target_params)
        await self._target.info()

    async def _find_start(self) -> None:
        logs = []
        for peer in (self._source, self._target):
            log = await peer.local(self._name)
            self._revs[peer] = log.get("_rev")
            logs.append(log)
        start = common_start(*logs)
        if start.history:
            # CouchDB goes on counting where the session before has stopped.
            self.progress.counts.go_on(start.history[0])
            self._log = {name: value for name, value in logs[0].items() if name[:1] != "_"}
        if self._spec.since_seq is not None and not start.seq:
            # a checkpoint knows better
            start = Start(self._spec.since_seq, start.history)
        self._start = start
        self.progress.through_seq = self.progress.checkpointed_seq = start.seq

    # the changes

    async def _follow(self) -> None:
        ahead = asyncio.create_task(self._changes(self._start.seq))
        try:
            while True:
                answer = await self._next(ahead)
                seq = answer["last_seq"]
                done = self._is_last(answer)
                if not done:
                    # The next changes are read while these are copied.
                    ahead = asyncio.create_task(self._changes(seq))
                await self._copy(answer["results"])
                self._through(answer)
                await self._checkpoint(force=done)
                if done:
                    return
        finally:
            ahead.cancel()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await ahead

    async def _next(self, ahead: asyncio.Task[dict[str, Any]]) -> dict[str, Any]:
        """Wait for changes; use the time for a checkpoint when one is due."""
        while not ahead.done():
            await asyncio.wait({ahead}, timeout=self._time_to_checkpoint())
            if not ahead.done():
                await self._checkpoint(force=True)
        return ahead.result()

    def _time_to_checkpoint(self) -> float | None:
        progress = self.progress
        if not self._spec.use_checkpoints or progress.through_seq == progress.checkpointed_seq:
            return None
        since = time.monotonic() - self._checkpointed_at
        return max(self._spec.checkpoint_interval - since, 0)

    def _is_last(self, answer: Mapping[str, Any]) -> bool:
        if self._spec.continuous:
            return False
        pending, results = answer.get("pending"), answer["results"]
        # fewer rows than asked for are the last ones, unless the source says that it has more
        return pending == 0 or (len(results) < self._spec.batch and not (pending and results))

    def _through(self, answer: Mapping[str, Any]) -> None:
        if answer["results"]:
            # Not `last_seq`: like CouchDB, a session that copied nothing leaves no trace.
            self.progress.through_seq = answer["results"][-1]["seq"]
        if self._spec.doc_ids is None:
            self.progress.pending = answer.get("pending")
        self._told()

    async def _changes(self, since: Any) -> dict[str, Any]:
        spec = self._spec
        query = {
            "style": "main_only" if spec.winning_revs_only else "all_docs",
            "since": since if isinstance(since, str) else encode(since).decode(),
            "limit": str(spec.batch),
            "feed": "longpoll" if spec.continuous else "normal",
        }
        if spec.continuous:
            query["heartbeat"] = str(int(HEARTBEAT * 1000))
        body = self._filter(query)
        try:
            return await self._source.changes(query, body)
        except RefusedError as error:
            reason = f"{{changes_req_failed,{error.status},{error.reason}}}"
            raise ReplicationError("error", reason) from error

    def _filter(self, query: dict[str, str]) -> dict[str, Any] | None:
        """Add the filter to a request for changes; give what goes into its body."""
        spec = self._spec
        if spec.doc_ids is not None:
            query["filter"] = "_doc_ids"
            return {"doc_ids": list(spec.doc_ids)}
        if spec.selector is not None:
            query["filter"] = "_selector"
            return {"selector": spec.selector}
        if spec.filter is not None:
            query["filter"] = spec.filter
            for name, value in spec.query_params.items():
                query[name] = value if isinstance(value, str) else encode(value).decode()
        return None

    async def _copy(self, results: Sequence[Mapping[str, Any]]) -> None:
        revs: dict[str, list[str]] = {}
        for row in results:
            revs.setdefault(row["id"], []).extend(change["rev"] for change in row["changes"])
        if not revs:
            return
        counts = self.progress.counts
        counts.missing_checked += sum(map(len, revs.values()))
        missing = await self._target.revs_diff(revs)
        wanted = {
            doc_id: Wanted(found["missing"], found.get("possible_ancestors", ()))
            for doc_id, found in missing.items()
        }
        counts.missing_found += sum(len(item.revs) for item in wanted.values())
        await self._copier.copy(wanted)

    # checkpoints

    async def _checkpoint(self, *, force: bool) -> None:
        progress = self.progress
        if not self._spec.use_checkpoints:
            return
        due = time.monotonic() - self._checkpointed_at >= self._spec.checkpoint_interval
        if progress.through_seq == progress.checkpointed_seq or not (due or force):
            return
        self._log = new_log(
            self._session_entry(),
            self._start.history,
            with_totals=self._spec.doc_ids is not None,
        )
        await self._target.commit()
        for peer in (self._source, self._target):
            await self._save(peer)
        progress.checkpointed_seq = progress.through_seq
        self._checkpointed_at = time.monotonic()
        self._told()

    async def _save(self, peer: Peer) -> None:
        rev = self._revs.get(peer)
        document = {"_id": f"_local/{self._name}", **({"_rev": rev} if rev else {}), **self._log}
        try:
            self._revs[peer] = await peer.save_local(self._name, document)
        except RefusedError as error:
            if error.status not in {401, 403}:
                raise ReplicationError("checkpoint_commit_failure", error.reason) from error
            # An end that may only be read keeps no log; the next replication looks again.

    def _session_entry(self) -> dict[str, Any]:
        seq = self.progress.through_seq
        return {
            "session_id": self._session,
            "start_time": self._started,
            "end_time": formatdate(usegmt=True),
            "start_last_seq": self._start.seq,
            "end_last_seq": seq,
            "recorded_seq": seq,
            **self.progress.counts.for_log(),
        }

    def _answer(self) -> dict[str, Any]:
        through = self.progress.through_seq
        if not self._spec.use_checkpoints and through:
            return {"ok": True, "use_checkpoints": False}
        if through == self._start.seq:
            return {"ok": True, "no_changes": True, **self._log}
        return {"ok": True, **self._log}
