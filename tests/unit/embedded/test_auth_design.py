"""`_design/_auth`: its JavaScript says what `users.validate` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.embedded.who.auth_design import AUTH_DESIGN_BODY
from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ID = "org.couchdb.user:mia"
GOOD: dict[str, Any] = {"name": "mia", "type": "user", "roles": []}


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A server with a copy of the design document in another database."""
    async with ServerClient() as client:
        await client("PUT", "/copy")
        await client("PUT", "/copy/_security", {"admins": {"roles": ["_admin"]}})
        answer = await client("PUT", "/copy/_design/_auth", AUTH_DESIGN_BODY)
        assert answer.status == 201
        yield client


async def test_every_users_database_has_it(client: ServerClient) -> None:
    stored = (await client("GET", "/_users/_design/_auth")).json
    assert stored["validate_doc_update"] == AUTH_DESIGN_BODY["validate_doc_update"]
    assert stored["_rev"].startswith("1-")


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "robot"},
        {"name": ""},
        {"roles": None},
        {"roles": "x"},
        {"roles": [1]},
        {"name": "pia"},
        {"roles": ["_admin"]},
        {"password_scheme": "rot13"},
        {"password_scheme": "pbkdf2"},
        {"password_scheme": "pbkdf2", "iterations": 1},
    ],
)
async def test_both_refuse_with_the_same_words(
    client: ServerClient, changes: dict[str, Any]
) -> None:
    body = {**GOOD, **changes}
    answers = [await client("PUT", f"/{name}/{ID}", body) for name in ("_users", "copy")]
    assert [answer.status for answer in answers] == [403, 403]
    assert answers[0].json == answers[1].json


async def test_both_accept(client: ServerClient) -> None:
    for name in ("_users", "copy"):
        assert (await client("PUT", f"/{name}/{ID}", GOOD)).status == 201
    roles = await client("PUT", f"/copy/{ID}x", {**GOOD, "name": "miax", "roles": ["a"]}, auth=None)
    assert roles.json["reason"] == "Only _admin may set roles"


async def test_a_users_database_that_is_made_again_gets_it_back(client: ServerClient) -> None:
    assert (await client("DELETE", "/_users")).status == 200
    assert (await client("PUT", "/_users")).status == 201
    # not at once: programs make the database anew until it is empty
    assert (await client("GET", "/_users")).json["doc_count"] == 0
    assert await _design_of(client, "_users") == "_design/_auth"


async def _design_of(client: ServerClient, database: str) -> str:
    """Wait for the first design document of a database, and give its id."""
    feed = f"/{database}/_changes?feed=longpoll&filter=_design&timeout=5000"
    (row,) = (await client("GET", feed)).json["results"]
    found: str = row["id"]
    return found


async def test_another_database_of_users(client: ServerClient) -> None:
    await client("PUT", "/people")
    await client("PUT", "/people/_security", {})
    setting = "/_node/_local/_config/chttpd_auth/authentication_db"
    assert (await client("PUT", setting, "people")).status == 200
    # what others do with their database is not looked at: it has no design document yet
    robot = {"name": "robot", "password": "pw"}
    assert (await client("PUT", "/people/org.couchdb.user:robot", robot)).status == 201
    saved = await client("PUT", f"/people/{ID}", {**GOOD, "password": "pw"}, auth=None)
    assert saved.status == 201
    stored = (await client("GET", f"/people/{ID}")).json
    assert "password" not in stored
    session = (await client("GET", "/_session", auth=("mia", "pw"))).json
    assert session["userCtx"]["name"] == "mia"
    assert session["info"]["authentication_db"] == "people"
    pia = {**GOOD, "name": "pia", "password": "pw"}
    assert (await client("PUT", "/people/org.couchdb.user:pia", pia)).status == 201
    for method in ("DELETE", "PUT"):
        body = GOOD if method == "PUT" else None
        answer = await client(method, f"/people/{ID}", body, auth=("pia", "pw"))
        assert (answer.status, answer.json["error"]) == (404, "not_found")
    # with the database that was watched over before goes the old setting
    await client("DELETE", "/_users")
    assert await _design_of(client, "people") == "_design/_auth"
    bad = await client("PUT", f"/people/{ID}", {**stored, "type": "robot"})
    assert (bad.status, bad.json["reason"]) == (403, "doc.type must be user")
    assert (await client("DELETE", setting)).status == 200
    assert (await client("GET", "/_session", auth=("mia", "pw"))).status == 401
    assert (await client("PUT", "/people/mia", {"password": "plain"})).status == 403
