"""Documents over HTTP, where the recordings say nothing; each answer was seen on CouchDB 3.5.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HASH = "a" * 32


@pytest.fixture
async def ask() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        await client("PUT", "/db")
        yield client


async def revs(ask: ServerClient, path: str) -> Any:
    """Give the ids of `_revisions`."""
    return (await ask("GET", f"{path}?revs=true")).json["_revisions"]["ids"]


async def test_of_two_documents_with_one_id_the_second_may_revive_the_first(
    ask: ServerClient,
) -> None:
    docs = [{"_id": "a", "n": 0, "_deleted": True}, {"_id": "a", "n": 2}]
    first, second = (await ask("POST", "/db/_bulk_docs", {"docs": docs})).json
    assert (first["rev"][:2], second["rev"][:2]) == ("1-", "2-")
    assert (await ask("GET", "/db/a")).json["n"] == 2


async def test_a_revision_of_an_unknown_document_is_taken_once_it_is_clear_that_nobody_validates(
    ask: ServerClient,
) -> None:
    stranger = {"_rev": f"1-{HASH}"}
    assert (await ask("PUT", "/db/a", stranger)).status == 409
    await ask("PUT", "/db/b", {})
    assert (await ask("PUT", "/db/a", stranger)).json["rev"].startswith("2-")
    await ask("PUT", "/db/_design/d", {})
    assert (await ask("PUT", "/db/c", stranger)).status == 409


async def test_fewer_revisions_are_shown_as_soon_as_the_limit_is_lower(ask: ServerClient) -> None:
    rev = None
    for n in range(4):
        body = {"n": n} if rev is None else {"n": n, "_rev": rev}
        rev = (await ask("PUT", "/db/a", body)).json["rev"]
    await ask("PUT", "/db/_revs_limit", 2)
    assert len(await revs(ask, "/db/a")) == 2
    await ask("PUT", "/db/_revs_limit", 1000)
    assert len(await revs(ask, "/db/a")) == 4


async def test_a_revision_that_is_asked_for_twice_is_missing_once(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    asked = {"a": [rev, rev, f"9-{HASH}"]}
    missing = (await ask("POST", "/db/_missing_revs", asked)).json["missing_revs"]
    assert missing == {"a": [rev, f"9-{HASH}"]}


async def test_generations_below_one_do_not_count(ask: ServerClient) -> None:
    doc = {"_id": "y", "_revisions": {"start": 1, "ids": ["c", "b", "a"]}}
    answer = await ask("POST", "/db/_bulk_docs", {"docs": [doc], "new_edits": False})
    assert (answer.status, answer.json) == (201, [])
    assert await revs(ask, "/db/y") == ["c"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("limit=+1", 'Invalid value for integer: " 1"'),
        ("limit=", "Invalid value for integer: []"),
        ("limit=-1", 'Invalid value for positive integer: "-1"'),
        ("limit=99999999999999999999", "Limit is too large, must not exceed 576460752303423487"),
        ("descending=x", 'Invalid boolean parameter: "x"'),
        ("update=x", "Invalid value for `update`."),
        ("group_level=1", "Invalid use of grouping on a map view."),
        ("keys=[1]&key=2", "`keys` is incompatible with `key`, `start_key` and `end_key`"),
    ],
)
async def test_bad_options_of_all_docs_are_told(ask: ServerClient, query: str, reason: str) -> None:
    answer = await ask("GET", f"/db/_all_docs?{query}")
    assert (answer.status, answer.json) == (400, {"error": "query_parse_error", "reason": reason})


async def test_offsets_count_what_comes_before(ask: ServerClient) -> None:
    docs = [{"_id": name} for name in ("A", "B", "_design/x", "_design/y", "a", "b")]
    await ask("POST", "/db/_bulk_docs", {"docs": docs})

    async def offset(path: str) -> int:
        found: int = (await ask("GET", f"/db/{path}")).json["offset"]
        return found

    assert await offset("_all_docs?startkey=%22a%22") == 4
    assert await offset("_all_docs?startkey=%22a%22&descending=true") == 1
    assert await offset("_all_docs?skip=100") == 6
    assert await offset("_design_docs") == 2
    assert await offset("_design_docs?key=5") == 2


async def test_many_rows_come_whole_in_any_direction(ask: ServerClient) -> None:
    names = [f"d{number:04}" for number in range(1203)]
    body = {"docs": [{"_id": name, "text": "x" * 50} for name in names]}
    await ask("POST", "/db/_bulk_docs", body)
    rows = (await ask("GET", "/db/_all_docs?include_docs=true")).json["rows"]
    assert [row["doc"]["_id"] for row in rows] == names
    rows = (await ask("GET", "/db/_all_docs?descending=true&skip=3&limit=1100")).json["rows"]
    assert [row["id"] for row in rows] == names[::-1][3:1103]
    rows = (await ask("POST", "/db/_all_docs", {"keys": names})).json["rows"]
    assert [row["key"] for row in rows] == names


@pytest.mark.parametrize(
    "text", ["12345678901234567890123", "-1e-300", '"\\u0000é😀"', "[[],{},null]", "1.0"]
)
async def test_any_json_comes_back_as_it_went(ask: ServerClient, text: str) -> None:
    await ask("PUT", "/db/a", data=f'{{"value":{text}}}')
    answer = await ask("GET", "/db/a")
    assert answer.json["value"] == msgspec.json.decode(text)
    assert type(answer.json["value"]) is type(msgspec.json.decode(text))


async def test_purged_documents_are_gone_and_remembered(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    purged = (await ask("POST", "/db/_purge", {"a": [rev], "b": [f"1-{HASH}"]})).json["purged"]
    assert purged == {"a": [rev], "b": []}
    assert (await ask("GET", "/db/a")).status == 404
    infos = (await ask("GET", "/db/_purged_infos")).json["purged_infos"]
    assert infos == [{"id": "a", "revs": [rev]}, {"id": "b", "revs": [f"1-{HASH}"]}]


# copying


async def copied(
    ask: ServerClient, source: str, target: str, match: str | None = None
) -> tuple[int, Any]:
    """Copy a document; give the status, and the id of the copy or the reason."""
    path = f"/db/{source}"
    if match is None:
        answer = await ask("COPY", path, Destination=target)
    else:
        answer = await ask("COPY", path, Destination=target, If_Match=match)
    return answer.status, answer.json.get("id", answer.json.get("reason"))


async def test_a_plus_in_a_destination_is_a_space(ask: ServerClient) -> None:
    await ask("PUT", "/db/a", {})
    assert await copied(ask, "a", "x+y") == (201, "x y")
    assert await copied(ask, "a", "x%2By") == (201, "x+y")


async def test_if_match_names_the_revision_that_is_copied(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    assert await copied(ask, "a", "b", match=f'"{rev}"') == (201, "b")
    assert await copied(ask, "a", "c", match=f"1-{HASH}") == (404, "missing")
    reason = "Document rev and etag have different values"
    assert await copied(ask, f"a?rev={rev}", "c", match=f"1-{HASH}") == (400, reason)


async def test_any_option_of_a_destination_is_the_revision(ask: ServerClient) -> None:
    await ask("PUT", "/db/a", {})
    rev = (await ask("PUT", "/db/b", {"old": True})).json["rev"]
    assert await copied(ask, "a", f"b?{rev}") == (400, "Invalid rev format")
    assert await copied(ask, "a", f"b?version={rev}") == (201, "b")


async def test_the_copy_of_a_deletion_is_a_deletion(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    rev = (await ask("DELETE", f"/db/a?rev={rev}")).json["rev"]
    assert await copied(ask, f"a?rev={rev}", "b") == (201, "b")
    assert (await ask("GET", "/db/b")).json["reason"] == "deleted"


# deleted documents


async def test_a_deleted_winner_is_shown_to_who_asks_for_it(ask: ServerClient) -> None:
    first = (await ask("PUT", "/db/a", {})).json["rev"]
    last = (await ask("DELETE", f"/db/a?rev={first}")).json["rev"]
    assert (await ask("GET", f"/db/a?latest=true&rev={first}")).json["reason"] == "deleted"
    answer = await ask("GET", "/db/a?deleted=true")
    assert answer.json == {"_id": "a", "_rev": last, "_deleted": True}


async def test_attachments_of_a_document_that_comes_back_do_not_count_in_its_revision(
    ask: ServerClient,
) -> None:
    revs = []
    for name, data in (("a", "eg=="), ("b", "eXo=")):
        old = (await ask("PUT", f"/db/{name}", {"s": 1})).json["rev"]
        await ask("DELETE", f"/db/{name}?rev={old}")
        attachments = {name: {"data": data, "content_type": f"x/{name}"}}
        answer = await ask("PUT", f"/db/{name}", {"n": 1, "_attachments": attachments})
        revs.append(answer.json["rev"])
        shown = (await ask("GET", f"/db/{name}")).json["_attachments"][name]
        assert shown["revpos"] == 1
    assert revs == ["3-76732440049314a2bb9df9b3a901ec9f"] * 2


# many documents


@pytest.mark.parametrize("query", ['keys=["a"]&key="a"', 'endkey="a"&keys=["a"]'])
async def test_a_range_may_say_what_a_list_of_one_key_says(ask: ServerClient, query: str) -> None:
    await ask("PUT", "/db/a", {})
    rows = (await ask("GET", f"/db/_all_docs?{query}")).json["rows"]
    assert [row["id"] for row in rows] == ["a"]


async def test_options_in_the_url_are_for_all_queries(ask: ServerClient) -> None:
    for name in ("a", "b", "c"):
        await ask("PUT", f"/db/{name}", {})
    body = {"queries": [{}, {"limit": 2}]}
    results = (await ask("POST", "/db/_all_docs/queries?limit=1", body)).json["results"]
    assert [len(result["rows"]) for result in results] == [1, 2]
    text = '{"queries":[{}]}'
    answer = await ask("POST", "/db/_all_docs/queries", data=text, Content_Type="text/plain")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("wish", "rev", "reason"),
    [
        ({}, None, "document must be a JSON object"),
        ({"rev": f"1-{HASH}"}, None, "document id missed"),
        ({"id": "a", "atts_since": None}, None, "att_since value must be array of revs."),
        ({"id": "a", "atts_since": ["x"]}, "x", "Invalid rev format"),
    ],
)
async def test_what_bulk_get_cannot_read(
    ask: ServerClient, wish: dict[str, Any], rev: str | None, reason: str
) -> None:
    answer = await ask("POST", "/db/_bulk_get", {"docs": [wish]})
    error = answer.json["results"][0]["docs"][0]["error"]
    assert (error["rev"], error["reason"]) == (rev, reason)


@pytest.mark.parametrize("wish", [{}, {"rev": f"1-{HASH}"}])
async def test_bulk_get_goes_through_the_tree_branch_after_branch(
    ask: ServerClient, wish: dict[str, Any]
) -> None:
    for path in ("ba", "ca", "dba", "9a"):
        ids = [letter * 32 for letter in path]
        doc = {"_revisions": {"start": len(ids), "ids": ids}}
        await ask("PUT", "/db/a?new_edits=false", doc)
    answer = await ask("POST", "/db/_bulk_get?latest=true", {"docs": [{"id": "a", **wish}]})
    docs = answer.json["results"][0]["docs"]
    assert [doc["ok"]["_rev"][:3] for doc in docs] == ["2-9", "3-d", "2-c"]


async def test_bulk_get_begins_with_the_last_root(ask: ServerClient) -> None:
    for generation, path in ((1, "b"), (4, "2"), (1, "d"), (5, "ab")):
        doc = {"_revisions": {"start": generation, "ids": [letter * 32 for letter in path]}}
        await ask("PUT", "/db/a?new_edits=false", doc)
    answer = await ask("POST", "/db/_bulk_get", {"docs": [{"id": "a"}]})
    docs = answer.json["results"][0]["docs"]
    assert [doc["ok"]["_rev"][:3] for doc in docs] == ["5-a", "4-2", "1-d", "1-b"]


async def test_bulk_get_of_nothing_has_no_parts(ask: ServerClient) -> None:
    answer = await ask("POST", "/db/_bulk_get", {"docs": []}, Accept="multipart/mixed")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_missing_revision_is_listed_once(ask: ServerClient) -> None:
    rev = f"1-{HASH}"
    answer = await ask("GET", f'/db/a?open_revs=["{rev}","{rev}"]', Accept="a/json")
    assert answer.json == [{"missing": rev}]


async def test_replicated_local_documents_need_a_revision_and_count_it_up(
    ask: ServerClient,
) -> None:
    docs = {"docs": [{"_id": "_local/a"}], "new_edits": False}
    assert (await ask("POST", "/db/_bulk_docs", docs)).status == 400
    assert (await ask("PUT", "/db/_local/a?new_edits=false", {})).status == 400
    answer = await ask("PUT", "/db/_local/a?new_edits=false", {"_rev": "0-3"})
    assert answer.json["rev"] == "0-3"
    assert (await ask("GET", "/db/_local/a")).json["_rev"] == "0-4"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/db", {}),
        ("PUT", "/db/x", {}),
        ("PUT", "/db/y/attachment", {}),
        ("POST", "/db/_purge", {"a": [f"1-{HASH}"]}),
    ],
)
async def test_more_copies_than_there_are_nodes_are_accepted(
    ask: ServerClient, method: str, path: str, body: dict[str, Any]
) -> None:
    assert (await ask(method, f"{path}?w=2", body)).status == 202
    assert (await ask(method, f"{path.replace('/y/', '/z/')}?w=x", body)).status in {201, 409}


@pytest.mark.parametrize("id", ["x", "_local/x"])
@pytest.mark.parametrize(("wanted", "status"), [("2", 202), ("1", 200), ("x", 200)])
async def test_a_deletion_by_more_nodes_than_there_are_is_accepted(
    ask: ServerClient, id: str, wanted: str, status: int
) -> None:
    rev = (await ask("PUT", f"/db/{id}", {})).json["rev"]
    assert (await ask("DELETE", f"/db/{id}?rev={rev}&w={wanted}")).status == status


@pytest.mark.parametrize(("wanted", "status"), [(2, 202), (1, 201), ("2", 201), (None, 201)])
async def test_a_body_says_by_a_number_how_many_copies_it_wants(
    ask: ServerClient, wanted: object, status: int
) -> None:
    body = {"docs": [{}], "w": wanted}
    assert (await ask("POST", "/db/_bulk_docs?w=3", body)).status == status


def _deletion_first(rev: str, **more: Any) -> dict[str, Any]:
    return {"docs": [{"_id": "a", "_rev": rev, "_deleted": True}, {"_id": "a", "n": 2, **more}]}


async def test_a_request_may_delete_a_document_and_write_it_anew(ask: ServerClient) -> None:
    rev = (await ask("PUT", "/db/a", {"n": 1})).json["rev"]
    rows = (await ask("POST", "/db/_bulk_docs", _deletion_first(rev))).json
    assert [row["rev"][:2] for row in rows] == ["2-", "3-"]
    attached = {"_attachments": {"x": {"data": "eA=="}}}
    rows = (await ask("POST", "/db/_bulk_docs", _deletion_first(rows[1]["rev"], **attached))).json
    assert [row.get("error") for row in rows] == [None, "conflict"]


async def test_a_new_document_may_be_deleted_and_written_again_though_it_is_validated(
    ask: ServerClient,
) -> None:
    await ask("PUT", "/db/_design/d", {"validate_doc_update": "function(doc) {}"})
    docs = [{"_id": "a", "_deleted": True}, {"_id": "a", "n": 2}]
    rows = (await ask("POST", "/db/_bulk_docs", {"docs": docs})).json
    assert [row["rev"][:2] for row in rows] == ["1-", "2-"]


# paths and headers


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/db/%E9", 404, "missing"),
        ("DELETE", "/db/_local/%E9", 404, "missing"),
        ("PUT", "/db/%E9", 400, "Document id must be valid UTF-8"),
        ("PUT", "/db/_design/%E9/_view/v", 404, "missing"),
        ("PUT", "/db/a/%E9", 400, "Attachment name is not UTF-8 encoded"),
        ("GET", "/db/a/%E9", 404, "Document is missing attachment"),
        ("GET", "/%E9", 404, "Database does not exist."),
        ("GET", "/_node/%E9", 400, "invalid UTF-8 in the path"),
    ],
)
async def test_paths_that_are_no_text(
    ask: ServerClient, method: str, path: str, status: int, reason: str
) -> None:
    answer = await ask(method, path, {})
    assert (answer.status, answer.json["reason"]) == (status, reason)


async def test_no_database_has_a_name_that_is_no_text(ask: ServerClient) -> None:
    answer = await ask("PUT", "/%E9")
    assert (answer.status, answer.json["error"]) == (400, "illegal_database_name")


@pytest.mark.parametrize("form", ['W/"{}"', '"x" "{}"', '"x",W/"{}"'])
async def test_etags_may_be_weak_and_many(ask: ServerClient, form: str) -> None:
    rev = (await ask("PUT", "/db/a", {})).json["rev"]
    assert (await ask("GET", "/db/a", If_None_Match=form.format(rev))).status == 304


@pytest.mark.parametrize(
    ("path", "status"),
    [("_view_cleanup", 202), ("_nouveau_cleanup", 415)],
)
async def test_which_cleanups_want_json(ask: ServerClient, path: str, status: int) -> None:
    answer = await ask("POST", f"/db/{path}", data="x", Content_Type="text/plain")
    assert answer.status == status


@pytest.mark.parametrize("name", ["_doc_ids", "_selector"])
async def test_filters_with_a_body_want_one(ask: ServerClient, name: str) -> None:
    path = f"/db/_changes?filter={name}"
    answer = await ask("POST", path, Content_Type="application/json", Content_Length="0")
    assert (answer.status, answer.json["reason"]) == (400, "invalid UTF-8 JSON")
