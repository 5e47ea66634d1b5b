"""The configuration: sections of keys with text values, as CouchDB's, kept in `local.ini`.

Only what the server was told lives here. Built-in defaults belong to the place that reads a
setting, as in CouchDB, so `_config` shows what differs and not every number there is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import TYPE_CHECKING

from aiocouch.embedded.store.faults import StorageError, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Sections = dict[str, dict[str, str]]

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "vendor": {"name": "The Apache Software Foundation"},
    "couchdb_engines": {"couch": "couch_bt_engine"},
    "feature_flags": {"partitioned||*": "true"},
    "chttpd_auth": {"hash_algorithms": "sha256, sha"},
    "couch_httpd_auth": {"authentication_db": "_users"},
    "indexers": {"couch_mrview": "true"},
    "couchdb": {"single_node": "true"},
}
"""The settings that a fresh CouchDB shows under `_config`."""

CLOSED_SECTIONS = frozenset(
    {
        "daemons",
        "external",
        "httpd_design_handlers",
        "httpd_db_handlers",
        "httpd_global_handlers",
        "native_query_servers",
        "os_daemons",
        "query_servers",
    }
)
"""Sections that nobody may change over HTTP."""

_BRACKETS = re.compile(r"[\[\]]")
_TRUE = frozenset({"true"})
_FALSE = frozenset({"false"})


class InvalidSettingError(ValueError):
    """A section, key or value that could not be kept in a settings file."""


class Configuration:
    """The settings of one server.

    With a `path`, changes are written to that file before they are acknowledged; without, they
    live as long as the server. `overrides` are settings of this run only: they win over the file
    and are never written to it.
    """

    def __init__(
        self,
        path: Path | None = None,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._path = path
        self._overrides = _copy(overrides or {})
        self._stored: Sections = {}
        self._values: Sections = {}
        self._listeners: list[Callable[[str, str], None]] = []
        self.reload()

    def __repr__(self) -> str:
        return f"Configuration(path={self._path!r}, sections={sorted(self._values)!r})"

    def sections(self) -> Sections:
        """Give a copy of everything."""
        return _copy(self._values)

    def section(self, section: str) -> dict[str, str]:
        """Give a copy of one section, empty when it does not exist."""
        return dict(self._values.get(section, {}))

    def get(self, section: str, key: str) -> str | None:
        """Give the text of a setting, or None."""
        keys = self._values.get(section)
        return None if keys is None else keys.get(key)

    def text(self, section: str, key: str, default: str = "") -> str:
        """Give the text of a setting, or `default`."""
        value = self.get(section, key)
        return default if value is None else value

    def integer(self, section: str, key: str, default: int) -> int:
        """Give a setting as an integer; `default` when it is missing or no integer."""
        value = self.get(section, key)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            return default

    def limit(self, section: str, key: str, default: int | None) -> int | None:
        """Give a size limit, in its own unit; None means that there is none (`infinity`)."""
        value = self.get(section, key)
        return int(value) if value is not None and value.isdigit() else _unless(value, default)

    def flag(self, section: str, key: str, *, default: bool) -> bool:
        """Give a setting as a truth value; `default` for anything but `true` and `false`."""
        value = self.get(section, key)
        if value in _TRUE:
            return True
        return False if value in _FALSE else default

    def put(self, section: str, key: str, value: str, *, persist: bool = True) -> str:
        """Change a setting and return its old text (`""` when there was none).

        White space around the value is cut off. Raises InvalidSettingError for text that would
        break the file.
        """
        value = value.strip()
        _check(section, key, value)
        old = self.text(section, key)
        if persist:
            stored = _copy(self._stored)
            stored.setdefault(section, {})[key] = value
            self._save(stored)
        self._values.setdefault(section, {})[key] = value
        self._tell(section, key)
        return old

    def delete(self, section: str, key: str, *, persist: bool = True) -> str:
        """Remove a setting and return its old text. Raises KeyError when there is none.

        The value of the file, or else the default, comes back into force.
        """
        old = self._values[section][key]
        if persist:
            stored = _copy(self._stored)
            stored.get(section, {}).pop(key, None)
            self._save(stored)
        del self._values[section][key]
        self._fall_back(section, key)
        self._tell(section, key)
        return old

    def reload(self) -> None:
        """Read the file again; what was changed without being kept is forgotten."""
        if self._path is not None:
            self._stored = _read(self._path)
        self._values = _merge(DEFAULTS, self._stored, self._overrides)

    def is_stored(self, section: str, key: str) -> bool:
        """Tell whether the setting is in the file."""
        return key in self._stored.get(section, {})

    def listen(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(section, key)` after every change of a setting."""
        self._listeners.append(listener)

    def ensure_secret(self, section: str, key: str) -> str:
        """Give a setting that is a secret of this server; make and keep one at first use."""
        value = self.get(section, key)
        if value is None:
            value = secrets.token_hex(16)
            self.put(section, key, value)
        return value

    def override(self, section: str, key: str, value: str) -> None:
        """Set a value for this run that a reload does not touch."""
        self._overrides.setdefault(section, {})[key] = value
        self._values.setdefault(section, {})[key] = value

    def _fall_back(self, section: str, key: str) -> None:
        for layer in (self._stored, DEFAULTS):
            value = layer.get(section, {}).get(key)
            if value is not None:
                self._values[section][key] = value
                return
        if not self._values[section]:
            del self._values[section]

    def _tell(self, section: str, key: str) -> None:
        for listener in self._listeners:
            listener(section, key)

    def _save(self, stored: Sections) -> None:
        """Keep the settings; where the file cannot be written, all stays as it was."""
        if self._path is not None:
            _write(self._path, stored)
        self._stored = stored


