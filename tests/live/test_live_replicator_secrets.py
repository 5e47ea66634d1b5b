"""Documents of `_replicator` databases show credentials to their owner and to admins only."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, CouchDBError
from tests.support.accounts import until_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer

PASSWORD = "a password"
NOWHERE = "127.0.0.1:9"
SECRETS = ("user1", "secret1", "secret2", "secret3")
JOB = {
    "source": f"http://user1:secret1@{NOWHERE}/a",
    "target": {
        "url": f"http://{NOWHERE}/b",
        "headers": {"X-Token": "secret2"},
        "auth": {"basic": {"username": "user1", "password": "secret3"}},
    },
}
WAYS: list[tuple[str, str, Any]] = [
    ("GET", "/job", None),
    ("GET", "/job?open_revs=all", None),
    ("GET", "/job?revs=true&conflicts=true", None),
    ("POST", "/_bulk_get", {"docs": [{"id": "job"}]}),
]
OF_MANY: list[tuple[str, str, Any]] = [
    ("GET", "/_all_docs?include_docs=true", None),
    ("POST", "/_all_docs?include_docs=true", {"keys": ["job"]}),
    ("GET", "/_changes?include_docs=true", None),
    ("POST", "/_find", {"selector": {}}),
]


@pytest.fixture
async def sessions(
    couchdb: CouchDB, couchdb_server: CouchDBServer
) -> AsyncIterator[tuple[str, CouchDB, CouchDB]]:
    """The path of a database with a job, a session of its owner, and one of somebody else."""
    url, names = couchdb_server.url, [f"user-{uuid.uuid4().hex}" for _ in range(2)]
    db = await couchdb.create(f"test-{uuid.uuid4().hex}/_replicator")
    try:
        security = await db.security()
        security["members"] = {"names": names, "roles": []}
        await security.save()
        for name in names:
            await couchdb.users.create(name, PASSWORD)
            await until_known(url, name, PASSWORD)
        async with (
            CouchDB(url, names[0], PASSWORD) as owner,
            CouchDB(url, names[1], PASSWORD) as other,
        ):
            await owner.database(db.id).document("job", JOB).save()
            yield db.endpoint, owner, other
    finally:
        await db.delete()
        for name in names:
            await couchdb.users.delete(name)


async def _seen(session: CouchDB, method: str, path: str, body: object) -> str:
    """Return what somebody sees, or the refusal."""
    sent = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        answer = await session.request(method, path, body=sent, headers=headers)
    except CouchDBError as error:
        return str(error)
    return answer.body.decode()


async def test_credentials_are_the_owners(
    couchdb: CouchDB, sessions: tuple[str, CouchDB, CouchDB]
) -> None:
    path, owner, other = sessions
    for method, way, body in WAYS:
        for session in (owner, couchdb):
            seen = await _seen(session, method, path + way, body)
            assert [secret for secret in SECRETS if secret in seen] == [*SECRETS], way
        seen = await _seen(other, method, path + way, body)
        assert [secret for secret in SECRETS if secret in seen] == [], way
        assert f"http://{NOWHERE}/a" in seen, way
        assert f"http://{NOWHERE}/b" in seen, way


@pytest.mark.parametrize("way", OF_MANY)
async def test_lists_show_them_to_nobody_else(
    sessions: tuple[str, CouchDB, CouchDB], way: tuple[str, str, Any]
) -> None:
    path, _, other = sessions
    seen = await _seen(other, way[0], path + way[1], way[2])
    assert [secret for secret in SECRETS if secret in seen] == []
