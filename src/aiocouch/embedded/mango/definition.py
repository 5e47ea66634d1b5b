"""JSON indexes: how they stand in design documents, and what they are called.

The indexes of a database are views of its design documents with the language `query`. Their map
is an object `{"fields": {"city": "asc"}, "partial_filter_selector": {…}}`; a row has the values of
the fields as its key, for documents that have them all.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.revision import encode_term
from aiocouch.embedded.errors import CouchError, bad_request
from aiocouch.embedded.mango.options import read_definition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.embedded.mango.options import IndexOptions
    from aiocouch.embedded.selectors.selector import Selector

__all__ = ["ALL_DOCS", "LANGUAGE", "JsonIndex", "NewIndex", "design_id", "indexes_of", "plan_index"]

LANGUAGE = "query"


class JsonIndex(msgspec.Struct, frozen=True):
    """An index that a query may use.

    `ddoc` is the id of its design document, None for the ids of all documents. `definition` is
    what the map says besides the fields.
    """

    ddoc: str | None
    name: str
    columns: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    partial_filter: Selector
    partitioned: bool

    def __hash__(self) -> int:
        return hash((self.ddoc, self.name))

    @property
    def is_special(self) -> bool:
        """Whether this is not an index but the documents by id."""
        return self.ddoc is None

    @property
    def type(self) -> str:
        """`json` or `special`."""
        return "special" if self.is_special else "json"

    @property
    def order(self) -> tuple[bytes, bytes]:
        """The place of the index in lists; the special one comes first."""
        return (self.ddoc or "").encode(), self.name.encode()

    def as_json(self) -> dict[str, Any]:
        """Return the index as `GET /db/_index` lists it."""
        definition: dict[str, Any] = {"fields": [{name: order} for name, order in self.fields]}
        if self.partial_filter:
            definition["partial_filter_selector"] = self.partial_filter
        head: dict[str, Any] = {"ddoc": self.ddoc, "name": self.name, "type": self.type}
        if not self.is_special:
            head["partitioned"] = self.partitioned
        return {**head, "def": definition}


ALL_DOCS = JsonIndex(None, "_all_docs", ("_id",), (("_id", "asc"),), {}, False)
"""The documents by their ids, which every query can fall back to."""


class NewIndex(msgspec.Struct, frozen=True):
    """An index that is to be written into a design document."""

    ddoc: str
    name: str
    view: dict[str, Any]
    partitioned: bool | None

    def add_to(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the design document with the index in it; equal to `body` if it was there."""
        views = body.get("views")
        views = views if isinstance(views, dict) else {}
        return {**body, "views": {**views, self.name: self.view}}


def design_id(name: str) -> str:
    """Return the id of a design document by its name or its id."""
    return name if name.startswith("_design/") else f"_design/{name}"


def plan_index(options: IndexOptions) -> NewIndex:
    """Check and name a new index. Raise CouchError for what CouchDB refuses."""
    _check_type(options.type)
    automatic = "" if options.name and options.ddoc else _automatic_name(options)
    fields, partial_filter = read_definition(options.index)
    view = {
        "map": {"fields": fields, "partial_filter_selector": partial_filter},
        "reduce": "_count",
        "options": {"def": options.index},
    }
    ddoc = design_id(options.ddoc or automatic)
    return NewIndex(ddoc, options.name or automatic, view, options.partitioned)


def _check_type(name: str) -> None:
    if name in ("text", "nouveau"):
        raise CouchError(503, "required index service unavailable", name)
    if name != "json":
        raise bad_request(f"Invalid type for index: {name}", "invalid_index")


def _automatic_name(options: IndexOptions) -> str:
    """Name an index by what it is, as CouchDB does: SHA-1 of the options as an Erlang term."""
    definition = encode_term(options.index)[1:]
    pairs = {
        "ddoc": _text_or_atom(options.ddoc, "auto_name"),
        "def": definition,
        "name": _text_or_atom(options.name, "auto_name"),
        "partitioned": _atom("db_default"),
        "type": encode_term(options.type)[1:],
        "w": encode_term(options.w)[1:],
    }
    if options.partitioned is not None:
        pairs["partitioned"] = encode_term(options.partitioned)[1:]
    members = b"".join(b"h\x02" + _atom(name) + value for name, value in pairs.items())
    term = b"\x83h\x02" + definition + b"l\x00\x00\x00\x06" + members + b"j"
    return hashlib.sha1(term, usedforsecurity=False).hexdigest()


def _atom(name: str) -> bytes:
    return b"d" + len(name).to_bytes(2, "big") + name.encode()


def _text_or_atom(text: str | None, atom: str) -> bytes:
    return _atom(atom) if text is None else encode_term(text)[1:]


def indexes_of(
    ddoc: str, body: Mapping[str, Any], *, database_partitioned: bool
) -> list[JsonIndex]:
    """Return the indexes of a design document; [] for one of another language."""
    views = body.get("views")
    if body.get("language") != LANGUAGE or not isinstance(views, dict):
        return []
    options = body.get("options")
    partitioned = options.get("partitioned") if isinstance(options, dict) else None
    if not isinstance(partitioned, bool):
        partitioned = database_partitioned
    found = (_read_view(ddoc, name, view, partitioned) for name, view in views.items())
    return [index for index in found if index is not None]


def _read_view(ddoc: str, name: str, view: Any, partitioned: bool) -> JsonIndex | None:
    """Read one view; None when somebody wrote something else."""
    if not isinstance(view, dict) or not isinstance(view.get("options"), dict):
        return None
    map_ = view.get("map")
    fields = map_.get("fields") if isinstance(map_, dict) else None
    if not isinstance(map_, dict) or not isinstance(fields, dict):
        return None
    partial_filter = map_.get("partial_filter_selector") or map_.get("selector") or {}
    return JsonIndex(ddoc, name, tuple(fields), tuple(fields.items()), partial_filter, partitioned)
