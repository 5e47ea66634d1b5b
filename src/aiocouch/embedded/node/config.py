"""The configuration: sections of keys with text values, as CouchDB's, kept in `local.ini`.

Only what the server was told lives here. Built-in defaults belong to the place that reads a
setting, as in CouchDB, so `_config` shows what differs and not every number there is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from typing import TYPE_CHECKING, Any, TypeVar

from aiocouch.embedded.store.faults import StorageError, sync_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
Sections = dict[str, dict[str, str]]

DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "vendor": {"name": "The Apache Software Foundation"},
    "couchdb_engines": {"couch": "couch_bt_engine"},
    "feature_flags": {"partitioned||*": "true"},
    "chttpd_auth": {"hash_algorithms": "sha256, sha"},
    "couch_httpd_auth": {"authentication_db": "_users"},
    "indexers": {"couch_mrview": "true"},
    "couchdb": {"single_node": "true"},
    "httpd": {"bind_address": "127.0.0.1", "port": "5986"},
    "nouveau": {"url": "http://127.0.0.1:5987"},
    "prometheus": {"additional_port": "false", "bind_address": "127.0.0.1", "port": "17986"},
}
"""The settings that a fresh CouchDB shows under `_config`."""

CLOSED_SECTIONS = frozenset(
    {
        "daemons",
        "external",
        "feature_flags",
        "httpd_design_handlers",
        "httpd_db_handlers",
        "httpd_global_handlers",
        "native_query_servers",
        "os_daemons",
        "query_servers",
    }
)
"""Sections that nobody may change over HTTP."""

_FORMER = {
    "chttpd": (
        "httpd",
        frozenset(
            {
                "WWW-Authenticate",
                "allow_jsonp",
                "changes_timeout",
                "chunked_response_buffer",
                "enable_cors",
                "enable_xframe_options",
                "max_http_request_size",
                "max_uri_length",
                "rewrite_limit",
                "secure_rewrites",
                "server_header_versions",
                "valid_hosts",
                "validate_host",
                "x_forwarded_host",
                "x_forwarded_proto",
                "x_forwarded_ssl",
            }
        ),
    ),
    "chttpd_auth": (
        "couch_httpd_auth",
        frozenset(
            {
                "allow_persistent_cookies",
                "authentication_redirect",
                "cookie_domain",
                "hash_algorithms",
                "iterations",
                "max_iterations",
                "min_iterations",
                "password_regexp",
                "password_scheme",
                "pbkdf2_prf",
                "proxy_use_secret",
                "public_fields",
                "same_site",
                "secret",
                "timeout",
                "users_db_public",
                "x_auth_roles",
                "x_auth_token",
                "x_auth_username",
            }
        ),
    ),
}
"""Where settings stood before CouchDB 3.2: there they still count, if the new place is silent.

