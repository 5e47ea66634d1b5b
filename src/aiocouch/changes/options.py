"""What a feed is asked for, how long it may be silent, and what its rows are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiocouch._transport.request import Repeat
from aiocouch._wire.codec import decode, listed
from aiocouch._wire.deep import TooDeepError, shallow
from aiocouch._wire.options import CHANGES, checked, with_query
from aiocouch.exception import InvalidInputError, InvalidTypeError
from aiocouch.newer import time_text
from aiocouch.remote import Span, silent_for

if TYPE_CHECKING:
    from aiocouch.remote import Remote, Stream, Timeout
    from aiocouch.typing import JsonDict

__all__ = [
    "ask",
    "beats",
    "feed_options",
    "is_event_source",
    "patience",
    "rescued",
    "span_of",
    "waits",
]

_FEEDS = frozenset({"normal", "longpoll", "continuous", "eventsource"})
_STYLES = ["all_docs", "main_only"]
_ENDLESS = ("continuous", "eventsource")
_HEARTBEAT = 60.0  # seconds; CouchDB's own, for heartbeat=true
_LEAST_PATIENCE = 5.0  # seconds; a busy server or loop is late now and then
_LATE = 30.0  # seconds that an answer may come later than the server was told to send it
_UNTIL_NOTHING = 300.0  # seconds; by itself CouchDB waits for 60, and may be told to wait longer


def feed_options(options: JsonDict) -> JsonDict:
    """Return the options of a feed that may be sent. Raise `InvalidInputError`, `InvalidTypeError`."""
    # A filter function of the user reads whatever options it likes.
    known = CHANGES | options.keys() if options.get("filter") else CHANGES
    given = checked(options, known)
    if given.get("feed") == "live":
        given["feed"] = "continuous"
    feed = given.get("feed", "normal")
    if not isinstance(feed, str) or feed not in _FEEDS:
        raise InvalidInputError(f"the feed must be one of {sorted(_FEEDS)}, not {feed!r}")
    if given.get("style", "main_only") not in _STYLES:
        raise InvalidInputError(f"the style must be one of {_STYLES}, not {given['style']!r}")
    if "since" in given:
        given["since"] = time_text(given["since"])
    if "selector" in given:
        if not isinstance(given["selector"], Mapping):
            raise InvalidTypeError("the selector of a feed must be a dict")
        given["selector"] = dict(given["selector"])
    if "doc_ids" in given:
        given["doc_ids"] = listed(given["doc_ids"], "doc_ids")
    if feed in _ENDLESS and "timeout" not in given:
        given.setdefault("heartbeat", True)
    return given


def span_of(options: JsonDict) -> Span:
    """Return whether the server ends the feed, now or after its timeout, or never."""
    if not waits(options):
        return Span.ENDS
    return Span.ENDLESS if beats(options) else Span.WAITS


def patience(options: JsonDict) -> Timeout | None:
    """Return how long a feed may be silent. None: as other streams.

    Three heartbeats; without them as long as the server may wait for an event, and some time more.
    """
    if not waits(options):
        return None
    if beats(options):
        return silent_for(max(3 * _seconds(options, "heartbeat"), _LEAST_PATIENCE))
    if options.get("timeout") is not None:
        return silent_for(_seconds(options, "timeout") + _LATE)
    return silent_for(_UNTIL_NOTHING)


def waits(options: JsonDict) -> bool:
    """Return whether the feed waits for what has not happened yet."""
    return bool(options.get("feed", "normal") != "normal")


def is_event_source(options: JsonDict) -> bool:
    """Return whether the feed is written as events for browsers."""
    return bool(options.get("feed") == "eventsource")


def beats(options: JsonDict) -> bool:
    """Return whether the server sends heartbeats. Then it knows no timeout, even if one is given."""
    beat = options.get("heartbeat")
    return bool(beat) and beat != "false"


def _seconds(options: JsonDict, name: str) -> float:
    given = options[name]
    if given is True or given == "true":
        return _HEARTBEAT
    try:
        return int(given) / 1000
    except (TypeError, ValueError):
        raise InvalidInputError(f"{name}={given!r} is not a number of milliseconds") from None


def ask(remote: Remote, path: str, options: JsonDict) -> Stream:
    """Return the request of a feed. What does not go into a query goes into a body."""
    query = dict(options)
    body = {name: query.pop(name) for name in ("doc_ids", "selector") if name in query}
    if body:
        query.setdefault("filter", "_selector" if "selector" in body else "_doc_ids")
    return remote.stream(
        "POST" if body else "GET",
        with_query(path, query),
        body=remote.encode(body) if body else None,
        timeout=patience(query),
        span=span_of(query),
        repeat=Repeat.FREELY,
    )


def rescued(text: bytes) -> JsonDict:
    """Return a row without its document, which is too deep: asking the event for it raises the error."""
    decodable, deep = shallow(text)
    row: JsonDict = decode(decodable)
    if deep.keys() - {"doc"}:
        raise TooDeepError("a change is nested deeper than can be decoded")
    return {name: value for name, value in row.items() if name not in deep}
