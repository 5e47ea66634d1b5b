"""Users whose passwords change."""

from __future__ import annotations

from aiocouch import CouchDB
from aiocouch.exception import AccountLockedError, UnauthorizedError


async def until_known(url: str, name: str, password: str) -> None:
    """Wait until the server has heard of a user's new password: CouchDB keeps users in a cache.

    What it refuses until then counts for the old password, whose salt is another.
    """
    async with CouchDB(url, name, password) as asking:
        while not await _is_known(asking):
            pass


async def _is_known(asking: CouchDB) -> bool:
    try:
        await asking.check_credentials()
    except (UnauthorizedError, AccountLockedError):
        return False
    return True
