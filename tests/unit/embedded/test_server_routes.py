"""The routes of the server itself, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NODE = "/_node/_local"
USER = ("mia", "pw")


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        yield client


def _user(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "user", "roles": [], "password": "pw", **more}


async def _add_user(client: ServerClient, name: str, **more: Any) -> None:
    answer = await client("PUT", f"/_users/org.couchdb.user:{name}", _user(name, **more))
    assert answer.status == 201, answer.body


async def test_welcome(client: ServerClient) -> None:
    answer = await client("GET", "/", auth=None)
    assert answer.json["couchdb"] == "Welcome"
    assert answer.json["version"] == "3.5.2"
    assert answer.headers["Content-Type"] == "application/json"
    assert len(answer.headers["X-Couch-Request-ID"]) == 10


async def test_a_request_may_bring_its_id(client: ServerClient) -> None:
    answer = await client("GET", "/_up", X_Couch_Request_ID="my-own_id")
    assert answer.headers["X-Couch-Request-ID"] == "my-own_id"
    answer = await client("GET", "/_up", X_Couch_Request_ID="not allowed")
    assert answer.headers["X-Couch-Request-ID"] != "not allowed"


async def test_few_headers_where_few_are_preferred(client: ServerClient) -> None:
    answer = await client("GET", "/_up", Prefer="return=minimal")
    assert "X-Couch-Request-ID" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json"
    assert "X-Couch-Request-ID" in (await client("GET", "/_up", Prefer="other")).headers
    await client("PUT", f"{NODE}/_config/chttpd/prefer_minimal", "X-Couch-Request-ID")
    answer = await client("GET", "/_up", Prefer="return=minimal")
    assert "X-Couch-Request-ID" in answer.headers
    assert "Cache-Control" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", "GET,HEAD"),
        ("POST", "/_up", "GET,HEAD"),
        ("POST", "/_uuids", "GET"),
        ("POST", "/_all_dbs", "GET,HEAD"),
        ("PUT", "/_dbs_info", "GET,HEAD,POST"),
        ("PUT", "/_session", "GET,HEAD,POST,DELETE"),
        ("POST", "/_membership", "GET"),
        ("GET", "/_reload_query_servers", "POST"),
        ("PUT", "/_cluster_setup", "GET,POST"),
        ("POST", "/_reshard", "GET,HEAD"),
        ("POST", "/_reshard/state", "GET,HEAD,PUT"),
        ("POST", f"{NODE}/_config", "GET"),
        ("PUT", f"{NODE}/_config/s", "GET"),
        ("POST", f"{NODE}/_config/s/k", "GET,PUT,DELETE"),
        ("GET", f"{NODE}/_config/_reload", "POST"),
        ("GET", f"{NODE}/_restart", "POST"),
        ("POST", f"{NODE}/_stats", "GET"),
    ],
)
async def test_methods(client: ServerClient, method: str, path: str, allowed: str) -> None:
    answer = await client(method, path)
    assert answer.status == 405
    assert answer.headers["Allow"] == allowed
    assert answer.json == {"error": "method_not_allowed", "reason": f"Only {allowed} allowed"}


@pytest.mark.parametrize("path", ["/", "/_up", "/_uuids", "/_session", f"{NODE}/_config"])
async def test_head_is_get_without_a_body(client: ServerClient, path: str) -> None:
    answer = await client("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")


async def test_a_post_may_stand_for_another_method(client: ServerClient) -> None:
    answer = await client("POST", "/", X_HTTP_Method_Override="GET")
    assert answer.json["couchdb"] == "Welcome"


@pytest.mark.parametrize("path", ["/_up?x=%zz", "/%zz", "/db%2"])
async def test_bad_escapes(client: ServerClient, path: str) -> None:
    answer = await client("GET", path)
    assert (answer.status, answer.json["reason"]) == (400, "invalid_url_encoding")


async def test_uuids(client: ServerClient) -> None:
    answer = await client("GET", "/_uuids?count=3", auth=None)
    assert len(set(answer.json["uuids"])) == 3
    assert answer.headers["Cache-Control"] == "no-cache"
    for count in ("x", "-1", "1001", ""):
        assert (await client("GET", f"/_uuids?count={count}")).status == 400


async def test_maintenance_mode(client: ServerClient) -> None:
    assert (await client("GET", "/_up")).json == {"status": "ok", "seeds": {}}
    await client("PUT", f"{NODE}/_config/couchdb/maintenance_mode", "nolb")
    answer = await client("GET", "/_up")
    assert (answer.status, answer.json) == (404, {"status": "nolb"})


async def test_all_dbs_is_answered_304_until_it_changes(client: ServerClient) -> None:
    answer = await client("GET", "/_all_dbs")
    assert answer.json == ["_replicator", "_users"]
    tag = answer.headers["ETag"]
    assert (await client("GET", "/_all_dbs", If_None_Match=tag)).status == 304
    await client("PUT", "/new")
    answer = await client("GET", "/_all_dbs", If_None_Match=tag)
    assert answer.json == ["_replicator", "_users", "new"]


@pytest.mark.parametrize(
    "query", ["q=0", "q=x", "n=-1", "placement=x", "engine=x", "partitioned=x", "partitioned="]
)
async def test_options_of_a_new_database(client: ServerClient, query: str) -> None:
    assert (await client("PUT", f"/db?{query}")).status == 400
    good = "q=8&n=3&placement=a:1,b:2&engine=couch&partitioned=false"
    assert (await client("PUT", f"/db?{good}")).status == 201


async def test_new_databases_may_be_open_to_all() -> None:
    async with ServerClient(couchdb={"default_security": "everyone"}) as client:
        await client("PUT", "/db")
        assert (await client("GET", "/db/_security", auth=None)).json == {}


async def test_limits_of_the_configuration() -> None:
    limits = {"max_document_id_length": "5", "max_attachment_size": "3"}
    http = {"max_http_request_size": "200", "max_uri_length": "90"}
    async with ServerClient(couchdb=limits, chttpd=http) as client:
        await client("PUT", "/db")
        assert (await client("PUT", "/db/12345", {})).status == 201
        answer = await client("PUT", "/db/%C3%BC%C3%BC%C3%BC", {})
        assert (answer.status, answer.json["reason"]) == (400, "Document id is too long")
        answer = await client("PUT", "/db/doc/att", data="xxxxx")
        assert (answer.status, answer.json["error"]) == (413, "attachment_too_large")
        inline = {"_attachments": {"a": {"data": "eHh4eHh4"}}}
        assert (await client("PUT", "/db/doc", inline)).json["error"] == "attachment_too_large"
        answer = await client("PUT", "/db/doc", {"a": "x" * 200})
        assert (answer.status, answer.json["error"]) == (413, "too_large")
        assert (await client("GET", "/db/" + "x" * 90)).status == 414


async def test_dbs_info(client: ServerClient) -> None:
    answer = await client("POST", "/_dbs_info", {"keys": ["_users", "no", 1]})
    first, *rest = answer.json
    assert first["info"]["db_name"] == "_users"
    assert rest == [{"key": "no", "error": "not_found"}, {"key": 1, "error": "not_found"}]
    assert [each["key"] for each in (await client("GET", "/_dbs_info?limit=1")).json] == [
        "_replicator"
    ]
    for body in ({}, {"keys": 5}, {"keys": ["x"] * 101}):
        assert (await client("POST", "/_dbs_info", body)).status == 400


async def test_settings_over_http(client: ServerClient) -> None:
    url = f"{NODE}/_config/section/key"
    assert (await client("GET", url)).json["reason"] == "unknown_config_value"
    assert (await client("PUT", url, " one ")).json == ""
    assert (await client("PUT", url, "two")).json == "one"
    assert (await client("GET", url)).json == "two"
    assert (await client("GET", f"{NODE}/_config/section")).json == {"key": "two"}
    assert (await client("GET", f"{NODE}/_config")).json["section"] == {"key": "two"}
    assert (await client("DELETE", url)).json == "two"
    assert (await client("DELETE", url)).status == 404


async def test_settings_that_are_refused(client: ServerClient) -> None:
    answer = await client("PUT", f"{NODE}/_config/s/k", 42)
    assert answer.json["reason"] == "a JSON string expected"
    assert (await client("PUT", f"{NODE}/_config/s/k", data="no json")).status == 400
    assert (await client("PUT", f"{NODE}/_config/s/k", "a\nb")).status == 400
    assert (await client("PUT", f"{NODE}/_config/daemons/k", "v")).status == 403
    assert (await client("GET", f"{NODE}/_config/a/b/c")).status == 404


async def test_a_setting_may_be_for_now_only(client: ServerClient, tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as kept:
        url = f"{NODE}/_config/s/k"
        await kept("PUT", url, "kept")
        await kept("PUT", url, "for now", X_Couch_Persist="false")
        assert (await kept("GET", url)).json == "for now"
        assert (await kept("POST", f"{NODE}/_config/_reload")).json == {"ok": True}
        assert (await kept("GET", url)).json == "kept"
    async with ServerClient(tmp_path) as again:
        assert (await again("GET", url)).json == "kept"


async def test_passwords_of_admins_are_shown_hashed(client: ServerClient) -> None:
    await client("PUT", f"{NODE}/_config/admins/ann", "secret")
    admins = (await client("GET", f"{NODE}/_config/admins")).json
    assert set(admins) == {"admin", "ann"}
    assert all(text.startswith("-pbkdf2:sha256-") for text in admins.values())
    answer = await client("GET", "/_session", auth=("ann", "secret"))
    assert answer.json["userCtx"] == {"name": "ann", "roles": ["_admin"]}
    await client("DELETE", f"{NODE}/_config/admins/ann")
    assert (await client("GET", "/_session", auth=("ann", "secret"))).status == 401


async def test_node(client: ServerClient) -> None:
    assert (await client("GET", NODE)).json == {"name": "couchdb@127.0.0.1"}
    assert (await client("GET", "/_node")).status == 400
    assert (await client("GET", "/_node/nosuch/_config")).status == 404
    assert (await client("POST", "/_node/nosuch/_config")).status == 405
    assert (await client("GET", f"{NODE}/_nosuch")).json["error"] == "illegal_database_name"
    assert (await client("GET", f"{NODE}/_system/more")).status == 400
    for part in ("_versions", "_system", "_smoosh/status", "_prometheus", "_stats/couchdb"):
        assert (await client("GET", f"{NODE}/{part}")).status == 200, part
    assert (await client("GET", f"{NODE}/_stats/couchdb/nosuch")).json is None
    assert (await client("POST", f"{NODE}/_restart")).json == {"ok": True}


async def test_reshard_has_nothing_to_do(client: ServerClient) -> None:
    assert (await client("GET", "/_reshard")).json["state"] == "running"
    stop = {"state": "stopped", "reason": "rest"}
    assert (await client("PUT", "/_reshard/state", stop)).json == {"ok": True}
    answer = await client("GET", "/_reshard/state")
    assert answer.json == {"state": "stopped", "reason": "rest"}
    assert (await client("GET", "/_reshard/jobs")).json["jobs"] == []
    for path in ("/_reshard/jobs/1", "/_reshard/jobs/1/state", "/_reshard/nosuch"):
        assert (await client("GET", path)).status == 404
    for body in ({}, {"type": "split"}, {"type": "split", "db": "nosuch"}):
        assert (await client("POST", "/_reshard/jobs", body)).status == 400


async def test_cluster_setup(client: ServerClient) -> None:
    assert (await client("GET", "/_cluster_setup")).json == {"state": "single_node_enabled"}
    for action in ("finish_cluster", "add_node", "nosuch"):
        assert (await client("POST", "/_cluster_setup", {"action": action})).status == 400
    assert (await client("POST", "/_cluster_setup", data="{}")).status == 415


async def test_security_object(client: ServerClient) -> None:
    await client("PUT", "/db")
    url = "/db/_security"
    default = {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}}
    assert (await client("GET", url)).json == default
    wanted = {"members": {"names": ["mia"]}, "extra": 1}
    assert (await client("PUT", url, wanted)).json == {"ok": True}
    assert (await client("GET", url)).json == wanted
    answer = await client("PUT", url, {"admins": 5})
    assert (answer.status, answer.json) == (500, {"error": "error", "reason": "no_majority"})
    assert (await client("PUT", "/_users/_security", {})).status == 403


async def test_shards(client: ServerClient) -> None:
    await client("PUT", "/db")
    shards = (await client("GET", "/db/_shards")).json["shards"]
    assert (await client("GET", "/db/_shards/doc")).json["range"] in shards
    assert (await client("POST", "/db/_sync_shards")).status == 202


async def test_log_in_and_out(client: ServerClient) -> None:
    form = "name=admin&password=admin"
    kind = "application/x-www-form-urlencoded"
    answer = await client("POST", "/_session", data=form, auth=None, Content_Type=kind)
    assert answer.json == {"ok": True, "name": "admin", "roles": ["_admin"]}
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    who = await client("GET", "/_session", auth=None, Cookie=cookie)
    assert who.json["info"]["authenticated"] == "cookie"
    assert who.json["userCtx"] == {"name": "admin", "roles": ["_admin"]}
    answer = await client("DELETE", "/_session", auth=None, Cookie=cookie)
    assert answer.headers["Set-Cookie"].startswith("AuthSession=; Version=1; ")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "admin"}, 401),
        ({"name": "nobody", "password": "x"}, 401),
        ({}, 400),
        ({"name": "a", "username": "b"}, 400),
        (5, 500),
        ({"name": 5}, 500),
    ],
)
async def test_log_ins_that_fail(client: ServerClient, body: Any, status: int) -> None:
    assert (await client("POST", "/_session", body, auth=None)).status == status


async def test_log_in_sends_on(client: ServerClient) -> None:
    right = {"name": "admin", "password": "admin"}
    answer = await client("POST", "/_session?next=/db", right, auth=None)
    assert answer.status == 302
    assert answer.headers["Location"] == f"{client.embedded.url}/db"
    answer = await client("POST", "/_session?fail=/no", {"name": "x"}, auth=None)
    assert answer.headers["Location"] == f"{client.embedded.url}/no"
    assert (await client("POST", "/_session?next=db", right, auth=None)).status == 400


async def test_a_401_asks_browsers_for_a_password(client: ServerClient) -> None:
    answer = await client("GET", "/_all_dbs", auth=None)
    assert "WWW-Authenticate" not in answer.headers
    basic = 'Basic realm="x"'
    answer = await client("GET", "/_all_dbs", auth=None, X_CouchDB_WWW_Authenticate=basic)
    assert answer.headers["WWW-Authenticate"] == basic
    answer = await client("GET", "/_all_dbs", auth=None, Accept="text/html")
    assert answer.status == 302
    assert answer.headers["Location"].endswith(
        "/_utils/session.html?return=%2F_all_dbs&reason=You%20are%20not%20a%20server%20admin."
    )


async def test_valid_users_only(client: ServerClient) -> None:
    await client("PUT", f"{NODE}/_config/chttpd/require_valid_user", "true")
    answer = await client("GET", "/", auth=None)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="server"'
    assert (await client("GET", "/")).status == 200


async def test_browsers_from_elsewhere() -> None:
    cors = {"origins": "http://a.example"}
    async with ServerClient(chttpd={"enable_cors": "true"}, cors=cors) as client:
        asked = {"Access_Control_Request_Method": "PUT", "Origin": "http://a.example"}
        answer = await client("OPTIONS", "/db", auth=None, **asked)
        assert answer.status == 204
        assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
        answer = await client("GET", "/_all_dbs", auth=None, Origin="http://a.example")
        assert answer.status == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "http://a.example"
        answer = await client("GET", "/_all_dbs", Origin="http://A.example")
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_users_log_in_with_what_was_put(client: ServerClient) -> None:
    await _add_user(client, "mia", roles=["team"])
    stored = (await client("GET", "/_users/org.couchdb.user:mia")).json
    assert "password" not in stored
    assert stored["password_scheme"] == "pbkdf2"
    who = await client("GET", "/_session", auth=USER)
    assert who.json["userCtx"] == {"name": "mia", "roles": ["team"]}
    assert (await client("GET", "/_session", auth=("mia", "no"))).status == 401


async def test_users_see_neither_themselves_nor_others(client: ServerClient) -> None:
    await _add_user(client, "mia")
    for path in ("/_users/org.couchdb.user:mia", "/_users"):
        assert (await client("GET", path, auth=USER)).status == 403
        assert (await client("GET", path, auth=None)).status == 401
    assert (await client("GET", "/_users/_all_docs", auth=USER)).status == 401


async def test_an_opened_users_database_shows_little(client: ServerClient) -> None:
    await _add_user(client, "mia", city="Ulm")
    await _add_user(client, "bob")
    await client("PUT", f"{NODE}/_config/couchdb/users_db_security_editable", "true")
    everybody = {"members": {"roles": []}, "admins": {"roles": ["_admin"]}}
    assert (await client("PUT", "/_users/_security", everybody)).status == 200
    mia = "/_users/org.couchdb.user:mia"
    for query in ("", "?revs=true", "?open_revs=all"):
        assert (await client("GET", mia + query, auth=USER)).status == 200
        assert (await client("GET", mia + query, auth=("bob", "pw"))).status == 404
        assert (await client("GET", mia + query, auth=None)).status == 404
    await client("PUT", f"{NODE}/_config/chttpd_auth/public_fields", "name, city")
    shown = (await client("GET", mia, auth=None)).json
    assert set(shown) == {"_id", "_rev", "name", "city"}
    wanted = {"docs": [{"id": "org.couchdb.user:mia"}]}
    for user, salted in ((USER, True), (("bob", "pw"), False)):
        answer = await client("POST", "/_users/_bulk_get", wanted, auth=user)
        assert ("salt" in answer.json["results"][0]["docs"][0]["ok"]) is salted
    await client("PUT", "/_users/_design/x", {"views": {}})
    for path in ("_find", "_explain", "_design_docs", "_design/x/_view/y"):
        assert (await client("POST", f"/_users/{path}", {}, auth=USER)).status == 403
    assert (await client("POST", "/_users/_design/no/_view/y", {}, auth=USER)).status == 404
    assert (await client("PUT", mia, _user("mia"), auth=("bob", "pw"))).status == 404


async def test_bad_user_documents_are_refused(client: ServerClient) -> None:
    url = "/_users/org.couchdb.user:mia"
    answer = await client("PUT", url, _user("mia", roles=["_admin"]))
    assert answer.status == 403
    answer = await client("PUT", url, _user("mia", password=5))
    assert answer.status == 403
    docs = [{"_id": "org.couchdb.user:b", **_user("b")}, {"_id": "x", **_user("c")}]
    rows = (await client("POST", "/_users/_bulk_docs", {"docs": docs})).json
    assert rows[0]["ok"]
    assert rows[1]["error"] == "forbidden"


async def test_five_wrong_passwords(client: ServerClient) -> None:
    await _add_user(client, "mia")
    for _ in range(5):
        assert (await client("GET", "/", auth=("mia", "no"))).status == 401
    answer = await client("GET", "/", auth=USER)
    assert answer.status == 403
    assert "temporarily locked" in answer.json["reason"]


async def test_roles_open_databases(client: ServerClient) -> None:
    await _add_user(client, "mia", roles=["team"])
    await client("PUT", "/db")
    assert (await client("GET", "/db", auth=USER)).status == 403
    await client("PUT", "/db/_security", {"members": {"roles": ["team"]}})
    assert (await client("GET", "/db", auth=USER)).status == 200
    assert (await client("PUT", "/db/_design/x", {}, auth=USER)).status == 403
    await client("PUT", "/db/_security", {"admins": {"names": ["mia"]}})
    assert (await client("PUT", "/db/_design/x", {}, auth=USER)).status == 201
    assert (await client("DELETE", "/db", auth=USER)).status == 401


async def test_limits_are_for_database_admins(client: ServerClient) -> None:
    await _add_user(client, "mia")
    await client("PUT", "/db")
    await client("PUT", "/db/_security", {})
    answer = await client("PUT", "/db/_revs_limit", 10, auth=USER)
    assert (answer.status, answer.json["error"]) == (500, "badmatch")
    assert "{forbidden," in answer.json["reason"]
    assert "{unauthorized," in (await client("PUT", "/db/_revs_limit", 9, auth=None)).json["reason"]
    assert (await client("GET", "/db/_revs_limit", auth=USER)).json == 1000
    assert (await client("PUT", "/db/_purged_infos_limit", 10, auth=USER)).status == 401
    assert (await client("HEAD", "/db/_revs_limit", auth=USER)).status == 200


async def test_a_missing_design_document_comes_before_a_wrong_method(client: ServerClient) -> None:
    await client("PUT", "/db")
    assert (await client("PUT", "/db/_design/x/_view/y", {})).status == 404
    await client("PUT", "/db/_design/x", {"views": {}})
    assert (await client("PUT", "/db/_design/x/_view/y", {})).status == 405


async def test_a_database_of_users_by_another_name(client: ServerClient) -> None:
    own = "/team%2F_users"
    await _add_user(client, "mia")
    await client("PUT", own)
    await client("PUT", f"{own}/_security", {"members": {"roles": []}, "admins": {"roles": ["x"]}})
    mia = {"name": "mia", "type": "user", "roles": [], "password": "pw"}
    assert (await client("PUT", f"{own}/org.couchdb.user:mia", mia)).status == 201
    stored = (await client("GET", f"{own}/org.couchdb.user:mia")).json
    assert "password" not in stored
    assert stored["password_scheme"] == "pbkdf2"
    assert (await client("GET", f"{own}/org.couchdb.user:mia", auth=USER)).status == 200
    assert (await client("GET", f"{own}/org.couchdb.user:mia", auth=None)).status == 404
    for path in ("_all_docs?include_docs=true", "_changes?include_docs=true", "_find"):
        assert (await client("GET", f"{own}/{path}", auth=None)).status in (401, 403)
        assert (await client("GET", f"{own}/{path}", auth=USER)).status in (401, 403)


async def test_purges_are_told_once_and_in_order(client: ServerClient) -> None:
    await client("PUT", "/db")
    for name, revs in (("b", ["1-x"]), ("b", ["1-x", "1-x"]), ("a", ["2-b", "1-a"]), ("b", [])):
        await client("POST", "/db/_purge", {name: revs})
    assert (await client("GET", "/db/_purged_infos")).json["purged_infos"] == [
        {"id": "a", "revs": ["1-a", "2-b"]},
        {"id": "b", "revs": []},
        {"id": "b", "revs": ["1-x"]},
    ]


@pytest.mark.parametrize(
    "query", ["reduce=true", "group=true", "include_docs=x", "keys=3", "partition=x", "stale=x"]
)
async def test_lists_of_databases_take_options_of_views(client: ServerClient, query: str) -> None:
    for path in ("/_all_dbs", "/_dbs_info"):
        answer = await client("GET", f"{path}?{query}")
        assert (answer.status, answer.json["error"]) == (400, "query_parse_error")
    assert (await client("GET", "/_all_dbs?include_docs=true&reduce=false")).status == 200


async def test_bytes_that_were_to_follow_are_missed(client: ServerClient) -> None:
    await client("PUT", "/db")
    follows = {"_attachments": {"a": {"follows": True, "length": 1}}}
    assert (await client("PUT", "/db/doc", follows)).status == 500
    assert (await client("GET", "/db/doc")).status == 404


@pytest.mark.parametrize("path", ["/db/_design%2Fx?rev=1", "/db/_design%2fx/_view/y?limit=1"])
async def test_an_encoded_design_document_is_redirected(client: ServerClient, path: str) -> None:
    await client("PUT", "/db")
    answer = await client("GET", path)
    assert answer.status == 301
    place = path.replace("%2F", "/").replace("%2f", "/")
    assert answer.headers["Location"] == client.embedded.url + place


async def test_outdated_hashes_are_renewed_at_log_in(client: ServerClient) -> None:
    await _add_user(client, "mia")
    before = (await client("GET", "/_users/org.couchdb.user:mia")).json
    await client("PUT", f"{NODE}/_config/chttpd_auth/iterations", "3")
    database = client.embedded.server.databases.open("_users")
    assert database is not None
    changed = asyncio.ensure_future(database.changed_since(database.update_seq))
    assert (await client("GET", "/_session", auth=USER)).status == 200
    assert await changed
    after = (await client("GET", "/_users/org.couchdb.user:mia")).json
    assert (after["iterations"], after["salt"]) == (3, before["salt"])
    assert (await client("GET", "/_session", auth=USER)).status == 200


async def test_sessions_survive_a_restart_of_a_folder(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as first:
        await _add_user(first, "mia")
        answer = await first("POST", "/_session", {"name": "mia", "password": "pw"}, auth=None)
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    async with ServerClient(tmp_path) as second:
        who = await second("GET", "/_session", auth=None, Cookie=cookie)
        assert who.json["userCtx"]["name"] == "mia"


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [("POST", "{bad", 400), ("PUT", "{}", 405), ("POST", "{}", 415), ("POST", "[]", 400)],
)
async def test_replicate_reads_before_it_judges(
    client: ServerClient, method: str, body: str, status: int
) -> None:
    assert (await client(method, "/_replicate", data=body)).status == status


async def test_states_that_no_replication_has(client: ServerClient) -> None:
    answer = await client("GET", "/_scheduler/docs?states=completed,lazy")
    assert answer.status == 400
    assert answer.json["reason"].startswith("Unknown states [lazy]. Choose from: [initializing,")
    assert (await client("GET", "/_scheduler/docs/x%2F_replicator/y")).status == 404
    assert (await client("GET", "/_scheduler/docs/x/_replicator/y")).status == 404
    assert (await client("GET", "/_scheduler/docs/_replicator/a/b")).status == 400
    assert (await client("GET", "/_scheduler/jobs/a/b")).json == {"error": "not found"}
    assert (await client("GET", "/_scheduler/jobs?skip=1")).json["offset"] == 0
    answer = await client("GET", "/_scheduler/jobs?limit=x")
    assert answer.json["reason"] == "limit must be an integer"
    answer = await client("GET", "/_scheduler/jobs?skip=-1")
    assert answer.json["reason"] == "skip not in range of [0,infinity]"
    assert (await client("GET", "/_scheduler/docs/other/y")).status == 400


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": 5}, "{error,function_clause}"),
        ({"user_ctx": 5}, "{error,{case_clause,5}}"),
        ({"connection_timeout": "x"}, "{error,badarg}"),
        ({"source": {"url": "http://a.example/", "headers": 5}}, "{error,{badmatch,5}}"),
        ({"source": {"url": "http://a.example/", "auth": 5}}, "{error,{badmatch,5}}"),
        ({"source": "here"}, "local_endpoints_not_supported"),
        (
            {"selector": {"n": {"$bad": 1}}},
            '{throw,{mango_error,mango_selector,{invalid_operator,<<"$bad">>}}}',
        ),
    ],
)
async def test_replicator_documents_that_are_refused(
    client: ServerClient, changes: dict[str, Any], reason: str
) -> None:
    good = {"source": "http://a.example/a", "target": "http://a.example/b"}
    answer = await client("PUT", "/_replicator/doc", {**good, **changes})
    assert (answer.status, answer.json["reason"]) == (403, reason)
    # one that is refused takes all with it
    docs = [{**good, "_id": "good"}, {**good, **changes, "_id": "bad"}]
    answer = await client("POST", "/_replicator/_bulk_docs", {"docs": docs})
    assert (answer.status, answer.json["reason"]) == (403, reason)
    assert (await client("GET", "/_replicator/good")).status == 404


async def test_a_node_answers_for_itself_what_the_server_answers(client: ServerClient) -> None:
    assert (await client("GET", f"{NODE}/_session")).json["userCtx"]["name"] == "admin"
    assert (await client("GET", f"{NODE}/_active_tasks")).json == []
    assert (await client("POST", f"{NODE}/_all_dbs", {})).headers["Allow"] == "GET,HEAD"
    gone = await client("GET", f"{NODE}/_utils")
    assert (gone.status, gone.json["error"]) == (410, "no_node_local_fauxton")
    hashes = (await client("GET", f"{NODE}/_versions")).json["erlang"]["supported_hashes"]
    assert {"sha", "sha256", "sha3_512", "blake2b"} <= set(hashes)
