"""What differs between schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch import InvalidInputError
from aiocouch.schema import Index, Schema, designs_in, diff
from aiocouch.schema.parts import normal_security, normal_selector

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text("abc", min_size=1, max_size=2)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
SECURITY = st.dictionaries(
    st.sampled_from(["admins", "members"]),
    st.dictionaries(st.sampled_from(["names", "roles"]), st.lists(NAMES, max_size=2)),
)
SCHEMAS = st.builds(
    Schema,
    designs=st.dictionaries(NAMES, OBJECTS, max_size=3),
    indexes=st.lists(
        st.builds(Index, NAMES, st.lists(NAMES, min_size=1), NAMES, OBJECTS),
        max_size=3,
        unique_by=lambda index: index.full_name,
    ),
    security=st.none() | SECURITY,
)


@given(SCHEMAS)
def test_nothing_differs_from_itself(schema: Schema) -> None:
    assert diff(schema, schema) == []


@given(SCHEMAS)
def test_a_database_that_is_not_there_lacks_all(schema: Schema) -> None:
    found = diff(schema, None)
    assert found[0].kind == "database"
    created = {(change.kind, change.name) for change in found if change.action == "create"}
    assert created == {
        ("database", ""),
        *(("index", index.full_name) for index in schema.indexes),
        *(("design", name) for name in schema.designs),
    }


@given(SCHEMAS, SCHEMAS)
def test_what_is_there_beside_does_not_count(one: Schema, other: Schema) -> None:
    both = Schema(
        {**other.designs, **one.designs},
        [
            *one.indexes,
            *(i for i in other.indexes if i.full_name not in {x.full_name for x in one.indexes}),
        ],
        other.security if one.security is None else one.security,
    )
    assert diff(one, both) == []


@given(SECURITY)
def test_a_security_object_is_normal_once(security: dict[str, Any]) -> None:
    normal = normal_security(security)
    assert normal_security(normal) == normal


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ({"a": 5}, {"a": {"$eq": 5}}),
        ({"a": {"b": 5}}, {"a.b": {"$eq": 5}}),
        ({"a": {"$gt": 1, "$lt": 5}}, {"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 5}}]}),
        ({"a": 1, "b": 2}, {"$and": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}),
        ({"$or": [{"a": 1}, {"b": 2}]}, {"$or": [{"a": {"$eq": 1}}, {"b": {"$eq": 2}}]}),
    ],
)
def test_selectors_as_couchdb_keeps_them(given: dict[str, Any], normal: dict[str, Any]) -> None:
    assert normal_selector(given) == normal
    assert normal_selector(normal) == normal


def test_a_change_says_what_differs() -> None:
    found = Schema(designs={"d": {"views": {"a": {"map": "1"}, "b": {"map": "2"}}, "n": 1}})
    wanted = Schema(designs={"d": {"views": {"a": {"map": "3"}, "c": {"map": "2"}}, "n": True}})
    (change,) = diff(wanted, found)
    assert str(change) == "change design d: views.a.map, +views.c, -views.b, n"


def test_folders_become_design_documents(tmp_path: Path) -> None:
    view = tmp_path / "shop" / "views" / "titles"
    view.mkdir(parents=True)
    (view / "map.js").write_text("function (doc) {}\n", encoding="utf-8")
    (tmp_path / "shop" / "options.json").write_text('{"partitioned": false}', encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").write_text("text", encoding="utf-8")
    assert designs_in(tmp_path) == {
        "shop": {
            "options": {"partitioned": False},
            "views": {"titles": {"map": "function (doc) {}"}},
        }
    }
    (tmp_path / "shop" / "options.json").write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"options\.json"):
        designs_in(tmp_path)


@pytest.mark.parametrize("name", ["", "_design/a"])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(InvalidInputError):
        Schema(designs={name: {}})
    with pytest.raises(InvalidInputError):
        Schema(designs={"a": {"_rev": "1-a"}})
    with pytest.raises(InvalidInputError):
        Schema(indexes=[Index("a", ["b"]), Index("a", ["c"])])
