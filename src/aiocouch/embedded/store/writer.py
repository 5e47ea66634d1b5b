"""One writer for a database file: writes that come while a commit runs share the next one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from aiocouch.embedded.store.faults import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

T = TypeVar("T")

_PATIENCE = 0.01
"""Seconds for which jobs may run before others in the event loop get their turn."""

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


class Writer:
    """Runs jobs inside transactions on one connection.

    A job is a plain function: what it writes is committed before its caller goes on, together
    with what other jobs wrote in the meantime. When it raises, its own writes are undone and
    the caller gets the exception. `executor` None (a database in memory) commits at once.

    The `owner` runs `before_commit` as the last of a transaction and `after_commit` when it is on
    disk; `restore(state)` takes a failed job or transaction back to what `save()` gave.

    `connect` opens the connection, when it is first needed and again after a rest.

    What SQLite cannot store raises StorageError; the next transaction is tried all the same.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        executor: Executor | None,
        owner: Owner,
    ) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._executor = executor
        self._owner = owner
        self._orders: list[_Order[Any]] = []
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """Give the connection; open it where it rests."""
        if self._connection is None:
            self._connection = self._connect()
            # who waits for a lock must not hold up the event loop; see _begin
            self._connection.execute("PRAGMA busy_timeout = 0")
        return self._connection

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing is being written."""
        return self._task is None and self._pause is None and not self._orders

    @property
    def is_resting(self) -> bool:
        """Tell whether the connection is closed until it is needed again."""
        return self._connection is None

    def rest(self) -> None:
        """Close the connection until it is needed again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in a transaction and return its result after the commit."""
        loop = asyncio.get_running_loop()
        order: _Order[T] = _Order(job, loop.create_future())
        self._orders.append(order)
        if self._executor is None:
            self._work_now()
        elif self._task is None:
            self._start(self._executor)
        return await order.future

    async def pause(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Do something between two transactions, in a thread where there is one."""
        if self._executor is None:
            work(self.connection)
            return
        await self.wait()
        loop = asyncio.get_running_loop()
        done = self._pause = loop.run_in_executor(self._executor, work, self.connection)
        self._start(self._executor)
        # it goes on though nobody waits for it: no transaction may begin before its end
        await asyncio.shield(done)

    async def wait(self) -> None:
        """Wait until everything that was asked for is committed."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _work_now(self) -> None:
        orders, self._orders = self._orders, []
        transaction = _Transaction(lambda: self.connection, self._owner)
        transaction.begin()
        for order in orders:
            transaction.execute(order)
        transaction.finish()
        self._answer(orders, transaction.error)

    def _start(self, executor: Executor) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work(executor))
        self._task.add_done_callback(lambda _: self._ended(executor))

    def _ended(self, executor: Executor) -> None:
        self._task = None
        # where it was cancelled before it began
        if self._pause is not None or any(not order.future.done() for order in self._orders):
            self._start(executor)

    async def _work(self, executor: Executor) -> None:
        if self._pause is not None:
            await _wait_for(self._pause)
            self._pause = None
        while self._orders:
            orders, self._orders = self._orders, []
            await self._commit(executor, orders)

    async def _commit(self, executor: Executor, orders: list[_Order[Any]]) -> None:
        """Run jobs in a transaction, to its end even where the task is cancelled: others wait."""
        transaction = _Transaction(lambda: self.connection, self._owner)
        await _begin(transaction)
        await _execute_all(transaction, orders)
        try:
            finishing = asyncio.get_running_loop().run_in_executor(executor, transaction.finish)
        except RuntimeError as error:  # the server is closed, and so are its threads
            transaction.fail(error)
        else:
            await _wait_for(finishing)
        self._answer(orders, transaction.error)

    def _answer(self, orders: list[_Order[Any]], error: Exception | None) -> None:
        try:
            if error is None:
                self._owner.after_commit()
        finally:
            for order in orders:
                if not order.future.done():
                    order.answer(error)


async def _begin(transaction: _Transaction) -> None:
    """Begin a transaction; wait where another program has locked the file, such as a backup."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _LONGEST_LOCK
    transaction.begin()
    while transaction.is_locked_out and loop.time() < end:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(_PATIENCE)
        transaction.begin()


async def _execute_all(transaction: _Transaction, orders: list[_Order[Any]]) -> None:
    loop = asyncio.get_running_loop()
    since = loop.time()
    for order in orders:
        if loop.time() - since > _PATIENCE:
            # others want to be served, too
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            since = loop.time()
        transaction.execute(order)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something wholly, though the one who waits for it is cancelled."""
    return await asyncio.shield(asyncio.ensure_future(work))


async def _wait_for(work: asyncio.Future[None]) -> None:
    """Wait for what a thread does, whoever cancels us."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([work])


class _Transaction:
    """One transaction; its first `error` that is not of a job alone undoes it as a whole."""

    def __init__(self, connection: Callable[[], sqlite3.Connection], owner: Owner) -> None:
        self._open = connection
        self._owner = owner
        self._before = owner.save()
        self.error: Exception | None = None

    @property
    def is_locked_out(self) -> bool:
        code = getattr(self.error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        return bool(code == sqlite3.SQLITE_BUSY)

    def begin(self) -> None:
        self.error = None
        self._try(lambda: self._open().execute("BEGIN IMMEDIATE"))

    def execute(self, order: _Order[Any]) -> None:
        if self.error is None and not order.future.cancelled():
            self._try(lambda: self._run(order))

    def finish(self) -> None:
        """Commit, in a thread where there is one."""
        self._try(self._commit)
        if self.error is not None:
            self._undo()

    def fail(self, error: Exception) -> None:
        """Undo it as a whole."""
        self.error = self.error or error
        self._undo()

    def _try(self, step: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            step()
        except Exception as error:  # noqa: BLE001 - every caller of the transaction gets it
            self.error = error

    def _run(self, order: _Order[Any]) -> None:
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

    def _commit(self) -> None:
        self._owner.before_commit()
        self._open().execute("COMMIT")

    def _undo(self) -> None:
        self._owner.restore(self._before)
        with contextlib.suppress(Exception):
            if self._open().in_transaction:
                self._open().execute("ROLLBACK")


class Owner:
    """What a writer asks of its database; see Writer."""

    def save(self) -> Any:
        """Give what `restore` needs to go back to now."""

    def restore(self, state: Any) -> None:
        """Forget what the writes since `save` did to the memory of the database."""

    def before_commit(self) -> None:
        """Write what must go with every transaction."""

    def after_commit(self) -> None:
        """Tell the world."""
