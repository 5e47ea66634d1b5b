"""All view indexes of one server: opened when asked for, closed with their database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aiocouch.embedded.codec import decode
from aiocouch.embedded.errors import CouchError, no_database
from aiocouch.embedded.javascript.pool import Unit
from aiocouch.embedded.node.tasks import ActiveTasks
from aiocouch.embedded.views.definition import define, unknown_language
from aiocouch.embedded.views.index import Index, Options
from aiocouch.embedded.views.mappers import ScriptMapper
from aiocouch.embedded.views.reducers import ReduceFunction, ReduceLimit, reduce_functions
from aiocouch.embedded.views.tables import StaleIndexError, Tables
from aiocouch.embedded.views.vacuum import vacuum

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from aiocouch.embedded.javascript.queryserver import QueryServer
    from aiocouch.embedded.store.database import Database
    from aiocouch.embedded.store.records import Entry
    from aiocouch.embedded.views.definition import Definition
    from aiocouch.embedded.views.index import IndexProgress, MapDocuments

_FOLDER = "indexes"


class ViewIndex:
    """The index of the views of a design document, and their reduce functions by source."""

    def __init__(self, index: Index, functions: dict[str, ReduceFunction]) -> None:
        self.index = index
        self.functions = functions


class Indexes:
    """The indexes of all databases of a server, by signature.

    `languages` makes the mapper of views in a language; JavaScript is there from the start.
    `reduce_limit` gives how fast reduce functions have to shrink what they get, `disk_is_full` tells
    whether indexes may not grow.
    """

    def __init__(self, queries: QueryServer, tasks: ActiveTasks | None = None) -> None:
        self._queries = queries
        self._tasks = tasks or ActiveTasks()
        self.languages: dict[str, Callable[[Definition], MapDocuments]] = {
            "javascript": self._script
        }
        self._indexes: dict[str, dict[str, Index]] = {}
        self._views: dict[Index, ViewIndex] = {}
        self._definitions: WeakKeyDictionary[Database, dict[str, tuple[str, Definition]]] = (
            WeakKeyDictionary()
        )
        self._closing: set[asyncio.Task[None]] = set()
        self.reduce_limit: Callable[[], ReduceLimit] = ReduceLimit
        self.disk_is_full: Callable[[], bool] = lambda: False
        self.compacting: set[Index] = set()
        """The indexes that are being compacted."""

    def definition(self, database: Database, entry: Entry) -> Definition:
        """Return the views of a design document; they are read once for each revision."""
        known = self._definitions.setdefault(database, {})
        revision, definition = known.get(entry.id, ("", None))
        if definition is None or revision != entry.rev:
            design = decode(entry.body)
            definition = define(design, database_partitioned=database.partitioned)
            known[entry.id] = entry.rev, definition
        return definition

    def views(self, database: Database, definition: Definition, design_id: str = "") -> ViewIndex:
        """Return the index of the views of a design document, which `_active_tasks` calls by its id.

        Raise CouchError(500, "unknown_query_language") for a language that is not known.
        """
        index = self.find(database, definition.signature)
        if index is None or index not in self._views:
            make = self.languages.get(definition.language.lower())
            if make is None:
                raise unknown_language(definition.language)
            options = Options(definition.include_design, definition.local_seq)
            index = self.open(
                database,
                definition.signature,
                len(definition.trees),
                make(definition),
                options=options,
                design_id=design_id,
            )
            functions = reduce_functions(
                definition, self._queries, _unit(definition), self.reduce_limit
            )
            self._views[index] = ViewIndex(index, functions)
        return self._views[index]

    def _script(self, definition: Definition) -> MapDocuments:
        return ScriptMapper(self._queries, _unit(definition), definition)

    def find(self, database: Database, signature: str) -> Index | None:
        """Return an index that is open, or None."""
        return self._indexes.get(database.uuid, {}).get(signature)

    def open(
        self,
        database: Database,
        signature: str,
        trees: int,
        mapper: MapDocuments,
        *,
        options: Options | None = None,
        design_id: str = "",
    ) -> Index:
        """Return the index of this signature, opened or created; `mapper` fills its `trees`."""
        index = self.find(database, signature)
        if index is None:
            if database.closed:
                # the folder may be that of another one by now
                raise no_database()
            tables = _open_tables(database, signature, trees)
            progress = self._progress(database, design_id)
            index = Index(database, tables, mapper, options, progress)
            index.disk_is_full = self.disk_is_full
            self._keep(database, signature, index)
        return index

    def _progress(self, database: Database, design_id: str) -> IndexProgress:
        @contextlib.contextmanager
        def progress(changes: int) -> Iterator[Callable[[int], None]]:
            with self._tasks.add(
                "indexer",
                database=database.name,
                design_document=design_id,
                changes_done=0,
                total_changes=changes,
                progress=0,
            ) as task:
                yield lambda done: task.update(changes_done=done, progress=100 * done // changes)

        return progress

    def _keep(self, database: Database, signature: str, index: Index) -> None:
        if database.uuid not in self._indexes:
            self._indexes[database.uuid] = {}
            database.subscribe(self._look_after)
        self._indexes[database.uuid][signature] = index

    def _look_after(self, database: Database) -> None:
        if database.closed:
            for index in self._indexes.pop(database.uuid, {}).values():
                self._start_closing(index)

    def _start_closing(self, index: Index) -> None:
        self._views.pop(index, None)
        task = asyncio.ensure_future(index.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def compact(self, database: Database, entry: Entry) -> None:
        """Give back the space that the index of a design document does not use.

        Nothing happens where it has no views that this server runs, or is deleted meanwhile.
        """
        definition = self.definition(database, entry)
        if not definition.views or not self.runs(definition):
            return
        index = self.views(database, definition, entry.id).index
        if index in self.compacting:
            return
        self.compacting.add(index)
        try:
            steps = {"progress": 0, "changes_done": 0, "total_changes": database.doc_count}
            fields = {"database": database.name, "design_document": entry.id, **steps}
            with self._tasks.add("view_compaction", **fields):
                await vacuum(index)
        except CouchError:
            if not index.closed:
                raise
        finally:
            self.compacting.discard(index)

    def runs(self, definition: Definition) -> bool:
        """Return whether the views are in a language that this server has."""
        return definition.language.lower() in self.languages

    async def clean(self, database: Database, wanted: Collection[str]) -> None:
        """Delete the indexes of a database whose signature is not wanted."""
        known = self._indexes.get(database.uuid, {})
        for signature in [each for each in known if each not in wanted]:
            # others may have been here while one was being closed
            index = known.pop(signature, None)
            if index is not None:
                self._views.pop(index, None)
                await index.close()
        opened = self._indexes.get(database.uuid, {})
        if database.folder is not None:
            for path in (database.folder / _FOLDER).glob("*.sqlite"):
                if path.stem not in wanted and path.stem not in opened:
                    _delete(path)

    async def close(self) -> None:
        """Close all indexes."""
        for indexes in self._indexes.values():
            for index in indexes.values():
                self._start_closing(index)
        self._indexes.clear()
        while self._closing:
            await asyncio.gather(*self._closing)

    def abandon(self) -> None:
        """Close all indexes of a loop that is closed, where nothing can be waited for any more."""
        for indexes in self._indexes.values():
            for index in indexes.values():
                index.closed = True
                index.tables.close()
        self._indexes.clear()


def _unit(definition: Definition) -> Unit:
    return Unit(f"views:{definition.signature}", "views", definition.unit_text().decode())


def _open_tables(database: Database, signature: str, trees: int) -> Tables:
    if database.folder is None:
        return Tables(None, trees, database.uuid)
    folder = database.folder / _FOLDER
    folder.mkdir(exist_ok=True)
    path = folder / f"{signature}.sqlite"
    try:
        return Tables(path, trees, database.uuid)
    except (StaleIndexError, sqlite3.DatabaseError):
        # Whatever it holds, it can be built again from the documents.
        _delete(path)
        return Tables(path, trees, database.uuid)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).unlink()