Of the other keys only the new place counts, as in CouchDB.
"""

_SPACE = " \t\r\n\v\f"
_PRINTABLE = re.compile(rb"[\t\x20-\x7e\xa0-\xff]*")
_BRACKETS = re.compile(r"[\[\]]")
_FLAGS = {"true": True, "false": False}


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
        # what counts: the same, and what only stands under an old name
        self._effective: dict[tuple[str, str], str] = {}
        self._derived: dict[Callable[[Configuration], Any], Any] = {}
        self._listeners: list[Callable[[str, str], None]] = []
        self.reload()

    def __repr__(self) -> str:
        return f"Configuration(path={self._path!r}, sections={sorted(self._values)!r})"

    def sections(self) -> Sections:
        """Return a copy of everything."""
        return _copy(self._values)

    def has_section(self, section: str) -> bool:
        """Return whether anything is set in a section."""
        return bool(self._values.get(section))

    def section(self, section: str) -> dict[str, str]:
        """Return a copy of one section, empty when it does not exist."""
        return dict(self._values.get(section, {}))

    def get(self, section: str, key: str) -> str | None:
        """Return the text of a setting, or None; one under its old name counts as well."""
        return self._effective.get((section, key))

    def shown(self, section: str, key: str) -> str | None:
        """Return the text that stands in this section, or None."""
        return self._values.get(section, {}).get(key)

    def text(self, section: str, key: str, default: str = "") -> str:
        """Return the text of a setting, or `default`."""
        return self._effective.get((section, key), default)

    def integer(self, section: str, key: str, default: int) -> int:
        """Return a setting as an integer; `default` when it is missing or no integer."""
        value = self.get(section, key)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            return default

    def limit(self, section: str, key: str, default: int | None) -> int | None:
        """Return a size limit, in its own unit; None means that there is none (`infinity`)."""
        value = self.get(section, key)
        return int(value) if value is not None and value.isdigit() else _unless(value, default)

    def flag(self, section: str, key: str, *, default: bool) -> bool:
        """Return a setting as a truth value; `default` for anything but `true` and `false`."""
        value = self._effective.get((section, key))
        if value is None or value not in _FLAGS:
            return default
        return _FLAGS[value]

    def derived(self, make: Callable[[Configuration], T]) -> T:
        """Return what `make` makes of the settings; it is called again after a change of any of them."""
        if make not in self._derived:
            self._derived[make] = make(self)
        found: T = self._derived[make]
        return found

    def put(self, section: str, key: str, value: str, *, persist: bool = True) -> str:
        """Change a setting and return its old text (`""` when there was none).

        White space around the value is cut off. Raise InvalidSettingError for text that would
        break the file.
        """
        value = value.strip(_SPACE)
        _check(section, key, value)
        old = self.shown(section, key) or ""
        if persist:
            stored = _copy(self._stored)
            stored.setdefault(section, {})[key] = value
            self._save(stored)
        self._values.setdefault(section, {})[key] = value
        self._changed(section, key)
        return old

    def delete(self, section: str, key: str, *, persist: bool = True) -> str:
        """Remove a setting and return its old text. Raise KeyError when there is none.

        The value of the file, or else the default, comes back into force.
        """
        old = self._values[section][key]
        if persist:
            stored = _copy(self._stored)
            stored.get(section, {}).pop(key, None)
            self._save(stored)
        del self._values[section][key]
        self._fall_back(section, key)
        self._changed(section, key)
        return old

    def reload(self) -> None:
        """Read the file again; what was changed without being kept is forgotten."""
        if self._path is not None:
            self._stored = _read(self._path)
        before, self._values = self._values, _merge(DEFAULTS, self._stored, self._overrides)
        self._take_effect()
        for section, key in _differences(before, self._values) if self._listeners else ():
            self._tell(section, key)

    def is_stored(self, section: str, key: str) -> bool:
        """Return whether the setting is in the file."""
        return key in self._stored.get(section, {})

    def listen(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(section, key)` after every change of a setting."""
        self._listeners.append(listener)

    def ensure_secret(self, section: str, key: str) -> str:
        """Return a setting that is a secret of this server; make and keep one at first use."""
        value = self.get(section, key)
        if value is None:
            value = secrets.token_hex(16)
            self.put(section, key, value)
        return value

    def override(self, section: str, **settings: str) -> None:
        """Set values for this run that a reload does not touch."""
        self._overrides.setdefault(section, {}).update(settings)
        self._values.setdefault(section, {}).update(settings)
        self._take_effect()

    def _take_effect(self) -> None:
        self._effective = _with_former(self._values)
        self._derived.clear()

    def _fall_back(self, section: str, key: str) -> None:
        for layer in (self._stored, DEFAULTS):
            value = layer.get(section, {}).get(key)
            if value is not None:
                self._values[section][key] = value
                return
        if not self._values[section]:
            del self._values[section]

    def _changed(self, section: str, key: str) -> None:
        self._take_effect()
        self._tell(section, key)

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


def _with_former(values: Sections) -> dict[tuple[str, str], str]:
    """Return what counts by section and key, in one step: every request asks for some of it."""
    effective = {
        (section, key): value
        for section, (former, keys) in _FORMER.items()
        for key, value in values.get(former, {}).items()
        if key in keys
    }
    for section, settings in values.items():
        effective |= {(section, key): value for key, value in settings.items()}
    return effective


def _differences(before: Sections, after: Sections) -> list[tuple[str, str]]:
    """Return section and key of every setting that is not what it was."""
    places = {
        (section, key) for each in (before, after) for section in each for key in each[section]
    }
    return sorted(
        (section, key)
        for section, key in places
        if before.get(section, {}).get(key) != after.get(section, {}).get(key)
    )


def _check(section: str, key: str, value: str) -> None:
    if _BRACKETS.search(section) or not _is_printable(section):
        raise InvalidSettingError("Invalid configuration section")
    if _BRACKETS.search(key) or not _is_printable(key):
        raise InvalidSettingError("Invalid configuration key")
    if not _is_printable(value):
        raise InvalidSettingError("Invalid configuration value")


def _is_printable(text: str) -> bool:
    # CouchDB looks at the bytes, and takes those from 0x80 to 0x9f for controls of Latin-1
    return _PRINTABLE.fullmatch(text.encode(errors="surrogatepass")) is not None


def _read(path: Path) -> Sections:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        raise StorageError(f"The file {path} is not UTF-8 text.") from None
    return _parse(text)


def _parse(text: str) -> Sections:
    sections: Sections = {}
    keys: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.strip(_SPACE)
        if line.startswith("[") and line.endswith("]"):
            keys = sections.setdefault(line[1:-1], {})
        elif line and not line.startswith(";"):
            key, value = _split(line)
            if value:
                # CouchDB writes an empty value for a setting that shall be the default's again
                keys[key] = value
    return sections


def _split(line: str) -> tuple[str, str]:
    # A key may hold "=", so " = " is tried first, as CouchDB does.
    separator = " = " if " = " in line else "="
    key, _, value = f"{line} ".partition(separator)
    return key.strip(_SPACE), value.strip(_SPACE)


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
