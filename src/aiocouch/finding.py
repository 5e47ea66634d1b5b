"""What a database and a partition have in common: queries of Mango."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from aiocouch.database import Database
    from aiocouch.document import Document
    from aiocouch.mango import Found, OnWarning
    from aiocouch.paging import Pages
    from aiocouch.queries import QueryPlan
    from aiocouch.typing import FindOptions, JsonDict

__all__ = ["Finding"]

T = TypeVar("T")


class Finding:
    """What can be asked in Mango. A base of `Database` and of `Partition`."""

    if TYPE_CHECKING:

        @property
        def endpoint(self) -> str:
            """The path below which `_find` is."""
            raise NotImplementedError

    def find(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Found[Document]:
        """Return the documents that match a Mango selector (`POST /{db}/_find`), read as they come.

        Without `limit` all of them. `on_warning`, when the server warns of the query: "warn" in
        Python, or "raise" `QueryWarningError`; both after the rows. Raise `InvalidInputError` for
        `fields`, since a document holds everything, and for the body of a request in place of a selector;
        `BadRequestError` for a selector that CouchDB does not understand.
        """
        from aiocouch.mango import found_documents, query_of

        query = query_of(self.endpoint, selector, limit, params, on_warning)
        return found_documents(_database(self), query)

    @overload
    def find_values(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        fields: Sequence[str] | None = None,
        into: None = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Found[JsonDict]: ...

    @overload
    def find_values(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        fields: Sequence[str] | None = None,
        into: type[T],
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Found[T]: ...

    def find_values(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        fields: Sequence[str] | None = None,
        into: Any = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Found[Any]:
        """Return what matches as plain values: `fields` of the documents, or all (`POST /{db}/_find`).

        They are dicts, or what msgspec makes of a row `into` a type: a Struct, a dataclass, a TypedDict.
        All else is as in `find`. Raise `MisfitError` for a row that is not of the type, which names it.
        """
        from aiocouch.mango import query_of
        from aiocouch.queries.values import found_values

        query = query_of(self.endpoint, selector, limit, params, on_warning)
        return found_values(_database(self).remote, query, fields, into)

    @overload
    def find_pages(
        self,
        selector: Mapping[str, Any],
        size: int,
        token: str | None = None,
        *,
        fields: None = None,
        into: None = None,
        secret: str | bytes | None = None,
        limit: int | None = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Pages[Document]: ...

    @overload
    def find_pages(
        self,
        selector: Mapping[str, Any],
        size: int,
        token: str | None = None,
        *,
        fields: Sequence[str],
        into: None = None,
        secret: str | bytes | None = None,
        limit: int | None = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Pages[JsonDict]: ...

    @overload
    def find_pages(
        self,
        selector: Mapping[str, Any],
        size: int,
        token: str | None = None,
        *,
        fields: Sequence[str] | None = None,
        into: type[T],
        secret: str | bytes | None = None,
        limit: int | None = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Pages[T]: ...

    def find_pages(
        self,
        selector: Mapping[str, Any],
        size: int,
        token: str | None = None,
        *,
        fields: Sequence[str] | None = None,
        into: Any = None,
        secret: str | bytes | None = None,
        limit: int | None = None,
        on_warning: OnWarning = "ignore",
        **params: Unpack[FindOptions],
    ) -> Pages[Any]:
        """Return what matches by pages: `async for page in db.find_pages(selector, 50)`, from `token` on.

        Rows are documents, or with `fields` or `into` what `find_values` gives. A page begins after the last
        row of the one before, in the order of the index that the first page used, even if that was deleted:
        no row is skipped, none comes twice. `limit` counts the rows of all pages. With a `secret` tokens are
        signed. Raise `InvalidInputError` for a token of another query, or whose index is gone.
        """
        from aiocouch.mango import query_of
        from aiocouch.queries.pages import found_pages

        query = query_of(self.endpoint, selector, limit, params, on_warning)
        return found_pages(
            _database(self), query, fields, into, size=size, token=token, secret=secret
        )

    async def explain(
        self,
        selector: Mapping[str, Any],
        limit: int | None = None,
        *,
        fields: Sequence[str] | None = None,
        **params: Unpack[FindOptions],
    ) -> QueryPlan:
        """Return how the query would be answered, by which index (`POST /{db}/_explain`)."""
        from aiocouch.mango import query_of
        from aiocouch.queries.plan import explained

        query = query_of(self.endpoint, selector, limit, params)
        return await explained(_database(self).remote, query, fields)


def _database(one: Any) -> Database:
    found: Database = getattr(one, "database", one)
    return found
