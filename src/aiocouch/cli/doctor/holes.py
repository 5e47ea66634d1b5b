"""Known holes of CouchDB, by the versions that have them. Pure.

They are those of <https://docs.couchdb.org/en/stable/cve/> that 2.0 or a later version has had, and those
that were published with 3.5.3 in October 2026. Others may be known by now.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from aiocouch.cli.doctor.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOLES", "Hole", "holes_of", "judge_version"]

_Version = tuple[int, ...]


class Hole(NamedTuple):
    """A hole: its number, the versions that mended it, each for its series, and what it lets others do."""

    cve: str
    mended: tuple[_Version, ...]
    means: str
    severity: Severity = Severity.WARNING
    since: _Version = ()

    def is_in(self, version: _Version) -> bool:
        """Return whether a version has it."""
        if version < self.since or version >= self.mended[-1]:
            return False
        return not any(
            version[:2] == mended[:2] and version >= mended for mended in self.mended[:-1]
        )


HOLES = (
    Hole(
        "CVE-2017-12635",
        ((1, 7, 0), (2, 1, 1)),
        "users can make themselves admins",
        Severity.PROBLEM,
        (1, 2),
    ),
    Hole(
        "CVE-2017-12636",
        ((1, 7, 0), (2, 1, 1)),
        "admins can run commands on the machine",
        Severity.PROBLEM,
    ),
    Hole("CVE-2018-8007", ((1, 7, 2), (2, 1, 2)), "admins can run commands on the machine"),
    Hole("CVE-2018-11769", ((2, 2, 0),), "admins can run commands on the machine"),
    Hole("CVE-2018-17188", ((2, 3, 0),), "admins can run commands on the machine"),
    Hole(
        "CVE-2020-1955",
        ((3, 0, 1), (3, 1, 0)),
        "with require_valid_user_except_for_up nobody is asked for a login",
        since=(3, 0, 0),
    ),
    # 3.1.2 has the setting that mends it, which is off unless somebody sets it.
    Hole(
        "CVE-2021-38295",
        ((3, 2, 0),),
        "pages in attachments, shows and lists can act as the admin who opens them",
    ),
    Hole(
        "CVE-2022-24706",
        ((3, 2, 2),),
        "who can reach the ports of Erlang can become admin",
        Severity.PROBLEM,
    ),
    Hole(
        "CVE-2023-26268",
        ((3, 2, 3), (3, 3, 2)),
        "design documents of one id can see what those of other databases keep",
    ),
    Hole(
        "CVE-2023-45725",
        ((3, 3, 3),),
        "shows, lists, rewrites and updates see the session of who calls them",
    ),
    Hole("CVE-2026-86471", ((3, 5, 3),), "admins can run commands on the machine"),
    Hole("CVE-2026-90799", ((3, 5, 3),), "users can fill the memory with made-up sequences"),
    Hole(
        "CVE-2026-90800",
        ((3, 5, 3),),
        "a _users or _replicator database with a prefix can be read without rights",
    ),
    Hole(
        "CVE-2026-107755",
        ((3, 5, 3),),
        "users can read the credentials in replications of others",
    ),
)
"""From the oldest to the newest."""


def holes_of(version: str) -> list[Hole]:
    """Return the holes that a version has; none of one that cannot be read."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    return [hole for hole in HOLES if numbers and hole.is_in(numbers)]


def judge_version(version: str) -> Iterator[Finding]:
    """Yield what is known of a version."""
    holes = holes_of(version)
    if not holes:
        return
    worst = [hole for hole in holes if hole.severity is Severity.PROBLEM] or holes
    least = max(hole.mended[-1] for hole in holes)
    yield Finding(
        worst[0].severity,
        "version",
        f"CouchDB {version} has known holes: {', '.join(hole.cve for hole in holes)}",
        "; ".join(dict.fromkeys(hole.means for hole in worst)),
        f"upgrade to {_text(least)} or later",
        measured={
            "version": version,
            "holes": {hole.cve: [_text(each) for each in hole.mended] for hole in holes},
        },
    )


def _text(version: _Version) -> str:
    return ".".join(map(str, version))
