"""Which content types and encodings a client takes. Pure."""

from __future__ import annotations

import re

_BAD_QUALITY = re.compile(r";\s*q=(?!\s*(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$))", re.I)


def _entries(header: str) -> dict[str, float]:
    entries = {}
    for part in header.split(","):
        name, _, rest = part.partition(";")
        if name.strip():
            entries[name.strip().lower()] = _quality(rest)
    return entries


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def accepts_type(header: str | None, content_type: str) -> bool:
    """Return whether an `Accept` header takes a content type; none at all takes everything."""
    if not header or not header.strip():
        return True
    entries = _entries(header)
    family = content_type.partition("/")[0]
    for pattern in (content_type, f"{family}/*", "*/*"):
        if pattern in entries:
            return entries[pattern] > 0
    return False


def accepts_no_encoding(header: str | None) -> bool:
    """Return whether an `Accept-Encoding` header refuses every form, or has a bad quality."""
    entries = _entries(header or "")
    if any(_BAD_QUALITY.search(part) for part in (header or "").split(",")):
        return True
    plain = entries.get("identity", entries.get("*", 1.0)) > 0
    return not plain and not accepts_gzip(header)


def accepts_gzip(header: str | None) -> bool:
    """Return whether an `Accept-Encoding` header takes gzip."""
    entries = _entries(header or "")
    return entries.get("gzip", entries.get("*", 0.0)) > 0
