"""A constructor that fails shows no secret: not in its error, nor in the locals of its frames."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from yarl import URL

from aiocouch import CouchDB
from aiocouch.remote import RemoteServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "top-secret"
URL_WITH_SECRET = f"http://me:{SECRET}@127.0.0.1:1"

BAD: dict[str, Callable[[type[Any]], Any]] = {
    "an unknown option": lambda kind: kind(URL_WITH_SECRET, unknown=1),
    "an unknown option, and a password": lambda kind: kind(
        "http://127.0.0.1:1", user="me", password=SECRET, unknown=1
    ),
    "an unknown option, and headers": lambda kind: kind(
        "http://127.0.0.1:1", headers={"Authorization": SECRET}, unknown=1
    ),
    "an unknown option, and aiohttp's": lambda kind: kind(
        "http://127.0.0.1:1", auth=aiohttp.BasicAuth("me", SECRET), unknown=1
    ),
    "a URL with a query": lambda kind: kind(f"{URL_WITH_SECRET}/?a=b"),
    "a URL that is none": lambda kind: kind(f"http://me:{SECRET}@127.0.0.1:port"),
    "a URL of another scheme": lambda kind: kind(URL(f"ftp://me:{SECRET}@127.0.0.1")),
    "a password of the wrong type": lambda kind: kind(
        "http://127.0.0.1:1", user="me", password=SECRET.encode()
    ),
    "a user with a colon": lambda kind: kind("http://127.0.0.1:1", user="a:b", password=SECRET),
    "a cookie that is none": lambda kind: kind("http://127.0.0.1:1", cookie=f"{SECRET};"),
    "a bad number": lambda kind: kind(URL_WITH_SECRET, gzip_above="many"),
    "a bad timeout": lambda kind: kind(URL_WITH_SECRET, timeout=5),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", [CouchDB, RemoteServer])
@pytest.mark.parametrize("name", BAD)
def test_a_constructor_that_fails_shows_no_secret(name: str, kind: type[Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        BAD[name](kind)
    for error in chain(caught.value):
        assert SECRET not in repr(error)
        assert SECRET not in str(error)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if "/aiocouch/" in frame.f_code.co_filename:
                assert SECRET not in repr(frame.f_locals)


def test_a_session_that_was_not_made_has_a_repr() -> None:
    assert repr(CouchDB.__new__(CouchDB)) == "<CouchDB that was not made>"
    assert repr(RemoteServer.__new__(RemoteServer)) == "<Remote that was not made>"


def test_the_names_of_parameters_can_be_seen() -> None:
    with pytest.raises(TypeError, match="server"):
        CouchDB()  # type: ignore[call-overload]
