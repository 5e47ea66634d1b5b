"""Design documents as folders of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import DECODE_ERRORS, decode
from aiocouch.exception import InvalidInputError

if TYPE_CHECKING:
    from aiocouch.typing import JsonDict

__all__ = ["designs_in"]


def designs_in(folder: str | Path) -> dict[str, JsonDict]:
    """Return the design documents in a folder, one in each folder of it, for `Schema.designs`.

    Folders in them are objects, and files are members: `views/by_name/map.js` is text, `options.json` any
    JSON value. Names with a dot in front are passed over. Raise OSError, and
    `InvalidInputError` for what is not JSON, or not text in UTF-8.
    """
    return {one.name: _object(one) for one in _entries(Path(folder)) if one.is_dir()}


def _entries(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if not one.name.startswith("."))


def _object(folder: Path) -> JsonDict:
    found: JsonDict = {}
    for one in _entries(folder):
        name = one.name if one.is_dir() else one.stem
        if name in found:
            raise InvalidInputError(f"{folder} has two members {name!r}")
        found[name] = _object(one) if one.is_dir() else _value(one)
    return found


def _value(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{file} is not text in UTF-8: {error}") from error
    if file.suffix != ".json":
        return text.strip()
    try:
        return decode(text)
    except DECODE_ERRORS as error:
        raise InvalidInputError(f"{file} is not JSON: {error}") from error
