"""`/db/_changes`: all feeds and filters."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.erlang_text import read_integer
from aiocouch.embedded.errors import bad_request, internal
from aiocouch.embedded.feeds import feed as feeds
from aiocouch.embedded.feeds.broadcast import Follower
from aiocouch.embedded.feeds.changes import (
    ALL_LEAVES,
    MAIN_ONLY,
    NO_LIMIT,
    Cursor,
    Feed,
    is_endless,
    walk,
)
from aiocouch.embedded.http.change_filters import read_filter
from aiocouch.embedded.http.feed_answer import FeedAnswer
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.store.attachment_texts import Shown, members_text
from aiocouch.embedded.store.records import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from aiocouch.embedded.feeds.changes import ChangeRow
    from aiocouch.embedded.http.change_filters import Chosen
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry

_FEEDS = "Supported `feed` types: normal, continuous, live, longpoll, eventsource"
_SEQUENCE = re.compile(r'"?([0-9]{1,18})-g[12][A-Za-z0-9_-]{20,}"?')
_BODY_FILTERS = frozenset({"_doc_ids", "_selector"})
_BEATS = 5.0
"""Seconds after which CouchDB shows a sign of life in a normal feed, whatever it was asked for."""

_SHORTEST_BEATS = 0.1

_BAD_SINCE = "Malformed sequence supplied in 'since' parameter."


class _Options(msgspec.Struct):
    feed: str = feeds.NORMAL
    since: str = "0"
    limit: int = NO_LIMIT
    style: str = MAIN_ONLY
    descending: bool = False
    seq_interval: int = 1
    timeout: str | None = None
    heartbeat: str | None = None
    include_docs: bool = False
    conflicts: bool = False
    shown: Shown = msgspec.field(default_factory=Shown)


@database_route("_changes", methods=("GET", "POST", "HEAD"), json_post=True)
async def changes(exchange: Exchange) -> Reply:
    """Answer `/db/_changes`."""
    body = await _body(exchange)
    options = _read_options(exchange)
    patience = _patience(exchange, options)
    chosen = await read_filter(exchange, body)
    database = exchange.database
    since = "0" if options.descending else options.since
    cursor = Cursor(_since(database, since), options.limit)
    etag = _etag(database) if options.feed == feeds.NORMAL else None
    if etag is not None and exchange.has_etag(etag):
        return exchange.not_modified(etag)
    answer = FeedAnswer(exchange, options.feed, etag)
    if exchange.method == "HEAD":
        return answer.without_body()
    feed = _Feed(exchange, options, chosen, cursor, answer)
    return await feed.follow(patience) if etag is None else await feed.once()


async def _body(exchange: Exchange) -> dict[str, Any]:
    if exchange.method != "POST":
        return {}
    needed = exchange.query.text("filter") in _BODY_FILTERS
    return await exchange.json_object() if needed or await exchange.body() else {}


def _read_options(exchange: Exchange) -> _Options:
    """Read the query; names are compared without case, an option given twice counts last."""
    options = _Options()
    flags = {name.lower(): value == "true" for name, value in exchange.query.pairs}
    for name, value in exchange.query.pairs:
        reader = _READERS.get(name.lower())
        if reader is not None:
            reader(options, value)
    options.descending = flags.get("descending", False)
    options.include_docs = flags.get("include_docs", False)
    options.conflicts = flags.get("conflicts", False)
    options.shown = Shown(
        data=flags.get("attachments", False),
        encoding_info=flags.get("att_encoding_info", False),
    )
    if options.feed == feeds.EVENTSOURCE and "Last-Event-ID" in exchange.headers:
        # A browser that reconnects says in the header how far it got.
        options.since = exchange.headers["Last-Event-ID"]
    return options


def _read_feed(options: _Options, value: str) -> None:
    kind = feeds.CONTINUOUS if value == "live" else value
    if kind not in feeds.KINDS:
        raise bad_request(_FEEDS)
    options.feed = kind


def _read_since(options: _Options, value: str) -> None:
    options.since = value


def _read_limit(options: _Options, value: str) -> None:
    limit = _whole(value)
    options.limit = limit if limit >= 0 else NO_LIMIT


def _read_style(options: _Options, value: str) -> None:
    if value not in {MAIN_ONLY, ALL_LEAVES}:
        raise internal("function_clause", "error")
    options.style = value


def _read_interval(options: _Options, value: str) -> None:
    try:
        options.seq_interval = read_integer(value)
    except ValueError:
        options.seq_interval = 0
    if options.seq_interval <= 0:
        raise bad_request("invalid_seq_interval")


def _read_timeout(options: _Options, value: str) -> None:
    _whole(value)
    options.timeout = value


def _read_heartbeat(options: _Options, value: str) -> None:
    options.heartbeat = value


def _whole(text: str) -> int:
    try:
        return read_integer(text)
    except ValueError:
        raise internal("badarg") from None


_READERS: dict[str, Callable[[_Options, str], None]] = {
    "feed": _read_feed,
    "since": _read_since,
    "last-event-id": _read_since,
    "limit": _read_limit,
    "style": _read_style,
    "seq_interval": _read_interval,
    "timeout": _read_timeout,
    "heartbeat": _read_heartbeat,
}


def _patience(exchange: Exchange, options: _Options) -> feeds.Patience:
    longest = exchange.server.config.integer("chttpd", "changes_timeout", 60_000) / 1000
    return feeds.read_patience(options.timeout, options.heartbeat, longest)


def _since(database: Database, text: str) -> int:
    """Read a sequence: `now`, `0`, or an opaque one.

    One that another database gave, such as an earlier one of this name, means the beginning.
    """
    if text == "now":
        return database.update_seq
    if text == "0":
        return 0
    match = _SEQUENCE.fullmatch(text)
    if match is None:
        raise bad_request(_BAD_SINCE)
    number = int(match[1])
    ours = match[0].strip('"') == database.sequence(number)
    return min(number, database.update_seq) if ours else 0


def _etag(database: Database) -> str:
    state = f"{database.uuid}-{database.update_seq}-{database.purge_seq}"
    digest = hashlib.md5(state.encode(), usedforsecurity=False).hexdigest()
    return f'"{digest[:25].upper()}"'


class _Feed:
    """One answer to a request for changes."""

    def __init__(
        self,
        exchange: Exchange,
        options: _Options,
        chosen: Chosen,
        cursor: Cursor,
        answer: FeedAnswer,
    ) -> None:
        self._waiting = exchange.server.waiting
        self._broadcasts = exchange.server.broadcasts
        self._database = exchange.database
        self._answer = answer
        self._longpoll = options.feed == feeds.LONGPOLL
        self._cursor = cursor
        self._shown = Feed(
            chosen.filter,
            options.style,
            options.descending,
            options.seq_interval,
            _documents(self._database, options, chosen) if options.include_docs else None,
            (options.conflicts, options.shown, chosen.fields) if options.include_docs else None,
        )
        self._beats = _BEATS

    async def once(self) -> Reply:
        """Send what there is and end."""
        await self._pass()
        return await self._end()

    async def follow(self, patience: feeds.Patience) -> Reply:
        """Send what there is, and what comes, until the feed's end."""
        cursor = self._cursor
        self._beats = max(patience.seconds, _SHORTEST_BEATS)
        while True:
            await self._pass()
            if cursor.limit <= 0 or (self._longpoll and cursor.sent):
                break
            if self._shown.descending and self._longpoll:
                break
            await self._answer.wait()
            if not await self._wait(patience):
                break
        return await self._end()

    async def _wait(self, patience: feeds.Patience) -> bool:
        beat = self._answer.beat
        if self._longpoll or not is_endless(self._shown, self._cursor):
            return await self._waiting.for_news(self._news, patience, beat)
        answer = self._answer
        follower = Follower(self._cursor, self._shown, answer.framing, answer.push)

        async def news() -> bool:
            return await self._broadcasts.follow(self._database, follower)

        return await self._waiting.for_news(news, patience, beat, lambda: follower.news)

    async def _news(self) -> bool:
        if self._shown.descending:
            # Such a feed goes back once; nothing new is ever after the place that it has reached.
            await asyncio.Event().wait()
        return await self._database.changed_since(self._cursor.seen)

    async def _pass(self) -> None:
        async with contextlib.aclosing(walk(self._database, self._shown, self._cursor)) as walked:
            async for rows in self._alive(walked) if self._shown.filter.is_slow else walked:
                await self._answer.rows((row.text, row.seq) for row in rows)

    async def _alive(
        self, walked: AsyncGenerator[list[ChangeRow], None]
    ) -> AsyncIterator[list[ChangeRow]]:
        """Show signs of life where rows are long in coming."""
        while True:
            step = asyncio.ensure_future(anext(walked, None))
            try:
                while not (await asyncio.wait([step], timeout=self._time_to_beat()))[0]:
                    await self._answer.beat()
            finally:
                await _ended(step)
            rows = step.result()
            if rows is None:
                return
            yield rows

    def _time_to_beat(self) -> float:
        return max(self._answer.latest + self._beats - asyncio.get_running_loop().time(), 0)

    async def _end(self) -> Reply:
        last = self._database.sequence(self._cursor.last)
        return await self._answer.end({"last_seq": last, "pending": self._cursor.pending or 0})


async def _ended(step: asyncio.Future[Any]) -> None:
    """See to it that a step is over, whatever has become of the one who waits for it."""
    if not step.done():
        step.cancel()
        await asyncio.wait([step])


def _documents(
    database: Database, options: _Options, chosen: Chosen
) -> Callable[[Entry], Awaitable[bytes]]:
    async def document(entry: Entry) -> bytes:
        extra = []
        if options.conflicts and not entry.has_one_leaf:
            revs = [format_revision(node.rev) for node in entry.tree.conflicts]
            extra = [("_conflicts", revs)] if revs else []
        members = None
        if entry.attachments is not None:
            members = members_text(database.reader, entry.attachments, options.shown)
        text = render(entry, extra, members)
        return text if chosen.project is None else chosen.project(text)

    return document
