"""The databases of the system in memory, which are made when somebody asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.embedded.store.registry import Databases

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import CouchDB

SETTINGS = {"chttpd_auth": {"iterations": "10"}}


async def _seen(couchdb: CouchDB) -> dict[str, object]:
    """Return what shows of the databases of the system."""
    await couchdb.create("_global_changes")  # or there is no feed of events
    updates = (await couchdb.request("GET", "/_db_updates")).json()
    infos = (
        await couchdb.request("POST", "/_dbs_info", body=b'{"keys":["_users","_replicator"]}')
    ).json()
    kept = ("db_name", "doc_count", "doc_del_count", "props", "cluster")
    users = (await couchdb.request("GET", "/_users/_all_docs?include_docs=true")).json()
    return {
        "names": await couchdb.keys(),
        "updates": sorted((row["db_name"], row["type"]) for row in updates["results"]),
        "infos": [{name: row["info"][name] for name in kept} for row in infos],
        "sequences": [row["info"]["update_seq"].split("-")[0] for row in infos],
        "users": users,
    }


async def test_they_look_as_if_they_had_been_made_at_the_start(tmp_path: Path) -> None:
    async with (
        EmbeddedCouchDB(settings=SETTINGS).connect() as in_memory,
        EmbeddedCouchDB(tmp_path, settings=SETTINGS).connect() as in_folder,
    ):
        assert await _seen(in_memory) == await _seen(in_folder)


async def test_opening_one_is_no_event() -> None:
    async with EmbeddedCouchDB(settings=SETTINGS).connect() as couchdb:
        await couchdb.create("_global_changes")
        before = (await couchdb.request("GET", "/_db_updates")).json()
        await couchdb["_users"]
        await couchdb["_replicator"]
        assert (await couchdb.request("GET", "/_db_updates")).json() == before


async def test_the_design_document_goes_with_the_database_of_the_settings() -> None:
    settings = {**SETTINGS, "chttpd_auth": {"authentication_db": "people"}}
    async with EmbeddedCouchDB(settings=settings).connect() as couchdb:
        assert (await (await couchdb["_users"]).info())["doc_count"] == 0


@pytest.mark.parametrize("name", ["_users", "_replicator"])
async def test_one_that_nobody_has_opened_can_be_deleted(name: str) -> None:
    async with EmbeddedCouchDB(settings=SETTINGS).connect() as couchdb:
        await (await couchdb[name]).delete()
        assert name not in await couchdb.keys()
        await couchdb.create(name)
        assert name in await couchdb.keys()


async def test_deleting_what_is_blank() -> None:
    databases = Databases(None)
    databases.create_blank("_users")
    assert databases.is_blank("_users")
    assert await databases.delete("_users")
    assert not databases.is_blank("_users")
    assert databases.open("_users") is None
    await databases.close()
