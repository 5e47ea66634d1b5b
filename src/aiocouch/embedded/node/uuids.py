"""New document ids, made as the section `uuids` of the configuration says."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.embedded.node.config import Configuration

_LARGEST_SUFFIX = 0xFFF000
_LARGEST_STEP = 0xFFE


class Uuids:
    """Makes ids of 32 hexadecimal digits.

    The default, `sequential`, gives ids that grow: a random start of 26 digits, and 6 digits that
    go up in random steps. `random`, `utc_random`, `utc_id` and `uuid_v7` (RFC 9562) are CouchDB's
    other algorithms. No two ids have the same microsecond, though the clock stand still.
    """

    def __init__(self, config: Configuration, clock: Callable[[], int] = time.time_ns) -> None:
        self._config = config
        self._clock = clock
        self._prefix = ""
        self._suffix = 0
        self._microsecond = 0
        self._algorithms = {
            "random": self._random,
            "utc_random": self._utc_random,
            "utc_id": self._utc_id,
            "uuid_v7": self._uuid_v7,
        }

    def new(self) -> str:
        """Return one more id."""
        algorithm = self._config.text("uuids", "algorithm", "sequential")
        return self._algorithms.get(algorithm, self._sequential)()

    def _sequential(self) -> str:
        self._suffix += secrets.randbelow(_LARGEST_STEP) + 1
        if not self._prefix or self._suffix >= _LARGEST_SUFFIX:
            self._prefix = secrets.token_hex(13)
            self._suffix = secrets.randbelow(_LARGEST_STEP) + 1
        return f"{self._prefix}{self._suffix:06x}"

    def _random(self) -> str:
        return secrets.token_hex(16)

    def _utc_random(self) -> str:
        return self._utc() + secrets.token_hex(9)

    def _utc_id(self) -> str:
        return self._utc() + self._config.text("uuids", "utc_id_suffix")

    def _utc(self) -> str:
        self._microsecond = max(self._clock() // 1000, self._microsecond + 1)
        return f"{self._microsecond:014x}"

    def _uuid_v7(self) -> str:
        millisecond = self._clock() // 1_000_000
        after_version, after_variant = secrets.randbits(12), secrets.randbits(62)
        return f"{millisecond:012x}7{after_version:03x}{2 << 62 | after_variant:016x}"
