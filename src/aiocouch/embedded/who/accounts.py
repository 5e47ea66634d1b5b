"""The accounts of a server: admins of the configuration and documents of `_users`."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from aiocouch.embedded.errors import CouchError, forbidden, unauthorized
from aiocouch.embedded.who.lockout import Lockout
from aiocouch.embedded.who.passwords import (
    CannotHashError,
    Credentials,
    HashSettings,
    admin_credentials,
    document_credentials,
    hash_admin,
    matches,
    needs_upgrade,
    new_salt,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch.embedded.node.config import Configuration

    Count = Callable[[str], None]
    FindUser = Callable[[str], Mapping[str, Any] | None]
    Outdated = Callable[[dict[str, Any]], Awaitable[None]]

PATIENCE = 1.0
"""Seconds from a log-in to the renewal of the hash that was used."""

_T = TypeVar("_T")
_LOCKED = "Account is temporarily locked due to multiple authentication failures"
_CONFLICTS = (
    "User document conflicts must be resolved before the document"
    " is used for authentication purposes."
)
_MOST_REMEMBERED = 10_000


class Account(msgspec.Struct, frozen=True):
    """An account: its name, credentials and, where it has one, its `_users` document."""

    name: str
    credentials: Credentials
    document: Mapping[str, Any] | None

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that the account brings."""
        return self.credentials.roles

    @property
    def totp(self) -> Mapping[str, Any] | None:
        """The settings of one-time passwords, where the account demands them."""
        value = None if self.document is None else self.document.get("totp")
        return value if isinstance(value, dict) else None


