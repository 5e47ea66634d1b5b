"""What is read from stdin, which may have nobody who writes: Ctrl-C ends it at once."""

from __future__ import annotations

import asyncio
import io
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | signal.Handlers

__all__ = ["apart", "interruptible", "interrupts_to", "stdin_bytes", "stdin_lines", "stdin_text"]

_T = TypeVar("_T")


@contextmanager
def interrupts_to(handler: Handler) -> Iterator[None]:
    """Let a handler of signals have Ctrl-C. Outside the main thread, which alone may say so, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def interruptible() -> AbstractContextManager[None]:
    """Let Ctrl-C end it at once. An event loop would wait for the next await, and so for the answer."""
    return interrupts_to(signal.default_int_handler)


def stdin_bytes() -> io.BufferedReader:
    """Return a reader of the bytes of stdin that a thread may hold when the program ends.

    Python aborts if that is the one of `sys.stdin` itself.
    """
    raw = sys.stdin.buffer
    try:
        return open(raw.fileno(), "rb", closefd=False)
    except (OSError, ValueError):  # it is in memory
        return io.BufferedReader(cast("io.RawIOBase", raw))


def stdin_text() -> str:
    """Return all that stdin has."""
    with interruptible():
        return sys.stdin.read()


def stdin_lines() -> Iterator[str]:
    """Yield the lines of stdin that are not empty, each as it comes, without its end."""
    while True:
        with interruptible():
            line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")


async def apart(function: Callable[[], _T]) -> _T:
    """Call a function that reads, in a thread of its own, for which nobody waits when this is broken off."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def tell(how: Callable[[Any], None], what: object) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_unless_done, done, how, what)

    def run() -> None:
        try:
            found = function()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            tell(done.set_exception, error)
        else:
            tell(done.set_result, found)

    threading.Thread(target=run, daemon=True).start()
    return await done


def _unless_done(done: asyncio.Future[Any], how: Callable[[Any], None], what: object) -> None:
    if not done.done():
        how(what)
