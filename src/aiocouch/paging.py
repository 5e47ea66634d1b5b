"""Pages of rows: each begins after the last row of the one before, whatever happened to that row."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from aiocouch._hints import complete
from aiocouch._wire.codec import decode, encode
from aiocouch._wire.left import KeysLeft, Place, RangeLeft
from aiocouch._wire.page_token import TokenMaker
from aiocouch.exception import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from aiocouch.typing import JsonDict

__all__ = ["Page", "Pages", "checked_size", "pages_of_view"]

T = TypeVar("T")
_TRUE = (True, "true")
_REFUSED = {
    "reduce": "rows that are reduced belong to no document: pages are not of them",
    "group": "rows that are reduced belong to no document: pages are not of them",
    "group_level": "rows that are reduced belong to no document: pages are not of them",
    "descending": "the rows of keys= are in their order: no descending=",
}


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page: its `rows`, and the `token` of the next one; None after the last row.

    The token is text for URLs. It shows where the page ends (base64 of JSON), and is signed only with a
    `secret`: without one, whoever forges a token can begin anywhere.
    """

    rows: list[T]
    token: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class Pages(Generic[T]):
    """The pages of a query: `async for page in pages`, or one by its token. Building it sends nothing."""

    def __init__(self, read: Callable[[str | None], Awaitable[Page[T]]], token: str | None) -> None:
        self._read = read
        self._token = token

    async def __aiter__(self) -> AsyncGenerator[Page[T], None]:
        page = await self._read(self._token)
        yield page
        while page.token is not None:
            page = await self._read(page.token)
            yield page

    async def page(self, token: str | None = None) -> Page[T]:
        """Return the page of a token, or the first one.

        Raise `InvalidInputError` for a token of another query, and for what is not a token.
        """
        return await self._read(self._token if token is None else token)


_Left: TypeAlias = RangeLeft | KeysLeft
_Read: TypeAlias = Callable[[_Left], Awaitable[list[Any]]]


def pages_of_view(
    left: _Left,
    read: _Read,
    make: Callable[[Any], T],
    *,
    of: str,
    unique: bool,
    size: int,
    token: str | None,
    secret: str | bytes | None,
) -> Pages[T]:
    """Return the pages of what is left of a view, whose path is `of`."""
    options, keys = dict(left.options), left.keys
    _refuse(options, keys is not None)
    if not unique:
        options["reduce"] = False
    kind: type[_Range] = _Range
    if keys is not None:
        kind = _UniqueKeys if unique else _Keys
    rows = kind(options, list(keys or ()), read, unique)
    return Pages(
        _reader(rows, make, checked_size(size), TokenMaker([of, options, keys], secret)), token
    )


def checked_size(size: int) -> int:
    """Return the size of a page. Raise `InvalidTypeError`, `InvalidInputError`."""
    if not isinstance(size, int) or isinstance(size, bool):
        raise InvalidTypeError(f"the size of a page must be an int, not {type(size).__name__}")
    if size < 1:
        raise InvalidInputError(f"a page has one row or more, not {size}")
    return size


def _refuse(options: JsonDict, has_keys: bool) -> None:
    for name in ("reduce", "group", "group_level", *(["descending"] if has_keys else [])):
        if options.get(name) not in (None, False, "false"):
            raise InvalidInputError(_REFUSED[name])
    if options.get("sorted", True) not in _TRUE:
        raise InvalidInputError("pages need rows in an order: no sorted=False")


def _reader(
    rows: _Range, make: Callable[[Any], T], size: int, tokens: TokenMaker
) -> Callable[[str | None], Awaitable[Page[T]]]:
    async def page(token: str | None) -> Page[T]:
        state = None if token is None else tokens.read(token, rows.state)
        found = await rows.after(state, size + 1)
        end = None if len(found) <= size else tokens.make(rows.state_after(state, found[:size]))
        return Page([make(row) for row in found[:size]], end)

    return page


