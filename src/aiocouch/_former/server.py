"""`RemoteServer` of aiocouch 3 and 4: HTTP by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias
from urllib.parse import quote

from aiocouch._renamed import Discreet, OldProperty, Renamed, former, warn
from aiocouch._wire.options import with_query
from aiocouch.exception import CouchDBError, InvalidTypeError, RemoteResponseError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch.typing import JsonDict

RequestResult: TypeAlias = "tuple[HTTPResponse, Any]"
Params: TypeAlias = "Mapping[str, Any] | None"

_IN_A_PATH = "%/?&=:@!$'()*+,;~"  # escapes that are there stay
_REQUEST = "the methods of CouchDB, Database and Document, or remote.request()"


class RemoteServer(Discreet):
    """The server, with the requests of aiocouch 3 and 4 as methods.

    `RemoteServer(url, user=…, password=…)` gives a `Remote`, which is a child of this class. An error
    status raises `RemoteResponseError`, whatever it is, as these methods always did.
    """

    _made: ClassVar[type[RemoteServer]]

    if TYPE_CHECKING:
        request: Any
        stream: Any
        encode: Callable[[Any], bytes]
        session: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "_made" not in vars(RemoteServer):
            RemoteServer._made = cls

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        made: Any = RemoteServer._made if cls is RemoteServer else cls
        found: Self = object.__new__(made)
        return found

    _server = Renamed("url")

    @OldProperty
    def _http_session(self) -> Any:
        warn("RemoteServer._http_session", "remote.session()")
        return self.session()

    @former(_REQUEST)
    async def _get(self, path: str, params: Params = None) -> RequestResult:
        return _with_json(await _send(self, "GET", path, params))

    @former(_REQUEST)
    async def _head(self, path: str, params: Params = None, **kwargs: Any) -> RequestResult:
        return await _send(self, "HEAD", path, params, **kwargs), None

    @former(_REQUEST)
    async def _put(self, path: str, data: Any = None, params: Params = None) -> RequestResult:
        return _with_json(await _send(self, "PUT", path, params, json=data))

    @former(_REQUEST)
    async def _post(self, path: str, data: Any, params: Params = None) -> RequestResult:
        return _with_json(await _send(self, "POST", path, params, json=data))

    @former(_REQUEST)
    async def _delete(self, path: str, params: Params = None) -> RequestResult:
        return _with_json(await _send(self, "DELETE", path, params))

    @former("Attachment.fetch() or Attachment.stream()")
    async def _get_bytes(self, path: str, params: Params = None) -> RequestResult:
        response = await _send(self, "GET", path, params, headers={"Accept": "*/*"})
        return response, response.body

    @former("Attachment.save()")
    async def _put_bytes(
        self, path: str, data: bytes, content_type: str, params: Params = None
    ) -> RequestResult:
        headers = {"Content-Type": content_type}
        return _with_json(await _send(self, "PUT", path, params, data=data, headers=headers))

    @former(_REQUEST)
    async def _request(
        self,
        method: str,
        path: str,
        params: Params = None,
        return_json: bool = True,
        **kwargs: Any,
    ) -> RequestResult:
        response = await _send(self, method, path, params, **kwargs)
        return _with_json(response) if return_json else (response, response.body)

    async def _streamed_request(
        self, method: str, path: str, params: Params = None, **kwargs: Any
    ) -> AsyncGenerator[JsonDict, None]:
        """Yield the lines of a continuous feed, the last of which is not about a document."""
        warn("RemoteServer._streamed_request", "Database.changes()")
        body = _body(self, **kwargs)
        async with self.stream(method, _path(path, params), body=body) as stream:
            while lines := await stream.lines():
                for line in lines:
                    yield stream.decode(line)

    @former("CouchDB.info()")
    async def _info(self) -> JsonDict:
        found: JsonDict = (await _send(self, "GET", "/")).json()
        return found

    @former("CouchDB.keys()")
    async def _all_dbs(self, **params: Any) -> list[str]:
        found: list[str] = (await _send(self, "GET", "/_all_dbs", params)).json()
        return found

    @former("CouchDB.check_credentials()")
    async def _check_session(self) -> RequestResult:
        return _with_json(await _send(self, "GET", "/_session"))


async def _send(
    remote: RemoteServer,
    method: str,
    path: str,
    params: Params = None,
    *,
    headers: Mapping[str, str] | None = None,
    **body: Any,
) -> HTTPResponse:
    options = {"body": _body(remote, **body), "headers": headers}
    try:
        answer: HTTPResponse = await remote.request(method, _path(path, params), **options)
    except CouchDBError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, RemoteResponseError) else error from cause
    return answer


def _body(remote: RemoteServer, json: Any = None, data: Any = None, **unknown: Any) -> bytes | None:
    for name in unknown:
        raise InvalidTypeError(f"unknown option {name!r}: there are json, data and headers")
    if json is not None:
        return remote.encode(json)
    return data.encode() if isinstance(data, str) else data


def _path(path: str, params: Params) -> str:
    whole = quote(path, safe=_IN_A_PATH)
    query = with_query("", params or {})
    return whole + (query.replace("?", "&", 1) if "?" in whole else query)


def _with_json(response: HTTPResponse) -> RequestResult:
    return response, response.json()


def _quote_id(id: str) -> str:
    return quote(id, safe="")


def _stringify_params(params: Params) -> JsonDict | None:
    if params is None:
        return None
    words = {True: "true", False: "false"}
    return {
        name: words[value] if isinstance(value, bool) else value
        for name, value in params.items()
        if value is not None
    }
