"""Dumps, restores and loads beside couchbackup and plain requests: `python -m benchmarks.dumping`.

A private CouchDB with documents of which some are edited, deleted, in conflict or have attachments. In
turn, each in a process of its own: a dump by us and by couchbackup (`--couchbackup` names the folder that has
its node_modules), a restore of each, and a load of lines by us and by `_bulk_docs` one after the other.
It prints the seconds of each round, the ratio of the medians, and the most memory of the process.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.servers import Running

SOURCE = "dumped"
_AT_ONCE = 1_000


def fill(source: Running, count: int) -> None:
    """Write documents of some 700 bytes: a tenth edited twice, a tenth with attachments, and so on."""
    source.recreate(SOURCE)
    leaves = itertools.chain.from_iterable(map(revisions, range(count)))
    while some := list(itertools.islice(leaves, _AT_ONCE)):
        source.ask("POST", f"{SOURCE}/_bulk_docs", {"new_edits": False, "docs": some})


def revisions(number: int) -> Iterator[dict[str, Any]]:
    """Yield the leaves of a document: every 20th has two, every 50th is deleted."""
    kind = number % 100
    generation = 3 if kind % 10 == 1 else 1
    yield leaf(number, generation, "a", deleted=kind in {7, 57}, attached=kind % 10 == 2)
    if kind % 20 == 5:
        yield leaf(number, 2, "b", deleted=False, attached=False)


def leaf(
    number: int, generation: int, branch: str, *, deleted: bool, attached: bool
) -> dict[str, Any]:
    """Return a revision with its history."""
    ids = [
        hashlib.md5(f"{number} {branch} {at}".encode(), usedforsecurity=False).hexdigest()
        for at in range(generation, 0, -1)
    ]
    found: dict[str, Any] = {
        "_id": f"d{number:07}",
        "_rev": f"{generation}-{ids[0]}",
        "_revisions": {"start": generation, "ids": ids},
        "n": number,
        "branch": branch,
        "text": hashlib.sha256(f"{number}".encode()).hexdigest() * 8,
        "tags": ["a", "b", {"c": number}],
    }
    if deleted:
        found["_deleted"] = True
    if attached:
        content = hashlib.shake_128(f"{number}".encode()).digest(4_096)
        data = base64.b64encode(content).decode()
        found["_attachments"] = {"a.bin": {"content_type": "image/png", "data": data}}
    return found
