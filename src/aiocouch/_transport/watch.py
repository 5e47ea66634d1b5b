"""Writes that aiohttp sends a second time by itself."""

from __future__ import annotations

import aiohttp

from aiocouch.exception import (
    ConflictError,
    CouchDBError,
    Facts,
    NotFoundError,
    PreconditionFailedError,
    TransportError,
)

__all__ = ["SENT_AGAIN", "Watch"]

_CONFLICT = (ConflictError, "met a conflict, maybe with itself")
_BY_ITSELF: dict[str, tuple[tuple[type[CouchDBError], str], ...]] = {
    "PUT": (_CONFLICT, (PreconditionFailedError, "found it there, maybe created by itself")),
    "DELETE": (_CONFLICT, (NotFoundError, "found nothing there, maybe deleted by itself")),
}
SENT_AGAIN = _BY_ITSELF.keys()
"""The writes that aiohttp sends again when a connection turns out to be broken."""


class Watch:
    """Sees whether a connection broke under a request, which is then sent again."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.broke = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise  # nothing was sent
        except Exception:
            self.broke = True
            raise

    def unclear(self, refusal: CouchDBError) -> CouchDBError:
        """What a refusal is then that the first try may have caused, if it was carried out.

        Who takes such a conflict for one with another's edit writes twice.
        """
        kinds = _BY_ITSELF[self._method]
        said = next((said for kind, said in kinds if isinstance(refusal, kind)), None)
        if said is None:
            return refusal
        facts = Facts(*(getattr(refusal, name) for name in Facts._fields))
        error = TransportError(
            f"{refusal}; the connection broke, and when it was sent again, it {said}", facts
        )
        error.__cause__ = refusal
        return error
