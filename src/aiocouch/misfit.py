"""The error of a document or a row that is not what its type says."""

from __future__ import annotations

import re

from aiocouch.exception import CouchDBError

__all__ = ["MisfitError", "place_in"]

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?(.*)`)?", re.DOTALL).fullmatch


class MisfitError(CouchDBError, ValueError):
    """A document does not fit its model, or a row the type that it is wanted as.

    `document_id` is its id, `place` is where in the document: "$" is all of it, "$.authors[2].born" one
    member of it.
    """

    def __init__(self, *args: object, document_id: str = "", place: str = "$") -> None:
        super().__init__(*args)
        self.document_id = document_id
        self.place = place


def place_in(error: Exception) -> tuple[str, str]:
    """Return what an error of msgspec says, and the place in the text."""
    message = str(error)
    found = _PLACE(message)
    return (found[1], found[2] or "$") if found else (message, "$")
