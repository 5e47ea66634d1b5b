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
