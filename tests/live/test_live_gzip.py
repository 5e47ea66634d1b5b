"""Compressed request bodies, for real."""

from aiocouch import CouchDB, Database
from aiocouch.testing import CouchDBServer


async def test_compressed_bodies_arrive(db: Database, couchdb_server: CouchDBServer) -> None:
    text = "the same again and ü " * 5000
    server = couchdb_server
    async with CouchDB(server.url, server.user, server.password, gzip_above=1000) as couchdb:
        async with Database(couchdb, db.id).create_docs(["a", "b"]) as bulk:
            for doc in bulk:
                doc["text"] = text
        assert [doc.id for doc in bulk.ok or []] == ["a", "b"]
    assert (await db["a"])["text"] == text
