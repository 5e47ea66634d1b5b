"""A document is a mapping that knows whether it was saved. No server is needed for this."""

import tracemalloc
from collections.abc import MutableMapping
from typing import Any

import pytest

from aiocouch import ConflictError, CouchDB, Database, Document, NotFoundError
from aiocouch._tracked import Tracked, of_text
from aiocouch._wire.shown import shown
from aiocouch.design_document import DesignDocument
from aiocouch.document import SecurityDocument
from aiocouch.event import BaseChangeEvent, DeletedEvent


@pytest.fixture
def db() -> Database:
    return Database(CouchDB("http://127.0.0.1:1"), "db")


@pytest.fixture
def doc(db: Database) -> Document:
    return Document(db, "x", data={"a": 1, "b": [2]})


# -- mapping


def test_is_a_mutable_mapping(doc: Document) -> None:
    assert isinstance(doc, MutableMapping)


def test_reads_like_a_dict(doc: Document) -> None:
    assert doc["a"] == 1
    assert doc["_id"] == "x"
    assert doc.get("b") == [2]
    assert doc.get("none") is None
    assert doc.get("none", 5) == 5
    assert "a" in doc
    assert "none" not in doc
    with pytest.raises(KeyError, match="none"):
        doc["none"]


def test_length_iteration_and_views_agree(doc: Document) -> None:
    assert list(doc) == list(doc.keys()) == ["a", "b", "_id"] or set(doc) == {"a", "b", "_id"}
    assert len(doc) == 3
    assert dict(doc.items()) == dict(doc) == {"_id": "x", "a": 1, "b": [2]}
    assert len(list(doc.values())) == 3
    assert {**doc} == dict(doc)


def test_dict_of_it_is_a_copy(doc: Document) -> None:
    copy = dict(doc)
    copy["a"] = 5
    assert doc["a"] == 1


def test_writes_like_a_dict(doc: Document) -> None:
    doc["c"] = 3
    doc["a"] += 1
    del doc["b"]
    doc.update({"d": 4})
    assert doc.setdefault("e", 5) == 5
    assert doc.setdefault("e", 6) == 5
    assert dict(doc) == {"_id": "x", "a": 2, "c": 3, "d": 4, "e": 5}


def test_delete_of_a_missing_key(doc: Document) -> None:
    with pytest.raises(KeyError, match="none"):
        del doc["none"]


def test_pop(doc: Document) -> None:
    assert doc.pop("a") == 1
    assert doc.pop("a", None) is None
    with pytest.raises(KeyError):
        doc.pop("a")
    assert "a" not in doc


def test_setdefault_without_a_value_stores_none(doc: Document) -> None:
    assert doc.setdefault("n") is None
    assert doc["n"] is None


def test_update_takes_a_document(db: Database, doc: Document) -> None:
    other = Document(db, "y", data={"a": "new", "z": 1})
    doc.update({key: value for key, value in other.items() if not key.startswith("_")})
    assert (doc["a"], doc["z"], doc["_id"]) == ("new", 1, "x")


def test_values_are_held_not_copied(doc: Document) -> None:
    doc["b"].append(3)
    assert doc["b"] == [2, 3]


# -- identity


def test_equality_is_identity(db: Database) -> None:
    one = Document(db, "x", data={"a": 1})
    other = Document(db, "x", data={"a": 1})
    assert one == one  # noqa: PLR0124
    assert one != other
    assert len({one, other, one}) == 2
    assert one in [other, one]


def test_hash_does_not_change_with_the_data(doc: Document) -> None:
    before = hash(doc)
    doc["a"] = "other"
    assert hash(doc) == before


def test_an_empty_document_is_true_enough_for_old_programs(db: Database) -> None:
    # Without `__len__` (aiocouch 3 and 4) every document was true: `if doc:` tested for None.
    assert Document(db, "x")
    assert Document(db, "x", data={})
    assert SecurityDocument(db)


# -- what it knows of itself


def test_new_document_does_not_exist(doc: Document) -> None:
    assert doc.exists is False
    assert doc.data is None
    assert doc.json == {}
    assert doc.rev is None
    assert doc.id == "x"


def test_revision_makes_it_exist(doc: Document) -> None:
    doc.rev = "1-a"
    assert (doc.exists, doc.rev, doc["_rev"]) == (True, "1-a", "1-a")
    assert doc.data == {"_id": "x", "_rev": "1-a", "a": 1, "b": [2]}
    assert doc.json == {"a": 1, "b": [2]}


