"""`/db/_shards` and `/db/_sync_shards`: the shards that a database would have, all on one node."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from aiocouch.embedded.documents.edits import DESIGN
from aiocouch.embedded.documents.partitions import check_partitioned_id
from aiocouch.embedded.errors import internal
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.node.tasks import NODE

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.store.database import Database

_HASHES = 1 << 32


@database_route("_shards", methods=("GET",))
async def shards(exchange: Exchange) -> Reply:
    """Answer `/db/_shards` and `/db/_shards/{id}`."""
    if len(exchange.segments) > 3:
        raise internal("function_clause")
    if len(exchange.segments) == 3:
        if exchange.database.partitioned:
            check_partitioned_id(exchange.segments[2])
        place = _place(exchange.database, exchange.segments[2])
        return exchange.answer({"range": _ranges(exchange.database.q)[place], "nodes": [NODE]})
    ranges = _ranges(exchange.database.q)
    return exchange.answer({"shards": {each: [NODE] for each in ranges}})


def _ranges(q: int) -> list[str]:
    """Return the ranges of hashes that the shards have; the last one takes what is left over."""
    step = _HASHES // q
    starts = [step * number for number in range(q)]
    ends = [*starts[1:], _HASHES]
    return [f"{start:08x}-{end - 1:08x}" for start, end in zip(starts, ends, strict=True)]


def _place(database: Database, doc_id: str) -> int:
    """Return the number of the shard of a document; a partition is in one shard."""
    key = doc_id
    if database.partitioned and not doc_id.startswith(DESIGN):
        key = doc_id.partition(":")[0]
    number = zlib.crc32(key.encode(errors="surrogateescape"))
    return min(number // (_HASHES // database.q), database.q - 1)


@database_route("_sync_shards", methods=("POST",))
async def sync_shards(exchange: Exchange) -> Reply:
    """Answer `/db/_sync_shards`: there is nothing to synchronise."""
    return exchange.answer({"ok": True}, 202)
