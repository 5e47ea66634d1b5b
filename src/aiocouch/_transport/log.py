"""The log of requests: the logger `aiocouch`, at DEBUG. Neither queries nor bodies nor headers."""

from __future__ import annotations

import logging

from aiocouch.exception import CouchDBError
from aiocouch.hooks import Call, Hooks

__all__ = ["LOGGER", "Log"]

LOGGER = logging.getLogger("aiocouch")


class Log(Hooks):
    """Tells of each call where it went, how it ended, and how long it took."""

    def ended(self, call: Call) -> None:
        """Write one line."""
        size = "a stream" if call.streamed else f"{call.size} bytes"
        _log(call, f"{call.status}, {size}, request {call.request_id}")

    def failed(self, call: Call, error: BaseException) -> None:
        """Write one line."""
        kind = type(error).__name__
        if isinstance(error, CouchDBError):
            kind = f"{kind}, {error.status or 'no status'}, request {error.request_id}"
        _log(call, kind)


def _log(call: Call, outcome: str) -> None:
    text = "%s %s: %s, %.3f seconds, attempt %d"
    LOGGER.debug(text, call.method, call.path, outcome, call.seconds, call.attempts)
