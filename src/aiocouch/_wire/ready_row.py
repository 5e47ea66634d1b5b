"""A row with its document, as a server gives it to a client in the same process."""

from __future__ import annotations

import msgspec

__all__ = ["ReadyRow"]


class ReadyRow(msgspec.Struct, gc=False):
    """A row of `_all_docs`, with what the client looks for in one that it has decoded.

    `doc` is the JSON text of the document.
    """

    key: str
    id: str
    error: str | None
    doc: bytes
