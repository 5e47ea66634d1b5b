"""Ids for documents that come without one, made here so that they are known before anything is sent."""

from __future__ import annotations

import os
from random import SystemRandom

_RANDOM_BYTES = 13
_LARGEST_SUFFIX = 0xFFF000
_LARGEST_STEP = 0xFFE
_RANDOM = SystemRandom()  # `secrets` has more to import


class SequentialIds:
    """Ids of 32 hexadecimal digits that grow: a random start, and six digits that go up in random steps.

    CouchDB's own (`GET /_uuids`) are made in this way, because an index takes keys best in their order.
    """

    def __init__(self) -> None:
        self._prefix = ""
        self._suffix = _LARGEST_SUFFIX

    def new(self) -> str:
        """Return one more id, greater than the one before it unless a new random start was due."""
        self._suffix += _RANDOM.randint(1, _LARGEST_STEP)
        if self._suffix >= _LARGEST_SUFFIX:
            self._prefix = os.urandom(_RANDOM_BYTES).hex()
            self._suffix = _RANDOM.randint(1, _LARGEST_STEP)
        return f"{self._prefix}{self._suffix:06x}"

    def restart(self) -> None:
        """Begin at another random start."""
        self._suffix = _LARGEST_SUFFIX


_SHARED = SequentialIds()
new_id = _SHARED.new
"""Return a new id, in the order of all that are asked for here."""

if hasattr(os, "register_at_fork"):  # or two processes would go on with the same start
    os.register_at_fork(after_in_child=_SHARED.restart)
