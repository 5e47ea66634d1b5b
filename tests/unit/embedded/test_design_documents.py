"""What may be stored as a design document, and the rules of rewrites."""

from __future__ import annotations

from typing import Any

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.http.rewriting import apply_rules
from aiocouch.embedded.views.definition import define, may_change
from aiocouch.embedded.writing.design_documents import check_structure

FINE = "function (doc) { emit(1) }"


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"views": 5}, "`views` field must have object type"),
        ({"views": {"v": 5}}, "`views.v` field must have object type"),
        ({"views": {"v": {}}}, "View `v` must contain map function"),
        ({"views": {"v": {"map": 5}}}, "`views.v.map` field must have string type"),
        (
            {"views": {"v": {"map": FINE, "reduce": None}}},
            "`views.v.reduce` field must have string type",
        ),
        ({"views": {"lib": 5}}, "`views.lib` field must have object type"),
        (
            {"language": "query", "views": {"v": {"map": FINE}}},
            "`views.v.map` field must have object type",
        ),
        ({"language": 5}, "`language` field must have string type"),
        ({"options": 5}, "`options` field must have object type"),
        ({"options": {"partitioned": "x"}}, "`options.partitioned` field must have boolean type"),
        ({"filters": 5}, "`filters` field must have object type"),
        ({"filters": {"f": 5}}, "`filters.f` field must have string or object type"),
        ({"updates": {"u": None}}, "`updates.u` field must have string or object type"),
        ({"rewrites": {}}, "`rewrites` field must have array or string type"),
        ({"validate_doc_update": 5}, "`validate_doc_update` field must have string type"),
    ],
)
def test_what_is_refused(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(CouchError) as caught:
        check_structure(document)
    assert (caught.value.status, caught.value.error) == (400, "invalid_design_doc")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"views": {"lib": {"a": 5}, "v": {"map": FINE, "reduce": "_sum", "other": 5}}},
        {"filters": {"f": {"map": "x"}}, "rewrites": [], "indexes": 5, "autoupdate": 5},
        {"options": {"x": 5, "include_design": True}},
    ],
)
def test_what_is_taken(document: dict[str, Any]) -> None:
    check_structure(document)


@pytest.mark.parametrize(
    "source",
    [
        "function (doc) { doc.x = 1 }",
        "function (doc) { doc['x'] += 1 }",
        "function (doc) { doc.x++ }",
        "function (doc) { --doc.x }",
        "function (doc) { delete doc.x }",
        "function (doc) { doc.tags.sort() }",
        "function (doc) { for (doc.x of [1]) {} }",
        "function (doc) { Object.assign(doc, {}) }",
        "function (doc) { emit(doc.a ??= 1) }",
    ],
)
def test_functions_that_might_change_their_document(source: str) -> None:
    assert may_change(source)


@pytest.mark.parametrize(
    "source",
    [
        FINE,
        "function (doc) { if (doc.a == 1 && doc.b === 2) emit(doc.a, doc.b) }",
        "function (doc) { for (var i = 0; i < doc.t.length; i++) emit(doc.t[i], i) }",
        "doc => { const x = doc.a; if (doc[x] >= 3) emit([x, doc.b.c]) }",
        "function (doc) { doc.tags.forEach(function (t) { emit(t) }) }",
    ],
)
def test_functions_that_only_read(source: str) -> None:
    assert not may_change(source)


def test_views_with_one_map_share_its_rows() -> None:
    views = {
        "a": {"map": FINE},
        "b": {"map": FINE, "reduce": "_count"},
        "c": {"map": FINE, "options": {"collation": "raw"}},
        "lib": {"x": "1"},
    }
    definition = define({"views": views}, database_partitioned=False)
    assert [view.tree for view in definition.views.values()] == [0, 0, 1]
    assert [tree.raw for tree in definition.trees] == [False, True]


def test_a_signature_tells_what_makes_other_rows() -> None:
    def signature(**members: Any) -> str:
        return define(members, database_partitioned=False).signature

    plain = signature(views={"v": {"map": FINE}})
    assert plain == signature(views={"v": {"map": FINE}}, filters={"f": "x"})
    others = {
        signature(views={"v": {"map": "doc => 1"}}),
        signature(views={"v": {"map": FINE, "reduce": "_sum"}}),
        signature(views={"v": {"map": FINE}, "lib": {"a": "1"}}),
        signature(views={"v": {"map": FINE}}, options={"local_seq": True}),
        signature(views={"v": {"map": FINE}}, language="query"),
    }
    assert len(others | {plain}) == 6


RULES = [
    {"from": "/doc/:id", "to": "../../:id", "method": "GET"},
    {"from": "/all/*", "to": "../../*"},
    {"from": "/by/:k", "to": "_view/v", "query": {"key": ":k", "limit": "1"}},
    {"from": "", "to": "index"},
]


@pytest.mark.parametrize(
    ("segments", "query", "url"),
    [
        (["doc", "a/b"], [], "/db/a%2Fb?id=a%2Fb"),
        (["all", "_all_docs"], [("limit", "1")], "/db/_all_docs?limit=1"),
        (["by", "x"], [], "/db/_design/d/_view/v?key=%22x%22&limit=1&k=x"),
        ([], [], "/db/_design/d/index"),
    ],
)
def test_rules(segments: list[str], query: list[tuple[str, str]], url: str) -> None:
    assert apply_rules(RULES, "GET", segments, query, "/db/_design/d").url == url


@pytest.mark.parametrize(("method", "segments"), [("PUT", ["doc", "a"]), ("GET", ["none"])])
def test_no_rule_fits(method: str, segments: list[str]) -> None:
    with pytest.raises(CouchError) as caught:
        apply_rules(RULES, method, segments, [], "/db/_design/d")
    assert caught.value.status == 404
