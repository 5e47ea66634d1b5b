"""A schema as people write it: a folder, a file, or a name in a Python module."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any

from aiocouch import InvalidInputError, InvalidTypeError
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.values import object_of
from aiocouch.schema import Index, Schema, designs_in

__all__ = ["SCHEMA", "schema_of"]

SCHEMA = "a folder with designs/ or schema.toml, a file of TOML or JSON, or MODULE:NAME in Python"
"""How a schema is named, for the help of commands."""

_MEMBERS = {"designs", "indexes", "security", "options"}
_FILES = ("schema.toml", "schema.json")


def schema_of(place: str) -> Schema:
    """Return the schema of a folder, a file, or a module. Raise `CommandError`."""
    path = Path(place)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _schema(_read(path), {}, place)
    module, sign, name = place.partition(":")
    if not sign:
        raise CommandError(f"there is no file and no folder {place}", Exit.NOT_FOUND)
    return _of_module(module, name)


def _of_folder(folder: Path) -> Schema:
    designs = folder / "designs"
    file = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if file is None and not designs.is_dir():
        raise CommandError(f"{folder} has no designs/, and no {' or '.join(_FILES)}", Exit.USAGE)
    found = designs_in(designs) if designs.is_dir() else {}
    return _schema({} if file is None else _read(file), found, str(file or designs))


def _read(file: Path) -> dict[str, Any]:
    if file.suffix != ".toml":
        return object_of(file.read_bytes(), str(file))
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is not TOML: {error}", Exit.USAGE) from None


def _schema(told: dict[str, Any], designs: dict[str, Any], where: str) -> Schema:
    if unknown := told.keys() - _MEMBERS:
        names = ", ".join(sorted(_MEMBERS))
        said = f"{where} has {', '.join(sorted(unknown))}; what it may have: {names}"
        raise CommandError(said, Exit.USAGE)
    for member in ("designs", "options"):
        if not isinstance(told.get(member, {}), dict):
            raise CommandError(f"{where}: {member} is not an object", Exit.USAGE)
    indexes = told.get("indexes", [])
    if not isinstance(indexes, list) or not all(isinstance(each, dict) for each in indexes):
        raise CommandError(f"{where}: indexes is not a list of objects", Exit.USAGE)
    try:
        return Schema(
            designs={**told.get("designs", {}), **designs},
            indexes=[Index(**index) for index in indexes],
            security=told.get("security"),
            options=told.get("options", {}),
        )
    except (InvalidInputError, InvalidTypeError):
        raise
    except TypeError as error:
        raise CommandError(f"{where}: {error}", Exit.USAGE) from None


def _of_module(module: str, name: str) -> Schema:
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise CommandError(f"{module}:{name} cannot be had: {error}", Exit.NOT_FOUND) from None
    finally:
        sys.path.pop(0)
    if not isinstance(found, Schema):
        raise CommandError(f"{module}:{name} is not a Schema", Exit.USAGE)
    return found
