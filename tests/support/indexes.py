"""Mango indexes, and the moment from which a server knows of them.

CouchDB keeps a list of them in memory, and hears of a new one a moment after it has acknowledged it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocouch import Database
    from aiocouch.answers import IndexInfo

_MOST = 250
_PAUSE = 0.02


async def until_listed(db: Database, count: int) -> list[IndexInfo]:
    """Wait until the database has so many indexes, that of all documents included, and return them."""
    found = await db.indexes.list()
    for _ in range(_MOST):
        if len(found) == count:
            return found
        await asyncio.sleep(_PAUSE)
        found = await db.indexes.list()
    raise AssertionError(f"{len(found)} indexes instead of {count}: {found}")
