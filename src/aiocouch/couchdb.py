"""One server: its databases, and the session with it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, overload

from aiocouch._renamed import Discreet, Renamed
from aiocouch._wire.options import DATABASE, LIST, checked, with_query
from aiocouch.auth import CookieAuth
from aiocouch.database import Database
from aiocouch.exception import (
    BadRequestError,
    Facts,
    PreconditionFailedError,
    TransportError,
    UnauthorizedError,
)
from aiocouch.remote import Remote

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Unpack

    from yarl import URL

    from aiocouch.typing import DatabaseOptions, JsonDict, ListOptions

__all__ = ["CouchDB"]


class CouchDB(Discreet):
    """A session with a CouchDB server, an async context manager; else `close` it by hand.

    `server` is its URL, which may have a path and credentials. `user` and `password` are sent with
    every request; `cookie` is the value of an `AuthSession` cookie. All else goes to
    `aiohttp.ClientSession`, such as `headers` or `timeout`. Nothing is sent before the first request.
    Bodies of more bytes than `gzip_above` are compressed, if that pays and the server takes it.

    Raises `InvalidInputError` for a bad URL, `InvalidTypeError` for an unknown option.
    """

    def __init__(
        self,
        server: str | URL | None,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        *,
        gzip_above: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        self.remote = Remote(
            server, user=user, password=password, cookie=cookie, gzip_above=gzip_above, **kwargs
        )

    _server = Renamed("remote")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.remote.url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Later requests raise `SessionClosedError`.

        Loops that have not got everything yet end with `TruncatedError`.
        """
        await self.remote.close()

    async def check_credentials(self) -> None:
        """Raise `UnauthorizedError` unless the credentials that were given took (`GET /_session`).

        A cookie that has expired counts as none for the server, so this looks at who it says we are.
        Without credentials there is nothing to refuse.
        """
        try:
            response = await self.remote.request("GET", "/_session")
        except BadRequestError as error:
            if not isinstance(self.remote.credentials, CookieAuth):
                raise
            # CouchDB answers 400 to a cookie that it cannot read.
            raise UnauthorizedError(str(error), Facts("GET", "/_session", 400)) from error
        context = response.json().get("userCtx", {})
        if self.remote.has_credentials and context.get("name") is None:
            facts = Facts("GET", "/_session", response.status)
            raise UnauthorizedError(
                "the server takes us for anonymous: the credentials are not valid", facts
            )

    async def __getitem__(self, id: str) -> Database:
        """The database (`HEAD /{db}`). Raises `NotFoundError` when it does not exist."""
        database = Database(self, id)
        await self.remote.request("HEAD", database.endpoint)
        return database

    async def create(
        self, id: str, exists_ok: bool = False, **params: Unpack[DatabaseOptions]
    ) -> Database:
        """Create a database (`PUT /{db}`).

        Raises `PreconditionFailedError` when it exists, unless `exists_ok`; then the options are
        those that it was created with. `BadRequestError` for a name that CouchDB does not take.
        """
        database = Database(self, id)
        path = with_query(database.endpoint, checked(params, DATABASE))
        try:
            await self.remote.request("PUT", path)
        except (PreconditionFailedError, TransportError) as error:
            # It exists also where it is not clear whether this request has created it.
            if not exists_ok or error.status != HTTPStatus.PRECONDITION_FAILED:
                raise
        return database

    @overload
    async def keys(self, **params: Unpack[ListOptions]) -> list[str]: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    async def keys(self, *, _: object, **params: object) -> list[str]: ...

    async def keys(self, **params: Any) -> list[str]:
        """The names of all databases (`GET /_all_dbs`)."""
        path = with_query("/_all_dbs", checked(params, LIST))
        response = await self.remote.request("GET", path)
        names: list[str] = response.json()
        return names

    async def info(self) -> JsonDict:
        """The server's greeting: version, vendor, features (`GET /`)."""
        response = await self.remote.request("GET", "/")
        greeting: JsonDict = response.json()
        return greeting
