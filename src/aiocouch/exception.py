"""Every error that this package raises, under one root.

`CouchDBError` is the root. An answer with an error status raises the class of that status, whatever
the route. The eight classes that earlier versions knew keep their builtin bases, so `except KeyError`
for a missing document goes on working.

No credential is ever part of a message or of an attribute.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aiocouch._errors import (
    AccountLockedError,
    BadRequestError,
    ConflictError,
    CouchDBError,
    DigestError,
    ExpectationFailedError,
    ForbiddenError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    PreconditionFailedError,
    SessionClosedError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
    can_travel,
)
from aiocouch._errors import (
    Facts as Facts,
)
from aiocouch._renamed import door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "AccountLockedError",
    "BadRequestError",
    "ConflictError",
    "CouchDBError",
    "DigestError",
    "ExpectationFailedError",
    "ForbiddenError",
    "InvalidInputError",
    "InvalidTypeError",
    "NotFoundError",
    "PreconditionFailedError",
    "RemoteResponseError",
    "SessionClosedError",
    "TransportError",
    "TruncatedError",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnsupportedMediaTypeError",
]

if TYPE_CHECKING:
    from aiocouch._former.raising import Endpoint as Endpoint
    from aiocouch._former.raising import generator_raises as generator_raises
    from aiocouch._former.raising import raise_for_endpoint as raise_for_endpoint
    from aiocouch._former.raising import raises as raises
else:
    _RAISING = "aiocouch._former.raising"
    __getattr__ = door(
        __name__,
        {
            "Endpoint": (_RAISING, "a protocol of your own"),
            "generator_raises": (_RAISING, "except clauses: the status decides about the class"),
            "raise_for_endpoint": (_RAISING, "except clauses: the status decides about the class"),
            "raises": (_RAISING, "except clauses: the status decides about the class"),
        },
    )


class _ForeignError(CouchDBError):
    """An error that is one of aiohttp, too, whose requests have headers and so maybe credentials."""

    def _rebuilder(self) -> Callable[..., CouchDBError]:
        return _rebuilt

    def _origin(self) -> type[Exception]:
        origin: type[Exception] = vars(type(self)).get("foreign", type(self))
        return origin

    def _state(self) -> dict[str, Any]:
        state = super()._state()
        state.pop("request_info", None)
        if "headers" in state:
            state["headers"] = CIMultiDict(state["headers"] or {})
        return state


class RemoteResponseError(_ForeignError, aiohttp.ClientResponseError):
    """The server answered an error status that has no class of its own."""

    status: int  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        *args: object,
        reason: str | None = None,
        request_info: aiohttp.RequestInfo | None = None,
        history: tuple[aiohttp.ClientResponse, ...] = (),
        status: int = 0,
        message: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take what `aiohttp.ClientResponseError` takes as well, with a text before it or without."""
        super().__init__(*_with_request(args, request_info, history))
        self.reason = self.reason or reason
        self.status = self.status or status  # pyright: ignore[reportIncompatibleVariableOverride]
        _be_response_error(self, message or self.reason or "", headers)


class TransportError(_ForeignError):
    """No whole answer came: refused, reset, timed out, or cut in the middle.

    What is raised is also the class of aiohttp that it was before, such as
    `aiohttp.ClientConnectorError`, and has it as `__cause__`. Of a write it leaves open whether it was done.
    """

    def _travelling(self) -> dict[str, Any]:
        # What cannot be pickled came from aiohttp.
        return {name: value for name, value in self._state().items() if can_travel(value)}


class TruncatedError(TransportError, aiohttp.ClientPayloadError):
    """The answer ended before it was complete. What came before the cut was right."""


