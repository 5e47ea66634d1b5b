"""The error of a document that is not what its model says."""

from __future__ import annotations

from aiocouch.exception import CouchDBError

__all__ = ["MisfitError"]


class MisfitError(CouchDBError, ValueError):
    """A document does not fit its model.

    `document_id` is its id, `place` is where in the document: "$" is all of it, "$.authors[2].born" one
    member of it.
    """

    def __init__(self, *args: object, document_id: str = "", place: str = "$") -> None:
        super().__init__(*args)
        self.document_id = document_id
        self.place = place
