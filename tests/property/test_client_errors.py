"""Our errors are exceptions as all others: made of anything, subclassed, pickled and copied."""

from __future__ import annotations

import copy
import pickle
import ssl
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aiocouch import exception
from aiocouch.exception import CouchDBError, Facts, transport_error

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES: list[type[CouchDBError]] = [
    getattr(exception, name) for name in exception.__all__ if name.endswith("Error")
]
AGAIN: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda error: pickle.loads(pickle.dumps(error)),
]
NAMES = ("status", "error", "reason", "method", "path", "request_id")

values = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.tuples(st.text())
arguments = st.lists(values, max_size=3).map(tuple)
words = st.none() | st.text(min_size=1)
facts = st.builds(
    Facts,
    st.sampled_from(["GET", "PUT"]),
    st.just("/db/x"),
    st.integers(400, 599),
    words,
    words,
    words,
)
classes = st.sampled_from(CLASSES)
agains = st.sampled_from(AGAIN)


class OrderNotFoundError(exception.NotFoundError):
    """As programs make them: with a code, and with what it is about."""

    def __init__(self, text: str, code: int, order: str) -> None:
        super().__init__(text, code)
        self.order = order


class SilentError(exception.ForbiddenError):
    """One that tells its base nothing."""

    def __init__(self, order: str) -> None:
        self.order = order


class RemoteOrderError(exception.RemoteResponseError):
    """One of the classes that are aiohttp's as well."""

    def __init__(self, order: str) -> None:
        super().__init__(f"no order {order}", order)
        self.order = order


def facts_of(error: CouchDBError) -> list[Any]:
    return [getattr(error, name) for name in NAMES]


def builtin_of(error_class: type[CouchDBError]) -> type[Exception]:
    """The class that is no other's but Python's."""
    found = (one for one in error_class.__mro__ if one.__module__ == "builtins")
    return next(one for one in found if issubclass(one, Exception))


@given(classes, arguments)
def test_it_is_raised_with_any_arguments(
    error_class: type[CouchDBError], args: tuple[object, ...]
) -> None:
    with pytest.raises(error_class) as caught:
        raise error_class(*args)
    error = caught.value
    if not isinstance(error, OSError):
        assert error.args == args
    else:  # Python's own takes a third one for a file name
        assert error.args == builtin_of(error_class)(*args).args
    if len(args) == 1 and isinstance(args[0], str):
        assert str(error) == args[0]
    assert str(error) is not None
    assert repr(error).startswith(f"{error_class.__name__}(")


@given(classes.filter(lambda one: not issubclass(one, aiohttp.ClientError)), arguments)
def test_its_text_is_that_of_its_builtin_class(
    error_class: type[CouchDBError], args: tuple[object, ...]
) -> None:
    if len(args) == 1:  # where KeyError would put quotes around it
        assert str(error_class(*args)) == str(args[0])
    else:
        assert str(error_class(*args)) == str(builtin_of(error_class)(*args))


@example(exception.UnauthorizedError, (None, None, None), copy.copy)
@given(classes, arguments, agains)
def test_it_comes_back_with_its_arguments(
    error_class: type[CouchDBError], args: tuple[object, ...], again: Callable[[Any], Any]
) -> None:
    error = error_class(*args)
    error.add_note("seen")
    other = again(error)
    assert type(other) is error_class
    assert other.args == error.args
    assert (str(other), repr(other)) == (str(error), repr(error))
    assert other.__notes__ == ["seen"]
    assert getattr(other, "errno", None) == getattr(error, "errno", None)


@given(classes, st.text(), facts, agains)
def test_it_comes_back_with_its_facts(
    error_class: type[CouchDBError], text: str, known: Facts, again: Callable[[Any], Any]
) -> None:
    error = error_class(text, known)
    assert error.args == (text,)
    other = again(error)
    assert facts_of(other) == facts_of(error)
    assert Facts(**dict(zip(NAMES, facts_of(other), strict=True))) == known
    if isinstance(other, aiohttp.ClientResponseError):
        assert other.request_info.method == known.method
        assert other.message == getattr(error, "message", None)


@given(facts, agains)
def test_the_answer_below_comes_back_with_its_headers(
    known: Facts, again: Callable[[Any], Any]
) -> None:
    error = exception.response_error(known, {"Retry-After": "1"})
    below = error if isinstance(error, exception.RemoteResponseError) else error.__cause__
    assert isinstance(below, exception.RemoteResponseError)
    other = again(error)
    other_below = other if below is error else other.__cause__
    assert type(other_below) is type(below)
    assert other_below.headers is not None
    assert other_below.headers["retry-after"] == "1"
    assert facts_of(other_below) == facts_of(below)


