"""Who sees and changes what in a `_users` database that is open to everybody, over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIA, PIA = ("mia", "pw"), ("pia", "pw")
MIAS, PIAS = (f"/_users/org.couchdb.user:{name}" for name in ("mia", "pia"))
DESIGN = "/_users/_design/d"
FUNCTIONS: dict[str, Any] = {
    "views": {"all": {"map": "function(doc) { emit(doc._id, null); }"}},
    "lists": {"names": "function(head, req) { return 'listed'; }"},
    "shows": {"name": "function(doc, req) { return doc ? doc.name : 'nobody'; }"},
    "updates": {"name": "function(doc, req) { return [null, doc ? doc.name : 'nobody']; }"},
    "rewrites": [
        {"from": "own", "to": "_show/name/org.couchdb.user:mia"},
        {"from": "all", "to": "_view/all"},
    ],
    "_attachments": {"a.txt": {"content_type": "text/plain", "data": "YQ=="}},
}
ONLY_ADMINS = "Only administrators can view design docs in the users database."


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A server with two users, and a design document in `_users`."""
    settings = {"users_db_security_editable": "true", "default_security": "everyone"}
    async with ServerClient(couchdb=settings) as client:
        assert (await client("PUT", "/_users/_security", {})).status == 200
        for name, _ in (MIA, PIA):
            user = {"name": name, "type": "user", "roles": [], "password": "pw"}
            assert (await client("PUT", f"/_users/org.couchdb.user:{name}", user)).status == 201
        assert (await client("PUT", DESIGN, FUNCTIONS)).status == 201
        yield client


async def _revision(client: ServerClient, path: str) -> str:
    rev: str = (await client("GET", path)).json["_rev"]
    return rev


@pytest.mark.parametrize("who", [MIA, None])
async def test_what_somebody_may_not_see_is_not_there(
    client: ServerClient, who: tuple[str, str] | None
) -> None:
    rev = await _revision(client, PIAS)
    attached = await client("PUT", f"{PIAS}/a.txt?rev={rev}", data="a", Content_Type="text/plain")
    assert attached.status == 201
    rev = await _revision(client, PIAS)
    for method, path in (
        ("GET", PIAS),
        ("HEAD", PIAS),
        ("GET", f"{PIAS}/a.txt"),
        ("GET", f"{PIAS}/a.txt?rev={rev}"),
        ("DELETE", PIAS),
        ("DELETE", f"{PIAS}?rev={rev}"),
        ("DELETE", f"{PIAS}x"),
        ("GET", "/_users/_local/x"),
    ):
        assert (await client(method, path, auth=who)).status == 404, (method, path)
    copied = await client("COPY", PIAS, auth=who, Destination="org.couchdb.user:mia2")
    assert copied.status in {403, 404}
    assert (await client("GET", f"{PIAS}/a.txt", auth=PIA)).body == b"a"
    assert (await client("DELETE", f"{PIAS}?rev={rev}", auth=PIA)).status == 200


@pytest.mark.parametrize("who", [MIA, None])
async def test_what_of_a_design_document_is_for_admins(
    client: ServerClient, who: tuple[str, str] | None
) -> None:
    for path in ("", "/_view/all", "/_list/names/all", "/a.txt", "/_rewrite/all", "/_view/nosuch"):
        answer = await client("GET", DESIGN + path, auth=who)
        assert (answer.status, answer.json["reason"]) == (403, ONLY_ADMINS), path
    assert (await client("POST", f"{DESIGN}/_view/all", {}, auth=who)).status == 403
    assert (await client("GET", f"{DESIGN}/_info", auth=who)).status == 200
    assert (await client("GET", f"{DESIGN}/_view/all")).json["total_rows"] == 2


async def test_functions_see_what_the_user_sees(client: ServerClient) -> None:
    show = f"{DESIGN}/_show/name/org.couchdb.user:"
    assert (await client("GET", f"{show}mia", auth=MIA)).body == b"mia"
    assert (await client("GET", f"{show}pia", auth=MIA)).body == b"nobody"
    assert (await client("GET", f"{show}mia", auth=None)).body == b"nobody"
    assert (await client("GET", f"{show}pia")).body == b"pia"
    assert (await client("GET", f"{DESIGN}/_rewrite/own", auth=MIA)).body == b"mia"
    update = f"{DESIGN}/_update/name/org.couchdb.user:"
    assert (await client("PUT", f"{update}mia", {}, auth=MIA)).body == b"mia"
    assert (await client("PUT", f"{update}pia", {}, auth=MIA)).body == b"nobody"
    await client("PUT", "/_node/_local/_config/chttpd_auth/public_fields", "name")
    assert (await client("GET", f"{show}pia", auth=MIA)).body == b"pia"


async def test_a_renewed_hash_does_not_overtake_the_users_own_save(client: ServerClient) -> None:
    stored = (await client("GET", MIAS)).json
    await client("PUT", "/_node/_local/_config/chttpd_auth/iterations", "3")
    body = {"name": "mia", "password": "pw"}
    assert (await client("POST", "/_session", body, auth=None)).status == 200
    saved = await client("PUT", MIAS, {**stored, "more": 1, "password": "new"}, auth=MIA)
    assert saved.status == 201
    after = (await client("GET", MIAS)).json
    assert (after["_rev"], after["iterations"], after["more"]) == (saved.json["rev"], 3, 1)


async def test_local_documents_are_nobodys_own(client: ServerClient) -> None:
    local = "/_users/_local/x"
    assert (await client("PUT", local, {}, auth=MIA)).status == 404
    assert (await client("PUT", local, {}, auth=None)).status == 201
    assert (await client("GET", local, auth=None)).status == 200
    assert (await client("GET", local, auth=MIA)).status == 404
    assert (await client("GET", local)).status == 200
