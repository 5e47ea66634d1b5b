"""The exception classes: what `except` clauses of old programs name must go on catching."""

import aiohttp
import pytest

import aiocouch
from aiocouch import exception

DOCUMENTED = [
    ("BadRequestError", ValueError, 400),
    ("UnauthorizedError", PermissionError, 401),
    ("ForbiddenError", PermissionError, 403),
    ("NotFoundError", KeyError, 404),
    ("ConflictError", KeyError, 409),
    ("PreconditionFailedError", ValueError, 412),
    ("UnsupportedMediaTypeError", ValueError, 415),
    ("ExpectationFailedError", ValueError, 417),
]


@pytest.mark.parametrize(("name", "builtin", "status"), DOCUMENTED)
def test_documented_class(name: str, builtin: type[Exception], status: int) -> None:
    found = getattr(aiocouch, name)
    assert getattr(exception, name) is found
    assert issubclass(found, builtin)
    assert issubclass(found, exception.CouchDBError)


@pytest.mark.parametrize(("name", "builtin", "status"), DOCUMENTED)
def test_program_can_raise_and_catch_it_with_a_text(
    name: str, builtin: type[Exception], status: int
) -> None:
    with pytest.raises(builtin, match=r"^plain words$") as caught:
        raise getattr(aiocouch, name)("plain words")
    assert str(caught.value) == "plain words"


def test_root_is_exported() -> None:
    assert aiocouch.CouchDBError is exception.CouchDBError
    assert issubclass(exception.CouchDBError, Exception)


def test_remote_response_error_is_aiohttps_and_ours() -> None:
    assert issubclass(exception.RemoteResponseError, aiohttp.ClientResponseError)
    assert issubclass(exception.RemoteResponseError, exception.CouchDBError)


def test_documented_classes_are_no_aiohttp_errors() -> None:
    # An old program that caught aiohttp.ClientResponseError first must not swallow a 404.
    for name, _, _ in DOCUMENTED:
        assert not issubclass(getattr(aiocouch, name), aiohttp.ClientError)


def test_conflict_is_not_caught_as_not_found() -> None:
    assert not issubclass(aiocouch.ConflictError, aiocouch.NotFoundError)
    assert not issubclass(aiocouch.ForbiddenError, aiocouch.UnauthorizedError)
