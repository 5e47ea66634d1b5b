"""Every error that this package raises, under one root.

`CouchDBError` is the root. An answer with an error status raises the class of that status, whatever
the route. The eight classes that earlier versions knew keep their builtin bases, so `except KeyError`
for a missing document goes on working.

No credential is ever part of a message or of an attribute.
"""

from __future__ import annotations

import pickle
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from aiocouch._renamed import door

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = [
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


class Facts(NamedTuple):
    """What is known about the exchange that failed."""

    method: str | None = None
    path: str | None = None
    status: int | None = None
    error: str | None = None
    reason: str | None = None
    request_id: str | None = None


class CouchDBError(Exception):
    """The root of all errors of this package.

    Attributes: `status` (HTTP status or None), `error` and `reason` (CouchDB's words or None),
    `method`, `path` (without server and query) and `request_id` (`X-Couch-Request-ID`).
    """

    status: int | None = None
    error: str | None = None
    reason: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: str | None = None
    _text: str | None = None

    def __init__(self, *args: object) -> None:
        """Any arguments, as every exception takes; `Facts` at their end become the attributes."""
        words = _without_facts(self, args)
        # Not super(): the classes of aiohttp beside us take other arguments.
        if isinstance(self, OSError):
            OSError.__init__(self, *words)
        else:
            Exception.__init__(self, *words)

    def __str__(self) -> str:
        # KeyError and aiohttp's classes have a __str__ of their own: quotes, or the whole URL.
        if self._text is None and len(self.args) != 1:
            return OSError.__str__(self) if isinstance(self, OSError) else Exception.__str__(self)
        return str(self.args[0]) if self._text is None else self._text

    def __repr__(self) -> str:
        if self._text is None:
            return Exception.__repr__(self)
        return f"{type(self).__name__}({self._text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # To be pickled, and to be copied deeply. What cannot be pickled came from aiohttp.
        origin = vars(type(self)).get("foreign", type(self))
        state = _state(self)
        if isinstance(self, TransportError):
            state = {name: value for name, value in state.items() if _can_travel(value)}
        cause = self.__cause__
        if cause is not None and (isinstance(cause, CouchDBError) or _can_travel(cause)):
            state["__cause__"] = cause
        args = self.args if _can_travel(self.args) else (str(self),)
        return _rebuilt, (origin, args, Facts(self.method, self.path)), state

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.args = self.args
        for name, value in {**vars(self), **_state(self)}.items():
            setattr(twin, name, value)
        if self.__cause__ is not None:
            twin.__cause__ = self.__cause__
        return twin


class BadRequestError(CouchDBError, ValueError):
    """The server answered 400: it could not understand the request."""


class UnauthorizedError(CouchDBError, PermissionError):
    """The server answered 401, or credentials that were given did not take."""


class ForbiddenError(CouchDBError, PermissionError):
    """The server answered 403: known, but not allowed (or locked out)."""


class NotFoundError(CouchDBError, KeyError):
    """The server answered 404: no such database, document, attachment or revision."""


class ConflictError(CouchDBError, KeyError):
    """The server answered 409, or unsaved local changes would have been lost."""


class PreconditionFailedError(CouchDBError, ValueError):
    """The server answered 412, such as for a database that exists already."""


class UnsupportedMediaTypeError(CouchDBError, ValueError):
    """The server answered 415: it does not take that content type."""


class ExpectationFailedError(CouchDBError, ValueError):
    """The server answered 417, such as for `all_or_nothing`."""


class RemoteResponseError(CouchDBError, aiohttp.ClientResponseError):
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
        """Takes what `aiohttp.ClientResponseError` takes as well, with a text before it or without."""
        super().__init__(*_with_request(args, request_info, history))
        self.reason = self.reason or reason
        self.status = self.status or status  # pyright: ignore[reportIncompatibleVariableOverride]
        _be_response_error(self, message or self.reason or "", headers)


class TransportError(CouchDBError):
    """No whole answer came: refused, reset, timed out, or cut in the middle.

    What is raised is also the class of aiohttp that it was before, such as
    `aiohttp.ClientConnectorError`, and has it as `__cause__`. Only a write that was sent again, for its
    connection broke, and then met what the first try may have done, has a `status` and the refusal as
    its `__cause__`: a `ConflictError`, a `NotFoundError` (of a deletion), or a
    `PreconditionFailedError` (of a database that was created).
    """


class TruncatedError(TransportError, aiohttp.ClientPayloadError):
    """The answer ended before it was complete. What came before the cut was right."""


class UnexpectedAnswerError(CouchDBError, aiohttp.ContentTypeError):
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
        """Takes what `aiohttp.ContentTypeError` takes as well, with a text before it or without."""
        super().__init__(*_with_request(args, request_info, history))
        self.status = self.status or status  # pyright: ignore[reportIncompatibleVariableOverride]
        _be_response_error(self, message, headers)


class SessionClosedError(CouchDBError, RuntimeError):
    """The session was closed before this request."""


class InvalidInputError(CouchDBError, ValueError):
    """A value that CouchDB cannot take. Nothing was sent."""


class InvalidTypeError(CouchDBError, TypeError):
    """A value or an option of the wrong kind. Nothing was sent."""


class DigestError(CouchDBError):
    """The content of an attachment is not what its digest says."""


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


def response_error(facts: Facts, headers: Mapping[str, str] | None = None) -> CouchDBError:
    """The error for an answer with an error status."""
    message = _message(facts)
    error_class = ERROR_BY_STATUS.get(facts.status or 0)
    if error_class is None:
        return RemoteResponseError(message, facts, headers=headers)
    error = error_class(message, facts)
    # Programs read status and headers off the cause since aiocouch 2.
    error.__cause__ = RemoteResponseError(message, facts, headers=headers)
    return error


def transport_error(cause: Exception, facts: Facts) -> CouchDBError:
    """The error for a failure below HTTP: of ours, and of the class of `cause` as well."""
    if isinstance(cause, aiohttp.ClientResponseError):
        _hide_request(cause, facts)
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


_OF_OS_ERRORS = ("errno", "strerror", "filename", "filename2")
_transport_classes: dict[type[Exception], type[TransportError]] = {}


def _hide_request(cause: aiohttp.ClientResponseError, facts: Facts) -> None:
    """Take the request's headers out of aiohttp's error, which shows them."""
    cause.request_info = _request_info(facts)
    cause.history = ()
    cause.args = (cause.request_info, ())


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


def _without_facts(error: CouchDBError, args: tuple[object, ...]) -> tuple[object, ...]:
    """Keep the facts and the text that comes with them; give the other arguments."""
    facts = args[-1] if args else None
    if not isinstance(facts, Facts):
        return args
    error.method, error.path, error.status, error.error, error.reason, error.request_id = facts
    return args[:-1]


def _with_request(
    args: tuple[object, ...],
    request_info: aiohttp.RequestInfo | None,
    history: tuple[aiohttp.ClientResponse, ...],
) -> tuple[object, ...]:
    """The arguments, as if what aiohttp takes by keyword, too, had been given by position."""
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


def _state(error: CouchDBError) -> dict[str, Any]:
    """What the error has beside its class, its arguments and its cause."""
    state = {name: value for name, value in vars(error).items() if name != "request_info"}
    if "headers" in state:
        state["headers"] = CIMultiDict(state["headers"] or {})
    if isinstance(error, OSError):
        kept = {name: getattr(error, name) for name in _OF_OS_ERRORS}
        # Of two arguments the first is the number, even if it is None.
        given = ("errno", "strerror") if len(error.args) == 2 else ()
        state |= {name: kept[name] for name in kept if kept[name] is not None or name in given}
    return state


def _can_travel(value: object) -> bool:
    """Whether another process can be sent the value. Only what is pickled is asked."""
    if value is None or isinstance(value, str | int):
        return True
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - it is our own
    except Exception:  # noqa: BLE001 - of whatever class its owner likes
        return False
    return True


def _rebuilt(origin: type[Exception], args: tuple[Any, ...], facts: Facts) -> CouchDBError:
    """The other end of `CouchDBError.__reduce__`: all but the state, which follows."""
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
