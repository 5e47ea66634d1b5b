"""Replication on the wire: what is asked of both ends, and what is done about odd answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import BadRequestError, ConflictError, Database
from aiocouch.replication import CheckpointError
from aiocouch.replication.endpoint import MissingRevisionError
from aiocouch.replication.options import Options
from aiocouch.replication.patience import Patience
from aiocouch.replication.remote_endpoint import RemoteEndpoint
from aiocouch.replication.session import Session
from tests.multipart_bodies import multipart_body
from tests.wire.canned import Answer, CannedServer, Request, error_answer, json_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch import CouchDB

INFO = {"doc_count": 0, "doc_del_count": 0, "update_seq": "9-x", "instance_start_time": "17"}
UUID = {"couchdb": "Welcome", "uuid": "u"}


class TwoDatabases:
    """A source and a target on one canned server: a function for each thing that is asked."""

    def __init__(self, canned: CannedServer, rows: list[dict[str, Any]]) -> None:
        canned.handler = self.answer
        self.asked: list[Request] = []
        self.rows = rows
        self.answers: dict[str, Callable[[Request], Answer]] = {
            "GET /": lambda _: json_answer(UUID),
            "GET /s": lambda _: json_answer(INFO),
            "GET /t": lambda _: json_answer({**INFO, "doc_count": 5}),
            "GET /s/_changes": self._changes,
            "POST /t/_revs_diff": self._everything_is_missing,
            "POST /t/_bulk_docs": lambda _: json_answer([], 201),
            "POST /s/_ensure_full_commit": lambda _: json_answer(
                {"ok": True, "instance_start_time": "17"}, 201
            ),
            "POST /t/_ensure_full_commit": lambda _: json_answer(
                {"ok": True, "instance_start_time": "17"}, 201
            ),
        }

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if "/_local/" in request.path and f"{request.method} local" not in self.answers:
            if request.method == "GET":
                return error_answer(404, "not_found", "missing")
            return json_answer({"ok": True, "id": "_local/x", "rev": "0-1"}, 201)
        name = "local" if "/_local/" in request.path else request.path
        return self.answers[f"{request.method} {name}"](request)

    def bodies(self, line: str) -> list[Any]:
        """What was sent by requests of this method and path."""
        return [
            request.json() for request in self.asked if f"{request.method} {request.path}" == line
        ]

    def _changes(self, request: Request) -> Answer:
        lines = ",\n".join(json.dumps(row) for row in self.rows)
        end = '"last_seq":"9-x","pending":0'
        return Answer(body=f'{{"results":[\n{lines}\n],\n{end}}}\n'.encode())

    def _everything_is_missing(self, request: Request) -> Answer:
        return json_answer({doc_id: {"missing": revs} for doc_id, revs in request.json().items()})


def row(doc_id: str, *revs: str, **more: Any) -> dict[str, Any]:
    return {"seq": "9-x", "id": doc_id, "changes": [{"rev": rev} for rev in revs], **more}


def results(*docs: Any) -> Answer:
    return json_answer({"results": [{"id": doc_id, "docs": items} for doc_id, *items in docs]})


@pytest.fixture
def ends(session: CouchDB) -> tuple[Database, Database]:
    """The two databases, for which nothing is sent."""
    return Database(session, "s"), Database(session, "t")


async def test_what_is_asked(canned: CannedServer, ends: tuple[Database, Database]) -> None:
    two = TwoDatabases(canned, [row("a", "2-b", "2-c"), row("b", "1-a")])
    leaf = {"_id": "a", "_rev": "2-c", "_revisions": {"start": 2, "ids": ["c", "a"]}}
    other = {**leaf, "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}}
    first = {"_id": "b", "_rev": "1-a", "big": 12345678901234567890123}
    two.answers["POST /s/_bulk_get"] = lambda _: results(
        ("a", {"ok": other}), ("a", {"ok": leaf}), ("b", {"ok": first})
    )
    source, target = ends
    result = await source.replicate_to(target)
    assert (result.docs_written, result.through_seq) == (3, "9-x")
    (changes,) = [request for request in two.asked if request.path == "/s/_changes"]
    assert changes.query == {"style": "all_docs", "since": "0", "limit": "500", "feed": "normal"}
    assert two.bodies("POST /t/_revs_diff") == [{"a": ["2-b", "2-c"], "b": ["1-a"]}]
    (asked,) = [request for request in two.asked if request.path == "/s/_bulk_get"]
    assert asked.query == {"revs": "true", "latest": "true"}
    assert asked.json() == {
        "docs": [{"id": "a", "rev": "2-b"}, {"id": "a", "rev": "2-c"}, {"id": "b", "rev": "1-a"}]
    }
    assert two.bodies("POST /t/_bulk_docs") == [{"new_edits": False, "docs": [other, leaf, first]}]
    logs = [request for request in two.asked if request.method == "PUT"]
    name = f"_local/{result.replication_id}"
    assert [request.path for request in logs] == [f"/s/{name}", f"/t/{name}"]
    assert logs[0].json() == logs[1].json()
    assert logs[0].json() == {"_id": name, **{k: v for k, v in result.json.items() if k != "ok"}}


async def test_an_empty_target_is_asked_nothing(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    """A row has all that there is of a first generation, and such a target misses everything."""
    first = {"_id": "b", "_rev": "1-a", "n": 1}
    two = TwoDatabases(canned, [row("b", "1-a", doc=first)])
    two.answers["GET /t"] = two.answers["GET /s"]
    source, target = ends
    result = await source.replicate_to(target)
    (changes,) = [request for request in two.asked if request.path == "/s/_changes"]
    assert changes.query["include_docs"] == "true"
    assert two.bodies("POST /t/_bulk_docs") == [{"new_edits": False, "docs": [first]}]
    assert (result.missing_checked, result.docs_written, result.bulk_get_attempts) == (1, 1, 0)


async def test_too_much_at_once_goes_in_halves(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    docs = [{"_id": f"d{n}", "_rev": "1-a"} for n in range(5)]
    two = TwoDatabases(canned, [row(doc["_id"], "1-a") for doc in docs])
    two.answers["POST /s/_bulk_get"] = lambda _: results(
        *((doc["_id"], {"ok": doc}) for doc in docs)
    )

    def write(request: Request) -> Answer:
        sent = request.json()["docs"]
        too_much = len(sent) > 2 or any(doc["_id"] == "d4" for doc in sent)
        return error_answer(413, "too_large", "the request") if too_much else json_answer([], 201)

    two.answers["POST /t/_bulk_docs"] = write
    source, target = ends
    result = await source.replicate_to(target)
    assert (result.docs_written, result.doc_write_failures) == (4, 1)
    (refused,) = result.refused
    assert (refused.id, refused.rev, refused.status) == ("d4", "1-a", 413)


async def test_what_was_purged_meanwhile_is_left_out(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: results(("a", {"error": {"rev": "1-a"}}))
    two.answers["GET /s/a"] = lambda _: json_answer([{"missing": "1-a"}])
    two.answers["POST /s/_revs_diff"] = lambda _: json_answer({"a": {"missing": ["1-a"]}})
    source, target = ends
    result = await source.replicate_to(target)
    assert (result.missing_found, result.docs_read) == (1, 0)


async def test_what_the_source_lists_and_does_not_give_is_an_error(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: results()  # no answer at all
    two.answers["GET /s/a"] = lambda _: json_answer([{"missing": "1-a"}])
    two.answers["POST /s/_revs_diff"] = lambda _: json_answer({})
    impatient = Options(patience=Patience(tries=3, first=0.001))
    source, target = (RemoteEndpoint(end.remote, end.endpoint) for end in ends)
    with pytest.raises(MissingRevisionError, match="'a' does not come in \\['1-a'\\]"):
        await Session("x", source, target, impatient).run()
    assert len([request for request in two.asked if request.path == "/s/a"]) == 3
    assert not [request for request in two.asked if request.method == "PUT"]


async def test_a_source_without_bulk_get(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: error_answer(405)
    two.answers["GET /s/a"] = lambda _: json_answer([{"ok": {"_id": "a", "_rev": "1-a"}}])
    two.answers["PUT /t/a"] = lambda _: json_answer({"ok": True, "id": "a", "rev": "1-a"}, 201)
    source, target = ends
    result = await source.replicate_to(target)
    assert (result.docs_written, result.bulk_get_attempts) == (1, 0)
    (put,) = [request for request in two.asked if request.path == "/t/a"]
    assert (put.query, put.json()) == ({"new_edits": "false"}, {"_id": "a", "_rev": "1-a"})


@pytest.mark.parametrize("knows_it", [True, False])
async def test_attachments_that_the_target_has_come_as_stubs(
    canned: CannedServer, ends: tuple[Database, Database], knows_it: bool
) -> None:
    two = TwoDatabases(canned, [row("a", "2-b")])
    stub = {"content_type": "x/y", "revpos": 1, "length": 3}
    texts = {
        how: {"_id": "a", "_rev": "2-b", "_attachments": {"x": {**stub, how: True}}}
        for how in ("stub", "follows")
    }
    missing = {"missing": ["2-b"], "possible_ancestors": ["1-a"]}
    two.answers["POST /t/_revs_diff"] = lambda _: json_answer({"a": missing})
    two.answers["POST /s/_bulk_get"] = lambda _: results(("a", {"ok": texts["stub"]}))

    def open_revs(request: Request) -> Answer:
        how = "stub" if "atts_since" in request.query else "follows"
        text = json.dumps(texts[how]).encode()
        inner = multipart_body("in", [([("Content-Type", "application/json")], text), ([], b"abc")])
        part = ([("Content-Type", "application/json")], text)
        if how == "follows":
            part = ([("Content-Type", "multipart/related; boundary=in")], inner)
        body = multipart_body("out", [part])
        return Answer(body=body, headers={"Content-Type": "multipart/mixed; boundary=out"})

    two.answers["GET /s/a"] = open_revs

    def put(request: Request) -> Answer:
        if b'"stub": true' in request.body and not knows_it:
            return error_answer(412, "missing_stub", "Invalid attachment stub")
        return json_answer({"ok": True, "id": "a", "rev": "2-b"}, 201)

    two.answers["PUT /t/a"] = put
    source, target = ends
    assert (await source.replicate_to(target)).docs_written == 1
    asked = [request.query for request in two.asked if request.path == "/s/a"]
    assert asked[0]["atts_since"] == '["1-a"]'
    assert len(asked) == (1 if knows_it else 2)
    sent = [request.body for request in two.asked if request.path == "/t/a"]
    assert (b"\r\n\r\nabc\r\n--" in sent[-1]) == (not knows_it)


async def test_a_target_made_anew_gets_no_log(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: results(("a", {"ok": {"_id": "a", "_rev": "1-a"}}))
    anew = {"ok": True, "instance_start_time": "18"}
    two.answers["POST /t/_ensure_full_commit"] = lambda _: json_answer(anew, 201)
    source, target = ends
    with pytest.raises(CheckpointError, match="target"):
        await source.replicate_to(target)
    assert not [request for request in two.asked if request.method == "PUT"]


@pytest.mark.parametrize("is_ours", [True, False])
async def test_a_log_that_is_there_already(
    canned: CannedServer, ends: tuple[Database, Database], is_ours: bool
) -> None:
    """After a lost answer it is ours; else another program replicates the same."""
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: results(("a", {"ok": {"_id": "a", "_rev": "1-a"}}))
    written: dict[str, Any] = {}

    def save(request: Request) -> Answer:
        if request.path not in written:
            written[request.path] = request.json() if is_ours else {"session_id": "other"}
        return error_answer(409, "conflict", "Document update conflict.")

    def fetch(request: Request) -> Answer:
        if request.path in written:
            return json_answer({**written[request.path], "_rev": "0-1"})
        return error_answer(404, "not_found", "missing")

    two.answers["PUT local"], two.answers["GET local"] = save, fetch
    source, target = ends
    if is_ours:
        assert (await source.replicate_to(target)).checkpointed_seq == "9-x"
        return
    with pytest.raises(ConflictError):
        await source.replicate_to(target)


async def test_what_the_target_does_not_understand_is_raised_at_once(
    canned: CannedServer, ends: tuple[Database, Database]
) -> None:
    two = TwoDatabases(canned, [row("a", "1-a")])
    two.answers["POST /s/_bulk_get"] = lambda _: results(("a", {"ok": {"_id": "a", "_rev": "1-a"}}))
    two.answers["POST /t/_bulk_docs"] = lambda _: error_answer(400, "bad_request", "no")
    source, target = ends
    with pytest.raises(BadRequestError):
        await source.replicate_to(target)
    assert len(two.bodies("POST /t/_bulk_docs")) == 1
