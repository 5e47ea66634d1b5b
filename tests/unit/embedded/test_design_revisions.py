"""Revisions of a design document that come together."""

from __future__ import annotations

import pytest

from aiocouch import ForbiddenError
from aiocouch.embedded import EmbeddedCouchDB

RULE = "function () { throw {forbidden: 'no'} }"
FIRST, SECOND = "a" * 32, "b" * 32


async def test_a_rule_ends_with_a_revision_that_comes_behind_one_that_is_known() -> None:
    old = {"_id": "_design/rule", "_rev": f"1-{FIRST}", "validate_doc_update": RULE}
    new = {"_id": "_design/rule", "_revisions": {"start": 2, "ids": [SECOND, FIRST]}}
    async with EmbeddedCouchDB() as server, server.connect() as couchdb:
        db = await couchdb.create("a")
        await db.bulk_docs([old], new_edits=False)
        with pytest.raises(ForbiddenError):
            await db.document("x").save()
        await db.bulk_docs([old, new], new_edits=False)
        assert (await db.get("_design/rule")).rev == f"2-{SECOND}"
        assert await db.document("x").save() is not None