@given(agains, st.text(), st.integers(), st.text())
def test_a_subclass_is_as_any(
    again: Callable[[Any], Any], text: str, code: int, order: str
) -> None:
    error = OrderNotFoundError(text, code, order)
    assert isinstance(error, KeyError)
    assert error.args == (text, code)
    other = again(error)
    assert (type(other), other.args, other.order) == (OrderNotFoundError, (text, code), order)
    for kind in (SilentError, RemoteOrderError):
        silent = kind(order)
        assert (str(again(silent)), repr(again(silent))) == (str(silent), repr(silent))
        assert again(silent).order == order


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("error_class", CLASSES)
def test_its_cause_comes_along(
    error_class: type[CouchDBError], again: Callable[[Any], Any]
) -> None:
    error = error_class("text")
    error.__cause__ = OrderNotFoundError("cause", 1, "x")
    error.__cause__.__cause__ = OSError(5, "below")
    other = again(error)
    assert type(other.__cause__) is OrderNotFoundError
    assert type(other.__cause__.__cause__) is OSError
    assert str(other.__cause__.__cause__) == "[Errno 5] below"
    assert other.__suppress_context__
    assert again(error_class("text")).__suppress_context__ is False


@pytest.mark.parametrize("error_class", CLASSES)
def test_a_cause_that_cannot_be_pickled_stays_at_home(error_class: type[CouchDBError]) -> None:
    error = error_class("text")
    error.__cause__ = ValueError(threading.Lock())
    other = pickle.loads(pickle.dumps(error))
    assert str(other) == "text"
    assert other.__cause__ is None
    assert copy.copy(error).__cause__ is error.__cause__


def connection_key() -> ConnectionKey:
    context = ssl.create_default_context()
    return ConnectionKey("h", 443, True, context, None, None, None)


def transport_errors() -> list[Exception]:
    info = aiohttp.RequestInfo(
        URL("http://h/"), "GET", CIMultiDictProxy(CIMultiDict({"Authorization": "Basic x"}))
    )
    return [
        TimeoutError(),
        TimeoutError("late"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ServerTimeoutError("late"),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ClientOSError(104, "Connection reset by peer"),
        aiohttp.ClientConnectorError(connection_key(), OSError(111, "refused")),
        aiohttp.ClientResponseError(info, (), status=400, message="bad"),
        aiohttp.InvalidURL("x"),
        aiohttp.ClientError("words", 5),
    ]


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("cause", transport_errors(), ids=lambda cause: type(cause).__name__)
def test_a_transport_error_comes_back(cause: Exception, again: Callable[[Any], Any]) -> None:
    error = transport_error(cause, Facts("GET", "/db/x"))
    error.__cause__ = cause
    other = again(error)
    assert type(other) is type(error)
    assert isinstance(other, type(cause))
    assert isinstance(other, exception.TransportError)
    assert (str(other), repr(other)) == (str(error), repr(error))
    assert facts_of(other) == facts_of(error)
    assert getattr(other, "errno", None) == getattr(error, "errno", None)
    assert "Basic x" not in str(vars(other))
    # Programs raise it anew, with words of their own.
    with pytest.raises(type(cause), match=r"^anew$"):
        raise type(error)("anew")
    assert str(again(type(error)("anew"))) == "anew"


def test_what_aiohttp_takes_is_taken() -> None:
    info = aiohttp.RequestInfo(
        URL("http://h/x"), "PUT", CIMultiDictProxy(CIMultiDict({"Authorization": "Basic x"})),
        URL("http://h/x"),
    )  # fmt: skip
    for args in ((info, ()), ("no room", info, ()), (None, info, ())):
        error = exception.RemoteResponseError(*args, status=507, message="full", headers={"A": "1"})
        assert (error.status, error.message) == (507, "full")
        assert error.headers is not None
        assert error.headers["a"] == "1"
        assert error.request_info is info
        assert error.history == ()
        assert str(error) == ("no room" if args[0] == "no room" else "507 full")
        assert "Basic" not in repr(error)
        for again in AGAIN:
            assert (again(error).status, str(again(error))) == (507, str(error))


@pytest.mark.parametrize("kind", [exception.RemoteResponseError, exception.UnexpectedAnswerError])
def test_what_aiohttp_takes_is_taken_by_keyword(
    kind: type[exception.RemoteResponseError | exception.UnexpectedAnswerError],
) -> None:
    url = URL("http://h/x")
    info = aiohttp.RequestInfo(url, "PUT", CIMultiDictProxy(CIMultiDict()), url)
    error = kind(request_info=info, history=(), status=500)
    assert (str(error), error.request_info, error.history) == ("500", info, ())
    assert str(kind(request_info=info, status=500, message="0 left")) == "500 0 left"
    assert str(kind("no room", request_info=info, status=507)) == "no room"
    for again in AGAIN:
        assert (again(error).status, str(again(error))) == (500, "500")


def test_a_reason_is_taken_as_before() -> None:
    error = exception.RemoteResponseError(reason="full", status=507)
    assert (error.reason, str(error)) == ("full", "507 full")
    for again in AGAIN:
        assert again(error).reason == "full"
