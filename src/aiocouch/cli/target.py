"""What a command works on: a server, or a database of it, and who we are there.

An address is `URL[/database]`, `embedded:///folder[/database]` of a server in this process (`places`),
`@profile[/database]`, or a database alone, of the server that `COUCHDB_URL`
names or else of the profile "default". Credentials come from the URL, else from the profile, else from
`COUCHDB_USER` and `COUCHDB_PASSWORD`, else from a prompt. Those of the environment are for the server that
`COUCHDB_URL` names, if it does, and for no other. None is ever part of a message.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from enum import Enum
from errno import ENOENT
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from aiocouch import CouchDB, CouchDBError, InvalidInputError, RetryPolicy
from aiocouch.auth import TokenAuth, tls
from aiocouch.cli.asking import secret
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.places import HOW_TO_INSTALL, is_embedded, place_of, server_url
from aiocouch.cli.profiles import profile, profiles_file
from aiocouch.cli.told import CONNECT

if TYPE_CHECKING:
    import argparse
    from ssl import SSLContext

    from aiocouch import Database

__all__ = ["ADDRESS", "Of", "Target", "add_credentials", "add_target", "read_target"]

ADDRESS = "URL[/database], embedded:///folder[/database], @profile[/database], or a database of COUCHDB_URL"
_UNREADABLE = (
    "the URL cannot be read. In a user name or password, characters such as / : @ # ? must be written as "
    "%2F %3A %40 %23 %3F"
)


class _Retry(RetryPolicy):
    """That of the library, but of a server that stays silent it is known after the second time."""

    def wait(self, tries: int, error: CouchDBError, *args: Any, **kwargs: Any) -> float | None:
        """Return the seconds until the next try, None to give up."""
        is_silent = isinstance(error, aiohttp.ConnectionTimeoutError)
        return None if is_silent and tries > 1 else super().wait(tries, error, *args, **kwargs)


_RETRY = _Retry()
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=CONNECT)


class Of(Enum):
    """What an address must name. With `EITHER`, its last part is a database unless a slash follows."""

    SERVER = "server"
    DATABASE = "database"
    EITHER = "either"


@dataclass(frozen=True)
class Target:
    """A server, by its URL without credentials, who we are there, and a database of it, or none."""

    url: str
    name: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca: str | None = None

    def connect(self, **options: Any) -> CouchDB:
        """Return a session with the server. Sends nothing yet."""
        if self.token is not None:
            options["auth"] = TokenAuth(self.token)
        elif self.user is not None:
            options |= {"user": self.user, "password": self.password or ""}
        if not self.is_embedded:
            options = {"timeout": _TIMEOUT, "retry": _RETRY, **options}
            if self.ca is not None:
                options["tls"] = _trusting(self.ca)
        try:
            return CouchDB(self.url, **options)
        except ImportError as error:  # only a server in this process needs more than the client
            raise CommandError(f"{error}. {HOW_TO_INSTALL}") from None

    @property
    def is_embedded(self) -> bool:
        """Whether the server is in this process."""
        return is_embedded(self.url)

    def for_nobody(self) -> Target:
        """Return the same server without a login."""
        # Who comes into a server in this process without a name is its admin, and `_` is nobody.
        nobody = "_" if self.is_embedded else None
        return Target(self.url, self.name, nobody, nobody, ca=self.ca)

    def database(self, couchdb: CouchDB) -> Database:
        """Return the database that is named. Sends no request."""
        if self.name is None:
            raise CommandError("the address names no database", Exit.USAGE)
        return couchdb.database(self.name)


def add_target(
    parser: argparse.ArgumentParser,
    of: Of,
    name: str = "target",
    *,
    help: str | None = None,
    credentials: bool = True,
) -> None:
    """Add the argument that names the server or database, and the options that say who we are.

    A server may be left out, then it is that of `COUCHDB_URL` or of the profile "default". A command with
    two addresses adds the options once.
    """
    needed = {} if of is Of.DATABASE else {"nargs": "?"}
    what = help or f"the {'server' if of is Of.SERVER else 'server or database'}"
    if of is Of.DATABASE and help is None:
        what = "the database"
    metavar = {"target": "ADDRESS"}.get(name, name.upper())
    parser.add_argument(name, metavar=metavar, help=f"{what}: {ADDRESS}", **needed)  # type: ignore[arg-type]
    if credentials:
        add_credentials(parser)


def add_credentials(parser: argparse.ArgumentParser) -> None:
    """Add the options that say who we are."""
    parser.add_argument("--profile", metavar="NAME", help="the server and user of a profile")
    parser.add_argument(
        "--user", metavar="NAME", help="who you are; the password is asked for on a terminal"
    )
    parser.add_argument(
        "--ca", metavar="FILE", help="authorities to trust, in PEM, instead of those of the system"
    )


def read_target(
    given: argparse.Namespace, of: Of, text: str | None = None, *, creates: bool = False
) -> Target:
    """Return what an address names: `text`, or the argument `target`. Asks for a password that is lacking.

    With `creates` the folder of a server in this process may be a new one. Raise `CommandError` for an
    address that cannot be used, and for a password that nobody can be asked for.
    """
    address = text if text is not None else getattr(given, "target", None)
    found = _find(address, of, getattr(given, "profile", None), creates=creates)
    if of is Of.DATABASE and found.name is None:
        raise _refusal(f"the address names no database: {found.url}")
    if not found.is_embedded and urlsplit(found.url).path:
        given.servers_below = [*getattr(given, "servers_below", ()), found.url]
    return _with_credentials(found, given)


def _find(address: str | None, of: Of, named: str | None, *, creates: bool) -> Target:
    if address is not None and ("://" in address or is_embedded(address)):
        if named is not None:
            raise _refusal("an address that is a URL, or --profile, not both")
        return _of_url(address, of, creates=creates)
    if address is not None and address[:1] == "@":
        if named is not None:
            raise _refusal("@profile in the address, or --profile, not both")
        named, _, address = address[1:].partition("/")
    if address and (":" in address or "." in address):
        raise _refusal(
            "an address begins with http://, https:// or embedded:, or is the name of a database"
        )
    base = _base(named, creates=creates)
    if address and of is Of.SERVER:
        raise _refusal(f"a server is wanted, and {address!r} names a database")
    return Target(base.url, address or None, base.user, base.password, base.token, base.ca)


def _base(named: str | None, *, creates: bool) -> Target:
    """Return the server of a profile, or else of the environment, or of the default profile."""
    url = os.environ.get("COUCHDB_URL")
    if named is None and url:
        return _of_setting(url, "COUCHDB_URL", creates=creates)
    if named is None and not profiles_file().exists():
        raise _refusal("which server? Give a URL, or set COUCHDB_URL, or write a profile 'default'")
    found = profile(named or "default")
    where = f"the profile {named or 'default'!r}"
    base = _of_setting(found["url"], where, creates=creates)
    return Target(
        base.url,
        None,
        base.user or found.get("user"),
        base.password or found.get("password"),
        found.get("token"),
        found.get("ca"),
    )


def _of_setting(url: str, where: str, *, creates: bool) -> Target:
    """Return the server that is set somewhere, whose name is told if it cannot be used."""
    try:
        return _of_url(url, Of.SERVER, creates=creates)
    except CommandError as error:
        raise CommandError(f"{where}: {error}", error.status) from None


def _of_url(text: str, of: Of, *, creates: bool = False) -> Target:
    if is_embedded(text):
        place = place_of(
            text, server=of is not Of.DATABASE, database=of is not Of.SERVER, creates=creates
        )
        return Target(*place)
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise _refusal(_UNREADABLE) from None
    if parts.scheme not in {"http", "https"}:
        raise _refusal("a URL begins with http://, https:// or embedded:")
    if not parts.hostname:
        raise _refusal(_UNREADABLE)
    if parts.query or parts.fragment or "@" in parts.path:
        raise _refusal(f"an address has no query and no fragment. Or {_UNREADABLE}")
    path, name = parts.path, None
    if of is Of.DATABASE or (of is Of.EITHER and not path.endswith("/")):
        path, _, name = path.rstrip("/").rpartition("/")
    user, password = parts.username, parts.password
    return Target(
        f"{parts.scheme}://{_host(parts)}{path.rstrip('/')}",
        unquote(name) if name else None,
        None if user is None else unquote(user),
        None if password is None else unquote(password),
    )


def _trusting(file: str) -> SSLContext:
    try:
        return tls(ca=file)
    except FileNotFoundError:
        raise FileNotFoundError(ENOENT, os.strerror(ENOENT), file) from None
    except InvalidInputError:
        raise _refusal(f"{file} has no certificates in PEM") from None
    except OSError as error:
        raise _refusal(f"{file}: {error.strerror}") from None


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _with_credentials(found: Target, given: argparse.Namespace) -> Target:
    user, password = found.user, found.password
    asked = getattr(given, "user", None)
    if asked is not None:
        password = password if user == asked else None
        user = asked
    elif user is None and found.token is None and _is_for_environment(found.url):
        user = os.environ.get("COUCHDB_USER") or None
    if user is not None and password is None:
        password = _password(found.url, user)
    ca = getattr(given, "ca", None) or found.ca
    return Target(found.url, found.name, user, password, None if asked else found.token, ca)


def _is_for_environment(url: str) -> bool:
    """Return whether credentials of the environment may be sent to a server.

    Who opens a folder needs none, so they are for one only if it is the server of the environment.
    """
    named = os.environ.get("COUCHDB_URL")
    if not named:
        return not is_embedded(url)
    if is_embedded(url) or is_embedded(named):
        return is_embedded(url) and is_embedded(named) and url == server_url(named)
    return _origin(url) == _origin(named)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        raise _refusal(f"COUCHDB_URL: {_UNREADABLE}") from None
    return parts.scheme, parts.hostname, port


def _password(url: str, user: str) -> str:
    """Return the password of the environment, if it is for this user there, or ask for it."""
    known = os.environ.get("COUCHDB_PASSWORD")
    theirs = os.environ.get("COUCHDB_USER") or user
    if known and user == theirs and _is_for_environment(url):
        return known
    if not sys.stdin.isatty():
        raise _refusal(
            f"the password of {user!r} is not known, and there is no terminal to ask for it: "
            "set COUCHDB_PASSWORD, or write a profile"
        )
    return secret(f"password of {user} at {url}: ")


def _refusal(words: str) -> CommandError:
    return CommandError(words, Exit.USAGE)
