"""What keeps a database in shape: compaction, limits, purges, and what is a formality here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocouch._wire.revision import format_revision
from aiocouch.embedded.documents.edits import read_rev
from aiocouch.embedded.documents.partitions import check_partitioned_id
from aiocouch.embedded.errors import bad_request, internal, method_not_allowed, not_found
from aiocouch.embedded.http.routing import database_route
from aiocouch.embedded.identity import is_database_admin
from aiocouch.embedded.store.compaction import compact
from aiocouch.embedded.store.purging import purge, purges
from aiocouch.embedded.who.access import not_database_admin

if TYPE_CHECKING:
    import sqlite3

    from aiocouch._wire.revision import Rev
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.http.message import Reply
    from aiocouch.embedded.state import Server
    from aiocouch.embedded.store.database import Database


@database_route("_compact", methods=("POST",), json_post=True)
async def compact_database(exchange: Exchange) -> Reply:
    """Answer `/db/_compact` and `/db/_compact/ddoc` at once, and compact."""
    await exchange.body()
    server, database = exchange.server, exchange.database
    if len(exchange.segments) > 2:
        entry = database.get(f"_design/{exchange.segments[2]}")
        if entry is None or entry.deleted:
            raise not_found()
        server.later(server.indexes.compact(database, entry))
    else:
        server.later(_compact(server, database))
    return exchange.answer({"ok": True}, 202)


async def _compact(server: Server, database: Database) -> None:
    total = database.doc_count + database.deleted_count
    fields = {"database": database.name, "phase": "document_copy", "progress": 0}
    with server.tasks.add("database_compaction", changes_done=0, total_changes=total, **fields):
        await compact(database)


@database_route("_ensure_full_commit", methods=("POST",), json_post=True, exact=True)
async def ensure_full_commit(exchange: Exchange) -> Reply:
    """Answer `/db/_ensure_full_commit`; every write was on disk when it was acknowledged."""
    await exchange.body()
    answer = {"ok": True, "instance_start_time": str(exchange.database.created)}
    return exchange.answer(answer, 201)


@database_route("_revs_limit", methods=("PUT", "GET"), exact=True)
async def revs_limit(exchange: Exchange) -> Reply:
    """Answer `/db/_revs_limit`: how many revisions a branch keeps."""
    if exchange.method != "PUT":
        return exchange.answer(exchange.database.revs_limit)
    limit = await exchange.json()
    if not _is_positive(limit):
        raise internal("function_clause")
    _check_admin(exchange)
    await exchange.database.set_revs_limit(limit)
    return exchange.answer({"ok": True})


def _check_admin(exchange: Exchange) -> None:
    if not is_database_admin(exchange.user, exchange.database.security):
        # CouchDB does not expect the refusal here, and tells of its crash.
        error = not_database_admin(exchange.user)
        raise internal(f'{{error,{{{error.error},<<"{error.reason}">>}}}}', "badmatch")


@database_route("_purged_infos_limit", methods=("GET", "PUT"), exact=True)
async def purged_infos_limit(exchange: Exchange) -> Reply:
    """Answer `/db/_purged_infos_limit`: how many purges are remembered."""
    if exchange.method != "PUT":
        return exchange.answer(exchange.database.purged_infos_limit)
    limit = await exchange.json()
    if not _is_positive(limit):
        raise bad_request("`purged_infos_limit` must be positive integer")
    await exchange.database.set_purged_infos_limit(limit)
    return exchange.answer({"ok": True})


def _is_positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@database_route("_purged_infos", methods=("GET",), exact=True)
async def purged_infos(exchange: Exchange) -> Reply:
    """Answer `/db/_purged_infos`: the purges that are remembered."""
    infos = [{"id": doc_id, "revs": revs} for doc_id, revs in purges(exchange.database.reader)]
    return exchange.answer({"purged_infos": infos})


@database_route("_purge", exact=True)
async def purge_documents(exchange: Exchange) -> Reply:
    """Answer `/db/_purge`."""
    if exchange.method != "POST":
        raise method_not_allowed(("POST",))
    exchange.require_json_type()
    wanted = _wanted(exchange, await exchange.json_object())
    database = exchange.database

    def job(connection: sqlite3.Connection) -> dict[str, list[str]]:
        return {
            doc_id: [*map(format_revision, purge(database, connection, doc_id, revs))]
            for doc_id, revs in wanted.items()
        }

    purged = await database.write(job)
    return exchange.answer({"purge_seq": None, "purged": purged}, exchange.written)


def _wanted(exchange: Exchange, body: dict[str, Any]) -> dict[str, list[Rev]]:
    wanted = {doc_id: _revisions(revs) for doc_id, revs in body.items()}
    most = exchange.server.config.limit("purge", "max_revisions_number", None)
    if most is not None and sum(map(len, wanted.values())) > most:
        raise bad_request("Exceeded maximum number of revisions.")
    if exchange.database.partitioned:
        for doc_id in wanted:
            check_partitioned_id(doc_id)
    return wanted


def _revisions(value: object) -> list[Rev]:
    if not isinstance(value, list):
        raise bad_request("Invalid list of revisions")
    return [*map(read_rev, value)]