class Hasher:
    """Two threads for slow hashes, made at first use, so that no request waits for another's.

    `count` is called with the name of a counter of `_stats` for every hash.
    """

    def __init__(self, count: Count | None = None) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._count = count

    def count(self, speed: Literal["fast", "slow"]) -> None:
        """Note one hash in the statistics."""
        if self._count is not None:
            self._count(f"couchdb.password_hashing_{speed}")

    async def run(self, scheme: str, function: Callable[..., _T], *args: Any) -> _T:
        """Run a function that hashes by a scheme (`simple`, `pbkdf2`, …) in a thread."""
        if scheme != "simple":
            self.count("slow")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(2, "aiocouch-hash")
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def close(self) -> None:
        """Let the threads end."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class Accounts:
    """Finds accounts and checks passwords.

    A right password is remembered as a keyed digest, so only the first request of an account
    pays for the slow hash. `find_user` gives the body of a `_users` document (with `_conflicts`
    when there are any) or None; `outdated` is told of documents whose hash should be renewed,
    `patience` seconds after the log-in.
    """

    def __init__(
        self,
        config: Configuration,
        hasher: Hasher,
        find_user: FindUser,
        outdated: Outdated | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._config = config
        self._hasher = hasher
        self._patience = patience
        self._find_user = find_user
        self._outdated = outdated
        self._lockout = Lockout(config)
        self._key = secrets.token_bytes(32)
        self._plain: dict[tuple[str, str], Credentials] = {}
        self._plain_digests: dict[tuple[str, str], bytes] = {}
        self._remembered: dict[tuple[str, str], bytes] = {}
        self._checks: dict[tuple[str, str, bytes], asyncio.Task[bool]] = {}
        self._renewals: dict[str, asyncio.Task[None]] = {}

    def find(self, name: str) -> Account | None:
        """Return an account. Raise 401 for a `_users` document with conflicts."""
        admin = self._admin(name)
        document = self._find_user(name)
        if document is None:
            return None if admin is None else Account(name, admin, None)
        self._check_conflicts(document)
        credentials = document_credentials(document)
        if admin is not None:
            return Account(name, admin.with_roles(credentials.roles), None)
        return Account(name, credentials, document)

    async def check(self, account: Account, password: str, peer: str) -> bool:
        """Return whether the password is right; 403 when there were too many wrong ones before."""
        salt = account.credentials.salt
        attempt = (peer, account.name, salt)
        if self._lockout.is_locked(attempt):
            raise forbidden(_LOCKED)
        right = await self._is_right(account, password)
        if right:
            self._renew(account, password)
        else:
            self._lockout.count(attempt)
        return right

    async def hash_admins(self) -> None:
        """Replace plain passwords in the section `admins` by hashes, for those who look there."""
        for name, text in self._config.section("admins").items():
            if admin_credentials(text) is None:
                await self.set_admin(name, text, persist=self._config.is_stored("admins", name))

    async def hash_stored_admins(self) -> None:
        """Leave no plain password in the settings file."""
        for name, text in self._config.section("admins").items():
            if self._config.is_stored("admins", name) and admin_credentials(text) is None:
                await self.set_admin(name, text, persist=True)

    async def put_admin(self, name: str, text: str, *, persist: bool) -> str:
        """Keep a password or its hash in the section `admins`; return the old text."""
        if admin_credentials(text) is not None:
            return self._config.put("admins", name, text, persist=persist)
        await self.hash_admins()
        return await self.set_admin(name, text, persist=persist)

    async def set_admin(self, name: str, password: str, *, persist: bool) -> str:
        """Make a server admin, or change the password; return the old text of the setting."""
        salt = self._plain_credentials(name, password).salt
        settings = HashSettings.of(self._config)
        text = await self._hasher.run(settings.scheme, hash_admin, password, settings, salt)
        self._remembered[name, salt] = self._digest(password)
        return self._config.put("admins", name, text, persist=persist)

    def _admin(self, name: str) -> Credentials | None:
        text = self._config.get("admins", name)
        if text is None:
            return None
        return admin_credentials(text) or self._plain_credentials(name, text)

    def _plain_credentials(self, name: str, password: str) -> Credentials:
        # An admin given at start in plain text costs no hash until somebody looks at it.
        found = self._plain.get((name, password))
        if found is None:
            found = Credentials(("_admin",), new_salt(), "plain", "", 0, None)
            self._plain[name, password] = found
            self._plain_digests[name, found.salt] = self._digest(password)
        return found

    def _check_conflicts(self, document: Mapping[str, Any]) -> None:
        if "_conflicts" in document and not self._config.flag(
            "chttpd_auth", "allow_conflicted_user_docs", default=False
        ):
            raise unauthorized(_CONFLICTS)

    async def _is_right(self, account: Account, password: str) -> bool:
        key = (account.name, account.credentials.salt)
        digest = self._digest(password)
        known = self._plain_digests.get(key) or self._remembered.get(key)
        if known is not None:
            self._hasher.count("fast")
            return hmac.compare_digest(known, digest)
        right = await self._check_once(account, password, digest)
        if right:
            self._hasher.count("fast")
            self._remember(key, digest)
        return right

    def _remember(self, key: tuple[str, str], digest: bytes) -> None:
        while len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = digest

    async def _check_once(self, account: Account, password: str, digest: bytes) -> bool:
        """Let requests that come together with one password share one slow hash."""
        key = (account.name, account.credentials.salt, digest)
        task = self._checks.get(key)
        if task is None:
            task = asyncio.ensure_future(self._check_slowly(account.credentials, password))
            self._checks[key] = task
            task.add_done_callback(lambda _: self._checks.pop(key, None))
        return await asyncio.shield(task)

    async def _check_slowly(self, credentials: Credentials, password: str) -> bool:
        self._check_iterations(credentials)
        try:
            return await self._hasher.run(credentials.scheme, matches, credentials, password)
        except CannotHashError as error:
            raise forbidden(str(error)) from error

    def _check_iterations(self, credentials: Credentials) -> None:
        if credentials.scheme == "simple":
            return
        if credentials.iterations < self._config.integer("chttpd_auth", "min_iterations", 1):
            raise forbidden("Iteration count is too low for this server")
        if credentials.iterations > self._config.integer("chttpd_auth", "max_iterations", 10**9):
            raise forbidden("Iteration count is too high for this server")

    def _renew(self, account: Account, password: str) -> None:
        """Start writing a fresh hash when the stored one was made with other settings."""
        if account.document is None or self._outdated is None:
            return
        if "_attachments" in account.document:
            return  # a rewrite would have to carry them along
        if not self._config.flag("chttpd_auth", "upgrade_hash_on_auth", default=True):
            return
        if needs_upgrade(account.document, HashSettings.of(self._config)):
            self._begin_renewal(account.name, account.document, password)

    def _begin_renewal(self, name: str, document: Mapping[str, Any], password: str) -> None:
        if name in self._renewals or self._outdated is None:
            return
        body = {**document, "password": password, "preserve_salt": True}
        task = asyncio.ensure_future(_later(self._patience, self._outdated, body))
        self._renewals[name] = task
        task.add_done_callback(lambda _: self._renewals.pop(name, None))

    async def close(self) -> None:
        """Stop what runs in the background."""
        tasks = [*self._renewals.values(), *self._checks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode(), "sha256")


async def _later(seconds: float, renew: Outdated, document: dict[str, Any]) -> None:
    # Who has just logged in may be about to save the document: that write goes first.
    await asyncio.sleep(seconds)
    # A renewal that loses against another write is tried again at the next log-in.
    with contextlib.suppress(CouchError):
        await renew(document)
