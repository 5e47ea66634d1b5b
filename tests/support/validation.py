"""Functions that validate documents, and the moment from which a server asks them.

CouchDB learns of a new function a moment after it has acknowledged the design document, so what is
written at once may not be validated.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from aiocouch import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch import Database
    from tests.support.http import HTTPClient

_PROBE = "is-it-validated-"
_MANY = 500


def validating(body: str) -> str:
    """Return a `validate_doc_update` whose `body` sees `doc`, `old` and `user`.

    It also refuses the documents that `until_validated` writes.
    """
    refusal = f"if (doc._id.indexOf('{_PROBE}') === 0) {{ throw {{forbidden: 'yes'}}; }}"
    return f"function (doc, old, user) {{ {refusal} {body} }}"


async def until_validated(refuses: Callable[[str], Awaitable[bool]]) -> None:
    """Wait until a document of the given id is refused; what gets in before that is another one."""
    for number in itertools.count(1):
        if await refuses(f"{_PROBE}{number}"):
            return
        if number % _MANY == 0:
            # CouchDB has missed the event, which happens, and was seen to go on so for minutes. Any
            # other design document, here a tombstone, reminds it.
            await refuses(f"_design/{_PROBE}{number}")


async def refuses(db: Database, id: str) -> bool:
    """Write a tombstone, which is in nobody's way, and say whether it was refused."""
    try:
        await db.remote.request("PUT", f"{db.endpoint}/{id}", body=b'{"_deleted":true}')
    except ForbiddenError:
        return True
    return False


def refuses_by(ask: HTTPClient, path: str) -> Callable[[str], Awaitable[bool]]:
    """Write a tombstone that leaves nothing in the way, and say whether it was refused."""

    async def refuses(id: str) -> bool:
        return (await ask("PUT", f"{path}/{id}", {"_deleted": True})).status >= 400

    return refuses
