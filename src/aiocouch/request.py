"""`FindRequest` of aiocouch 3 and 4, which `Database.find` has taken the place of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._hints import complete
from aiocouch._renamed import warn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiocouch.database import Database
    from aiocouch.document import Document

__all__ = ["FindRequest"]


class FindRequest:
    """Deprecated: what `Database.find` gives, as an object."""

    def __init__(
        self, database: Database, selector: Any, limit: int | None = None, **params: Any
    ) -> None:
        warn("FindRequest", "Database.find()")
        self.database = database
        self.selector = selector
        self.limit = limit
        self.params = params

    def __aiter__(self) -> AsyncGenerator[Document, None]:
        return self.database.find(self.selector, self.limit, **self.params)


complete(__name__.partition(".")[0])
