"""Whether the disk is too full for more, by the thresholds of `[disk_monitor]`. Off by default."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch.embedded.node.config import Configuration

_SECTION = "disk_monitor"
_THRESHOLD = 90


class DiskMonitor:
    """Compares how full the disk with the folder is, in percent; in memory there is none.

    CouchDB looks every half an hour, here it is looked at each time, for that costs little.
    """

    def __init__(self, config: Configuration, folder: Path | None) -> None:
        self._config = config
        self._folder = folder

    def blocks_writes(self) -> bool:
        """Return whether what clients write is refused (507)."""
        return self._is_above("interactive_database_writes_threshold")

    def blocks_indexing(self) -> bool:
        """Return whether a query that would have to bring an index up to date is refused (507)."""
        return self._is_above("interactive_view_indexing_threshold")

    def _is_above(self, key: str) -> bool:
        if not self._config.flag(_SECTION, "enable", default=False):
            return False
        return self._percent() > self._config.integer(_SECTION, key, _THRESHOLD)

    def _percent(self) -> int:
        """Return how much of what users may use is used, rounded up, as `df` does."""
        if self._folder is None:
            return 0
        disk = os.statvfs(self._folder)
        used = disk.f_blocks - disk.f_bfree
        usable = used + disk.f_bavail
        return -(-100 * used // usable) if usable else 0