@pytest.mark.parametrize(("deleted", "exists"), [(True, False), (False, True)])
def test_deleted_flag(db: Database, deleted: bool, exists: bool) -> None:
    doc = Document(db, "x", data={"_rev": "1-a", "_deleted": deleted})
    assert doc.exists is exists


def test_json_leaves_out_every_member_of_couchdb(db: Database) -> None:
    data: dict[str, Any] = {"_rev": "1-a", "_attachments": {}, "_conflicts": [], "a": 1}
    assert Document(db, "x", data=data).json == {"a": 1}


def test_own_dict_is_never_written_into(db: Database) -> None:
    mine = {"a": 1}
    doc = Document(db, "x", data=mine)
    doc.rev = "1-a"
    assert mine == {"a": 1}


def test_id_inside_the_data_does_not_win(db: Database) -> None:
    mine = {"_id": "other", "a": 1}
    doc = Document(db, "x", data=mine)
    assert doc["_id"] == doc.id == "x"
    assert mine["_id"] == "other"


def test_repr_is_short_and_shows_no_content(db: Database) -> None:
    doc = Document(db, "the-id", data={"secret": "content" * 1000})
    assert "the-id" in repr(doc)
    assert "content" not in repr(doc)
    assert len(repr(doc)) < 200


def test_repr_of_strange_documents_works(db: Database) -> None:
    for name in ("x" * 200, "\x00\n", "'\"", "🦀"):
        assert isinstance(repr(Document(db, name)), str)


# -- security


def security(db: Database) -> SecurityDocument:
    return SecurityDocument(db)


KINDS = {"member": "members", "member_role": "member_roles", "admin": "admins"} | {
    "admin_role": "admin_roles"
}


@pytest.mark.parametrize("kind", KINDS)
def test_security_names_come_and_go(db: Database, kind: str) -> None:
    doc = security(db)
    assert getattr(doc, KINDS[kind]) is None
    assert getattr(doc, f"add_{kind}")("bond") is None
    getattr(doc, f"add_{kind}")("fleming")
    assert getattr(doc, KINDS[kind]) == ["bond", "fleming"]
    assert getattr(doc, f"remove_{kind}")("bond") is None
    assert getattr(doc, KINDS[kind]) == ["fleming"]


@pytest.mark.parametrize("kind", KINDS)
def test_security_remove_of_an_absent_name(db: Database, kind: str) -> None:
    with pytest.raises(KeyError):
        getattr(security(db), f"remove_{kind}")("nobody")
    doc = security(db)
    getattr(doc, f"add_{kind}")("bond")
    with pytest.raises(KeyError):
        getattr(doc, f"remove_{kind}")("nobody")
    assert getattr(doc, KINDS[kind]) == ["bond"]


@pytest.mark.parametrize("kind", KINDS)
def test_security_lists_are_where_couchdb_wants_them(db: Database, kind: str) -> None:
    doc = security(db)
    getattr(doc, f"add_{kind}")("bond")
    group = "members" if kind.startswith("member") else "admins"
    assert doc[group]["roles" if kind.endswith("role") else "names"] == ["bond"]


# -- design documents


DESIGN = (
    "language options filters updates validate_doc_update views rewrites lists shows indexes "
    "nouveau autoupdate _rev _attachments"
)


@pytest.mark.parametrize("key", DESIGN.split())
def test_design_document_takes_what_couchdb_knows(db: Database, key: str) -> None:
    ddoc = DesignDocument(db, "d")
    ddoc[key] = "value"
    assert ddoc[key] == "value"


def test_design_document_has_its_whole_id(db: Database) -> None:
    assert DesignDocument(db, "d")["_id"] == "_design/d"


# -- events


def test_event_reads_its_json() -> None:
    json = {"seq": "5-x", "id": "a", "changes": [{"rev": "2-b"}], "deleted": True}
    event = DeletedEvent(json)
    assert isinstance(event, BaseChangeEvent)
    assert (event.id, event.rev, event.sequence) == ("a", "2-b", "5-x")
    assert event.json == json


# -- what aiocouch 3 and 4 took


