"""What a message says of an option that is somewhere else, and of one text in place of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.exception import InvalidTypeError

if TYPE_CHECKING:
    from aiocouch import CouchDB, Database


@pytest.mark.parametrize(
    ("name", "hint"), [("open_revs", "leaves"), ("batch", "save"), ("new_edits", "bulk_docs")]
)
async def test_an_option_that_is_elsewhere(base: Database, name: str, hint: str) -> None:
    wrong: dict[str, Any] = {name: "all"}
    with pytest.raises(InvalidTypeError, match=rf"{name}.*{hint}\("):
        await base.document("x").fetch(**wrong)


async def test_databases_of_a_cluster_are_a_list(session: CouchDB) -> None:
    with pytest.raises(InvalidTypeError, match="a list of str, not one str"):
        await session.cluster.state("_users")
    with pytest.raises(InvalidTypeError, match="a list of str, not one str"):
        await session.cluster.finish(ensure_dbs_exist="_users")


@pytest.mark.parametrize("name", ["counts", "drilldown", "highlight_fields", "include_fields"])
async def test_options_of_a_search_are_lists(base: Database, name: str) -> None:
    wrong: dict[str, Any] = {name: "colour"}
    with pytest.raises(InvalidTypeError, match=f"{name} must be a list"):
        await base.search("d", "i").page("x", **wrong)
