"""Replication by this program, between any two databases that it can reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from aiocouch._wire.codec import listed
from aiocouch._wire.options import unknown_option
from aiocouch.auth import BasicAuth
from aiocouch.exception import CouchDBError, InvalidInputError, InvalidTypeError
from aiocouch.replication.identity import Choice, End, replication_id
from aiocouch.replication.options import Options
from aiocouch.replication.patience import TellingPatience, may_pass
from aiocouch.replication.progress import Counts
from aiocouch.replication.remote_endpoint import RemoteEndpoint
from aiocouch.replication.session import Session
from aiocouch.replication.together import ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from aiocouch.database import Database
    from aiocouch.replication.endpoint import Refused

_MOST_REFUSED = 1_000
_STARTS = 3
"""Starts in a row that may come to nothing, of a replication that is not continuous."""


class ReplicationOptions(TypedDict, total=False):
    """What to replicate, and how. Names are CouchDB's where it has one; times are in seconds.

    `create_target` makes the target unless it exists, with `create_target_params` such as `{"q": 2}`.
    One of `doc_ids`, `selector` and `filter` (with `query_params`) chooses documents;
    `winning_revs_only` leaves losers of conflicts behind. `since_seq` is where to begin when there is
    no checkpoint. `continuous` goes on until it is stopped. Without `use_checkpoints` nothing is noted.

    `batch_size` changes make a batch, `window` batches are under way at once, and beside them `streams`
    documents with attachments. `checkpoint_interval` is the time between checkpoints. `on_refused` is
    called with every revision that the target does not take.

    `replication_id` names the checkpoints. By default it is what CouchDB computes; `uuid` is that of
    the server whose checkpoints are shared, by default the target's.
    """

    create_target: bool
    create_target_params: Mapping[str, Any]
    doc_ids: Iterable[str] | None
    selector: Mapping[str, Any] | None
    filter: str | None
    query_params: Mapping[str, Any]
    winning_revs_only: bool
    since_seq: str | int | None
    continuous: bool
    use_checkpoints: bool
    use_bulk_get: bool
    batch_size: int
    window: int
    streams: int
    checkpoint_interval: float
    heartbeat: float
    on_refused: Callable[[Refused], None]
    replication_id: str | None
    uuid: str | None


@dataclass(frozen=True)
class ReplicationProgress:
    """How far a replication is. Numbers are of revisions, since it was begun by this program.

    `through_seq` is the source's sequence up to which all is copied, `checkpointed_seq` that which the
    checkpoints at both ends have. `pending` is the number of changes that were not read yet, None where
    the source does not tell it.
    """

    missing_checked: int
    missing_found: int
    docs_read: int
    docs_written: int
    doc_write_failures: int
    bulk_get_docs: int
    bulk_get_attempts: int
    through_seq: Any
    checkpointed_seq: Any
    pending: int | None


@dataclass(frozen=True)
class ReplicationResult(ReplicationProgress):
    """What a replication has done. Numbers are those of this run.

    `no_changes` says that there was nothing to do. `refused` has what the target did not take, the first
    thousand of it; `doc_write_failures` counts all. `json` is what CouchDB's `_replicate` answers, with
    the `history` of the sessions before, whose numbers go on from session to session.
    """

    replication_id: str
    no_changes: bool
    refused: tuple[Refused, ...]
    json: Mapping[str, Any]


class Replication:
    """A replication from one database to another, by this program.

    `await` it for its `ReplicationResult`, or loop over it with `async for`, which gives its
    `ReplicationProgress` whenever that has changed, until it has ended; then `result` is set. Leaving
    the loop ends it. Both go once.

    It goes on where the last one between the two has stopped, whether this program ran it or a CouchDB
    that names both ends as we do. What passes by itself, such as a server that is away, is waited for: some
    seconds, and when `continuous` for ever. Everything else raises a `CouchDBError`.
    """

    def __init__(
        self, source: Database, target: Database, **options: Unpack[ReplicationOptions]
    ) -> None:
        self.source = source
        self.target = target
        self.result: ReplicationResult | None = None
        self.replication_id = options.get("replication_id")
        self._uuid = options.get("uuid")
        self._options = _read(options)
        self._given_on_refused = self._options.on_refused
        self._over = asyncio.Event()
        patience = TellingPatience(tell=self._on_trouble, over=self._over)
        self._options = replace(self._options, on_refused=self._on_refused, patience=patience)
        self.trouble: BaseException | None = None
        """What has failed and may pass, while it waits for that; None while all goes well."""
        self._listener: Callable[[], None] = lambda: None
        self._refused: list[Refused] = []
        self._session: Session | None = None
        self._earlier = Counts()
        self._is_stopped = False
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {self.source!r} to {self.target!r}>"

    def __await__(self) -> Generator[Any, None, ReplicationResult]:
        return self.run().__await__()

    async def __aiter__(self) -> AsyncGenerator[ReplicationProgress, None]:
        """Yield the progress, whenever it has changed."""
        running = asyncio.ensure_future(self.run())
        running.add_done_callback(lambda _: self._news.set())
        try:
            while not running.done():
                await self._news.wait()
                self._news.clear()
                yield self.progress
            await running
        finally:
            await ended(running)

    @property
    def progress(self) -> ReplicationProgress:
        """How far it is now."""
        return ReplicationProgress(**self._numbers())

    @property
    def is_idle(self) -> bool:
        """Whether all that the source had when it was last asked is copied."""
        return self._session is not None and self._session.is_idle

    @property
    def is_open(self) -> bool:
        """Whether both ends are known to be there."""
        return self._session is not None and self._session.is_open

    def tells(self, listener: Callable[[], None]) -> None:
        """Call a function whenever the progress has changed."""
        self._listener = listener

    def stop(self) -> None:
        """End it: what was read is copied, a checkpoint is written, and the result is given.

        Where an end is away it ends without that, and goes on from the last checkpoint the next time.
        """
        self._stop(at_once=self.trouble is not None)

    def leave(self) -> None:
        """End it at once, for an end is away: what is noted of it is the last checkpoint."""
        self._stop(at_once=True)

    def _stop(self, *, at_once: bool) -> None:
        self._is_stopped = True
        self._over.set()
        if self._session is not None:
            (self._session.leave if at_once else self._session.stop)()

    async def run(self) -> ReplicationResult:
        """Replicate, and tell what was done. The same as `await`."""
        try:
            answer = await self._run_whole()
        except CouchDBError as error:
            if not (self._is_stopped and may_pass(error)):
                raise
            answer = {}
        self.result = ReplicationResult(
            **self._numbers(),
            replication_id=self.replication_id or "",
            no_changes=bool(answer.get("no_changes")),
            refused=tuple(self._refused),
            json=answer,
        )
        return self.result

    async def _run_whole(self) -> Mapping[str, Any]:
        failures = 0
        while self.replication_id is None:
            try:
                self.replication_id = await self._identify()
            except CouchDBError as error:
                failures += 1
                if not (self._options.continuous and may_pass(error)):
                    raise
                reason = error
            else:
                break
            await self._options.patience.wait(failures, reason)
        return await self._run_on(self.replication_id)

    async def _run_on(self, name: str) -> Mapping[str, Any]:
        """Run sessions until one ends. Another begins where it stopped for what may pass."""
        failures = 0
        while True:
            self._session = self._next_session(name)
            if self._is_stopped:
                self._session.stop()
            try:
                return await self._session.run()
            except Exception as error:
                failures = 1 if self._session.has_moved else failures + 1
                patient = self._options.continuous or failures < _STARTS
                if self._is_stopped or not (may_pass(error) and patient):
                    raise
                reason = error
            self._earlier = self._earlier + self._session.counted
            await self._options.patience.wait(failures, reason)

    def _next_session(self, name: str) -> Session:
        before, options = self._session, self._options
        if before is not None and not options.use_checkpoints:
            options = replace(options, since_seq=before.progress.through_seq or options.since_seq)
        return Session(name, *self._ends(), options, self._tell)

    def _tell(self) -> None:
        self._news.set()
        self._listener()

    def _on_trouble(self, error: BaseException | None) -> None:
        if error is not self.trouble:
            self.trouble = error
            self._tell()

    def _ends(self) -> tuple[RemoteEndpoint, RemoteEndpoint]:
        source, target = self.source, self.target
        return (
            RemoteEndpoint(source.remote, source.endpoint),
            RemoteEndpoint(target.remote, target.endpoint),
        )

    async def _identify(self) -> str:
        """Return the id that CouchDB would give. Fetch the code of the filter, as it does."""
        options, (source, target) = self._options, self._ends()
        again = options.patience.again
        code = None
        if options.filter is not None and options.filter[:1] != "_":
            code = await again(lambda: source.filter_code(options.filter or ""))
        uuid = self._uuid
        if uuid is None:
            uuid = str((await again(self.target.couchdb.info)).get("uuid", ""))
        ends = (
            End(await self._name(self.source, source.name), _user(self.source)),
            End(await self._name(self.target, target.name), _user(self.target)),
        )
        return replication_id(uuid, *ends, _choice(options, code))

    async def _name(self, database: Database, name: str) -> str:
        """Return the name of an end. The path of one in this process says nothing to other machines."""
        if not database.remote.is_inside:
            return name
        info = await self._options.patience.again(database.couchdb.info)
        return name.replace("embedded:", f"embedded:{info.get('uuid', '')}:", 1)

    def _on_refused(self, refused: Refused) -> None:
        if len(self._refused) < _MOST_REFUSED:
            self._refused.append(refused)
        self._given_on_refused(refused)

    def _numbers(self) -> dict[str, Any]:
        if self._session is None:
            nothing = {"through_seq": 0, "checkpointed_seq": 0, "pending": None}
            return {**self._earlier.for_log(), **nothing}
        progress = self._session.progress
        return {
            **(self._earlier + self._session.counted).for_log(),
            "through_seq": progress.through_seq,
            "checkpointed_seq": progress.checkpointed_seq,
            "pending": progress.pending,
        }


def _read(given: Mapping[str, Any]) -> Options:
    """Return the options, checked. Raise `InvalidTypeError` and `InvalidInputError`."""
    known = ReplicationOptions.__annotations__
    for name in given:
        if name not in known:
            raise InvalidTypeError(unknown_option(name, frozenset(known)))
    names = {field.name for field in fields(Options)}
    kept = {name: value for name, value in given.items() if name in names and value is not None}
    choosing = sorted(kept.keys() & {"doc_ids", "selector", "filter"})
    if len(choosing) > 1:
        raise InvalidInputError(f"one of {' and '.join(choosing)} chooses documents, not both")
    for name in ("batch_size", "window", "streams"):
        if not isinstance(kept.get(name, 1), int) or kept.get(name, 1) < 1:
            raise InvalidInputError(f"{name}={kept[name]!r} is not a number of one or more")
    for name in ("checkpoint_interval", "heartbeat"):
        if not isinstance(kept.get(name, 1), int | float) or not kept.get(name, 1) > 0:
            raise InvalidInputError(f"{name}={kept[name]!r} is not a time in seconds")
    return Options(**_checked_choice(kept))


def _checked_choice(kept: dict[str, Any]) -> dict[str, Any]:
    if "doc_ids" in kept:
        kept["doc_ids"] = listed(kept["doc_ids"], "doc_ids")
    if not isinstance(kept.get("selector", {}), Mapping):
        raise InvalidTypeError("the selector must be a dict")
    name = kept.get("filter")
    if name is not None and (not isinstance(name, str) or (name[:1] != "_" and "/" not in name)):
        raise InvalidInputError(f"filter={name!r} must be such as 'designdoc/filter'")
    return kept


def _choice(options: Options, code: str | None) -> Choice:
    return Choice(
        doc_ids=options.doc_ids,
        selector=options.selector,
        filter=options.filter,
        filter_code=code,
        query_params=options.query_params,
        winning_revs_only=options.winning_revs_only,
        since_seq=options.since_seq,
    )


def _user(database: Database) -> str | None:
    """Return the user as CouchDB names it in ids: that of basic authentication, which it does by itself."""
    given = database.remote.credentials
    return given.user if isinstance(given, BasicAuth) else None
