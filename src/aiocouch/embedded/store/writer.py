"""One writer for a database file: writes that come while a commit runs share the next one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from aiocouch.embedded.store.faults import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

T = TypeVar("T")

_PATIENCE = 0.01
"""Seconds for which jobs may run before others in the event loop get their turn."""

_SHORT = 0.005
"""Seconds of a commit that may be waited for where nobody else is served."""

_LONGEST_LOCK = 10.0
"""Seconds to wait for another program that has locked the file."""


class _Order(Generic[T]):
    __slots__ = ("error", "future", "job", "result")

    def __init__(self, job: Callable[[], T], future: asyncio.Future[T]) -> None:
        self.job = job
        self.future = future
        self.error: Exception | None = None
        self.result: T | None = None

    def answer(self, failure: Exception | None) -> None:
        """Tell the caller how it ended; `failure` is that of the whole transaction."""
        error = failure or self.error
        if error is None:
            self.future.set_result(cast("T", self.result))
        else:
            self.future.set_exception(explained(error))


class Traffic:
    """How many requests a server is at work on, whoever writes among them."""

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests = 0


class Writer:
    """Runs jobs inside transactions on one connection.

    A job is a plain function: what it writes is committed before its caller goes on, together
    with what other jobs wrote in the meantime. When it raises, its own writes are undone and
    the caller gets the exception. `executor` None (a database in memory) commits at once.

    The `owner` runs `before_commit` as the last of a transaction and `after_commit` when it is on
    disk; `restore(state)` takes a failed job or transaction back to what `save()` gave.

    `connect` opens the connection, when it is first needed and again after a rest.

    A commit waits for the disk in a thread, meanwhile others are served. Where `traffic` knows of no
    others, and the disk is quick, the way to the thread and back is saved.

    What SQLite cannot store raises StorageError; the next transaction is tried all the same.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        executor: Executor | None,
        owner: Owner,
        traffic: Traffic | None = None,
    ) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._executor = executor
        self._owner = owner
        self._orders: list[_Order[Any]] = []
        self._pauses: list[_Pause] = []
        self._idle: list[asyncio.Future[None]] = []
        self._is_busy = False
        self._traffic = traffic
        self.took = _LONGEST_LOCK
        """Seconds that the latest commit has waited for the disk."""

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection; open it where it rests."""
        if self._connection is None:
            self._connection = self._connect()
            # who waits for a lock must not hold up the event loop; see _begin
            self._connection.execute("PRAGMA busy_timeout = 0")
        return self._connection

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return not self._is_busy

    @property
    def is_resting(self) -> bool:
        """Whether the connection is closed until it is needed again."""
        return self._connection is None

    def rest(self, close: Callable[[sqlite3.Connection], None]) -> None:
        """Close the connection until it is needed again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            close(connection)

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in a transaction and return its result after the commit."""
        loop = asyncio.get_running_loop()
        order: _Order[T] = _Order(job, loop.create_future())
        self._orders.append(order)
        if self._executor is None or self._is_alone():
            self._work_now()
        else:
            self._wake(loop)
        return await order.future

    async def pause(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something between two transactions, in a thread where there is one.

        It is done, and no transaction begins before its end, though the caller is cancelled.
        """
        if self._executor is None:
            work(self.connection)
            return
        loop = asyncio.get_running_loop()
        pause = _Pause(work, loop.create_future())
        self._pauses.append(pause)
        self._wake(loop)
        await pause.future

    async def wait(self) -> None:
        """Wait until everything that was asked for is committed."""
        while self._is_busy:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle

    def _is_alone(self) -> bool:
        """Return whether a commit may hold up the event loop: it is short, and nobody else waits."""
        alone = self._traffic is not None and self._traffic.requests <= 1 and not self._is_busy
        return alone and self.took < _SHORT

    def _work_now(self) -> None:
        orders, self._orders = self._orders, []
        commit = self._commit(orders)
        commit.transaction.begin()
        if self._executor is not None and commit.transaction.is_locked_out:
            self._orders = orders
            self._wake(asyncio.get_running_loop())
            return
        for order in orders:
            commit.transaction.execute(order)
        commit.do(self)
        commit.answer()

    def _commit(self, orders: list[_Order[Any]]) -> _Commit:
        transaction = _Transaction(lambda: self.connection, self._owner, is_of_one=len(orders) == 1)
        return _Commit(self, transaction, orders)

    # These are callbacks of the loop, not a task: nobody can cancel them, and each step less is
    # felt by those who write one document after the other.

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_busy:
            self._is_busy = True
            # whoever is ready now adds his job first
            loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin what is next: a pause, a transaction, or doing nothing."""
        if self._pauses:
            self._in_thread(loop, self._pauses.pop(0))
        elif self._orders:
            orders, self._orders = self._orders, []
            self._begin(loop, self._commit(orders), loop.time() + _LONGEST_LOCK)
        else:
            self._is_busy = False
            waiting, self._idle = self._idle, []
            for idle in waiting:
                _settle(idle, None)

    def _begin(self, loop: asyncio.AbstractEventLoop, commit: _Commit, end: float) -> None:
        """Begin a transaction; wait where another program has locked the file, such as a backup."""
        commit.transaction.begin()
        if commit.transaction.is_locked_out and loop.time() < end:
            loop.call_later(_PATIENCE, self._begin, loop, commit, end)
        else:
            self._execute(loop, commit)

    def _execute(self, loop: asyncio.AbstractEventLoop, commit: _Commit, first: int = 0) -> None:
        since = loop.time()
        for place in range(first, len(commit.orders)):
            commit.transaction.execute(commit.orders[place])
            if loop.time() - since > _PATIENCE:
                # others want to be served, too
                loop.call_soon(self._execute, loop, commit, place + 1)
                return
        self._in_thread(loop, commit)

    def _in_thread(self, loop: asyncio.AbstractEventLoop, work: _Commit | _Pause) -> None:
        """Let a thread do the part that waits for the disk, and go on when it is done."""

        def do() -> None:
            work.do(self)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(self._done, loop, work)

        assert self._executor is not None
        try:
            self._executor.submit(do)
        except RuntimeError as error:  # the server is closed, and so are its threads
            work.fail(error)
            self._done(loop, work)

    def _done(self, loop: asyncio.AbstractEventLoop, work: _Commit | _Pause) -> None:
        try:
            work.answer()
        finally:
            self._next(loop)

    def answer(self, orders: list[_Order[Any]], error: Exception | None) -> None:
        """Tell the owner, and those who wait, how a transaction ended."""
        try:
            if error is None:
                self._owner.after_commit()
        finally:
            for order in orders:
                if not order.future.done():
                    order.answer(error)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something wholly, though the one who waits for it is cancelled."""
    return await asyncio.shield(asyncio.ensure_future(work))


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


