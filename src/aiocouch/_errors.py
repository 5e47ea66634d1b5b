"""The errors that know nothing of HTTP clients: what `_wire` raises, and the classes by status.

`aiocouch.exception` is their public face, and has the others.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = [
    "AccountLockedError",
    "BadRequestError",
    "ConflictError",
    "CouchDBError",
    "DigestError",
    "ExpectationFailedError",
    "Facts",
    "ForbiddenError",
    "InvalidInputError",
    "InvalidTypeError",
    "NotFoundError",
    "PreconditionFailedError",
    "SessionClosedError",
    "UnauthorizedError",
    "UnsupportedMediaTypeError",
    "can_travel",
    "rebuilt",
]

_FACE = "aiocouch.exception"
_OF_OS_ERRORS = ("errno", "strerror", "filename", "filename2")


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
    `method`, `path` (without server and query), `request_id` (`X-Couch-Request-ID`) and `undone`: the
    request that it ended was certainly not carried out, for a login before it failed.
    """

    status: int | None = None
    error: str | None = None
    reason: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: str | None = None
    undone: bool = False
    _text: str | None = None

    def __init__(self, *args: object) -> None:
        """Take any arguments, as every exception does; `Facts` at their end become the attributes."""
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
        # To be pickled, and to be copied deeply.
        state = self._travelling()
        cause = self.__cause__
        if cause is not None and (isinstance(cause, CouchDBError) or can_travel(cause)):
            state["__cause__"] = cause
        args = self.args if can_travel(self.args) else (str(self),)
        return self._rebuilder(), (self._origin(), args, Facts(self.method, self.path)), state

    def _rebuilder(self) -> Callable[..., CouchDBError]:
        return rebuilt

    def _origin(self) -> type[Exception]:
        """Return the class that another process can import."""
        return type(self)

    def _travelling(self) -> dict[str, Any]:
        """Return what of `_state` can be sent to another process."""
        return self._state()

    def _state(self) -> dict[str, Any]:
        """Return what the error has besides its class, its arguments and its cause."""
        state = dict(vars(self))
        if isinstance(self, OSError):
            kept = {name: getattr(self, name) for name in _OF_OS_ERRORS}
            # Of two to five arguments the first is the number, even if it is None.
            given = ("errno", "strerror") if 2 <= len(self.args) <= 5 else ()
            state |= {name: kept[name] for name in kept if kept[name] is not None or name in given}
        return state

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        twin.args = self.args
        for name, value in {**vars(self), **self._state()}.items():
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


class AccountLockedError(ForbiddenError):
    """The server answered 403, for too many wrong passwords came from this address for this name.

    CouchDB takes the right one again after some minutes (`[chttpd_auth_lockout] max_lifetime`), and
    at once a new one.
    """


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


class SessionClosedError(CouchDBError, RuntimeError):
    """The session was closed before this request, or before its answer had come."""


class InvalidInputError(CouchDBError, ValueError):
    """A value that CouchDB cannot take. Nothing was sent."""


class InvalidTypeError(CouchDBError, TypeError):
    """A value or an option of the wrong kind. Nothing was sent."""


class DigestError(CouchDBError):
    """The content of an attachment is not what its digest says."""


def _without_facts(error: CouchDBError, args: tuple[object, ...]) -> tuple[object, ...]:
    """Keep the facts and the text that comes with them; give the other arguments."""
    facts = args[-1] if args else None
    if not isinstance(facts, Facts):
        return args
    error.method, error.path, error.status, error.error, error.reason, error.request_id = facts
    return args[:-1]


def can_travel(value: object) -> bool:
    """Return whether another process can be sent the value. Only what is pickled is asked."""
    if value is None or isinstance(value, str | int):
        return True
    try:
        pickle.loads(pickle.dumps(value))  # noqa: S301 - it is our own
    except Exception:  # noqa: BLE001 - of whatever class its owner likes
        return False
    return True


def rebuilt(origin: type[CouchDBError], args: tuple[Any, ...], facts: Facts) -> CouchDBError:
    """Return the other end of `CouchDBError.__reduce__`: all but the state, which follows."""
    error = origin.__new__(origin)
    error.args = args
    return error


for _kind in (Facts, CouchDBError, *CouchDBError.__subclasses__()):
    _kind.__module__ = _FACE  # where programs import them, and where pickles look for them
