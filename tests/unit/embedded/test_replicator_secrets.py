"""What the embedded server hides of replications beyond what CouchDB 3.5.2 does."""

from __future__ import annotations

import pytest

from aiocouch import CouchDB, CouchDBError
from aiocouch.embedded import EmbeddedCouchDB

JOB = {
    "source": {"url": "http://user1:secret1@127.0.0.1:9/a?x=1@2"},
    "target": "HTTP://user1:se@cret1@127.0.0.1:9/b",
}
SHOWN = {"url": "http://127.0.0.1:9/a?x=1@2"}


@pytest.mark.parametrize("name", ["_replicator", "x/_replicator"])
async def test_credentials_in_the_url_of_an_object(name: str) -> None:
    async with EmbeddedCouchDB() as server:
        async with server.connect() as couchdb:
            db = await couchdb.create(name, exists_ok=True)
            security = await db.security()
            security["members"] = {"names": ["anna"], "roles": []}
            await security.save()
            await couchdb.users.create("anna", "a password")
            await db.document("job", JOB).save()
            await db.document("_design/all", {"views": {"v": {"map": "function(d) {}"}}}).save()
        async with CouchDB(server.url, "anna", "a password") as couchdb:
            job = await couchdb.database(name).get("job")
            assert job["source"] == SHOWN
            assert job["target"] == "HTTP://127.0.0.1:9/b"
            with pytest.raises(CouchDBError):
                await couchdb.request("GET", f"{job.database.endpoint}/_design/all/_view/v")
