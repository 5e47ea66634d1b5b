"""Writes that aiohttp sends a second time by itself."""

from __future__ import annotations

import aiohttp

from aiocouch.exception import ConflictError, CouchDBError, Facts, TransportError

__all__ = ["SENT_AGAIN", "Watch"]

SENT_AGAIN = frozenset({"PUT", "DELETE"})
"""The writes that aiohttp sends again when a connection turns out to be broken."""


class Watch:
    """Sees whether a connection broke under a request, which is then sent again."""

    def __init__(self) -> None:
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
        """What a conflict is then: maybe one with itself. Who takes it for another's writes twice."""
        if not isinstance(refusal, ConflictError):
            return refusal
        facts = Facts(*(getattr(refusal, name) for name in Facts._fields))
        said = (
            "the connection broke, and when it was sent again, it met a conflict, maybe with itself"
        )
        error = TransportError(f"{refusal}; {said}", facts)
        error.__cause__ = refusal
        return error
