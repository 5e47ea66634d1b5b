"""`/_db_updates`: what happened to databases, in all kinds of feeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.codec import encode
from aiocouch.embedded.erlang_text import read_integer
from aiocouch.embedded.errors import bad_request, no_database
from aiocouch.embedded.feeds import feed as feeds
from aiocouch.embedded.feeds.db_updates import descending
from aiocouch.embedded.http.feed_answer import FeedAnswer
from aiocouch.embedded.http.routing import server_route

if TYPE_CHECKING:
    from aiocouch.embedded.feeds.db_updates import DatabaseEvent, DatabaseUpdates
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply

_FEEDS = "Supported `feed` types: normal, continuous, longpoll, eventsource"
_DATABASE = "_global_changes"
_BAD_SINCE = "Malformed sequence supplied in 'since' parameter."


@server_route("_db_updates", methods=("GET",))
async def db_updates(exchange: Exchange) -> Reply:
    """Answer `/_db_updates`; as in CouchDB, 404 where there is no database `_global_changes`."""
    kind = exchange.query.text("feed", feeds.NORMAL)
    limit, patience = _positive(exchange, "limit"), _patience(exchange)
    if kind not in feeds.KINDS:
        raise bad_request(_FEEDS)
    if _DATABASE not in exchange.server.databases:
        raise no_database()
    etag = None
    if kind == feeds.NORMAL:
        etag = f'"{exchange.server.uuid[:20]}{exchange.server.updates.seq}"'
        if exchange.has_etag(etag):
            return exchange.not_modified(etag)
    answer = FeedAnswer(exchange, kind, etag)
    feed = _Feed(exchange, kind, answer, limit)
    if exchange.method == "HEAD":
        return answer.without_body()
    return await feed.follow(patience) if etag is None else await feed.once()


def _patience(exchange: Exchange) -> feeds.Patience:
    timeout = _positive(exchange, "timeout")
    heartbeat = exchange.query.text("heartbeat")
    if heartbeat not in {"true", "false"}:
        # 0 means no heartbeat
        heartbeat = str(_positive(exchange, "heartbeat") or "false")
    if heartbeat == "false":
        heartbeat = None
    text = None if timeout is None else str(timeout)
    return feeds.read_patience(text, heartbeat, feeds.DEFAULT_TIMEOUT)


def _positive(exchange: Exchange, name: str) -> int | None:
    text = exchange.query.text(name)
    if text is None:
        return None
    try:
        number = read_integer(text)
    except ValueError:
        raise bad_request("invalid_integer") from None
    if number < 0:
        raise bad_request("invalid_integer")
    return number


def _since(exchange: Exchange) -> int:
    updates = exchange.server.updates
    text = exchange.query.text("since") or "0"
    if text == "now":
        return updates.seq
    text = text.strip('"')
    number = text.partition("-")[0]
    if text == "0" or (number.isdecimal() and text == _sequence(exchange, int(number))):
        return int(number)
    raise bad_request(_BAD_SINCE)


def _sequence(exchange: Exchange, number: int) -> str:
    return f"{number}-g1{exchange.server.uuid}"


class _Feed:
    def __init__(
        self, exchange: Exchange, kind: str, answer: FeedAnswer, limit: int | None
    ) -> None:
        self._exchange = exchange
        self._answer = answer
        self._updates: DatabaseUpdates = exchange.server.updates
        self._longpoll = kind == feeds.LONGPOLL
        self._last = _since(exchange)
        self._limit = limit
        self._descending = exchange.query.is_true("descending")
        self._sent = 0

    async def once(self) -> Reply:
        await self._pass()
        return await self._end()

    async def follow(self, patience: feeds.Patience) -> Reply:
        waiting = self._exchange.server.waiting
        while True:
            await self._pass()
            await self._answer.wait()
            if self._limit == 0 or self._descending or (self._longpoll and self._sent):
                break
            if not await waiting.for_news(self._news, patience, self._answer.beat):
                break
        return await self._end()

    async def _news(self) -> bool:
        return await self._updates.changed_since(self._last)

    async def _pass(self) -> None:
        found = self._updates.since(self._last)
        if self._descending:
            found = descending(self._updates.since(0))
        if self._limit is not None:
            found = found[: self._limit]
            self._limit -= len(found)
        await self._answer.rows(map(self._row, found))
        self._sent += len(found)
        self._last = found[-1].seq if found else self._last

    def _row(self, update: DatabaseEvent) -> tuple[bytes, bytes]:
        seq = _sequence(self._exchange, update.seq)
        row = {"db_name": update.database, "type": update.kind, "seq": seq}
        return encode(row), encode(seq)

    async def _end(self) -> Reply:
        return await self._answer.end({"last_seq": _sequence(self._exchange, self._last)})
