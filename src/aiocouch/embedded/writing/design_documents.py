"""Design documents: what may be stored, and the validate functions that guard writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import msgspec

from aiocouch.embedded.codec import decode, encode
from aiocouch.embedded.errors import CouchError, bad_request
from aiocouch.embedded.javascript.queryserver import design_unit
from aiocouch.embedded.store.records import render
from aiocouch.embedded.views.definition import is_javascript
from aiocouch.embedded.views.reduce import builtin
from aiocouch.embedded.who.auth_design import AUTH_DESIGN_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiocouch.embedded.hooks import Hooks
    from aiocouch.embedded.identity import User
    from aiocouch.embedded.javascript.pool import Unit
    from aiocouch.embedded.javascript.queryserver import QueryServer
    from aiocouch.embedded.store.database import Database

_FUNCTIONS = ("filters", "lists", "shows", "updates")
_FLAGS = ("include_design", "local_seq", "partitioned")
_VALIDATED_AT_ONCE = 200


def _invalid(reason: str) -> CouchError:
    return bad_request(reason, "invalid_design_doc")


def _require(value: object, path: str, types: tuple[type, ...], kinds: str) -> None:
    if not isinstance(value, types):
        raise _invalid(f"`{path}` field must have {kinds} type")


def check_structure(document: Mapping[str, Any]) -> None:
    """Raise 400 `invalid_design_doc` for members of a wrong type, in CouchDB's words."""
    if "language" in document:
        _require(document["language"], "language", (str,), "string")
    if "options" in document:
        _check_options(document["options"])
    for name in _FUNCTIONS:
        if name in document:
            _check_functions(name, document[name])
    if "rewrites" in document:
        _require(document["rewrites"], "rewrites", (list, str), "array or string")
    if "validate_doc_update" in document:
        _require(document["validate_doc_update"], "validate_doc_update", (str,), "string")
    if "views" in document:
        _check_views(document["views"], document.get("language", "javascript"))


def _check_options(options: object) -> None:
    _require(options, "options", (dict,), "object")
    assert isinstance(options, dict)
    for name in _FLAGS:
        if name in options:
            _require(options[name], f"options.{name}", (bool,), "boolean")


def _check_functions(name: str, functions: object) -> None:
    _require(functions, name, (dict,), "object")
    assert isinstance(functions, dict)
    for each, source in functions.items():
        _require(source, f"{name}.{each}", (str, dict), "string or object")


def _check_views(views: object, language: str) -> None:
    _require(views, "views", (dict,), "object")
    assert isinstance(views, dict)
    for name, view in views.items():
        _require(view, f"views.{name}", (dict,), "object")
        if name != "lib":
            _check_view(name, view, language)


def _check_view(name: str, view: dict[str, Any], language: str) -> None:
    if "map" not in view:
        raise _invalid(f"View `{name}` must contain map function")
    if language == "query":
        _require(view["map"], f"views.{name}.map", (dict,), "object")
    else:
        _require(view["map"], f"views.{name}.map", (str,), "string")
    if "reduce" in view:
        _require(view["reduce"], f"views.{name}.reduce", (str,), "string")
    if not isinstance(view.get("options", {}), dict):
        raise CouchError(500, "unknown_error", "function_clause")


async def _check_functions_of_view(queries: QueryServer, name: str, view: dict[str, Any]) -> None:
    await _compile(queries, "map", name, view["map"])
    reduce = view.get("reduce")
    if reduce is None:
        return
    if reduce.startswith("_"):
        builtin(reduce)
    else:
        await _compile(queries, "reduce", name, reduce)


async def _compile(queries: QueryServer, kind: str, name: str, source: str) -> None:
    try:
        await queries.check([source])
    except CouchError as error:
        if error.error != "compilation_error":
            raise
        reason = f"Compilation of the {kind} function in the '{name}' view failed: {error.reason}"
        raise bad_request(reason, "compilation_error") from error


async def check_views(queries: QueryServer, document: Mapping[str, Any]) -> None:
    """Compile the functions of all views.

    Raise 400 `compilation_error` or `invalid_design_doc`, 404 for an empty function.
    """
    if not is_javascript(document.get("language", "javascript")):
        return
    for name, view in document.get("views", {}).items():
        if name != "lib" or "map" in view:
            await _check_functions_of_view(queries, name, view)


class _Guards(msgspec.Struct):
    """The validate functions of one database as of one moment."""

    version: int = -1
    revisions: list[tuple[str, str]] = msgspec.field(default_factory=list)
    units: list[Unit] = msgspec.field(default_factory=list)
    unknown: CouchError | None = None


