"""To see what a session does: functions of yours that are called around each request.

`CouchDB(url, hooks=[…])`. `aiocouch.otel` has one that makes spans and metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiocouch._wire.routes import route_of
from aiocouch.exception import InvalidTypeError

if TYPE_CHECKING:
    from aiocouch.exception import CouchDBError

__all__ = ["Call", "Hooks", "checked_hooks"]


@dataclass(slots=True, eq=False)
class Call:
    """One call of the session: a request, and what is sent again for it.

    `path` is quoted and without its query. `server` is the URL of the node that was asked last, without
    credentials. `attempts` counts what was sent. `status` and `request_id` (`X-Couch-Request-ID`) are
    those of the answer, None while there is none, `size` the bytes of its body, `seconds` how long it
    took. Of an answer that is `streamed` only the head is waited for, and `size` is None. `notes` is
    for hooks, which keep there what they like.
    """

    method: str
    path: str
    server: str
    streamed: bool = False
    attempts: int = 1
    status: int | None = None
    request_id: str | None = None
    seconds: float = 0.0
    size: int | None = None
    notes: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def operation(self) -> str:
        """Method and route, in the words of CouchDB's reference: `GET /{db}/{docid}`."""
        return f"{self.method} {route_of(self.path).template}"

    @property
    def database(self) -> str | None:
        """The name of the database, None for a resource of the server."""
        return route_of(self.path).database


class Hooks:
    """Override what you want to hear of. They run in the event loop, so they must not block it.

    What they raise is logged and disturbs no request.
    """

    def started(self, call: Call) -> None:
        """Be called before the first request of a call is sent."""

    def ended(self, call: Call) -> None:
        """Be called when the answer is there."""

    def failed(self, call: Call, error: BaseException) -> None:
        """Be called when a call ends with an error, or is cancelled."""

    def repeated(self, call: Call, error: CouchDBError, seconds: float) -> None:
        """Be called when a request failed that will be sent again in so many seconds."""


def checked_hooks(given: Hooks | Iterable[Hooks] | None) -> tuple[Hooks, ...]:
    """Return the hooks that were given, one or several. Raise `InvalidTypeError` for anything else."""
    several = () if given is None else (given,) if isinstance(given, Hooks) else given
    if not isinstance(several, Iterable):
        raise InvalidTypeError(f"hooks must be an aiocouch.hooks.Hooks, or several, not {given!r}")
    hooks = tuple(several)
    for hook in hooks:
        if not isinstance(hook, Hooks):
            raise InvalidTypeError(f"a hook must be an aiocouch.hooks.Hooks, not {hook!r}")
    return hooks
