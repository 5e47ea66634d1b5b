"""Laws of settling: what was written is found, however many wrote on top; what was not, is not."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiocouch._wire.codec import encode_sorted
from aiocouch._wire.content import md5
from aiocouch._wire.revision import format_revision, next_revision, parse_revision
from aiocouch._wire.written import Outcome, Verdict, judge, leaves_of, read_written

names = st.sampled_from(["n", "ä", "ok", "1"])
values: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 1, 1.0, -0.5, 2**70, "", "text", [], [1, 300], {"in": {}}]
)
bodies = st.dictionaries(names, values, max_size=3)


class Edit(NamedTuple):
    body: dict[str, Any]
    deleted: bool = False


edits = st.builds(Edit, bodies, st.booleans())


class History:
    """One document on a server that does what CouchDB does, branches and all."""

    def __init__(self) -> None:
        self.paths: list[list[str]] = []
        self.docs: dict[str, dict[str, Any]] = {}

    def write(self, parent: str | None, edit: Edit) -> str:
        base = None if parent is None else parse_revision(parent)
        rev = format_revision(next_revision(base, edit.body, deleted=edit.deleted))
        path = next((path for path in self.paths if path[0] == parent), None)
        if path is None:
            self.paths.append([rev])
        else:
            path.insert(0, rev)
        self.docs[rev] = {**edit.body, "_id": "a", "_rev": rev}
        if edit.deleted:
            self.docs[rev]["_deleted"] = True
        return rev

    def branch(self, rev: str, edit: Edit) -> None:
        """What a replication brings: another child of the parent of a leaf."""
        path = next(path for path in self.paths if path[0] == rev)
        other = f"{rev.partition('-')[0]}-{'b' * 32}"
        self.paths.append([other, *path[1:]])
        self.docs[other] = {**edit.body, "_id": "a", "_rev": other}

    def leaves(self) -> list[dict[str, Any]]:
        return [{**self.docs[path[0]], "_revisions": _revisions(path)} for path in self.paths]


def _revisions(path: list[str]) -> dict[str, Any]:
    start = int(path[0].partition("-")[0])
    return {"start": start, "ids": [rev.partition("-")[2] for rev in path]}


def _sent(edit: Edit, rev: str | None) -> bytes:
    doc = {"_id": "a", **edit.body}
    if rev is not None:
        doc["_rev"] = rev
    if edit.deleted:
        doc["_deleted"] = True
    return msgspec.json.encode(doc)


def _after(history: History, rev: str, later: list[Edit]) -> None:
    for edit in later:
        rev = history.write(rev, edit)


@given(st.lists(edits, min_size=1, max_size=4), edits, st.lists(edits, max_size=4), st.booleans())
def test_an_edit_that_was_made_is_found(
    before: list[Edit], edit: Edit, later: list[Edit], branched: bool
) -> None:
    history = History()
    parent = history.write(None, before[0])
    for each in before[1:]:
        parent = history.write(parent, each)
    rev = history.write(parent, edit)
    if branched:
        history.branch(rev, Edit({"other": 1}))
    _after(history, rev, later)
    verdict = judge(read_written(_sent(edit, parent)), history.leaves())
    assert verdict == Verdict(Outcome.DONE, (rev,))


@given(edits, edits, st.lists(edits, max_size=4))
def test_an_edit_that_was_not_made_is_not_found(first: Edit, edit: Edit, later: list[Edit]) -> None:
    """Neither where nothing happened, nor where somebody else has edited the same revision."""
    history = History()
    parent = history.write(None, first)
    _after(history, parent, later)
    made = (
        bool(later)
        and format_revision(next_revision(parse_revision(parent), edit.body, deleted=edit.deleted))
        in history.docs
    )
    verdict = judge(read_written(_sent(edit, parent)), history.leaves())
    assert verdict.outcome is (Outcome.DONE if made else Outcome.NOT_DONE)


@given(bodies, st.lists(bodies, max_size=4))
def test_a_new_document_is_found_as_long_as_it_lives(
    body: dict[str, Any], later: list[dict[str, Any]]
) -> None:
    history = History()
    rev = history.write(None, Edit(body))
    _after(history, rev, [Edit(each) for each in later])
    verdict = judge(read_written(_sent(Edit(body), None)), history.leaves())
    assert verdict == Verdict(Outcome.DONE, (rev,))


@given(bodies, bodies)
def test_a_new_document_on_top_of_a_deleted_one_is_found(
    old: dict[str, Any], body: dict[str, Any]
) -> None:
    history = History()
    tombstone = history.write(history.write(None, Edit(old)), Edit({}, deleted=True))
    rev = history.write(tombstone, Edit(body))
    verdict = judge(read_written(_sent(Edit(body), None)), history.leaves())
    assert verdict == Verdict(Outcome.DONE, (rev,))


@given(bodies, st.lists(bodies, max_size=2))
def test_what_somebody_has_deleted_since_is_not_taken_for_not_done(
    body: dict[str, Any], between: list[dict[str, Any]]
) -> None:
    """Or it would be raised from the dead. Nor for done: it may have been there before."""
    history = History()
    rev = history.write(None, Edit(body))
    for each in between:
        rev = history.write(rev, Edit(each))
    tombstone = history.write(rev, Edit({}, deleted=True))
    verdict = judge(read_written(_sent(Edit(body), None)), history.leaves())
    assert verdict.outcome is Outcome.NOT_KNOWN
    history.write(tombstone, Edit({"another": "life"}))
    verdict = judge(read_written(_sent(Edit(body), None)), history.leaves())
    assert verdict.outcome is (Outcome.NOT_KNOWN if body != {"another": "life"} else Outcome.DONE)


@given(bodies, bodies)
@example({"n": None, "ok": None}, {"ok": None, "n": None})
def test_a_new_document_that_is_another_one_is_not_ours(
    theirs: dict[str, Any], body: dict[str, Any]
) -> None:
    history = History()
    rev = history.write(None, Edit(theirs))
    verdict = judge(read_written(_sent(Edit(body), None)), history.leaves())
    ours = format_revision(next_revision(None, body)) == rev
    # the same members in another order have another revision, but nobody can miss anything
    is_as_good = encode_sorted(theirs) == encode_sorted(body)
    assert verdict.outcome is (Outcome.DONE if ours or is_as_good else Outcome.NOT_DONE)


def test_of_nothing_nothing_was_done() -> None:
    assert judge(read_written(b'{"_id":"a","n":1}'), []).outcome is Outcome.NOT_DONE
    assert judge(read_written(b'{"_id":"a","_rev":"1-a"}'), []).outcome is Outcome.NOT_DONE


def _leaf(rev: str, path: list[str], **members: Any) -> dict[str, Any]:
    return {"_id": "a", "_rev": rev, "_revisions": _revisions([rev, *path]), **members}


def test_a_server_that_computes_revisions_in_another_way() -> None:
    """As CouchDB 1 and PouchDB do: the content tells."""
    written = read_written(b'{"_id":"a","_rev":"1-a","n":1}')
    assert judge(written, [_leaf("2-x", ["1-a"], n=1)]) == Verdict(Outcome.DONE, ("2-x",))
    assert judge(written, [_leaf("2-x", ["1-a"], n=True)]).outcome is Outcome.NOT_DONE
    assert judge(written, [_leaf("2-x", ["1-a"], n=1, _deleted=True)]).outcome is Outcome.NOT_DONE


@pytest.mark.parametrize(
    ("member", "outcome"),
    [
        ({"digest": f"md5-{b64encode(md5(b'hello')).decode()}"}, Outcome.DONE),
        ({"digest": f"md5-{b64encode(md5(b'other')).decode()}"}, Outcome.NOT_DONE),
        ({"digest": "md5-AAAA", "encoding": "gzip"}, Outcome.LOOK),
    ],
)
def test_attachments_inside_of_a_document(member: dict[str, Any], outcome: Outcome) -> None:
    data = b64encode(b"hello").decode()
    sent = {"t": {"content_type": "text/plain", "data": data}}
    written = read_written(msgspec.json.encode({"_id": "a", "_rev": "1-a", "_attachments": sent}))
    stub = {"content_type": "text/plain", "stub": True, "revpos": 2, **member}
    leaf = _leaf("2-x", ["1-a"], _attachments={"t": stub})
    assert judge(written, [leaf]).outcome is outcome
    # What was written on top hides it: it must be read.
    later = _leaf("3-y", ["2-x", "1-a"], _attachments={"t": stub})
    assert judge(written, [later]) == Verdict(Outcome.LOOK, ("2-x",))
    assert written.is_it({**leaf, "_attachments": {"t": {**stub, "data": data}}}) is True
    other = b64encode(b"other").decode()
    assert written.is_it({**leaf, "_attachments": {"t": {**stub, "data": other}}}) is False


USER = {
    "password_scheme": "pbkdf2",
    "pbkdf2_prf": "sha256",
    "salt": "bb753ee3faf157a9e20164444af50c28",
    "iterations": 600000,
    "derived_key": "1770f86ff2ed4cecf7f3184510dc00f0bf7e8f1a15eeb0977436872c25f0c0a3",
    "name": "a",
    "type": "user",
    "roles": [],
}
"""As CouchDB 3.5.2 has stored the password "pä"."""


@pytest.mark.parametrize(("password", "is_it"), [("pä", True), ("pa", False)])
def test_a_user_whose_password_the_server_has_hashed(password: str, is_it: bool) -> None:
    doc = {"_id": "org.couchdb.user:a", "name": "a", "type": "user", "roles": []}
    written = read_written(msgspec.json.encode({**doc, "password": password}), "_users")
    leaf = {**USER, "_id": doc["_id"], "_rev": "1-z", "_revisions": _revisions(["1-z"])}
    assert judge(written, [leaf]).outcome is (Outcome.DONE if is_it else Outcome.NOT_DONE)


def test_what_servers_put_in_does_not_count() -> None:
    job = read_written(b'{"_id":"a","source":"x","target":"y"}', "_replicator")
    leaf = _leaf("1-z", [], source="x", target="y", owner="me")
    assert judge(job, [leaf]).outcome is Outcome.DONE
    design = read_written(b'{"_id":"_design/a","nouveau":{"i":{"index":"f"}}}')
    index = {"i": {"index": "f", "lucene_version": 10}}
    assert judge(design, [_leaf("1-z", [], nouveau=index)]).outcome is Outcome.DONE
    index = {"i": {"index": "g", "lucene_version": 10}}
    assert judge(design, [_leaf("1-z", [], nouveau=index)]).outcome is Outcome.NOT_DONE


def test_leaves_of_an_answer() -> None:
    assert leaves_of([{"ok": {"_id": "a"}}, {"missing": "1-a"}, {"error": {}}]) == [{"_id": "a"}]
