"""A database that is kept equal to another one, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import unquote

from yarl import URL

from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.replication.replication import Replication, ReplicationOptions
from aiocouch.replication.together import ended, together

if TYPE_CHECKING:
    from typing import Unpack

    from aiocouch.auth import Auth
    from aiocouch.couchdb import CouchDB
    from aiocouch.database import Database
    from aiocouch.replication.replication import ReplicationProgress, ReplicationResult

__all__ = ["Sync", "SyncOptions", "SyncProgress", "SyncResult", "SyncState"]

SyncState: TypeAlias = Literal["copying", "idle", "away", "ended"]
"""What a sync does: it copies; it has copied all there is; it waits for what has failed and may pass, such as
a network; it has ended."""


class SyncOptions(ReplicationOptions, total=False):
    """How to keep two databases equal: the options of a replication, which go for both directions, and these.

    `live` goes on until it is stopped, and waits for ever for what may pass. `push` and `pull` are options
    for one direction, to the other database and from it, such as `pull={"selector": …}`; False leaves it out.
    `user` and `password`, or `auth`, are for the other database where it is given by its URL.
    """

    live: bool
    push: ReplicationOptions | bool
    pull: ReplicationOptions | bool
    user: str | None
    password: str | None
    auth: Auth | None


@dataclass(frozen=True)
class SyncProgress:
    """How far a sync is. A direction that was left out is None.

    `error` is what it waits for to pass while the `state` is "away".
    """

    state: SyncState
    push: ReplicationProgress | None
    pull: ReplicationProgress | None
    error: BaseException | None


@dataclass(frozen=True)
class SyncResult:
    """What a sync has done. A direction that was left out is None."""

    push: ReplicationResult | None
    pull: ReplicationResult | None


class Sync:
    """Two databases that are made equal, by this program.

    `await` it for its `SyncResult`, or loop over it with `async for`, which gives its `SyncProgress`
    whenever that has changed, until it has ended; then `result` is set. Leaving the loop ends it. Both go
    once.

    It goes on where the last one between the two has stopped. What was edited on both sides is a conflict
    afterwards, at both: `Database.conflicts()` finds it. Other errors than those that may pass end both
    directions.
    """

    def __init__(
        self, database: Database, other: Database | str | URL, **options: Unpack[SyncOptions]
    ) -> None:
        given: dict[str, Any] = dict(options)
        self._own: CouchDB | None = None
        login = {name: given.pop(name) for name in _LOGIN if name in given}
        push, pull = given.pop("push", True), given.pop("pull", True)
        given["continuous"] = _live(given)
        self.database = database
        self.other = self._opened(other, login)
        self.push = self._direction("push", push, given, self.database, self.other)
        self.pull = self._direction("pull", pull, given, self.other, self.database)
        self._both = [one for one in (self.push, self.pull) if one is not None]
        if not self._both:
            raise InvalidInputError("push and pull are both left out: there is nothing to do")
        self.result: SyncResult | None = None
        self._has_ended = False
        self._news = asyncio.Event()
        self._may_pull = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.database!r} with {self.other!r}>"

    def __await__(self) -> Generator[Any, None, SyncResult]:
        return self.run().__await__()

    async def __aiter__(self) -> AsyncGenerator[SyncProgress, None]:
        """Yield the progress, whenever it has changed."""
        running = asyncio.ensure_future(self.run())
        running.add_done_callback(lambda _: self._news.set())
        seen: SyncProgress | None = None
        try:
            while not running.done():
                await self._news.wait()
                self._news.clear()
                if (now := self.progress) != seen:
                    seen = now
                    yield now
            await running
        finally:
            await ended(running)

    @property
    def progress(self) -> SyncProgress:
        """How far it is now."""
        trouble = next((one.trouble for one in self._both if one.trouble is not None), None)
        push, pull = (None if one is None else one.progress for one in (self.push, self.pull))
        return SyncProgress(self._state(trouble), push, pull, trouble)

    @property
    def state(self) -> SyncState:
        """What it does now."""
        return self.progress.state

    def stop(self) -> None:
        """End it: what was read is copied, checkpoints are written, and the result is given."""
        self._may_pull.set()
        is_away = any(
            one.trouble is not None for one in self._both
        )  # for both, though one may not know
        for one in self._both:
            (one.leave if is_away else one.stop)()

    async def run(self) -> SyncResult:
        """Make them equal, and tell what was done. The same as `await`."""
        for one in self._both:
            one.tells(self._heard)
        jobs = [self._pull] if self.push is None else [self.push.run, self._pull]
        try:
            await together(jobs)
        finally:
            self._has_ended = True
            if self._own is not None:
                await self._own.close()
        push, pull = (None if one is None else one.result for one in (self.push, self.pull))
        self.result = SyncResult(push, pull)
        return self.result

    def _heard(self) -> None:
        self._news.set()
        if self.push is not None and self.push.is_open:
            self._may_pull.set()

    async def _pull(self) -> None:
        """Pull, once the other database is there: the push may have to create it."""
        if self.pull is None:
            return
        if self.push is not None:
            await self._may_pull.wait()
            if not self.push.is_open:
                return  # it was stopped before
        await self.pull.run()

    def _state(self, trouble: BaseException | None) -> SyncState:
        if self._has_ended:
            return "ended"
        if trouble is not None:
            return "away"
        return "idle" if all(one.is_idle for one in self._both) else "copying"

    def _opened(self, other: Database | str | URL, login: Mapping[str, Any]) -> Database:
        """Return the other database; a session that is opened for it is closed at the end."""
        if not isinstance(other, str | URL):
            if login:
                raise InvalidInputError(f"{' and '.join(sorted(login))} go with a URL only")
            if not hasattr(other, "endpoint"):
                raise InvalidTypeError(
                    f"the other database must be a Database or a URL, not {type(other).__name__}"
                )
            return other
        session = type(self.database.couchdb)
        server, name = _taken_apart(str(other))
        self._own = session(server, **login)
        return self._own.database(name)

    def _direction(
        self,
        name: str,
        own: ReplicationOptions | bool,
        common: Mapping[str, Any],
        source: Database,
        target: Database,
    ) -> Replication | None:
        if own is False:
            return None
        if own is not True and not isinstance(own, Mapping):
            raise InvalidTypeError(f"{name} must be a dict of options, True or False")
        options: Any = {**common, **({} if own is True else own)}
        return Replication(source, target, **options)


_LOGIN = ("user", "password", "auth")


def _live(given: dict[str, Any]) -> bool:
    if "continuous" in given:
        raise InvalidInputError("for a sync that goes on, use live=True")
    return bool(given.pop("live", False))


def _taken_apart(url: str) -> tuple[str, str]:
    """Return the URL of the server and the name of the database. Raise `InvalidInputError`."""
    server, _, name = url.rstrip("/").rpartition("/")
    if not name or server.rstrip("/").endswith(":") or "?" in name or "#" in name:
        raise InvalidInputError("the URL must be one of a database, such as https://host/name")
    return server, unquote(name)
