"""What the views of a design document are, and the signature that names their index."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec

from aiocouch.embedded.codec import encode
from aiocouch.embedded.errors import CouchError, not_found

#: What a map function may contain without any chance to change the document it gets.
_CHANGES = re.compile(
    r"""
      (?:\.\s*[\w$]+|\])\s*(?:[-+*/%&|^]|<<|>>>?|\*\*|&&|\|\||\?\?)?=(?!=)  # doc.a = 1
    | (?:\.\s*[\w$]+|\])\s*(?:\+\+|--)                                     # doc.a++
    | (?:\+\+|--)\s*[\w$]+\s*[.\[]                                         # ++doc.a
    | \bfor\s*\(\s*[\w$]+\s*[.\[]                                          # for (doc.a of …
    | \b(?:delete|eval|Function|Object|Reflect|require|this|with|__proto__
         |push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|apply|call|bind)\b
    """,
    re.VERBOSE,
)


class View(msgspec.Struct, frozen=True):
    """One view: which tree holds its rows, and its reduce function (source or `_name`)."""

    name: str
    tree: int
    reduce: str | None


class Tree(msgspec.Struct, frozen=True):
    """A map function. Views with the same map and options share the rows."""

    map: str
    raw: bool


class Definition(msgspec.Struct, frozen=True):
    """All views of one design document.

    `signature` is equal for design documents whose rows are equal. `include_design` maps design
    documents too, `local_seq` gives the maps `_local_seq`, `partitioned` sorts rows by partition.
    """

    signature: str
    language: str
    trees: tuple[Tree, ...]
    views: dict[str, View]
    lib: dict[str, Any] | None
    include_design: bool
    local_seq: bool
    partitioned: bool

    def view(self, name: str) -> View:
        """Return a view, or raise 404 `missing_named_view`."""
        try:
            return self.views[name]
        except KeyError:
            raise not_found("missing_named_view") from None

    def unit_text(self) -> bytes:
        """Return the JSON that prepares the JavaScript context of these views."""
        return encode(
            {
                "lib": self.lib or {},
                "freezes": any(may_change(tree.map) for tree in self.trees),
                "maps": [tree.map for tree in self.trees] if is_javascript(self.language) else [],
                "reduces": self.custom_reduces(),
            }
        )

    def custom_reduces(self) -> list[str]:
        """Return the sources of reduce functions in JavaScript, each once."""
        sources = (view.reduce for view in self.views.values())
        return list(dict.fromkeys(each for each in sources if each and not each.startswith("_")))


def define(design: dict[str, Any], *, database_partitioned: bool) -> Definition:
    """Read the views of a design document that has passed validation."""
    options = design.get("options", {})
    partitioned = bool(options.get("partitioned", database_partitioned))
    language = design.get("language", "javascript")
    sources: dict[str, Any] = design.get("views", {})
    trees: dict[Tree, int] = {}
    views = {}
    for name in sorted(sources):
        if "map" in sources[name] and name:
            views[name] = _view(name, sources[name], trees)
    definition = Definition(
        signature="",
        language=language,
        trees=tuple(trees),
        views=views,
        lib=sources.get("lib"),
        include_design=bool(options.get("include_design", False)),
        local_seq=bool(options.get("local_seq", False)),
        partitioned=partitioned and database_partitioned,
    )
    return _signed(definition)


def _view(name: str, source: dict[str, Any], trees: dict[Tree, int]) -> View:
    raw = source.get("options", {}).get("collation") == "raw"
    map_ = source["map"]
    tree = Tree(map_ if isinstance(map_, str) else encode(map_).decode(), raw)
    return View(name, trees.setdefault(tree, len(trees)), source.get("reduce"))


def _signed(definition: Definition) -> Definition:
    told = [
        definition.language,
        [[tree.map, tree.raw] for tree in definition.trees],
        [[view.name, view.tree, view.reduce] for view in definition.views.values()],
        definition.lib,
        definition.include_design,
        definition.local_seq,
        definition.partitioned,
    ]
    signature = hashlib.md5(encode(told), usedforsecurity=False).hexdigest()
    return Definition(
        signature,
        definition.language,
        definition.trees,
        definition.views,
        definition.lib,
        definition.include_design,
        definition.local_seq,
        definition.partitioned,
    )


def is_javascript(language: str) -> bool:
    """Return whether a language is JavaScript, in whatever letters it is written."""
    return language.lower() == "javascript"


def may_change(source: str) -> bool:
    """Return whether a map function might change its document.

    The document is frozen for such functions only, because freezing takes longer than mapping.
    """
    return _CHANGES.search(source) is not None


def unknown_language(language: str) -> CouchError:
    """Return a 500 for views in a language that the server does not run."""
    return CouchError(500, "unknown_query_language", language)
