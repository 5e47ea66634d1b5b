"""Pages of rows that come and go, and their tokens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocouch import InvalidInputError
from aiocouch._wire.left import KeysLeft, Place, RangeLeft
from aiocouch._wire.page_token import TokenMaker
from aiocouch.paging import pages_of_view

if TYPE_CHECKING:
    from collections.abc import Iterable


class Row(NamedTuple):
    """A row of a view; a document may have several of one key."""

    key: int
    id: str


class Server:
    """Rows in their order, read as CouchDB reads a range or a list of keys."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)

    async def read(self, left: RangeLeft | KeysLeft) -> list[Row]:
        options: Any = left.rest()
        rows = sorted(self.rows, reverse=bool(options.get("descending")))
        if left.keys is not None:
            rows = [row for key in left.keys for row in rows if row.key == key]
        if "startkey" in options:
            rows = self._from(rows, options)
        skip = options.get("skip", 0)
        end = int(options.get("endkey") or options.get("key") or -1)
        if "endkey" in options or "key" in options:
            rows = [row for row in rows if row.key == end]
        return left.fresh(rows[skip : skip + options["limit"]])

    def _from(self, rows: list[Row], options: dict[str, Any]) -> list[Row]:
        start = Row(int(options["startkey"]), options["startkey_docid"])
        if options.get("descending"):
            return [row for row in rows if row <= start]
        return [row for row in rows if row >= start]


ROWS = st.lists(st.builds(Row, st.integers(0, 3), st.sampled_from("abcdef")), max_size=30)
CHANGES = st.lists(st.tuples(st.booleans(), ROWS.map(lambda rows: rows[:3])), max_size=20)


def pages(server: Server, options: dict[str, Any], keys: list[int] | None, size: int) -> Any:
    left = RangeLeft(options, False) if keys is None else KeysLeft(options, keys, False)
    more: Any = {"of": "/v", "unique": False, "token": None, "secret": None, "size": size}
    return pages_of_view(left, server.read, lambda row: row, **more)


async def walked(server: Server, pages: Any, changes: list[tuple[bool, list[Row]]]) -> list[Row]:
    """Read all pages; between two of them rows come, or go. Rows that stay are never touched."""
    found: list[Row] = []
    token = None
    while True:
        page = await pages.page(token)
        found += page.rows
        token = page.token
        if token is None:
            return found
        if changes:
            adds, rows = changes.pop()
            for row in rows:
                if adds:
                    server.rows.append(Row(row.key, row.id.upper()))
                elif Row(row.key, row.id.upper()) in server.rows:
                    server.rows.remove(Row(row.key, row.id.upper()))


@given(
    ROWS, st.integers(1, 5), st.booleans(), CHANGES, st.none() | st.just([2, 0, 5]), st.booleans()
)
def test_rows_that_stay_come_once_and_in_order(
    rows: list[Row],
    size: int,
    descending: bool,
    changes: list[tuple[bool, list[Row]]],
    keys: list[int] | None,
    both: bool,
) -> None:
    # Those of lower case stay, those of upper case come and go.
    server = Server([*rows, *(Row(row.key, row.id.upper()) for row in rows if both)])
    options = {"descending": True} if descending and keys is None else {}
    found = asyncio.run(walked(server, pages(server, options, keys, size), changes))
    stay = sorted(rows, reverse=bool(options))
    if keys is not None:
        stay = [row for key in keys for row in stay if row.key == key]
    assert [row for row in found if row.id.islower()] == stay


@given(ROWS, st.integers(1, 5), st.integers(0, 9), st.integers(0, 9))
def test_limit_and_skip_count_the_rows_of_all_pages(
    rows: list[Row], size: int, skip: int, limit: int
) -> None:
    server, every = Server(rows), sorted(rows)
    read = walked(server, pages(server, {"skip": skip, "limit": limit}, None, size), [])
    if limit and skip and every[skip - 1 : skip] == every[skip : skip + 1] != []:
        with pytest.raises(InvalidInputError, match="ends among rows of"):
            asyncio.run(read)
    else:
        assert asyncio.run(read) == every[skip : skip + limit]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
    max_leaves=10,
)
PLACES = st.builds(
    Place, st.integers(0, 2**53), st.integers(0, 99), st.none() | st.text(), st.text()
)
SECRETS = st.none() | st.binary(min_size=1) | st.text(min_size=1)


@given(JSON, PLACES, SECRETS)
def test_a_token_keeps_its_state(query: Any, place: Place, secret: str | bytes | None) -> None:
    token = TokenMaker(query, secret).make(place)
    assert TokenMaker(query, secret).read(token, Place) == place
    assert token.replace("-", "").replace("_", "").replace(".", "").isalnum()


@given(st.dictionaries(st.text(), st.integers(), min_size=2))
def test_the_order_of_options_does_not_count(query: dict[str, int]) -> None:
    token = TokenMaker(query, None).make(1)
    assert TokenMaker(dict(reversed(query.items())), None).read(token, int) == 1


@given(st.text(), SECRETS)
def test_what_is_not_a_token_is_refused(text: str, secret: str | bytes | None) -> None:
    with pytest.raises(InvalidInputError):
        TokenMaker("q", secret).read(text, Place)


@given(PLACES, st.binary(min_size=1), st.data())
def test_no_sign_of_a_signed_token_can_be_changed(place: Place, secret: bytes, data: Any) -> None:
    maker = TokenMaker("q", secret)
    token = maker.make(place)
    at = data.draw(st.integers(0, len(token) - 1))
    sign = data.draw(st.sampled_from("abcXYZ019-_."))
    changed = token[:at] + sign + token[at + 1 :]
    if changed != token:
        with pytest.raises(InvalidInputError):
            maker.read(changed, Place)


@given(PLACES, st.none() | st.binary(min_size=1))
def test_the_last_sign_of_a_body_has_one_form(place: Place, secret: bytes | None) -> None:
    """Base64 leaves some of its bits open, which nobody may use for a second form of a token."""
    maker = TokenMaker("q", secret)
    token = maker.make(place)
    head, dot, rest = token.partition(".")
    for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        changed = head[:-1] + sign + dot + rest
        if changed != token:
            with pytest.raises(InvalidInputError):
                maker.read(changed, Place)


@given(JSON)
def test_a_token_of_another_shape_is_refused(state: Any) -> None:
    maker = TokenMaker("q", None)
    if not isinstance(state, list):
        with pytest.raises(InvalidInputError, match="not a token"):
            maker.read(maker.make(state), Place)
