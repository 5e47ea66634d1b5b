"""Functions of a design document that answer requests: shows, lists, updates, rewrites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from aiocouch._wire.ids import design_document_id, quote_design_name, quote_document_id, quote_name
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.remote import NOTHING
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiocouch.answers import DesignInfo
    from aiocouch.remote import HTTPResponse, Remote

__all__ = ["DesignFunctions"]


class DesignFunctions:
    """What a design document can do, by its name with or without `_design/`.

    Each method gives the whole answer, because a function may answer with anything. `json` is encoded as
    the body of the request, `body` is sent as it is; `params` is its query, in which text stands as it
    is and all else as JSON. What a function throws is raised as the error of its status. CouchDB calls
    shows, lists and rewrites deprecated; version 4 was to be without them.
    """

    def __init__(self, remote: Remote, endpoint: str, design_doc: str) -> None:
        self._remote = remote
        self._endpoint = f"{endpoint}/{quote_document_id(design_document_id(design_doc))}"

    async def info(self) -> DesignInfo:
        """Return `name` and `view_index`: sizes and signature (`GET …/_info`)."""
        found = await self._remote.json("GET", f"{self._endpoint}/_info", into=JsonDict)
        return cast("DesignInfo", found)

    async def show(
        self,
        function: str,
        id: str | None = None,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Show a document, or none (`GET` or, with a body, `POST …/_show/{func}/{docid}`)."""
        path = self._path("_show", function, id)
        method = "GET" if json is NOTHING and body is None else "POST"
        return await self._remote.raw(
            method, path, json=json, body=body, headers=headers, params=params
        )

    async def list(
        self,
        function: str,
        view: str,
        design_doc: str | None = None,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Let a list function write the rows of a view, which may be another design document's.

        `GET` or, with a body such as `{"keys": […]}`, `POST …/_list/{func}/{other-ddoc}/{view}`.
        """
        path = self._path("_list", function)
        if design_doc is not None:
            path += f"/{quote_design_name(design_doc)}"
        path += f"/{quote_name(view, 'view name')}"
        method = "GET" if json is NOTHING and body is None else "POST"
        return await self._remote.raw(
            method, path, json=json, body=body, headers=headers, params=params
        )

    async def update(
        self,
        function: str,
        id: str | None = None,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Let an update function make or change a document, and answer.

        `POST …/_update/{func}`, or `PUT …/_update/{func}/{docid}`. The revision that it has made is in
        the header `X-Couch-Update-NewRev`. Raise `ConflictError` when somebody else was faster.
        """
        path = self._path("_update", function, id)
        method = "POST" if id is None else "PUT"
        if json is NOTHING and body is None:
            body = b""
        return await self._remote.raw(
            method, path, json=json, body=body, headers=headers, params=params
        )

    async def rewrite(
        self,
        method: str,
        path: str,
        *,
        json: object = NOTHING,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> HTTPResponse:
        """Send any request through the rewrites (`ANY …/_rewrite/{path}`). `path` is sent as it is."""
        if not isinstance(path, str):
            raise InvalidTypeError(f"the path must be a str, not {type(path).__name__}")
        target = f"{self._endpoint}/_rewrite/{path.removeprefix('/')}"
        return await self._remote.raw(
            method, target, json=json, body=body, headers=headers, params=params
        )

    def _path(self, kind: str, function: str, id: str | None = None) -> str:
        path = f"{self._endpoint}/{kind}/{quote_name(function, 'name of the function')}"
        if id is None:
            return path
        if not id:
            raise InvalidInputError(
                "the document id must not be empty; None stands for no document"
            )
        return f"{path}/{quote_document_id(id)}"