class _Pause:
    """Something to do between two transactions."""

    def __init__(
        self, work: Callable[[sqlite3.Connection], None], future: asyncio.Future[None]
    ) -> None:
        self.future = future
        self._work = work
        self._error: Exception | None = None

    def do(self, writer: Writer) -> None:
        try:
            self._work(writer.connection)
        except Exception as error:  # noqa: BLE001 - the one who asked for it gets it
            self._error = error

    def fail(self, error: Exception) -> None:
        self._error = error

    def answer(self) -> None:
        _settle(self.future, self._error)


class _Commit:
    """A transaction and the jobs that share it."""

    def __init__(
        self, writer: Writer, transaction: _Transaction, orders: list[_Order[Any]]
    ) -> None:
        self.transaction = transaction
        self.orders = orders
        self._writer = writer

    def do(self, writer: Writer) -> None:
        begun = time.perf_counter()
        self.transaction.finish()
        writer.took = time.perf_counter() - begun

    def fail(self, error: Exception) -> None:
        self.transaction.fail(error)

    def answer(self) -> None:
        self._writer.answer(self.orders, self.transaction.error)


class _Transaction:
    """One transaction; its first `error` that is not of a job alone undoes it as a whole.

    `is_of_one`: there is one job, whose error does so, too.
    """

    def __init__(
        self, connection: Callable[[], sqlite3.Connection], owner: Owner, *, is_of_one: bool
    ) -> None:
        self._open = connection
        self._owner = owner
        self._before = owner.save()
        self._is_of_one = is_of_one
        self.error: Exception | None = None

    @property
    def is_locked_out(self) -> bool:
        code = getattr(self.error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        return bool(code == sqlite3.SQLITE_BUSY)

    def begin(self) -> None:
        self.error = None
        try:
            self._open().execute("BEGIN IMMEDIATE")
        except Exception as error:  # noqa: BLE001 - every caller of the transaction gets it
            self.error = error

    def execute(self, order: _Order[Any]) -> None:
        if self.error is not None or order.future.cancelled():
            return
        try:
            self._run(order)
        except Exception as error:  # noqa: BLE001 - as above
            self.error = error

    def finish(self) -> None:
        """Commit, in a thread where there is one."""
        try:
            if self.error is None:
                self._owner.before_commit()
                self._open().execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - as above
            self.error = error
        if self.error is not None:
            self._undo()

    def fail(self, error: Exception) -> None:
        """Undo it as a whole."""
        self.error = self.error or error
        self._undo()

    def _run(self, order: _Order[Any]) -> None:
        if self._is_of_one:
            order.result = order.job()
            return
        before = self._owner.save()
        self._open().execute("SAVEPOINT job")
        try:
            order.result = order.job()
        except Exception as error:
            if not self._open().in_transaction:
                # SQLite has undone all of it, as it does where the disk is full
                raise
            order.error = error
            self._owner.restore(before)
            self._open().execute("ROLLBACK TO job")
        self._open().execute("RELEASE job")

    def _undo(self) -> None:
        self._owner.restore(self._before)
        with contextlib.suppress(Exception):
            if self._open().in_transaction:
                self._open().execute("ROLLBACK")


class Owner:
    """What a writer asks of its database; see Writer."""

    def save(self) -> Any:
        """Return what `restore` needs to go back to now."""

    def restore(self, state: Any) -> None:
        """Forget what the writes since `save` did to the memory of the database."""

    def before_commit(self) -> None:
        """Write what must go with every transaction."""

    def after_commit(self) -> None:
        """Tell the world."""