def _unless(value: str | None, default: int | None) -> int | None:
    return None if value == "infinity" else default


def _copy(sections: Mapping[str, Mapping[str, str]]) -> Sections:
    return {name: dict(keys) for name, keys in sections.items()}


def _merge(*layers: Mapping[str, Mapping[str, str]]) -> Sections:
    merged: Sections = {}
    for layer in layers:
        for section, keys in layer.items():
            merged.setdefault(section, {}).update(keys)
    return merged


def _check(section: str, key: str, value: str) -> None:
    if _BRACKETS.search(section) or not _is_printable(section):
        raise InvalidSettingError("Invalid configuration section")
    if _BRACKETS.search(key) or not _is_printable(key):
        raise InvalidSettingError("Invalid configuration key")
    if not _is_printable(value):
        raise InvalidSettingError("Invalid configuration value")


def _is_printable(text: str) -> bool:
    return text.replace("\t", " ").isprintable()


def _read(path: Path) -> Sections:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise StorageError(f"The file {path} is no text in UTF-8.") from None
    return _parse(text)


def _parse(text: str) -> Sections:
    sections: Sections = {}
    keys: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            keys = sections.setdefault(line[1:-1], {})
        elif line and not line.startswith(";"):
            key, value = _split(line)
            keys[key] = value
    return sections


def _split(line: str) -> tuple[str, str]:
    # A key may hold "=", so " = " is tried first, as CouchDB does.
    separator = " = " if " = " in line else "="
    key, _, value = f"{line} ".partition(separator)
    return key.strip(), value.strip()


def _format(sections: Sections) -> str:
    lines: list[str] = []
    for section, keys in sections.items():
        if keys:
            lines.append(f"[{section}]")
            lines.extend(f"{key} = {value}" for key, value in keys.items())
            lines.append("")
    return "\n".join(lines)


def _write(path: Path, sections: Sections) -> None:
    """Replace the file in one step, so that a crash leaves the old one or the new one.

    Only the owner may read it: it holds password hashes and the secret of the cookies.
    """
    fresh = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(_format(sections))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)
