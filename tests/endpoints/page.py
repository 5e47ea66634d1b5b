"""The page "Every endpoint"."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from tests.endpoints import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.endpoints import Row

__all__ = ["page"]

_PEERS = ("kivik", "nano", "ibmcloudant", "couchdb3", "chaise")
_MARKS = {"y": "yes", "p": "partly", "n": ""}
_HEAD = """\
# Every endpoint

All {count} endpoints of CouchDB 3.5, the method of aiocouch that reaches each, and what the clients of other
people have for it (kivik 4.5 for Go, nano 11 for JavaScript, ibmcloudant 0.11, couchdb3 3.5 and chaise 0.7
for Python). This page is made by `python -m tests.endpoints`; a run of all tests fails if one of the methods
is never called. What has no method yet is reached by `CouchDB.request()`.

aiocouch: {ours} of {count}; {peers}.
"""


def page() -> str:
    """Return the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD.format(count=len(ROWS), ours=sum(bool(row.ours) for row in ROWS), peers=_totals())
    for section, rows in groupby(ROWS, key=lambda row: row.section):
        yield f"## {section}\n"
        yield f"| endpoint | aiocouch | {' | '.join(_PEERS)} |"
        yield f"|---|---|{'---|' * len(_PEERS)}"
        yield from _table(rows)
        yield ""


def _table(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        marks = " | ".join(_MARKS[mark] for mark in row.peers)
        notes = [row.query and f"with `{row.query}…`", row.type, row.since and "after 3.5.2"]
        note = "".join(f" ({each})" for each in notes if each)
        ours = f"`{row.ours}`" if row.ours else "a file of Fauxton" if row.static else ""
        yield f"| `{'/'.join(row.methods)} {row.path}`{note} | {ours} | {marks} |"


def _totals() -> str:
    found = (Counter(row.peers[at] for row in ROWS) for at in range(len(_PEERS)))
    pairs = zip(_PEERS, found, strict=True)
    return ", ".join(f"{name} {count['y']} and {count['p']} in part" for name, count in pairs)
