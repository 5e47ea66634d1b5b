"""One server: its databases, and the session with it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast, overload

import msgspec

from aiocouch._locals import forgets
from aiocouch._renamed import Discreet, Renamed
from aiocouch._tracked import ACCEPTED
from aiocouch._transport.limits import MOST
from aiocouch._transport.policy import DEFAULT, RetryPolicy
from aiocouch._transport.request import NOTHING, Repeat
from aiocouch._wire.codec import encode, strings
from aiocouch._wire.options import DATABASE, LIST, checked, with_query
from aiocouch.database import Database
from aiocouch.exception import (
    BadRequestError,
    Facts,
    InvalidInputError,
    InvalidTypeError,
    PreconditionFailedError,
    UnauthorizedError,
)
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from types import TracebackType
    from typing import Unpack

    import aiohttp

    from aiocouch._transport.url import Servers
    from aiocouch.answers import ActiveTask, DatabaseEvent, DatabaseRow, ServerStatus
    from aiocouch.auth import Auth
    from aiocouch.changes import DatabaseUpdate, Follower, FollowUpdatesOptions
    from aiocouch.hooks import Hooks
    from aiocouch.remote import HTTPResponse, Remote
    from aiocouch.server import Cluster, Node, Replications, Reshard, Session, Users
    from aiocouch.typing import DatabaseOptions, ListOptions

__all__ = ["CouchDB"]

Analyzer: TypeAlias = "str | Mapping[str, Any]"


class _UserContext(msgspec.Struct):
    name: str | None


class _Session(msgspec.Struct):
    userCtx: _UserContext  # noqa: N815 - CouchDB's name


class _Ids(msgspec.Struct):
    uuids: list[str]


class _Tokens(msgspec.Struct):
    tokens: list[str]


class CouchDB(Discreet):
    """A session with a CouchDB server, an async context manager; else `close` it by hand.

    `server` is its URL, which may have a path and credentials, or a list of the URLs of the nodes of a
    cluster, those that are preferred first. `"embedded:///folder"` is a database in this process, in that
    folder, and `"embedded:"` one in memory: the embedded server without a socket, which has no nodes and
    takes anyone without credentials for its admin. `user` and `password` are sent with every request;
    `cookie` is the value of an `AuthSession` cookie; `auth` is any other way to say who we are, such as
    `aiocouch.auth.LoginAuth`. `tls` has authorities and certificates of one's own
    (`aiocouch.auth.tls`). `retry` says what is tried again after a failure that may pass; with None
    nothing is. Rows that break off go on after the last one, unless `resume` is False. `hooks` are told
    of each request (`aiocouch.hooks`). Bodies of more bytes than `gzip_above` are compressed, if that
    pays and the server takes it. `max_size` is how many bytes a row, a document, or an answer that is
    held whole may have, decompressed; None: any number. All else goes to `aiohttp.ClientSession`, such
    as `headers` or `timeout`. Nothing is sent before the first request.

    Raises `InvalidInputError` for a bad URL, or credentials given twice, `InvalidTypeError` for an
    unknown option.
    """

    @overload
    def __init__(
        self,
        server: Servers,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        *,
        gzip_above: int | str | None = None,
        max_size: int | None = MOST,
        retry: RetryPolicy | None = DEFAULT,
        resume: bool = True,
        auth: Auth | aiohttp.BasicAuth | None = None,
        tls: ssl.SSLContext | None = None,
        hooks: Hooks | Iterable[Hooks] | None = None,
        **kwargs: Any,
    ) -> None: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    def __init__(
        self,
        server: Servers,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        *,
        _: object,
        **kwargs: object,
    ) -> None: ...

    @forgets
    def __init__(
        self,
        server: Servers,
        user: str | None = None,
        password: str | None = None,
        cookie: str | None = None,
        *,
        gzip_above: Any = None,
        max_size: Any = MOST,
        retry: Any = DEFAULT,
        resume: Any = True,
        auth: Any = None,
        tls: Any = None,
        hooks: Any = None,
        **kwargs: Any,
    ) -> None:
        from aiocouch.remote import Remote

        self.remote: Remote = Remote(
            server,
            user=user,
            password=password,
            cookie=cookie,
            gzip_above=gzip_above,
            max_size=max_size,
            retry=retry,
            resume=resume,
            auth=auth,
            tls=tls,
            hooks=hooks,
            **kwargs,
        )

    _server = Renamed("remote")

    def __repr__(self) -> str:
        remote = vars(self).get("remote")
        return f"<{type(self).__name__} {remote.url if remote else 'that was not made'}>"

    async def __aenter__(self) -> Self:
        await self.remote.open()
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

        So do loops that have not got everything yet, and calls that still wait for their answer.
        """
        await self.remote.close()

    async def check_credentials(self) -> None:
        """Raise `UnauthorizedError` unless the credentials that were given are valid (`GET /_session`).

        A cookie that has expired counts as none for the server, so this looks at who it says we are.
        Without credentials there is nothing to refuse.
        """
        from aiocouch.auth.lease import Leased

        credentials = self.remote.credentials
        name = await self._name()
        if name is None and isinstance(credentials, Leased):
            credentials.lapse()  # its end was not noticed, for nothing was refused
            name = await self._name()
        if self.remote.has_credentials and name is None:
            facts = Facts("GET", "/_session", 200)
            raise UnauthorizedError(
                "the server takes us for anonymous: the credentials are not valid", facts
            )

    async def _name(self) -> str | None:
        """Return who the server takes us for."""
        from aiocouch.auth import CookieAuth, TokenAuth

        try:
            response = await self.remote.request("GET", "/_session")
        except BadRequestError as error:
            if not isinstance(self.remote.credentials, CookieAuth | TokenAuth):
                raise
            # CouchDB answers 400 to a cookie that it cannot read, and to a token by another key.
            raise UnauthorizedError(str(error), Facts("GET", "/_session", 400)) from error
        return response.json(_Session).userCtx.name

    async def __getitem__(self, id: str) -> Database:
        """Return the database (`HEAD /{db}`). Raise `NotFoundError` when it does not exist."""
        database = Database(self, id)
        await self.remote.request("HEAD", database.endpoint)
        return database

    async def create(
        self, id: str, exists_ok: bool = False, **params: Unpack[DatabaseOptions]
    ) -> Database:
        """Create a database (`PUT /{db}`).

        Raise `PreconditionFailedError` when it exists, unless `exists_ok`; then the options are
        those that it was created with. `BadRequestError` for a name that CouchDB does not take.
        """
        from aiocouch._transport.answer import check_members
        from aiocouch._transport.settle import CreateDatabase

        database = Database(self, id)
        path = with_query(database.endpoint, checked(params, DATABASE))
        settle = None if exists_ok else CreateDatabase(database.endpoint)
        repeat = Repeat.FREELY if exists_ok else None
        try:
            response = await self.remote.request("PUT", path, repeat=repeat, settle=settle)
        except PreconditionFailedError:
            if not exists_ok:
                raise
        else:
            check_members("PUT", path, response, response.json(JsonDict), ("ok",))
            database.accepted_only = response.status == ACCEPTED
        return database

    @overload
    async def keys(self, **params: Unpack[ListOptions]) -> list[str]: ...

    @overload  # only `**options`, a dict of any types, can give what is required
    async def keys(self, *, _: object, **params: object) -> list[str]: ...

    async def keys(self, **params: Any) -> list[str]:
        """Return the names of all databases (`GET /_all_dbs`)."""
        path = with_query("/_all_dbs", checked(params, LIST))
        return await self.remote.json("GET", path, into=list[str])

    def database(self, id: str) -> Database:
        """Return the database of that name. Sends no request; `await couchdb[id]` looks for it."""
        return Database(self, id)

    async def info(self) -> JsonDict:
        """Return the server's greeting: version, vendor, features (`GET /`)."""
        return await self.remote.json("GET", "/", into=JsonDict, having=("couchdb",))

    # -- the server -------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """Return who the server takes us for (`/_session`). Sends no request."""
        from aiocouch.server import Session

        return Session(self.remote)

    @property
    def users(self) -> Users:
        """Return the users of the server (`/_users`). Sends no request."""
        from aiocouch.server import Users

        return Users(self)

    @property
    def replications(self) -> Replications:
        """Return what the server replicates (`/_replicate`, `/_scheduler`). Sends no request."""
        from aiocouch.server import Replications

        return Replications(self)

    @property
    def cluster(self) -> Cluster:
        """Return the cluster (`/_membership`, `/_cluster_setup`). Sends no request."""
        from aiocouch.server import Cluster

        return Cluster(self.remote)

    @property
    def reshard(self) -> Reshard:
        """Return what splits shards (`/_reshard`). Sends no request."""
        from aiocouch.server import Reshard

        return Reshard(self.remote)

    def node(self, id: str = "_local") -> Node:
        """Return a node of the cluster, `_local` being the one that answers. Sends no request."""
        from aiocouch.server import Node

        return Node(self.remote, id)

    async def db_updates(
        self, since: str | None = None, *, limit: int | None = None, descending: bool = False
    ) -> AsyncGenerator[DatabaseEvent, None]:
        """Yield what has happened to databases: `db_name`, `type`, `seq` each (`GET /_db_updates`).

        From the sequence `since` on, or ever; a database comes once, with its last event. `follow_updates`
        goes on. Raise `NotFoundError` where the server has no database `_global_changes`.
        """
        from aiocouch.changes.reader import updates

        query = {"since": since, "limit": limit, "descending": descending or None}
        async with aclosing(updates(self.remote, with_query("/_db_updates", query))) as rows:
            async for row in rows:
                yield cast("DatabaseEvent", row)

    def follow_updates(self, **params: Unpack[FollowUpdatesOptions]) -> Follower[DatabaseUpdate]:
        """Return a follower of what happens to databases (`/_db_updates`). Sends no request.

        The server needs the database `_global_changes`, and takes admins only. A checkpoint is a path
        or an object, such as a `LocalCheckpoint` of some database. See `Database.follow`.
        """
        from aiocouch.changes.follower import follow_updates

        return follow_updates(self.remote, dict(params))

    async def up(self) -> ServerStatus:
        """Return `{"status": "ok", …}` of a server that takes requests (`GET /_up`).

        Raise `NotFoundError` in maintenance mode, which is how load balancers are told.
        """
        return cast("ServerStatus", await self.remote.json("GET", "/_up", into=JsonDict))

    async def active_tasks(self) -> list[ActiveTask]:
        """Return what runs now: indexers, compactions, replications (`GET /_active_tasks`)."""
        found = await self.remote.json("GET", "/_active_tasks", into=list[JsonDict])
        return cast("list[ActiveTask]", found)

    async def dbs_info(
        self, names: Iterable[str] | None = None, **params: Unpack[ListOptions]
    ) -> list[DatabaseRow]:
        """Return `key` and `info` of many databases in one request.

        Of those with these `names` (`POST /_dbs_info`), where one that does not exist has an `error`
        instead of `info`; else of all that the options choose (`GET /_dbs_info`).
        """
        if names is None:
            path = with_query("/_dbs_info", checked(params, LIST))
            found = await self.remote.json("GET", path, into=list[JsonDict])
            return cast("list[DatabaseRow]", found)
        if isinstance(names, str) or params:
            raise InvalidTypeError("dbs_info() takes a list of names, or options")
        body = encode({"keys": strings(names, "the names")})
        found = await self.remote.json(
            "POST", "/_dbs_info", into=list[JsonDict], body=body, repeat=Repeat.FREELY
        )
        return cast("list[DatabaseRow]", found)

    async def uuids(self, count: int = 1) -> list[str]:
        """Return new ids that the server has made (`GET /_uuids`), as documents get them."""
        path = with_query("/_uuids", {"count": count})
        return (await self.remote.json("GET", path, into=_Ids)).uuids

    async def analyze(self, text: str, analyzer: Analyzer, *, nouveau: bool = False) -> list[str]:
        """Return the words that a search index makes of a text (`POST /_search_analyze`).

        `analyzer` is its name, such as `"standard"`; `nouveau` asks the other search service
        (`POST /_nouveau_analyze`). Raise `CouchDBError` where there is no search service.
        """
        path = "/_nouveau_analyze" if nouveau else "/_search_analyze"
        body = encode({"analyzer": analyzer, "text": text})
        found = await self.remote.json("POST", path, into=_Tokens, body=body, repeat=Repeat.FREELY)
        return found.tokens

    async def reload_query_servers(self) -> None:
        """Start the processes that run JavaScript anew (`POST /_reload_query_servers`)."""
        await self.remote.json("POST", "/_reload_query_servers", into=JsonDict, body=b"")

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Send any request, and return the answer: the door to what this package does not know.

        `path` begins with a slash and is sent as it is, so its segments must be quoted; `params` are
        quoted here, text as it is and all else as JSON. `json` is encoded, `body` is not. Raise the
        error of the status, as all methods do. It is sent again by itself only if it is a GET or HEAD.
        """
        if not isinstance(path, str):
            raise InvalidTypeError(f"the path must be a str, not {type(path).__name__}")
        if not path.startswith("/"):
            raise InvalidInputError(f"the path must begin with a slash: {path!r}")
        return await self.remote.raw(
            method, path, json=json, body=body, headers=headers, params=params
        )
