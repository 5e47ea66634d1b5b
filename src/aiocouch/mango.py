"""Queries of Mango: what is asked, and documents that are found."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from aiocouch._continued import Continued
from aiocouch._tracked import of_text
from aiocouch._transport.request import Repeat
from aiocouch._wire.left import DocumentsLeft
from aiocouch._wire.options import FIND, checked
from aiocouch._wire.rows import document_id
from aiocouch.document import Document
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.typing import JsonDict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from aiocouch.database import Database
    from aiocouch.remote import Remote, Stream
    from aiocouch.typing import FindOptions

__all__ = ["explained", "found", "found_documents"]

M = TypeVar("M")

_PAGE = 10_000
_TEXTS = msgspec.json.Decoder(list[msgspec.Raw])


async def found(  # noqa: PLR0917 - as `found_documents`
    database: Database,
    endpoint: str,
    selector: Mapping[str, Any],
    limit: int | None,
    params: FindOptions,
    make: Callable[[Database, str, bytes], M],
) -> AsyncGenerator[M, None]:
    """Yield what `make` makes of the id and the text of each document that matches.

    They are those of the database or partition whose path `endpoint` is.
    """
    query = _query(selector, limit, params)
    remote = database.remote

    def asked(query: JsonDict) -> Stream:
        body = remote.encode(query)
        return remote.stream("POST", f"{endpoint}/_find", body=body, repeat=Repeat.FREELY)

    while True:
        left = DocumentsLeft(query)
        async with Continued[msgspec.Raw](asked, left, remote.resume) as stream:
            while batch := await stream.batch(_TEXTS, msgspec.Raw):
                for raw in batch:
                    text = bytes(raw)
                    try:
                        id = document_id(text)
                    except ValueError:
                        id = stream.document_id(text)  # which tells what is wrong
                    yield make(database, id, text)
        if limit is not None or left.count < query["limit"]:
            return
        query["bookmark"] = stream.member("bookmark")
        query.pop("skip", None)


def found_documents(
    database: Database,
    endpoint: str,
    selector: Mapping[str, Any],
    limit: int | None,
    params: FindOptions,
) -> AsyncGenerator[Document, None]:
    """Yield the documents that match, in the database or partition whose path `endpoint` is."""
    make = partial(of_text, Document)
    return found(database, endpoint, selector, limit, params, make)


async def explained(
    remote: Remote,
    endpoint: str,
    selector: Mapping[str, Any],
    limit: int | None,
    params: FindOptions,
) -> JsonDict:
    """Return how a query would be answered."""
    body = remote.encode(_query(selector, limit, params))
    path = f"{endpoint}/_explain"
    return await remote.json("POST", path, into=JsonDict, body=body, repeat=Repeat.FREELY)


def _query(selector: Mapping[str, Any], limit: int | None, params: FindOptions) -> JsonDict:
    if not isinstance(selector, Mapping):
        raise InvalidTypeError(f"the selector must be a dict, not {type(selector).__name__}")
    options = checked(params, FIND)
    if "fields" in options:
        raise InvalidInputError("find() gives whole documents: fields= is not supported")
    return {**options, "selector": dict(selector), "limit": _PAGE if limit is None else limit}
