"""The endpoints of CouchDB, and which of them the tests have called."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["ROWS", "Row", "Sent"]

# In a path `{docid}` is any id but a special one; `{path}` and `{request}` are any number of segments.
_SEGMENT = r"[^/?]+"
_PLACES = {"docid": r"[^/?_][^/?]*", "attname": r"[^/?_].*", "path": ".*", "request": ".+"}
_ANY = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "COPY", "PATCH", "OPTIONS"})


@dataclass(frozen=True)
class Sent:
    """A request that was sent: `target` with its query, `types` what was sent and is accepted."""

    method: str
    target: str
    types: str = ""


@dataclass(frozen=True)
class Row:
    """An endpoint."""

    number: int
    section: str
    methods: tuple[str, ...]
    path: str
    peers: str
    query: str = ""
    type: str = ""
    static: bool = False
    since: str = ""
    documented: bool = True
    ours: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{([^}]+)\}", self.path)
        made = [
            _PLACES.get(part, _SEGMENT) if at % 2 else re.escape(part)
            for at, part in enumerate(parts)
        ]
        return re.compile("".join(made))

    def is_met_by(self, sent: Sent) -> bool:
        """Whether a request was one to this endpoint."""
        path, _, query = sent.target.partition("?")
        methods = _ANY if self.methods == ("ANY",) else self.methods
        return (
            sent.method in methods
            and self._pattern.fullmatch(path) is not None
            and self.query in query
            and self.type in sent.types
        )


def _read() -> tuple[Row, ...]:
    text = Path(__file__).with_name("rows.toml").read_text("utf-8")
    rows = tomllib.loads(text)["row"]
    return tuple(Row(**{**row, "methods": tuple(row["methods"])}) for row in rows)


ROWS = _read()