def test_update_takes_a_mapping_by_the_name_of_4_0(doc: Document) -> None:
    doc.update(data={"a": 2, "data": 3})
    assert dict(doc) == {"_id": "x", "a": 2, "b": [2], "data": 3}


def test_update_takes_what_that_of_a_dict_takes(doc: Document, db: Database) -> None:
    doc.update([("a", 3)], c=4, self=5)
    doc.update()
    doc.update(Document(db, "x", {"d": 6}))
    assert dict(doc) == {"_id": "x", "a": 3, "b": [2], "c": 4, "self": 5, "d": 6}
    with pytest.raises(TypeError):
        doc.update(data=5)  # type: ignore[arg-type]


def test_the_views_of_a_document_are_those_of_a_dict(doc: Document) -> None:
    keys, items = doc.keys(), doc.items()
    doc["c"] = 1
    assert "c" in keys
    assert ("c", 1) in items
    assert keys & {"c", "z"} == {"c"}


def test_a_document_is_no_data_of_another(doc: Document, db: Database) -> None:
    doc["_rev"] = "1-a"
    with pytest.raises(TypeError, match="must be a dict"):
        Document(db, "y", data=doc)
    assert dict(Document(db, "y", data=doc.json)) == {"_id": "y", "a": 1, "b": [2]}


def test_a_security_document_takes_no_options_that_it_does_not_know(db: Database) -> None:
    assert SecurityDocument(db, data={"admins": {"names": ["a"]}}).admins == ["a"]
    with pytest.raises(TypeError):
        SecurityDocument(db, daten={})  # type: ignore[call-arg]


# -- print


def test_a_long_document_is_cut(db: Database) -> None:
    text = str(Document(db, "x", {f"member {n}": "y" * 100 for n in range(100_000)}))
    assert 3_000 < len(text) < 5_000
    assert text.endswith("…")


def test_a_printed_document_tells_no_passwords(db: Database) -> None:
    doc = Document(db, "x", {"password": 'top"secret', "source": "http://u:topsecret@h/db?q=1"})
    doc["auth"] = {"basic": {"username": "u", "password": "topsecret"}}
    doc["headers"] = {"Authorization": "Basic topsecret"}
    doc["salt"], doc["derived_key"], doc["last"] = "topsecret", "topsecret", "seen"
    assert "secret" not in str(doc)
    assert "http://***@h/db?q=1" in str(doc)
    assert '"last": "seen"' in str(doc)


@pytest.mark.parametrize("length", range(20, 80))
def test_nothing_of_a_password_is_left_where_the_text_is_cut(length: int) -> None:
    content = {"password": "topsecret", "source": "http://user:topsecret@host/"}
    assert "secret" not in shown(content, length)


def test_what_is_no_json_is_printed_all_the_same(db: Database) -> None:
    doc = Document(db, "x", {"set": {1}, "nan": float("nan"), "lone": "\ud800"})
    assert '"set": "{1}"' in str(doc)
    str(doc).encode()
    doc["self"] = doc.data or {}
    doc["self"]["self"] = doc["self"]
    assert "set" in str(doc)
    broken = of_text(Document, db, "broken", b"[1")
    assert "broken" in str(broken)


# -- attributes


class Slotted(MutableMapping[str, Any]):
    """A document as it would be without attributes of its own."""

    __slots__ = (*Tracked.__slots__, "__weakref__", "database", "id")


def size_of(kind: Any, count: int = 10_000) -> float:
    """Bytes of an object that is empty."""
    # CPython 3.11 keeps room for attributes that it has seen on others of the class: take a new one.
    fresh: Any = type("Fresh", (kind,), {"__slots__": ()})
    fresh.__abstractmethods__ = frozenset()
    for _ in range(100):
        fresh.__new__(fresh)
    tracemalloc.start()
    try:
        kept = [fresh.__new__(fresh) for _ in range(count)]
        return tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()


def test_that_documents_can_have_attributes_costs_little_memory() -> None:
    without, own = size_of(Slotted), size_of(Document)
    print(f"a document takes {own:.0f} bytes beside its content, without attributes {without:.0f}")  # noqa: T201
    assert own - without <= 40


async def test_an_unsaved_document_is_not_deleted(db: Database) -> None:
    with pytest.raises(ConflictError, match="unsaved"):
        await Document(db, "x").delete()
    with pytest.raises(NotFoundError, match="neither fetched nor saved"):
        await Document(db, "x").delete(discard_changes=True)