class _Range:
    """The rows of a range."""

    state: ClassVar[type[Any]] = Place

    def __init__(self, options: JsonDict, keys: list[Any], read: _Read, unique: bool) -> None:
        self.options = options
        self.keys = keys
        self.read = read
        self.unique = unique
        self.limit = _number(options, "limit")
        self.skip = _number(options, "skip") or 0

    def most(self, given: int, count: int) -> int:
        """Return how many rows there may be, those that were given among them."""
        return given + count if self.limit is None else min(self.limit, given + count)

    async def after(self, state: Any, count: int) -> list[Any]:
        """Return so many rows after a state, or as many as there are."""
        given = 0 if state is None else state.given
        most = self.most(given, count)
        if most <= given:
            return []
        if state is None:
            return await self.first(lambda options: RangeLeft(options, self.unique), most)
        return await self.read(RangeLeft({**self.options, "limit": most}, self.unique, state))

    async def first(self, left: Callable[[JsonDict], _Left], count: int) -> list[Any]:
        """Return the first rows. Raise `InvalidInputError` where nobody could go on after them."""
        if not self.skip or self.unique:
            return await self.read(left({**self.options, "limit": count}))
        options = {**self.options, "skip": self.skip - 1, "limit": count + 1}
        before, *rows = await self.read(left(options)) or [None]
        if rows and (before.id, before.key) == (rows[0].id, rows[0].key):
            raise InvalidInputError(
                f"skip={self.skip} ends among rows of {before.id!r} that have the same key"
            )
        return rows

    def state_after(self, state: Any, rows: list[Any]) -> Any:
        """Return the state after these rows, which come after `state`."""
        left = RangeLeft(self.options, self.unique, state)
        left.fresh(rows)
        return left.place


class _UniqueKeys(_Range):
    """The rows of a list of ids, one each. A state is how many were given."""

    state: ClassVar[type[Any]] = int

    async def after(self, state: Any, count: int) -> list[Any]:
        given = state or 0
        begin = given + self.skip
        keys = self.keys[begin : begin + self.most(given, count) - given]
        options = {name: v for name, v in self.options.items() if name not in ("skip", "limit")}
        return await self.read(KeysLeft(options, keys, unique=True)) if keys else []

    def state_after(self, state: Any, rows: list[Any]) -> Any:
        return (state or 0) + len(rows)


class _Keys(_Range):
    """The rows of a list of keys, which are told apart: a row stands in the range of its key."""

    def __init__(self, options: JsonDict, keys: list[Any], read: _Read, unique: bool) -> None:
        super().__init__(options, keys, read, unique)
        self._texts = [encode(key).decode() for key in keys]
        for at, text in enumerate(self._texts):
            if text in self._texts[:at]:
                raise InvalidInputError(f"keys= has {text} twice: pages need each once")

    async def after(self, state: Any, count: int) -> list[Any]:
        if state is None:
            most = self.most(0, count)
            if not self.keys or not most:
                return []
            return await self.first(lambda options: KeysLeft(options, self.keys, False), most)
        key = self._own(state.key)
        at = self._texts.index(key)
        options = {name: v for name, v in self.options.items() if name != "skip"}
        of_key = {**options, "key": key, "limit": self.most(state.given, count)}
        if of_key["limit"] <= state.given:
            return []
        rows = await self.read(RangeLeft(of_key, False, state))
        given = state.given + len(rows)
        return rows + await self._of_keys(self.keys[at + 1 :], options, given, count - len(rows))

    async def _of_keys(
        self, keys: list[Any], options: JsonDict, given: int, count: int
    ) -> list[Any]:
        limit = self.most(given, count) - given
        if not keys or limit <= 0:
            return []
        return await self.read(KeysLeft({**options, "limit": limit}, keys, unique=False))

    def state_after(self, state: Any, rows: list[Any]) -> Any:
        place: Place = super().state_after(state, rows)
        self._own(place.key)  # so that who gets the token can use it
        return place

    def _own(self, text: str) -> str:
        """Return the key as it was asked for: a view has 1 where 1.0 is asked for, too."""
        if text in self._texts:
            return text
        for own in self._texts:
            if _are_same(decode(own), decode(text)):
                return own
        raise InvalidInputError(
            f"the view has the key {text}, which is written differently in keys="
        )


def _number(options: JsonDict, name: str) -> int | None:
    text = str(options.get(name))
    return int(text) if text.isdecimal() else None


def _are_same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_same, one, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


complete("aiocouch")