class DesignFunctions:
    """Checks design documents that are written, and lets their functions check other documents."""

    def __init__(self, queries: QueryServer) -> None:
        self._queries = queries
        self._guards: WeakKeyDictionary[Database, _Guards] = WeakKeyDictionary()
        self._waiting: dict[str, _Waiting] = {}

    def install(self, hooks: Hooks) -> None:
        """Take part in the writing of documents."""
        hooks.compile_design = self.check_design
        hooks.needs_validation = self.guards
        hooks.validate = self.validate
        hooks.reload_javascript = self.reload

    async def check_design(self, database: Database, document: dict[str, Any]) -> None:
        """Raise CouchError for a design document that CouchDB does not store."""
        check_structure(document)
        options = document.get("options", {})
        if options.get("partitioned") is True and not database.partitioned:
            reason = "partitioned option cannot be true in a non-partitioned database."
            raise _invalid(reason)
        if not document.get("_deleted"):
            await check_views(self._queries, document)

    def guards(self, database: Database) -> bool:
        """Return whether any design document of a database has a validate function."""
        known = self._known(database)
        return bool(known.units) or known.unknown is not None

    def _known(self, database: Database) -> _Guards:
        known = self._guards.get(database)
        if known is None:
            known = self._guards[database] = _Guards()
        if known.version == database.designs.version:
            return known
        known.version = database.designs.version
        revisions = database.reader.execute(
            "SELECT id, rev FROM docs WHERE id >= '_design/' AND id < '_design0' AND deleted = 0"
        ).fetchall()
        if revisions != known.revisions:
            known.revisions = revisions
            known.units, known.unknown = _guarding(database, [id_ for id_, _ in revisions])
        return known

    async def validate(
        self, database: Database, user: User, new: dict[str, Any], old: dict[str, Any] | None
    ) -> None:
        """Ask every validate function of a database; the first refusal is raised."""
        context = {"db": database.name, "name": user.name, "roles": list(user.roles)}
        edit = encode([new, old, context, database.security])
        known = self._known(database)
        if known.unknown is not None:
            raise known.unknown
        verdicts = await asyncio.gather(*(self._ask(unit, edit) for unit in known.units))
        for verdict in verdicts:
            if verdict is not None:
                raise verdict

    async def _ask(self, unit: Unit, edit: bytes) -> CouchError | None:
        """Ask together with all others that ask the same function now: one call for many."""
        waiting = self._waiting.get(unit.name)
        if waiting is None:
            waiting = self._waiting[unit.name] = _Waiting(self._queries, unit, self._close)
        return await waiting.add(edit)

    def _close(self, waiting: _Waiting) -> None:
        if self._waiting.get(waiting.unit.name) is waiting:
            del self._waiting[waiting.unit.name]

    async def reload(self) -> None:
        """End the worker processes; new ones start when needed."""
        self._queries.close()


class _Waiting:
    """Edits that wait for one call of a validate function."""

    def __init__(self, queries: QueryServer, unit: Unit, close: Callable[[_Waiting], None]) -> None:
        self.unit = unit
        self._queries = queries
        self._close = close
        self._edits: list[bytes] = []
        self._call = asyncio.create_task(self._run())

    async def add(self, edit: bytes) -> CouchError | None:
        """Return what the function says of an edit; raise CouchError when it cannot say."""
        place = len(self._edits)
        self._edits.append(edit)
        if len(self._edits) >= _VALIDATED_AT_ONCE:
            self._close(self)
        verdicts = await asyncio.shield(self._call)
        return verdicts[place]

    async def _run(self) -> list[CouchError | None]:
        # Tasks that are ready now add their edits before this one goes on.
        await asyncio.sleep(0)
        self._close(self)
        try:
            return await self._queries.validate(self.unit, self._edits)
        except CouchError as error:
            if len(self._edits) == 1 or error.error != "os_process_error":
                return [error] * len(self._edits)
        # One edit that loops must not refuse the others.
        return [await self._alone(edit) for edit in self._edits]

    async def _alone(self, edit: bytes) -> CouchError | None:
        try:
            return (await self._queries.validate(self.unit, [edit]))[0]
        except CouchError as error:
            return error


def _guarding(database: Database, ids: list[str]) -> tuple[list[Unit], CouchError | None]:
    """Return the units of validate functions, and why no document passes where there is a reason."""
    units: list[Unit] = []
    unknown: CouchError | None = None
    for id_ in ids:
        if id_ == AUTH_DESIGN_ID and database.name == "_users":
            continue  # its rules run without JavaScript
        entry = database.get(id_)
        if entry is not None and b'"validate_doc_update"' in entry.body:
            design = decode(entry.body)
            if "validate_doc_update" in design:
                language = design.get("language", "javascript")
                text = render(entry)
                try:
                    units.append(design_unit(database.uuid, id_, entry.rev, text, language))
                except CouchError as error:
                    unknown = error
    return units, unknown
