"""Which public methods return plain dicts of anything; all others declare the shape of what they return."""

from __future__ import annotations

import typing
from typing import Any

from tests.support.shapes import methods_of_the_client

# So they were declared in aiocouch 4, and a TypedDict is no `dict[str, Any]` for a type checker.
AS_BEFORE = {
    *("CouchDB.info", "Database.index", "create_index", "Database.info"),
    *("Document.fetch_info", "Document.info", "Document.json"),
}
# A tree that has other branches for each path and each release.
OPEN = {"Node.stats"}
# Only the service beside CouchDB, or a release after 3.5.2, can tell what they have.
NOT_SEEN = {
    *("Maintenance.auto_purge", "Maintenance.time_seq"),
    *("SearchIndex.disk_size", "SearchIndex.info", "SearchIndex.rows"),
}
# Not answers: what is sent, or compared.
OURS = {"Index.definition", "Shape.dump", "normal_security", "normal_selector", "plain_of"}


def is_plain(hint: Any) -> bool:
    """Return whether that is a dict of anything, or a list or a stream of such."""
    streams = {"list", "AsyncGenerator", "Generator"}
    if getattr(typing.get_origin(hint), "__name__", "") in streams:
        return any(is_plain(one) for one in typing.get_args(hint))
    return bool(hint == dict[str, Any])


def test_answers_of_a_fixed_shape_are_declared() -> None:
    found = {name for name, hint in methods_of_the_client() if is_plain(hint)}
    assert found == AS_BEFORE | OPEN | NOT_SEEN | OURS
