"""The session with a server: databases, credentials, info."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Document
from aiocouch.exception import CouchDBError
from aiocouch.testing import CouchDBServer

USER_PASSWORD = "pä:ss wörd"


@pytest.fixture
async def user(couchdb: CouchDB) -> AsyncIterator[str]:
    """The name of an ordinary user; the password is USER_PASSWORD."""
    users = await couchdb.create("_users", exists_ok=True)
    name = f"user-{uuid.uuid4().hex}"
    doc = Document(users, f"org.couchdb.user:{name}")
    doc.update({"name": name, "password": USER_PASSWORD, "roles": [], "type": "user"})
    await doc.save()
    yield name
    await doc.fetch(discard_changes=True)
    await doc.delete()


async def test_info(couchdb: CouchDB) -> None:
    info = await couchdb.info()
    assert info["couchdb"] == "Welcome"
    assert isinstance(info["version"], str)


async def test_create_open_delete(couchdb: CouchDB, fresh_name: str) -> None:
    assert fresh_name not in await couchdb.keys()
    created = await couchdb.create(fresh_name)
    assert created.id == fresh_name
    assert fresh_name in await couchdb.keys()
    opened = await couchdb[fresh_name]
    assert (await opened.info())["db_name"] == fresh_name
    await opened.delete()
    assert fresh_name not in await couchdb.keys()


async def test_create_twice(couchdb: CouchDB, fresh_name: str) -> None:
    await couchdb.create(fresh_name)
    with pytest.raises(aiocouch.PreconditionFailedError) as caught:
        await couchdb.create(fresh_name)
    assert caught.value.status == 412
    assert caught.value.error == "file_exists"
    again = await couchdb.create(fresh_name, exists_ok=True)
    assert again.id == fresh_name
    positional = await couchdb.create(fresh_name, True)
    assert positional.id == fresh_name


async def test_create_sends_its_parameters(couchdb: CouchDB, fresh_name: str) -> None:
    db = await couchdb.create(fresh_name, partitioned=True)
    assert (await db.info())["props"]["partitioned"] is True
    # HEAD alone does not tell why.
    with pytest.raises(aiocouch.BadRequestError, match="partition:id"):
        await db.create("without-partition")


@pytest.mark.parametrize("name", ["Upper", "_private", "1digit", "sp ace", "ü"])
async def test_illegal_database_name(couchdb: CouchDB, name: str) -> None:
    with pytest.raises(aiocouch.BadRequestError) as caught:
        await couchdb.create(name)
    assert caught.value.status == 400
    assert caught.value.error == "illegal_database_name"


async def test_missing_database(couchdb: CouchDB, fresh_name: str) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await couchdb[fresh_name]
    with pytest.raises(KeyError):
        await couchdb[fresh_name]


async def test_keys_with_options(couchdb: CouchDB, fresh_name: str) -> None:
    await couchdb.create(fresh_name)
    assert len(await couchdb.keys(limit=1)) == 1
    assert await couchdb.keys(startkey=f'"{fresh_name}"', limit=1) == [fresh_name]
    everything = await couchdb.keys()
    assert everything == sorted(everything)
    backwards = await couchdb.keys(descending=True)
    # other tests make and delete databases of the same server meanwhile
    both = set(everything) & set(backwards)
    assert fresh_name in both
    assert [name for name in everything[::-1] if name in both] == [
        name for name in backwards if name in both
    ]


async def test_session_by_hand(couchdb_server: CouchDBServer) -> None:
    couchdb = aiocouch.CouchDB(
        couchdb_server.url, user=couchdb_server.user, password=couchdb_server.password
    )
    await couchdb.check_credentials()
    assert (await couchdb.info())["couchdb"] == "Welcome"
    await couchdb.close()


@pytest.mark.parametrize("suffix", ["", "/"])
async def test_credentials_in_the_url(couchdb_server: CouchDBServer, suffix: str) -> None:
    async with CouchDB(couchdb_server.auth_url + suffix) as couchdb:
        await couchdb.check_credentials()
        assert "_users" in await couchdb.keys() or isinstance(await couchdb.keys(), list)


async def test_session_with_own_http_options(couchdb_server: CouchDBServer) -> None:
    timeout = aiohttp.ClientTimeout(total=30)
    headers = {"User-Agent": "mine/1"}
    async with couchdb_server.connect(timeout=timeout, headers=headers) as couchdb:
        assert (await couchdb.info())["couchdb"] == "Welcome"


async def test_check_credentials_of_a_user(couchdb_server: CouchDBServer, user: str) -> None:
    async with CouchDB(couchdb_server.url, user=user, password=USER_PASSWORD) as couchdb:
        await couchdb.check_credentials()


async def test_check_credentials_with_a_wrong_password(
    couchdb_server: CouchDBServer, user: str
) -> None:
    async with CouchDB(couchdb_server.url, user=user, password="wrong") as couchdb:
        with pytest.raises(aiocouch.UnauthorizedError) as caught:
            await couchdb.check_credentials()
        assert isinstance(caught.value, PermissionError)
        assert "wrong" not in repr(caught.value)


async def test_check_credentials_without_any(couchdb_server: CouchDBServer) -> None:
    async with CouchDB(couchdb_server.url) as couchdb:
        await couchdb.check_credentials()


async def cookie_of(server: CouchDBServer, name: str) -> str:
    async with (
        aiohttp.ClientSession() as client,
        client.post(
            f"{server.url}/_session", json={"name": name, "password": USER_PASSWORD}
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return answer.cookies["AuthSession"].value


async def test_session_cookie(couchdb_server: CouchDBServer, user: str) -> None:
    cookie = await cookie_of(couchdb_server, user)
    async with CouchDB(couchdb_server.url, cookie=cookie) as couchdb:
        await couchdb.check_credentials()


@pytest.mark.parametrize("kind", ["forged", "malformed"])
async def test_cookie_that_does_not_take(
    couchdb_server: CouchDBServer, user: str, kind: str
) -> None:
    cookie = await cookie_of(couchdb_server, user)
    wrong = f"{cookie[:-4]}AAAA" if kind == "forged" else "%%%"
    async with CouchDB(couchdb_server.url, cookie=wrong) as couchdb:
        with pytest.raises(CouchDBError) as caught:
            await couchdb.check_credentials()
        if kind == "forged":
            assert isinstance(caught.value, aiocouch.UnauthorizedError)


async def test_anonymous_may_not(couchdb_server: CouchDBServer, fresh_name: str) -> None:
    async with CouchDB(couchdb_server.url) as anonymous:
        with pytest.raises(aiocouch.UnauthorizedError):
            await anonymous.create(fresh_name)
        with pytest.raises(aiocouch.UnauthorizedError):
            await anonymous.keys()


async def test_user_may_not_what_only_admins_may(
    couchdb_server: CouchDBServer, user: str, db: aiocouch.Database
) -> None:
    async with CouchDB(couchdb_server.url, user=user, password=USER_PASSWORD) as couchdb:
        calls: list[Any] = [
            lambda: couchdb[db.id],
            lambda: aiocouch.Database(couchdb, db.id)["x"],
            lambda: Document(aiocouch.Database(couchdb, db.id), "x").save(),
            lambda: anext(aiocouch.Database(couchdb, db.id).docs()),
            lambda: anext(aiocouch.Database(couchdb, db.id).changes()),
            lambda: anext(aiocouch.Database(couchdb, db.id).find({})),
        ]
        for call in calls:
            with pytest.raises(aiocouch.ForbiddenError) as caught:
                await call()
            assert isinstance(caught.value, PermissionError)
            assert caught.value.status == 403


async def test_prefix_is_a_path(couchdb_server: CouchDBServer) -> None:
    async with CouchDB(f"{couchdb_server.url}/not-a-database-here") as couchdb:
        with pytest.raises(CouchDBError):
            await couchdb.info()


async def test_two_sessions_at_once(couchdb_server: CouchDBServer) -> None:
    async with couchdb_server.connect() as one, couchdb_server.connect() as other:
        assert await one.info() == await other.info()


async def test_database_with_a_slash_and_signs(couchdb: CouchDB) -> None:
    name = f"test-{uuid.uuid4().hex}/a+b(c)$_-"
    db = await couchdb.create(name)
    try:
        doc = await db.create("x", data={"n": 1})
        await doc.save()
        assert (await (await couchdb[name])["x"])["n"] == 1
        assert [key async for key in db.akeys()] == ["x"]
        assert [doc.id async for doc in db.docs()] == ["x"]
        assert [doc.id async for doc in db.find({"n": 1})] == ["x"]
        assert [event.id async for event in db.changes()] == ["x"]
        assert (await db.info())["db_name"] == name
        assert name in await couchdb.keys()
    finally:
        with contextlib.suppress(aiocouch.NotFoundError):
            await db.delete()
