"""How long is waited."""

from __future__ import annotations

from typing import TypeAlias

import aiohttp

__all__ = ["STREAM_TIMEOUT", "Timeout", "silent_for"]

Timeout: TypeAlias = aiohttp.ClientTimeout


def silent_for(seconds: float | None) -> Timeout:
    """How long a stream may be silent, in seconds; None: for ever. It may last as long as it likes."""
    return Timeout(total=None, sock_connect=30, sock_read=seconds)


STREAM_TIMEOUT = silent_for(300)
