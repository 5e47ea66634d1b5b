"""What a database has, and how it gets what it is to have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch.edits import Edit
from aiocouch.exception import CouchDBError, NotFoundError, TransportError
from aiocouch.schema.differences import Change, diff
from aiocouch.schema.parts import Index, Schema

if TYPE_CHECKING:
    from aiocouch.database import Database
    from aiocouch.view import View

__all__ = ["Progress", "apply", "read"]

_DESIGN = "_design/"
_BESIDE = "~next"
_OF_INDEX = ("language", "options", "views")
"""What an index is found by. Other members would act twice: as a function that validates, or too early."""
_LOOK_AGAIN = 1.0  # seconds between two looks at a view that is built


@dataclass(frozen=True)
class Progress:
    """How far `apply` is with a change: "begun", "building" its views, or "done".

    `percent` is how much of the views is built, where the server tells.
    """

    change: Change
    state: str
    percent: int | None = None


Tell: TypeAlias = Callable[[Progress], object]


async def read(database: Database) -> Schema | None:
    """Return what a database has; None when it does not exist.

    Its requests are `GET /{db}/_security`, `GET /{db}/_design_docs` and `GET /{db}/_index`.
    """
    try:
        security = (await database.security()).json
    except NotFoundError:
        return None
    designs = {}
    async for document in database.design_docs.docs(include_ddocs=True):
        if document.get("language") != "query":
            designs[document.id.removeprefix(_DESIGN)] = document.json
    indexes = [_index(one) for one in await database.indexes.list() if one["type"] == "json"]
    return Schema(designs, indexes, security)


def _index(found: Mapping[str, Any]) -> Index:
    definition = found["def"]
    selector = definition.get("partial_filter_selector") or {}
    return Index(found["name"], definition["fields"], found["ddoc"], selector)


async def apply(
    database: Database, wanted: Schema, *, progress: Tell | None = None
) -> list[Change]:
    """Make a database what it is to be, and return what was done: nothing the second time.

    It is created where it does not exist. Views are built in a design document beside the old one, which
    then takes its content, so that nobody waits for them; views of partitions are the exception. What is
    not in the schema is left as it is.
    `progress` is called with what is going on. After an error it can be called again: it goes on.
    """
    changes = diff(wanted, await read(database))
    tell = progress or (lambda _: None)
    for change in changes:
        tell(Progress(change, "begun"))
        await _carry_out(database, wanted, change, tell)
        tell(Progress(change, "done"))
    return changes


async def _carry_out(database: Database, wanted: Schema, change: Change, tell: Tell) -> None:
    if change.kind == "database":
        await database.couchdb.create(database.id, exists_ok=True, **wanted.options)
    elif change.kind == "security":
        await _secure(database, wanted.security or {})
    elif change.kind == "index":
        index = next(index for index in wanted.indexes if index.full_name == change.name)
        await database.index(index.definition(), ddoc=index.ddoc, name=index.name, type="json")
    else:
        await _design(database, change, wanted.designs[change.name], tell)


async def _secure(database: Database, security: Mapping[str, Any]) -> None:
    document = await database.security()
    for name in list(document):
        del document[name]
    document.update(security)
    await document.save()


async def _design(
    database: Database, change: Change, content: Mapping[str, Any], tell: Tell
) -> None:
    id = _DESIGN + change.name
    view = _first_view(content)
    if view is None or await _is_partitioned(database, content):
        await database.upsert(id, content)
        return
    beside = id + _BESIDE
    await database.upsert(beside, {name: content[name] for name in _OF_INDEX if name in content})
    await _build(database.view(beside, view), change, tell)
    await database.upsert(id, content)  # it has the same index, which is found by its content
    await database.update(beside, lambda _: Edit.DELETE)
    await database.maintenance.clean_views()


def _first_view(content: Mapping[str, Any]) -> str | None:
    """Return the name of a view: with it, all of the design document are built. "lib" is code."""
    views = content.get("views")
    if not isinstance(views, Mapping):  # the server says that it must be an object
        return None
    has_map = (name for name, view in views.items() if isinstance(view, Mapping) and "map" in view)
    return next(has_map, None)


async def _is_partitioned(database: Database, content: Mapping[str, Any]) -> bool:
    """Return whether the views can be asked for one partition only, so that none builds all of them."""
    options = content.get("options")
    own = not isinstance(options, Mapping) or options.get("partitioned", True)
    return bool(own and (await database.info()).get("props", {}).get("partitioned"))


async def _build(view: View, change: Change, tell: Tell) -> None:
    """Wait until the views are built. A request that lasts too long is sent again."""
    while True:
        try:
            await _built(view, change, tell)
        except TransportError:
            info = await view.database.functions(view.design_doc).info()
            if not info["view_index"]["updater_running"]:
                raise
        else:
            return


async def _built(view: View, change: Change, tell: Tell) -> None:
    query = asyncio.ensure_future(view.get(limit=0, reduce=False))
    try:
        while not (await asyncio.wait({query}, timeout=_LOOK_AGAIN))[0]:
            tell(Progress(change, "building", await _percent(view)))
        await query
    finally:
        query.cancel()


async def _percent(view: View) -> int | None:
    """Return how much is built (`GET /_active_tasks`); None when we may not know."""
    try:
        tasks = await view.database.couchdb.active_tasks()
    except CouchDBError:
        return None
    ours = [task for task in tasks if task.get("design_document") == view.design_doc]
    total = sum(task.get("total_changes", 0) for task in ours)
    return 100 * sum(task.get("changes_done", 0) for task in ours) // total if total else None
