"""A database that has everything, and what a database has."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocouch import Database

LARGE = 1_500_000
"""Bytes of an attachment that is streamed."""


def leaf(doc_id: str, *ids: str, **content: Any) -> dict[str, Any]:
    """Return a revision with its history; the youngest id comes first."""
    full = [hashlib.md5(each.encode(), usedforsecurity=False).hexdigest() for each in ids]
    history = {"start": len(ids), "ids": full}
    return {"_id": doc_id, "_rev": f"{len(ids)}-{full[0]}", "_revisions": history, **content}


def attachment(content: bytes, kind: str = "image/png") -> dict[str, str]:
    """Return a member of `_attachments`."""
    return {"content_type": kind, "data": base64.b64encode(content).decode()}


async def fill(db: Database, plain: int = 30) -> None:
    """Write documents of every sort: edited, deleted, in conflict, with attachments, designs, local ones."""
    large = hashlib.shake_128(b"large").digest(LARGE)
    many = {f"a{number}": attachment(b"%d" % number * 50, "text/plain") for number in range(3)}
    leaves = [
        *(leaf(f"plain{number:04}", f"a{number}", n=number) for number in range(plain)),
        leaf("edited", "c", "b", "a", n=3, text='"_attachments" "follows"'),
        leaf("deleted", "b", "a", _deleted=True, why="kept"),
        leaf("conflict", "b", "a", side=1),
        leaf("conflict", "c", "a", side=2),
        leaf("conflict", "e", "d", "a", _deleted=True),
        leaf("small", "a", _attachments=many),
        leaf("small", "b", _attachments={"other": attachment(b"other")}),
        leaf("large", "a", _attachments={"big": attachment(large), **many}),
        leaf("_design/views", "a", views={"v": {"map": "function (doc) { emit(doc.n) }"}}),
        leaf("strange id/ä\n\"{'#'", "a", **{"#": "end", "n": 1.5}),
    ]
    rows = await db.bulk_docs(leaves, new_edits=False)
    assert rows == []
    body = b'{"n":123456789012345678901234567890}'
    await db.couchdb.request("PUT", f"{db.endpoint}/numbers", body=body)
    local = await db.local.create("note")
    local["n"] = 1
    await local.save()
    security = await db.security()
    security.add_member("ada")
    await security.save()


async def leaves_of(db: Database) -> dict[tuple[str, str], Any]:
    """Return all leaves with histories and attachments, as the server itself gives them."""
    answer = await db.couchdb.request("GET", f"{db.endpoint}/_changes?style=all_docs")
    asked = [
        {"id": row["id"], "rev": leaf["rev"]}
        for row in answer.json()["results"]
        for leaf in row["changes"]
    ]
    found = await db.bulk_get(asked, revs=True, attachments=True)
    items = [item for result in found["results"] for item in result["docs"]]
    leaves = [item["ok"] for item in items if "ok" in item]
    assert len(leaves) == len(items)
    for each in leaves:
        for attached in each.get("_attachments", {}).values():
            attached.pop("revpos")
    return {(each["_id"], each["_rev"]): each for each in leaves}
