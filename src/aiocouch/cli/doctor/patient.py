"""What is looked at, and by whom."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from aiocouch.cli.doctor.finding import Finding

if TYPE_CHECKING:
    import argparse

    from aiocouch import CouchDB, Database

__all__ = ["Check", "Patient"]


@dataclass
class Patient:
    """A server, or one of its databases."""

    url: str
    couchdb: CouchDB
    anonymous: CouchDB
    """The same server, for somebody without a login."""
    given: argparse.Namespace
    name: str | None = None
    nodes: int | None = None
    """How many nodes the cluster has, if that is known."""
    is_embedded: bool = False
    """Whether it is an embedded server, and not Apache's."""

    @property
    def db(self) -> Database:
        """The database."""
        return self.couchdb.database(self.name or "")


Check: TypeAlias = Callable[[Patient], AsyncGenerator[Finding, None]]
"""Looks at something, and yields what it finds."""
