"""Documents that make views."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._hints import complete
from aiocouch._wire.ids import check_document_id, design_document_id
from aiocouch.document import Document
from aiocouch.exception import ConflictError, InvalidTypeError
from aiocouch.view import View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.database import Database

__all__ = ["DesignDocument"]


class DesignDocument(Document):
    """A design document. `id` is its name as it was given, with or without `_design/`."""

    __slots__ = ()

    def __init__(self, database: Database, id: str, data: Mapping[str, Any] | None = None) -> None:
        if not isinstance(id, str):
            raise InvalidTypeError(f"the id must be a str, not {type(id).__name__}")
        check_document_id(design_document_id(id))
        super().__init__(database, id, data)
        self["_id"] = self.full_id

    @property
    def full_id(self) -> str:
        """The id as CouchDB has it, with `_design/`."""
        return design_document_id(self.id)

    def view(self, view: str) -> View:
        """Return the view of that name. Sends no request."""
        return View(self.database, self.id, view)

    async def create_view(
        self,
        view: str,
        map_function: str,
        reduce_function: str | None = None,
        exists_ok: bool = False,
    ) -> View:
        """Add a view of JavaScript functions (or a builtin reduce), and save the design document.

        Raise `ConflictError` when there is a view of that name, unless `exists_ok`, which replaces it.
        """
        views = dict(self.get("views", {}))
        if view in views and not exists_ok:
            raise ConflictError(f"{self!r} has a view {view!r} already")
        functions = {"map": map_function}
        if reduce_function is not None:
            functions["reduce"] = reduce_function
        created = self.view(view)
        self["language"] = "javascript"
        self["views"] = {**views, view: functions}
        await self.save()
        return created


complete("aiocouch")
