"""How CouchDB answers a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiocouch._transport.request import Repeat
from aiocouch.queries.values import field_names
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aiocouch.mango import Query
    from aiocouch.remote import Remote

__all__ = ["IndexCandidate", "QueryPlan", "explained"]


class IndexCandidate(NamedTuple):
    """An index that was looked at: what it is called, and why it was not taken."""

    name: str
    design_doc: str | None
    index_type: str
    usable: bool
    reasons: list[str]
    ranking: int | None

    def __str__(self) -> str:
        why = ", ".join(self.reasons) or ("usable" if self.usable else "not usable")
        return f"{_shown(self.name, self.design_doc, self.index_type)}: {why}"


class QueryPlan(dict[str, Any]):
    """What `_explain` tells of a query, the dict that CouchDB sends, and its parts by name.

    `str()` of it says which index is used, and which others there are.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(told)

    @property
    def _index(self) -> JsonDict:
        return self["index"] or {}

    @property
    def index_name(self) -> str:
        """The name of the index that is used; "_all_docs" for none, "" where the query is refused."""
        return str(self._index.get("name", ""))

    @property
    def index_type(self) -> str:
        """Its type: "json", "text", "nouveau", or "special" for none."""
        return str(self._index.get("type", ""))

    @property
    def design_doc(self) -> str | None:
        """The id of its design document; None for none."""
        found: str | None = self._index.get("ddoc")
        return found

    @property
    def is_covering(self) -> bool:
        """Whether the index has all that the query wants, so that no document is read."""
        return bool(self.get("covering"))

    @property
    def candidates(self) -> list[IndexCandidate]:
        """The other indexes that there are. CouchDB 3.4 and later tell of them."""
        return [_candidate(row) for row in self.get("index_candidates") or ()]

    def uses(self, index: str | Sequence[str]) -> bool:
        """Return whether the index of that name, or of that design document, is used.

        Both can be given, as to `use_index`: `["design-doc", "name"]`.
        """
        own = (self.design_doc or "").removeprefix("_design/")
        if isinstance(index, str):
            return index.removeprefix("_design/") == own != "" or index == self.index_name
        ddoc, *names = index
        return ddoc.removeprefix("_design/") == own and names in ([], [self.index_name])

    def __str__(self) -> str:
        used = _shown(self.index_name, self.design_doc, self.index_type) if self._index else "none"
        others = [f"  {one}" for one in self.candidates]
        return "\n".join([f"uses {used}", *(["others:"] if others else []), *others])


def _candidate(row: JsonDict) -> IndexCandidate:
    index, analysis = row["index"], row.get("analysis") or {}
    reasons = [str(reason.get("name")) for reason in analysis.get("reasons") or ()]
    usable, ranking = bool(analysis.get("usable")), analysis.get("ranking")
    name, kind = str(index.get("name")), str(index.get("type"))
    return IndexCandidate(name, index.get("ddoc"), kind, usable, reasons, ranking)


def _shown(name: str, ddoc: str | None, kind: str) -> str:
    of = f" of {ddoc}" if ddoc else ""
    return f"{name!r}{of} ({kind})"


async def explained(remote: Remote, query: Query, fields: Iterable[str] | None) -> QueryPlan:
    """Return how a query would be answered."""
    names = field_names(fields)
    body = {**query.body, "fields": names} if names else query.body
    path, text = f"{query.endpoint}/_explain", remote.encode(body)
    told = await remote.json(
        "POST", path, into=JsonDict, body=text, having=("index",), repeat=Repeat.FREELY
    )
    return QueryPlan(told)
