"""What was found: how bad it is, what it means, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad it is."""

    PROBLEM = "problem"
    """Data or the service are at risk now."""
    WARNING = "warning"
    """It will hurt, or does so a little."""
    NOTE = "note"
    """Good to know; it may be meant so."""
    UNKNOWN = "unknown"
    """It could not be looked at."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    severity: Severity
    check: str
    """A name for scripts, which stays."""
    what: str
    means: str
    do: str
    where: str = "server"
    """The server, or the database and perhaps the design document."""
    measured: dict[str, Any] = field(default_factory=dict)
    """The figures that it rests on."""

    def row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {**vars(self), "severity": str(self.severity)}
