"""Sessions that end while many callers work, and requests that break meanwhile, log-ins among them."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from aiocouch import CouchDB, Database, Document, RetryPolicy
from aiocouch.auth import LoginAuth
from aiocouch.testing import Faults
from tests.support.accounts import until_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiocouch.testing import CouchDBServer

CALLERS = 64
# A log-in that breaks is a try of each caller who waits for it.
PATIENT = RetryPolicy(tries=12, budget=CALLERS * 20)


class Account:
    """A user whose password changes, in a database of its own."""

    def __init__(self, url: str, admin: CouchDB, db: Database) -> None:
        self.url = url
        self.name, self.password = f"user-{uuid.uuid4().hex}", "first"
        self.admin, self.db = admin, db
        self.changing = asyncio.Lock()

    async def appear(self) -> None:
        users = await self.admin.create("_users", exists_ok=True)
        self.document = Document(users, f"org.couchdb.user:{self.name}")
        await self.rotate("first")
        security = await self.db.security()
        security.add_member(self.name)
        await security.save()
        await (await self.db.create("x", data={"n": 1})).save()

    async def rotate(self, password: str) -> None:
        async with self.changing:
            self.document.update(name=self.name, password=password, roles=[], type="user")
            await self.document.save()
            await self.document.fetch(discard_changes=True)
            self.password = password
            await until_known(self.url, self.name, password)

    async def stored(self) -> tuple[str, str]:
        """Name and password of now; who asks while they change waits."""
        async with self.changing:
            return self.name, self.password


@pytest.fixture
async def account(
    couchdb_server: CouchDBServer, couchdb: CouchDB, db: Database
) -> AsyncIterator[Account]:
    found = Account(couchdb_server.url, couchdb, db)
    await found.appear()
    yield found
    await found.document.delete()


def bad_lines(faults: Faults) -> None:
    """One request of ten breaks."""
    faults.reset(times=None, chance=0.04)
    faults.lose(times=None, chance=0.04)
    faults.answer(503, times=None, chance=0.02)


def logins(faults: Faults) -> int:
    return sum(seen.method == "POST" and seen.path == "/_session" for seen in faults.requests)


async def read(session: CouchDB, account: Account) -> int:
    number: int = (await Database(session, account.db.id)["x"])["n"]
    return number


async def test_the_session_expires_once_for_all(
    couchdb_server: CouchDBServer, account: Account
) -> None:
    async with (
        Faults(couchdb_server) as faults,
        CouchDB(faults.url, auth=LoginAuth(account.stored), retry=None) as session,
    ):
        for number in range(1, 4):
            calls = [read(session, account) for _ in range(CALLERS)]
            assert await asyncio.gather(*calls) == [1] * CALLERS
            assert logins(faults) == number
            faults.forget_cookies()


@pytest.mark.timeout(600)
async def test_nobody_fails_when_sessions_expire_and_passwords_rotate_on_a_bad_day(
    couchdb_server: CouchDBServer, account: Account, seed: int, is_long: bool
) -> None:
    rounds = 40 if is_long else 4
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        CouchDB(faults.url, auth=LoginAuth(account.stored), retry=PATIENT) as session,
    ):
        bad_lines(faults)
        for number in range(rounds):
            calls = [asyncio.create_task(read(session, account)) for _ in range(CALLERS)]
            await account.rotate(f"password {number}")
            calls += [asyncio.create_task(read(session, account)) for _ in range(CALLERS)]
            faults.forget_cookies()
            assert await asyncio.gather(*calls) == [1] * 2 * CALLERS
        assert faults.broken.total() > rounds * CALLERS * 0.05
    async with CouchDB(couchdb_server.url, *await account.stored()) as session:
        assert await read(session, account) == 1, "nobody was locked out"
