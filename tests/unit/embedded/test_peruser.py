"""A database for every user, and passwords in a settings file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIA = "/_users/org.couchdb.user:mia"
OWN = "userdb-6d6961"
SECTION = "/_node/_local/_config/couch_peruser"


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    async with ServerClient() as client:
        yield client


async def _add_mia(client: ServerClient, **more: Any) -> str:
    body = {"name": "mia", "type": "user", "roles": [], "password": "pw", **more}
    answer = await client("PUT", MIA, body)
    assert answer.status == 201
    return str(answer.json["rev"])


async def _wait_for(client: ServerClient, name: str, *, there: bool = True) -> None:
    """Ask until a database is there, or is not."""
    while (name in (await client("GET", "/_all_dbs")).json) is not there:
        pass


async def test_nothing_happens_until_it_is_enabled(client: ServerClient) -> None:
    await _add_mia(client)
    assert OWN not in (await client("GET", "/_all_dbs")).json
    await client("PUT", f"{SECTION}/enable", "true")
    await _wait_for(client, OWN)


async def test_the_database_is_the_users_own() -> None:
    async with ServerClient(couch_peruser={"enable": "true"}) as client:
        rev = await _add_mia(client)
        await _wait_for(client, OWN)
        assert (await client("GET", f"/{OWN}/_security")).json == {
            "members": {"roles": ["_admin"], "names": ["mia"]},
            "admins": {"roles": ["_admin"], "names": ["mia"]},
        }
        assert (await client("PUT", f"/{OWN}/doc", {}, auth=("mia", "pw"))).status == 201
        assert (await client("GET", f"/{OWN}", auth=None)).status == 401
        rev = await _add_mia(client, _rev=rev)
        assert (await client("GET", f"/{OWN}")).json["doc_count"] == 1
        await client("DELETE", f"{MIA}?rev={rev}")
        # users are looked at one after the other: when ann has hers, mia was seen to go
        ann = {"name": "ann", "type": "user", "roles": [], "password": "pw"}
        await client("PUT", "/_users/org.couchdb.user:ann", ann)
        await _wait_for(client, "userdb-616e6e")
        assert OWN in (await client("GET", "/_all_dbs")).json


async def test_the_database_may_go_with_the_user() -> None:
    settings = {"enable": "true", "delete_dbs": "true", "database_prefix": "own-"}
    async with ServerClient(couch_peruser=settings) as client:
        rev = await _add_mia(client)
        await _wait_for(client, "own-6d6961")
        await client("DELETE", f"{MIA}?rev={rev}")
        await _wait_for(client, "own-6d6961", there=False)


async def test_no_plain_password_stays_in_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "local.ini"
    file.write_text("[chttpd_auth]\niterations = 2\n[admins]\nann = topsecret\n", "utf-8")
    async with ServerClient(tmp_path) as client:
        who = await client("GET", "/_session", auth=("ann", "topsecret"))
        assert who.json["userCtx"]["roles"] == ["_admin"]
    text = file.read_text("utf-8")
    assert "topsecret" not in text
    assert "ann = -pbkdf2:sha256-" in text
    async with ServerClient(tmp_path) as client:
        assert (await client("GET", "/_session", auth=("ann", "topsecret"))).status == 200
