"""What a server answers at the edges of documents and databases; the same on every server."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.validation import refuses_by, until_validated, validating

if TYPE_CHECKING:
    from aiocouch import Database
    from tests.support.http import HTTPClient

JSON = "application/json"
INVALID = (400, "bad_request", "Invalid rev format")
NO_HEX = (400, "doc_validation", "RevId isn't a valid hexadecimal")
NO_STRING = (400, "doc_validation", "RevId isn't a string")
ODD = "+" + "a" * 31
NO_PARTITION = (400, "illegal_docid", "Doc id must be of form partition:id")


@pytest.fixture
async def parts(ask: HTTPClient, fresh_name: str) -> str:
    """The path of a partitioned database, with a document `p:a`."""
    await ask("PUT", f"/{fresh_name}?partitioned=true")
    await ask("PUT", f"/{fresh_name}/p:a", {"n": 1})
    return f"/{fresh_name}"


@pytest.fixture
async def path(db: Database, ask: HTTPClient) -> str:
    """The path of a database with a document `a`."""
    await ask("PUT", f"/{db.id}/a", {"n": 1})
    return f"/{db.id}"


@pytest.mark.parametrize(
    "rev", [f"1-{ODD}", f"01-{ODD}", "1-" + "é" * 16, "", "1", "a-b", "-1-a", 5, None, True, {}, []]
)
async def test_a_malformed_revision_is_refused(path: str, ask: HTTPClient, rev: Any) -> None:
    assert (await ask("PUT", f"{path}/b", {"_rev": rev})).told == INVALID
    many = {"docs": [{"_id": "b", "_rev": rev}], "new_edits": False}
    assert (await ask("POST", f"{path}/_bulk_docs", many)).told == INVALID
    assert (await ask("POST", f"{path}/_purge", {"a": [rev]})).told == INVALID


@pytest.mark.parametrize("rev", ["1-" + "a" * 32, f"0-{ODD}", "+1-a", "1-", "1-a-b", [49, 45, 97]])
async def test_an_odd_revision_is_taken(path: str, ask: HTTPClient, rev: Any) -> None:
    answer = await ask("PUT", f"{path}/b?new_edits=false", {"_rev": rev})
    assert answer.status == 201
    kept = answer.json["rev"]
    assert kept == ("1-a" if isinstance(rev, list) else rev.removeprefix("+"))
    assert (await ask("GET", f"{path}/b")).json["_rev"] == kept


@pytest.mark.parametrize(
    ("revisions", "told"),
    [
        ({"start": 1, "ids": [ODD]}, NO_HEX),
        ({"start": 2, "ids": ["a" * 32, ODD]}, NO_HEX),
        ({"start": 1, "ids": [{}]}, NO_STRING),
        ({"start": 1, "ids": [5]}, NO_STRING),
        ({"start": -1, "ids": ["a"]}, NO_STRING),
        ({"start": "1", "ids": []}, (400, "doc_validation", "_revisions.start isn't an integer.")),
        ({"start": 1, "ids": "x"}, (400, "doc_validation", "_revisions.ids isn't a array.")),
        (5, (400, "doc_validation", "Bad special document member: _revisions")),
    ],
)
async def test_malformed_revisions_are_refused(
    path: str, ask: HTTPClient, revisions: Any, told: tuple[int, str, str]
) -> None:
    assert (await ask("PUT", f"{path}/b", {"_revisions": revisions})).told == told


@pytest.mark.parametrize(
    "said",
    [
        {"_rev": "0-1"},
        {"_revisions": {"start": 0, "ids": ["1"]}},
        {"_revisions": {"start": 0, "ids": ["1", "2"]}},
    ],
)
async def test_generation_0_is_no_revision_of_what_is_deleted(
    ask: HTTPClient, fresh_name: str, said: Any
) -> None:
    path = f"/{fresh_name}"
    # one shard: each finds out by itself that there is nothing to validate
    await ask("PUT", f"{path}?q=1")
    try:
        for name in ("a", "b"):
            rev = (await ask("PUT", f"{path}/{name}", {})).json["rev"]
            await ask("DELETE", f"{path}/{name}?rev={rev}")
        gone = {"_deleted": True, **said}
        assert (await ask("PUT", f"{path}/a", gone)).status == 409
        assert (await ask("PUT", f"{path}/a", {"n": 2, **said})).json["rev"].startswith("3-")
        assert (await ask("PUT", f"{path}/a", said)).status == 409
        await ask("PUT", f"{path}/_design/d", {"validate_doc_update": validating("")})
        await until_validated(refuses_by(ask, path))
        assert (await ask("PUT", f"{path}/b", said)).status == 409
    finally:
        await ask("DELETE", path)


async def test_a_revision_behind_the_path_says_nothing_new(path: str, ask: HTTPClient) -> None:
    text = '{"_revisions":{"start":2,"ids":["b","a"]},"_rev":"bad"}'
    assert (await ask("PUT", f"{path}/b?new_edits=false", text=text)).json["rev"] == "2-b"
    text = '{"_rev":"bad","_revisions":{"start":2,"ids":["b","a"]}}'
    assert (await ask("PUT", f"{path}/b?new_edits=false", text=text)).told == INVALID


@pytest.mark.parametrize("kind", ["url", "auth", "header"])
async def test_credentials_that_a_peer_refuses(
    path: str, ask: HTTPClient, fresh_name: str, kind: str
) -> None:
    # the address as the server is asked: it may listen behind another
    scheme, _, host = ask.url.partition("://")
    token = base64.b64encode(f"{fresh_name}:no".encode()).decode()
    source: Any = {
        "url": f"{scheme}://{fresh_name}:no@{host}{path}",
        "auth": {
            "url": ask.url + path,
            "auth": {"basic": {"username": fresh_name, "password": "no"}},
        },
        "header": {"url": ask.url + path, "headers": {"Authorization": f"Basic {token}"}},
    }[kind]
    answer = await ask("POST", "/_replicate", {"source": source, "target": path[1:]})
    reason = f'{{session_request_unauthorized,"{ask.url}/_session","{fresh_name}"}}'
    assert answer.told[:2] == (500, "replication_auth_error")
    # CouchDB breaks what is long into lines
    assert "".join(answer.told[2].split()) == reason


async def test_a_peer_that_wants_credentials(path: str, ask: HTTPClient) -> None:
    url = ask.url + path
    for source in (url, {"url": url, "headers": {"Authorization": "Bearer x"}}):
        answer = await ask("POST", "/_replicate", {"source": source, "target": path[1:]})
        reason = f"unauthorized to access or create database {url}/"
        assert answer.told == (401, "unauthorized", reason)


async def test_purges_have_no_limit(path: str, ask: HTTPClient) -> None:
    many = {f"d{number}": ["1-a"] for number in range(150)} | {"a": ["1-b"] * 1100}
    answer = await ask("POST", f"{path}/_purge", many)
    assert answer.status == 201
    assert len(answer.json["purged"]) == 151


async def test_paths_that_go_on_behind_lists_of_databases(ask: HTTPClient) -> None:
    for target in ("/_all_dbs/x", "/_dbs_info/x"):
        assert (await ask("GET", target)).told == (404, "not_found", "missing")


async def test_a_database_is_not_deleted_by_a_revision(path: str, ask: HTTPClient) -> None:
    reason = (
        "You tried to DELETE a database with a ?=rev parameter. "
        "Did you mean to DELETE a document instead?"
    )
    for target in (path, f"{path}-missing"):
        answer = await ask("DELETE", f"{target}?rev=1-a")
        assert answer.told == (400, "bad_request", reason)
    assert (await ask("GET", path)).status == 200


async def test_new_edits_is_a_boolean(path: str, ask: HTTPClient) -> None:
    answer = await ask("POST", f"{path}/_bulk_docs", {"docs": [], "new_edits": 0})
    assert answer.told == (400, "bad_request", "`new_edits` parameter must be a boolean.")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("key=%22b%22&keys=[%22a%22]", ["a"]),
        ("startkey=%22b%22&keys=[%22a%22]", ["a"]),
        ("keys=[%22a%22]&key=%22a%22", ["a"]),
        ("key=%22b%22&keys=[]", []),
        ("keys=[%22a%22]&key=%22b%22", None),
        ("key=%22a%22&keys=[%22a%22,%22b%22]", None),
        ("startkey=%22a%22;endkey=%22a%22", ["a"]),
    ],
)
async def test_key_and_keys_together(
    path: str, ask: HTTPClient, query: str, ids: list[str] | None
) -> None:
    answer = await ask("GET", f"{path}/_all_docs?{query}")
    if ids is None:
        reason = "`keys` is incompatible with `key`, `start_key` and `end_key`"
        assert answer.told == (400, "query_parse_error", reason)
    else:
        assert [row["id"] for row in answer.json["rows"]] == ids


async def test_key_and_keys_together_in_a_body(path: str, ask: HTTPClient) -> None:
    answer = await ask("POST", f"{path}/_all_docs", text='{"key":"b","keys":["a"]}')
    assert [row["id"] for row in answer.json["rows"]] == ["a"]
    answer = await ask("POST", f"{path}/_all_docs", text='{"keys":["a"],"key":"b"}')
    assert answer.status == 400
    answer = await ask("POST", f"{path}/_all_docs?keys=[%22a%22]", text='{"key":"b"}')
    assert [row["id"] for row in answer.json["rows"]] == ["a"]


@pytest.mark.parametrize("data", ["notBase64Encoded=", "AAAA=", "A", "AA=A", "AA\u000b==", 5, None])
async def test_data_that_is_no_base64(path: str, ask: HTTPClient, data: Any) -> None:
    answer = await ask("PUT", f"{path}/b", {"_attachments": {"f": {"data": data}}})
    assert answer.told == (400, "bad_request", "Invalid attachment data for f")


async def test_white_space_in_base64(path: str, ask: HTTPClient) -> None:
    attachments = {"f": {"data": " QU\tJD\r\nRA= ="}}
    assert (await ask("PUT", f"{path}/b", {"_attachments": attachments})).status == 201
    assert (await ask("GET", f"{path}/b/f")).body == b"ABCD"


async def test_ten_ranges_are_the_whole(path: str, ask: HTTPClient) -> None:
    await ask("PUT", f"{path}/b/f", text=b"0123456789" * 3, Content_Type="application/octet-stream")
    nine, ten = (",".join(f"{n}-{n}" for n in range(count)) for count in (9, 10))
    assert (await ask("GET", f"{path}/b/f", Range=f"bytes={nine}")).status == 206
    whole = await ask("GET", f"{path}/b/f", Range=f"bytes={ten}")
    assert (whole.status, whole.body) == (200, b"0123456789" * 3)


async def test_not_modified_has_a_length(path: str, ask: HTTPClient) -> None:
    etag = (await ask("GET", f"{path}/a")).headers["ETag"]
    answer = await ask("GET", f"{path}/a", If_None_Match=etag)
    assert (answer.status, answer.headers.get("Content-Length")) == (304, "0")


async def test_reason_phrases_are_those_of_erlang(path: str, ask: HTTPClient) -> None:
    assert (await ask("GET", f"{path}/missing")).phrase == "Object Not Found"
    assert (await ask("GET", "/_utils")).phrase == "Moved Permanently"
    assert (await ask("PUT", path)).phrase == "Precondition Failed"


async def test_the_host_that_a_proxy_tells_of(path: str, ask: HTTPClient) -> None:
    answer = await ask("POST", path, {"_id": "b"}, X_Forwarded_Host="mysite.com")
    assert answer.headers["Location"] == f"http://mysite.com{path}/b"
    answer = await ask("POST", path, {"_id": "c"}, X_Forwarded_Host="h", X_Forwarded_Ssl="on")
    assert answer.headers["Location"] == f"https://h{path}/c"
    answer = await ask("POST", path, {"_id": "d"}, X_Forwarded_Host="h", X_Forwarded_Proto="ftp")
    assert answer.headers["Location"] == f"http://h{path}/d"


async def test_the_tag_of_a_copy_is_the_revision(path: str, ask: HTTPClient) -> None:
    answer = await ask("COPY", f"{path}/a", Destination="_local/a")
    assert (answer.status, answer.headers["ETag"]) == (201, '"0-1"')


async def test_no_attachments_are_known_already(path: str, ask: HTTPClient) -> None:
    await ask("PUT", f"{path}/b/f", text=b"x", Content_Type="application/octet-stream")
    wish = {"docs": [{"id": "b", "atts_since": []}]}
    answer = await ask("POST", f"{path}/_bulk_get", wish)
    assert answer.json["results"][0]["docs"][0]["ok"]["_attachments"]["f"]["stub"] is True


@pytest.mark.parametrize("ddoc", ["_design/", "", True, [1]])
async def test_an_index_in_no_design_document(path: str, ask: HTTPClient, ddoc: Any) -> None:
    answer = await ask("POST", f"{path}/_index", {"index": {"fields": ["n"]}, "ddoc": ddoc})
    assert answer.status == 400


async def test_revisions_of_local_documents(path: str, ask: HTTPClient) -> None:
    told = (500, "error", "Invalid rev format")
    for rev in ("1-a", "0-", "0-x"):
        assert (await ask("PUT", f"{path}/_local/b", {"_rev": rev})).told == told
    assert (await ask("PUT", f"{path}/_local/b", {"_rev": "0-+7"})).json["rev"] == "0-8"


@pytest.mark.parametrize("name", ["x/_users", "x/_replicator"])
async def test_system_databases_have_no_partitions(ask: HTTPClient, name: str) -> None:
    answer = await ask("PUT", f"/{name.replace('/', '%2F')}?partitioned=true")
    assert answer.told == (400, "bad_request", "Cannot partition a system database")


@pytest.mark.parametrize(
    ("doc_id", "error"),
    [
        ("none", ("illegal_docid", "Doc id must be of form partition:id")),
        (":a", ("illegal_partition", "Partition must not be empty")),
        ("p:", ("illegal_docid", "Document id must not be empty")),
        ("p:_x", ("illegal_docid", "Only reserved document ids may start with underscore.")),
    ],
)
async def test_ids_that_a_partitioned_database_cannot_have(
    parts: str, ask: HTTPClient, doc_id: str, error: tuple[str, str]
) -> None:
    assert (await ask("POST", parts, {"_id": doc_id})).told == (400, *error)
    assert (await ask("POST", f"{parts}/_bulk_docs", {"docs": [{"_id": doc_id}]})).told[1:] == error
    for rev in ({}, {"rev": None}, {"rev": "bad"}, {"rev": "1-a"}):
        answer = await ask("POST", f"{parts}/_bulk_get", {"docs": [{"id": doc_id, **rev}]})
        shown = answer.json["results"][0]["docs"][0]["error"]
        assert shown == {"id": doc_id, "rev": None, "error": error[0], "reason": error[1]}


async def test_ids_without_a_partition(parts: str, ask: HTTPClient) -> None:
    assert (await ask("POST", f"{parts}/_purge", {"none": ["1-a"]})).told == NO_PARTITION
    assert (await ask("GET", f"{parts}/_shards/none")).told == NO_PARTITION
    wish = {"docs": [{"id": "p:a", "rev": None}]}
    shown = (await ask("POST", f"{parts}/_bulk_get", wish)).json["results"][0]["docs"][0]["error"]
    assert (shown["error"], shown["reason"]) == ("bad_request", "Invalid rev format")


@pytest.mark.parametrize("limit", ["0", "x", "%201", "1.5", "-1"])
async def test_a_limit_of_indexes_that_is_none(path: str, ask: HTTPClient, limit: str) -> None:
    reason = "Index parameter ranges: limit > 1, skip > 0"
    answer = await ask("GET", f"{path}/_index?limit={limit}")
    assert answer.told == (500, "invalid_list_index_params", reason)


async def test_a_copied_attachment_keeps_its_place(path: str, ask: HTTPClient) -> None:
    rev = (await ask("GET", f"{path}/a")).json["_rev"]
    await ask("PUT", f"{path}/a/f?rev={rev}", text=b"x", Content_Type="text/plain")
    await ask("COPY", f"{path}/a", Destination="b")
    assert (await ask("GET", f"{path}/b")).json["_attachments"]["f"]["revpos"] == 2


async def test_a_stub_of_nothing_is_told_before_a_conflict(path: str, ask: HTTPClient) -> None:
    doc = {"_rev": "1-a", "_attachments": {"f": {"stub": True}}}
    answer = await ask("PUT", f"{path}/new", doc)
    assert answer.told == (412, "missing_stub", "Invalid attachment stub in new for f")
    assert (await ask("PUT", f"{path}/a", doc)).status == 409


async def test_what_is_wrong_is_told_in_order(path: str, ask: HTTPClient) -> None:
    reserved = (400, "illegal_docid", "Only reserved document ids may start with underscore.")
    assert (await ask("PUT", f"{path}/_x?rev=bad", {})).told == INVALID
    assert (await ask("PUT", f"{path}/_x", {"_rev": "bad"})).told == reserved
    assert (await ask("PUT", f"{path}/b", text='{"_rev":"bad","_id":"_x"}')).told == INVALID
    assert (await ask("PUT", f"{path}/b", text='{"_id":"_x","_rev":"bad"}')).told == reserved
    assert (await ask("COPY", f"{path}/missing", Destination="_x")).told == reserved
    assert (await ask("DELETE", f"{path}/missing?rev=bad")).told == (404, "not_found", "missing")


async def test_revisions_of_a_local_document_are_missing(path: str, ask: HTTPClient) -> None:
    await ask("PUT", f"{path}/_local/a", {})
    answer = await ask("GET", f"{path}/_local/a?open_revs=[%221-b%22,%220-1%22]", Accept=JSON)
    assert answer.json == [{"missing": "0-1"}, {"missing": "1-b"}]
    answer = await ask("GET", f"{path}/a?open_revs=[%229-b%22,%229-b%22]", Accept=JSON)
    assert answer.json == [{"missing": "9-b"}]
