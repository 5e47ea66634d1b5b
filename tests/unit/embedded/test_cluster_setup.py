"""`_cluster_setup`, as set-up scripts of applications send it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SETUP = "/_cluster_setup"
CONFIG = "/_node/_local/_config"


@pytest.fixture
async def client() -> AsyncIterator[ServerClient]:
    """A server that does not say by itself that it is a single node."""
    async with ServerClient(couchdb={"single_node": "false"}) as client:
        yield client


async def _post(client: ServerClient, **setup: Any) -> tuple[int, Any]:
    answer = await client("POST", SETUP, setup)
    return answer.status, answer.json.get("reason", answer.json)


async def _state(client: ServerClient, query: str = "") -> str:
    state: str = (await client("GET", SETUP + query)).json["state"]
    return state


async def test_a_single_node_as_scripts_set_it_up(client: ServerClient) -> None:
    assert await _state(client) == "cluster_disabled"
    told = await _post(
        client,
        action="enable_single_node",
        username="zoe",
        password="pw",
        bind_address="0.0.0.0",
        port=5984,
        singlenode=True,
    )
    assert told == (201, {"ok": True})
    assert await _state(client) == "single_node_enabled"
    session = (await client("GET", "/_session", auth=("zoe", "pw"))).json
    assert session["userCtx"] == {"name": "zoe", "roles": ["_admin"]}
    assert (await client("GET", f"{CONFIG}/chttpd")).json == {
        "bind_address": "0.0.0.0",
        "port": "5984",
    }
    assert (await client("GET", f"{CONFIG}/cluster")).json == {"n": "1"}
    stored = (await client("GET", f"{CONFIG}/admins/zoe")).json
    assert stored.startswith("-pbkdf2:sha256-")
    # once more, with the hash
    again = {"username": "zoe", "password_hash": stored, "bind_address": "127.0.0.1"}
    assert await _post(client, action="enable_single_node", **again) == (201, {"ok": True})
    assert (await client("GET", f"{CONFIG}/admins/zoe")).json == stored


async def test_databases_that_are_missing_are_made(client: ServerClient) -> None:
    names = ["_global_changes", "notes", "No Name"]
    finish = {"action": "finish_cluster", "ensure_dbs_exist": names}
    assert await _post(client, **finish) == (201, {"ok": True})
    assert (await client("GET", "/_all_dbs")).json == [
        "_global_changes",
        "_replicator",
        "_users",
        "notes",
    ]
    finish["ensure_dbs_exist"] = ["notes"]
    assert await _post(client, **finish) == (400, "Cluster is already finished")
    await client("DELETE", "/_users")
    node = {"action": "enable_single_node", "bind_address": "127.0.0.1"}
    assert await _post(client, **node) == (201, {"ok": True})
    assert (await client("GET", "/_users")).status == 200
    assert await _state(client, "?ensure_dbs_exist=%5B%22nosuch%22%5D") == "single_node_disabled"


@pytest.mark.parametrize(
    ("setup", "status", "reason"),
    [
        ({}, 400, "Invalid Action'"),
        ({"action": "nosuch"}, 400, "Invalid Action'"),
        ({"action": None}, 500, "badarg"),
        ({"action": "finish_cluster"}, 400, "Cluster is already finished"),
        ({"action": "finish_cluster", "ensure_dbs_exist": "x"}, 500, "function_clause"),
        ({"action": "enable_single_node"}, 500, "badarg"),
        ({"action": "enable_single_node", "bind_address": "x"}, 500, "ok"),
        ({"action": "enable_single_node", "username": "zoe"}, 500, "badarg"),
        ({"action": "add_node"}, 400, "Cluster is not enabled."),
        ({"action": "remove_node"}, 201, {"ok": True}),
        (
            {"action": "enable_cluster"},
            500,
            "Cluster setup requires a remote bind_address (not 127.0.0.1 nor ::1)",
        ),
        (
            {"action": "enable_cluster", "bind_address": "0.0.0.0"},
            500,
            "Cluster setup requires node_count to be configured",
        ),
    ],
)
async def test_what_is_refused(
    client: ServerClient, setup: dict[str, Any], status: int, reason: object
) -> None:
    assert await _post(client, **setup) == (status, reason)


async def test_a_cluster_of_one(client: ServerClient) -> None:
    setup = {"action": "enable_cluster", "bind_address": "0.0.0.0", "node_count": 5}
    assert await _post(client, **setup) == (201, {"ok": True})
    assert (await client("GET", f"{CONFIG}/cluster/n")).json == "3"
    assert await _state(client) == "cluster_finished"
    assert await _state(client, "?ensure_dbs_exist=%5B%22nosuch%22%5D") == "cluster_enabled"
    assert await _post(client, **setup) == (400, "Cluster is already enabled")
    for action in ("add_node", "receive_cookie"):
        status, reason = await _post(client, action=action, host="a", cookie="b")
        assert status == 400
        assert "single node" in reason


async def test_bodies(client: ServerClient) -> None:
    for body in ("", "no json", "[1]"):
        answer = await client("POST", SETUP, data=body, Content_Type="application/json")
        assert (answer.status, answer.json["reason"]) == (400, "Missing JSON body'")
    assert (await client("POST", SETUP, data="{}")).status == 415
    assert (await client("GET", SETUP, auth=None)).status == 401


async def test_a_server_with_a_folder_keeps_its_own_address(tmp_path: Path) -> None:
    setup = {"action": "enable_single_node", "bind_address": "0.0.0.0", "port": 5984}
    async with ServerClient(tmp_path) as client:
        assert await _post(client, **setup) == (201, {"ok": True})
    async with ServerClient(tmp_path) as client:
        assert (await client("GET", f"{CONFIG}/chttpd/bind_address")).json == "127.0.0.1"
        assert await _state(client) == "single_node_enabled"
