"""Pages of what a query finds.

CouchDB's bookmark stands on the last row, and is gone with it: the row behind is passed over then. So a page
asks for what comes after the values and the id of that row, in the order of the index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._hints import complete
from aiocouch._tracked import of_text
from aiocouch._wire.codec import decode
from aiocouch._wire.page_token import TokenMaker
from aiocouch._wire.rows import document_id
from aiocouch.document import Document
from aiocouch.exception import InvalidInputError, UnexpectedAnswerError
from aiocouch.mango import Query, read_found
from aiocouch.paging import Page, Pages, checked_size
from aiocouch.queries.plan import explained
from aiocouch.queries.values import RowDecoder, field_names, path_of, with_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiocouch._continued import Continued
    from aiocouch.database import Database
    from aiocouch.queries.plan import QueryPlan
    from aiocouch.typing import JsonDict

__all__ = ["found_pages"]

_NOT_USED = "was not used because"


class _Order(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The order of the rows: that of an index, `[ddoc, name]` with its columns, or of the ids."""

    index: list[str] | None
    columns: list[str]
    descending: bool


class _State(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where a page ends: how many rows were given, and the columns and the id of the last."""

    order: _Order
    given: int
    key: list[Any]
    id: str


def found_pages(
    database: Database,
    query: Query,
    fields: Iterable[str] | None,
    into: Any,
    *,
    size: int,
    token: str | None,
    secret: str | bytes | None,
) -> Pages[Any]:
    """Return the pages of what a query finds: as documents, or as values of `into`, None: dicts."""
    if "bookmark" in query.body:
        raise InvalidInputError(
            "pages have tokens: bookmark= is an option of find() and find_values()"
        )
    names = field_names(fields)
    own = TokenMaker([query.endpoint, query.body, names], secret)
    make = None if into is None and not names else partial(RowDecoder, names, into)
    if make is not None:
        make()  # which refuses a type that it cannot decode
    return Pages(_Reader(database, query, names, make, checked_size(size), own).page, token)


@dataclass(frozen=True)
class _Reader:
    """Reads one page after another."""

    database: Database
    query: Query
    names: list[str]
    make: Callable[..., RowDecoder] | None
    size: int
    tokens: TokenMaker

    async def page(self, token: str | None) -> Page[Any]:
        """Return the page of a token, or the first."""
        state = None if token is None else self.tokens.read(token, _State)
        order = await self._order() if state is None else state.order
        texts = await self._texts(order, state)
        end = None
        if len(texts) > self.size:
            del texts[self.size :]
            end = self.tokens.make(_state_after(order, state, texts))
        return Page(self._values(order, texts), end)

    async def _order(self) -> _Order | None:
        """Return the order that the server would choose."""
        plan = await explained(self.database.remote, self.query, self.names)
        return _order_of(plan)

    async def _texts(self, order: _Order | None, state: _State | None) -> list[bytes]:
        given = 0 if state is None else state.given
        limit = self.query.body["limit"] if self.query.is_limited else given + self.size + 1
        left = min(limit - given, self.size + 1)
        if left <= 0:
            return []
        body = {**self.query.body, **_ordered(self.query.body["selector"], order, state)}
        body["limit"] = left
        if state is not None:
            body.pop("skip", None)
        needed = ["_id", *(order.columns if order is not None else ())]
        query = Query(self.query.endpoint, body, True, self.query.on_warning)
        rows = read_found(self.database.remote, with_fields(query, self.names, needed), _as_bytes)
        texts = [text async for text in rows]
        if order is not None and order.index is not None and _NOT_USED in (rows.warning or ""):
            raise InvalidInputError(f"the index {order.index} is gone: the pages must begin anew")
        return texts

    def _values(self, order: _Order | None, texts: list[bytes]) -> list[Any]:
        if self.make is None:
            return [of_text(Document, self.database, document_id(text), text) for text in texts]
        needed = ["_id", *(order.columns if order is not None else ())]
        return list(map(self.make(needed).value, texts))


def _as_bytes(_: Continued[msgspec.Raw], batch: list[msgspec.Raw]) -> Iterable[bytes]:
    return map(bytes, batch)


def _order_of(plan: QueryPlan) -> _Order | None:
    """Return the order of a plan; None for a query that is refused, which the server says."""
    if not plan["index"]:
        return None
    if plan.index_type not in ("json", "special"):
        raise InvalidInputError(
            f"the query uses {plan.index_name!r}, an index of the type {plan.index_type}, whose rows have no "
            "order that lasts: use find_values() with limit= and bookmark="
        )
    descending = (plan.get("mrargs") or {}).get("direction") == "rev"
    if plan.design_doc is None:
        return _Order(None, [], descending)
    columns = [next(iter(field)) for field in plan["index"]["def"]["fields"]]
    return _Order([plan.design_doc, plan.index_name], columns, descending)


def _ordered(selector: JsonDict, order: _Order | None, state: _State | None) -> JsonDict:
    """Return the members of a query that keep its order, and leave out what was given."""
    if order is None:
        return {}
    direction = "desc" if order.descending else "asc"
    sort = [{name: direction} for name in order.columns or ["_id"]]
    conditions = [selector]
    if state is not None:
        conditions += _after(order, state)
    elif order.index is None:
        conditions.append({"_id": {"$gt": None}})  # else CouchDB does not sort by it
    chosen = {} if order.index is None else {"use_index": order.index}
    return {"selector": {"$and": conditions}, "sort": sort, **chosen}


def _after(order: _Order, state: _State) -> list[JsonDict]:
    """Return conditions of what comes after a row: greater in a column, and equal in those before it."""
    greater = "$lt" if order.descending else "$gt"
    names, values = [*order.columns, "_id"], [*state.key, state.id]
    equal = [{name: {"$eq": value}} for name, value in zip(names, values, strict=True)]
    ways = [{"$and": [*equal[:at], {name: {greater: values[at]}}]} for at, name in enumerate(names)]
    if not order.columns:
        return [{"_id": {greater: state.id}}]
    return [{names[0]: {f"{greater}e": values[0]}}, {"$or": ways}]


def _state_after(order: _Order | None, state: _State | None, texts: list[bytes]) -> Any:
    given = len(texts) + (0 if state is None else state.given)
    order = order or _Order(None, [], False)
    row = decode(texts[-1])
    key = [_value_in(row, path_of(name)) for name in order.columns]
    return msgspec.to_builtins(_State(order, given, key, document_id(texts[-1])))


def _value_in(row: Any, path: list[str]) -> Any:
    for name in path:
        if isinstance(row, list) and name.isdecimal() and int(name) < len(row):
            row = row[int(name)]
        elif isinstance(row, dict) and name in row:
            row = row[name]
        else:
            raise UnexpectedAnswerError(f"a row of an index lacks its column {'.'.join(path)!r}")
    return row


complete("aiocouch")