class UnexpectedAnswerError(_ForeignError, aiohttp.ContentTypeError):
    """The answer is not what CouchDB sends: HTML of a proxy, or broken JSON.

    Or it is right, but nested deeper than JSON can be decoded here.
    """

    status: int  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(
        self,
        *args: object,
        request_info: aiohttp.RequestInfo | None = None,
        history: tuple[aiohttp.ClientResponse, ...] = (),
        status: int = 0,
        message: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Take what `aiohttp.ContentTypeError` takes as well, with a text before it or without."""
        super().__init__(*_with_request(args, request_info, history))
        self.status = self.status or status  # pyright: ignore[reportIncompatibleVariableOverride]
        _be_response_error(self, message, headers)


ERROR_BY_STATUS: dict[int, type[CouchDBError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailedError,
    415: UnsupportedMediaTypeError,
    417: ExpectationFailedError,
}
"""The one table from HTTP status to class. A status outside raises `RemoteResponseError`."""
_LOCKED = "Account is temporarily locked"


def response_error(facts: Facts, headers: Mapping[str, str] | None = None) -> CouchDBError:
    """Return the error for an answer with an error status."""
    message = _message(facts)
    error_class = _class_of(facts)
    if error_class is None:
        return RemoteResponseError(message, facts, headers=headers)
    error = error_class(message, facts)
    # Programs read status and headers off the cause since aiocouch 2.
    error.__cause__ = RemoteResponseError(message, facts, headers=headers)
    return error


def _class_of(facts: Facts) -> type[CouchDBError] | None:
    if facts.status == 403 and (facts.reason or "").startswith(_LOCKED):
        return AccountLockedError
    return ERROR_BY_STATUS.get(facts.status or 0)


def transport_error(cause: Exception, facts: Facts) -> CouchDBError:
    """Return the error for a failure below HTTP: of ours, and of the class of `cause` as well."""
    if isinstance(cause, aiohttp.ClientResponseError):
        _hide_request(cause, facts)
    if isinstance(cause, aiohttp.ServerDisconnectedError):
        _hide_head(cause)
    words = str(cause) or type(cause).__name__
    message = f"{facts.method} {facts.path}: no whole answer: {words}"
    error_class = _transport_class(type(cause))
    error = error_class.__new__(error_class)
    error.__dict__.update(cause.__dict__)
    error.args = cause.args
    if isinstance(cause, OSError) and isinstance(error, OSError):
        OSError.__init__(error, cause.errno, cause.strerror)
        error.args = cause.args
    error.__dict__["_text"] = message
    error.method, error.path = facts.method, facts.path
    return error


_transport_classes: dict[type[Exception], type[TransportError]] = {}


def _hide_request(cause: aiohttp.ClientResponseError, facts: Facts) -> None:
    """Take the request's headers out of aiohttp's error, which shows them."""
    cause.request_info = _request_info(facts)
    cause.history = ()
    cause.args = (cause.request_info, ())


def _hide_head(cause: aiohttp.ServerDisconnectedError) -> None:
    """Take the head of the answer out, as far as it came: it may set a session cookie."""
    if not isinstance(cause.message, str):
        cause.message = "the connection broke in the head of the answer"
        cause.args = (cause.message,)


def _transport_class(foreign: type[Exception]) -> type[TransportError]:
    found = _transport_classes.get(foreign)
    if found is None:
        found = _transport_classes[foreign] = _make_transport_class(foreign)
    return found


def _make_transport_class(foreign: type[Exception]) -> type[TransportError]:
    if issubclass(foreign, TransportError):
        return foreign
    if issubclass(TruncatedError, foreign):
        return TruncatedError
    return type(
        foreign.__name__, (TransportError, foreign), {"__module__": __name__, "foreign": foreign}
    )


def _with_request(
    args: tuple[object, ...],
    request_info: aiohttp.RequestInfo | None,
    history: tuple[aiohttp.ClientResponse, ...],
) -> tuple[object, ...]:
    """Return the arguments, as if what aiohttp takes by keyword, too, had been given by position."""
    return args if request_info is None else (*args, request_info, history)


def _be_response_error(
    error: RemoteResponseError | UnexpectedAnswerError,
    message: str,
    headers: Mapping[str, str] | None,
) -> None:
    """Set what `aiohttp.ClientResponseError` has: its `__init__` takes no text."""
    sent = next((arg for arg in error.args if isinstance(arg, aiohttp.RequestInfo)), None)
    error.request_info = sent or _request_info(Facts(error.method, error.path))
    history = error.args[error.args.index(sent) + 1 :] if sent else ()
    error.history = history[0] if history else ()
    text = error.args[0] if error.args and error.args[0] is not sent else None
    error.message = message or str(text or "")
    error.headers = CIMultiDict(headers or {})
    # Never the request, which may have credentials.
    error._text = str(text) if text else f"{error.status or ''} {message}".strip()  # noqa: SLF001


def _rebuilt(origin: type[Exception], args: tuple[Any, ...], facts: Facts) -> CouchDBError:
    """Return the other end of `CouchDBError.__reduce__`: all but the state, which follows."""
    error_class = origin if issubclass(origin, CouchDBError) else _transport_class(origin)
    error = error_class.__new__(error_class)
    error.args = args
    if isinstance(error, aiohttp.ClientResponseError):
        error.request_info = _request_info(facts)
    return error


def _message(facts: Facts) -> str:
    said = ": ".join(word for word in (facts.error, facts.reason) if word)
    return f"{facts.method} {facts.path}: {facts.status} {said or _phrase(facts.status)}"


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return "unknown status"


def _request_info(facts: Facts) -> aiohttp.RequestInfo:
    # aiohttp's repr shows the request's headers; ours have none, so no credential can show.
    url = URL(facts.path or "/", encoded=True)
    return aiohttp.RequestInfo(url, facts.method or "", CIMultiDictProxy(CIMultiDict()), url)
