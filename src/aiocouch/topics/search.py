"""Full-text search, by either of the two services that CouchDB can have beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import msgspec

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import encode
from aiocouch._wire.ids import design_document_id, quote_document_id, quote_name
from aiocouch._wire.options import checked, with_query
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from typing import Unpack

    from aiocouch.remote import Remote

__all__ = ["SearchIndex", "SearchMethod", "SearchOptions", "SearchPage"]


class SearchOptions(TypedDict, total=False):
    """Members of the body of a search.

    Those of groups and highlights are Clouseau's only, `locale`, `top_n` and `update` Nouveau's.
    """

    bookmark: str | None
    counts: Sequence[str] | None
    drilldown: Sequence[Any] | None
    group_field: str | None
    group_limit: int | None
    group_sort: str | Sequence[str] | None
    highlight_fields: Sequence[str] | None
    highlight_number: int | None
    highlight_post_tag: str | None
    highlight_pre_tag: str | None
    highlight_size: int | None
    include_docs: bool | None
    include_fields: Sequence[str] | None
    limit: int | None
    locale: str | None
    ranges: Mapping[str, Any] | None
    sort: str | Sequence[str] | None
    stale: str | None
    top_n: int | None
    update: bool | None
    extra: Mapping[str, Any] | None


_OPTIONS = frozenset(SearchOptions.__annotations__)
_LISTS = frozenset({"counts", "drilldown", "highlight_fields", "include_fields"})
_PLAIN = frozenset({"q", "bookmark", "group_field", "locale", "stale"})
"""The options that are text in a query string; the value of any other is JSON."""


SearchMethod: TypeAlias = Literal["GET", "POST"]


class SearchPage(msgspec.Struct, frozen=True):
    """What one search found.

    `rows` have `id`, `order`, `fields` and, with `include_docs`, `doc`; `counts` and `ranges` are the
    facets that were asked for; `groups` take the place of rows in a grouped search.
    """

    total: int
    bookmark: str | None
    rows: list[JsonDict]
    counts: JsonDict | None
    ranges: JsonDict | None
    groups: list[JsonDict] | None


class _Clouseau(msgspec.Struct):
    total_rows: int
    bookmark: str | None = None
    rows: list[dict[str, Any]] = msgspec.field(default_factory=list)
    counts: dict[str, Any] | None = None
    ranges: dict[str, Any] | None = None
    groups: list[dict[str, Any]] | None = None

    def page(self) -> SearchPage:
        return SearchPage(
            self.total_rows, self.bookmark, self.rows, self.counts, self.ranges, self.groups
        )


class _Nouveau(msgspec.Struct):
    total_hits: int
    hits: list[dict[str, Any]]
    bookmark: str | None = None
    counts: dict[str, Any] | None = None
    ranges: dict[str, Any] | None = None

    def page(self) -> SearchPage:
        return SearchPage(self.total_hits, self.bookmark, self.hits, self.counts, self.ranges, None)


class SearchIndex:
    """A search index of a design document: of Clouseau (`_search`) or of Nouveau (`_nouveau`).

    Queries are in the language of Lucene. All methods raise `NotFoundError` where there is no such
    index, and the server's error where it has no search service.
    """

    def __init__(
        self,
        remote: Remote,
        endpoint: str,
        design_doc: str,
        index: str,
        *,
        nouveau: bool = False,
        partition: str | None = None,
    ) -> None:
        self._remote = remote
        self._nouveau = nouveau
        ddoc = quote_document_id(design_document_id(design_doc))
        below = endpoint
        if partition is not None:
            below = f"{endpoint}/_partition/{quote_name(partition, 'partition')}"
        self._ddoc = f"{endpoint}/{ddoc}"
        self._index = quote_name(index, "name of the index")
        self._path = f"{below}/{ddoc}/{'_nouveau' if nouveau else '_search'}/{self._index}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    async def page(
        self, query: str, *, method: SearchMethod = "POST", **options: Unpack[SearchOptions]
    ) -> SearchPage:
        """Return what a query finds: `limit` rows (25), from `bookmark` on.

        `POST /{db}/_design/{ddoc}/_search/{index}`, or `_nouveau`; with the `method` "GET" the options stand
        in the URL, which caches and proxies understand. Raise `BadRequestError` for a query or an option
        that the service does not understand.
        """
        given = checked(options, _OPTIONS)
        for name in _LISTS & given.keys():
            if isinstance(given[name], str):
                raise InvalidTypeError(f"{name} must be a list of str, not one str")
        shape: type[_Nouveau] | type[_Clouseau] = _Nouveau if self._nouveau else _Clouseau
        if method == "GET":
            path = with_query(self._path, _as_text({"q": query, **given}))
            return (await self._remote.json("GET", path, into=shape)).page()
        if method != "POST":
            raise InvalidInputError(f"method={method!r}: GET or POST")
        body = self._remote.encode({"q" if self._nouveau else "query": query, **given})
        answer = await self._remote.json(
            "POST", self._path, into=shape, body=body, repeat=Repeat.FREELY
        )
        return answer.page()

    async def rows(
        self, query: str, *, method: SearchMethod = "POST", **options: Unpack[SearchOptions]
    ) -> AsyncGenerator[JsonDict, None]:
        """Yield all rows that a query finds, page after page; `limit` is the size of a page.

        Rows that come or go meanwhile may be missed or come twice, as the service pages by rank.
        """
        if "group_field" in options:
            raise InvalidInputError("a grouped search has no rows: use page()")
        seen = options.get("bookmark")
        while True:
            page = await self.page(query, method=method, **options)
            for row in page.rows:
                yield row
            if not page.rows or page.bookmark is None or page.bookmark == seen:
                return
            options["bookmark"] = seen = page.bookmark

    async def info(self) -> JsonDict:
        """Return figures of the index: documents, sizes (`GET …/_search_info/{index}`, `_nouveau_info`)."""
        kind = "_nouveau_info" if self._nouveau else "_search_info"
        return await self._remote.json("GET", f"{self._ddoc}/{kind}/{self._index}", into=JsonDict)

    async def disk_size(self) -> JsonDict:
        """Return the size on the disk (`GET …/_search_disk_size/{index}`); Clouseau's only."""
        if self._nouveau:
            raise InvalidInputError("Nouveau tells its size in info()")
        path = f"{self._ddoc}/_search_disk_size/{self._index}"
        return await self._remote.json("GET", path, into=JsonDict)


def _as_text(options: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if name in _PLAIN and isinstance(value, str) else encode(value).decode()
        for name, value in options.items()
    }
