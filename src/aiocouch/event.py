"""What happened to documents: the events of a changes feed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.codec import encode, listed
from aiocouch._wire.options import CHANGES, checked, with_query
from aiocouch.document import Document
from aiocouch.exception import InvalidInputError, InvalidTypeError, NotFoundError, TruncatedError
from aiocouch.remote import Span, silent_for
from aiocouch.typing import JsonDict  # noqa: TC001 - msgspec looks it up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiocouch.database import Database
    from aiocouch.remote import Stream, Timeout

__all__ = ["BaseChangeEvent", "ChangedEvent", "ChangesFeed", "DeletedEvent"]

_ROWS = msgspec.json.Decoder(list[dict[str, Any]])
_FEEDS = frozenset({"normal", "longpoll", "continuous"})
_HEARTBEAT = 60.0  # seconds; CouchDB's own, for heartbeat=true
_LEAST_PATIENCE = 5.0  # seconds; a busy server or loop is late now and then


class BaseChangeEvent(msgspec.Struct, weakref=True, dict=True):
    """What all events have. `json` is the row of the feed as CouchDB sent it."""

    json: JsonDict

    @property
    def id(self) -> str:
        """The id of the document."""
        found: str = self.json["id"]
        return found

    @property
    def rev(self) -> str:
        """The new revision (with `style="all_docs"` the winner; `json["changes"]` has all)."""
        found: str = self.json["changes"][0]["rev"]
        return found

    @property
    def sequence(self) -> str:
        """Where the event stands in the feed: opaque, to be given back as `last_event_id`."""
        found: str = self.json["seq"]
        return found

    def __repr__(self) -> str:
        return f"{type(self).__name__}(json={self.json!r})"


class DeletedEvent(BaseChangeEvent):
    """The document was deleted."""


class ChangedEvent(BaseChangeEvent):
    """The document was created or changed."""

    database: Database

    async def doc(self) -> Document:
        """The document after the change.

        With `include_docs` it is what came in the event; else it is fetched, in the revision of the
        event while the server still has it, and otherwise as it is now. Raises `NotFoundError`.
        """
        included = self.json.get("doc")
        if included is not None:
            return Document.of_text(self.database, self.id, encode(included))
        try:
            return await self.database.get(self.id, rev=self.rev)
        except NotFoundError:  # compacted meanwhile
            return await self.database.get(self.id)


class ChangesFeed(AsyncGenerator["ChangedEvent | DeletedEvent", None]):
    """The events of one `_changes` request, an async iterator.

    `last_sequence` is where a next feed goes on: that of the last event, and of the closing line once
    the feed has ended. `pending` is the number of events that the server held back, None until then.
    """

    def __init__(self, database: Database, options: JsonDict) -> None:
        self.database = database
        self.last_sequence: str | None = None
        self.pending: int | None = None
        self._options = _checked(options)
        self._events = self._follow()

    def __aiter__(self) -> AsyncGenerator[ChangedEvent | DeletedEvent, None]:
        return self._events

    async def __anext__(self) -> ChangedEvent | DeletedEvent:
        return await anext(self._events)

    async def asend(self, value: None) -> ChangedEvent | DeletedEvent:
        """The next event, as `anext`."""
        return await self._events.asend(value)

    async def athrow(self, *error: Any) -> ChangedEvent | DeletedEvent:
        """Raise an error inside of the feed, which ends it."""
        return await self._events.athrow(*error)

    async def aclose(self) -> None:
        """Stop, and free the connection."""
        await self._events.aclose()

    async def _follow(self) -> AsyncGenerator[ChangedEvent | DeletedEvent, None]:
        continuous = self._options.get("feed") == "continuous"
        async with self._request() as stream:
            while batch := await (_lines(stream) if continuous else stream.batch(_ROWS)):
                for row in batch:
                    if not ("seq" in row and "id" in row and "changes" in row):
                        if "last_seq" not in row:
                            stream.refuse(row)
                        stream.meta = row
                        break
                    # With seq_interval only some rows have a sequence.
                    self.last_sequence = row["seq"] or self.last_sequence
                    deleted = "deleted" in row and row["deleted"]
                    yield DeletedEvent(row) if deleted else ChangedEvent(row, self.database)
        self._end(stream)

    def _end(self, stream: Stream) -> None:
        if "last_seq" not in stream.meta:
            raise TruncatedError(
                f"the changes feed of {self.database!r} ended without its last line"
            )
        self.last_sequence = stream.meta["last_seq"]
        self.pending = stream.meta.get("pending")

    def _request(self) -> Stream:
        options = dict(self._options)
        asked = {name: options.pop(name) for name in ("doc_ids", "selector") if name in options}
        if asked:
            options.setdefault("filter", "_selector" if "selector" in asked else "_doc_ids")
        return self.database.remote.stream(
            "POST" if asked else "GET",
            with_query(f"{self.database.endpoint}/_changes", options),
            body=self.database.remote.encode(asked) if asked else None,
            timeout=_timeout(options),
            span=_span(options),
        )


async def _lines(stream: Stream) -> Iterator[JsonDict] | None:
    """The rows of a continuous feed, decoded one after the other; None at the end."""
    lines = await stream.lines()
    return _decoded(stream, lines) if lines else None


def _decoded(stream: Stream, lines: list[bytes]) -> Iterator[JsonDict]:
    for line in lines:
        row = stream.decode(line)
        if not isinstance(row, dict):
            stream.refuse(row)
        yield row


def _checked(options: JsonDict) -> JsonDict:
    # A filter function of the user reads whatever options it likes.
    known = CHANGES | options.keys() if options.get("filter") else CHANGES
    given = checked(options, known)
    if given.get("feed") == "live":
        given["feed"] = "continuous"
    feed = given.get("feed", "normal")
    if feed not in _FEEDS:
        raise InvalidInputError(f"the feed must be one of {sorted(_FEEDS)}, not {feed!r}")
    if "selector" in given:
        if not isinstance(given["selector"], Mapping):
            raise InvalidTypeError("the selector of a feed must be a dict")
        given["selector"] = dict(given["selector"])
    if "doc_ids" in given:
        given["doc_ids"] = listed(given["doc_ids"], "doc_ids")
    if feed == "continuous" and "timeout" not in given:
        given.setdefault("heartbeat", True)
    return given


def _span(options: JsonDict) -> Span:
    """Whether the server ends the feed, now or after its timeout, or never."""
    if options.get("feed", "normal") == "normal":
        return Span.ENDS
    return Span.ENDLESS if _beats(options) else Span.WAITS


def _timeout(options: JsonDict) -> Timeout | None:
    """How long a feed may be silent: three heartbeats. None: as other streams."""
    if options.get("feed", "normal") == "normal":
        return None
    quiet = None
    if _beats(options):
        quiet = max(3 * _seconds(options["heartbeat"]), _LEAST_PATIENCE)
    return silent_for(quiet)


def _beats(options: JsonDict) -> bool:
    beat = options.get("heartbeat")
    return bool(beat) and beat != "false" and options.get("timeout") is None


def _seconds(beat: Any) -> float:
    if beat is True or beat == "true":
        return _HEARTBEAT
    try:
        return int(beat) / 1000
    except (TypeError, ValueError):
        raise InvalidInputError(f"heartbeat={beat!r} is no number of milliseconds") from None
