"""Who may read and write a database."""

import pytest

import aiocouch
from aiocouch import Database
from aiocouch.document import SecurityDocument


async def test_fresh_database(db: Database) -> None:
    security = await db.security()
    assert isinstance(security, SecurityDocument)
    assert security.members is None or security.members == []
    assert security.member_roles in (None, ["_admin"])


async def test_members_and_admins(db: Database) -> None:
    security = await db.security()
    security.add_member("bond")
    security.add_member_role("agents")
    security.add_admin("fleming")
    security.add_admin_role("authors")
    await security.save()
    read = await db.security()
    assert read.members == ["bond"]
    assert read.admins == ["fleming"]
    assert "agents" in (read.member_roles or [])
    assert "authors" in (read.admin_roles or [])


async def test_remove(db: Database) -> None:
    async with SecurityDocument(db) as security:
        for name in ("bond", "felix"):
            security.add_member(name)
            security.add_member_role(name)
            security.add_admin(name)
            security.add_admin_role(name)
    async with SecurityDocument(db) as security:
        security.remove_member("bond")
        security.remove_member_role("bond")
        security.remove_admin("bond")
        security.remove_admin_role("bond")
    read = await db.security()
    assert (read.members, read.admins) == (["felix"], ["felix"])
    for roles in (read.member_roles, read.admin_roles):
        assert "bond" not in (roles or [])
        assert "felix" in (roles or [])


async def test_remove_of_who_is_not_there(db: Database) -> None:
    security = await db.security()
    with pytest.raises(KeyError):
        security.remove_member("nobody")
    security.add_member("bond")
    with pytest.raises(KeyError):
        security.remove_member("nobody")


async def test_after_a_fetch_it_is_a_document_like_others(db: Database) -> None:
    async with SecurityDocument(db) as security:
        security.add_member("bond")
    read = await db.security()
    assert read.exists
    assert read.data is not None
    assert read.data["members"]["names"] == ["bond"]
    assert read.json["members"]["names"] == ["bond"]


async def test_context_manager_of_the_docs(db: Database) -> None:
    async with SecurityDocument(db) as security_doc:
        security_doc.add_member("bond")
        security_doc.add_admin("fleming")
    security_doc = await db.security()
    assert security_doc["members"]["names"] == ["bond"]
    assert security_doc["admins"]["names"] == ["fleming"]
    assert "bond" not in repr(security_doc)


async def test_error_inside_saves_nothing(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        await fail_inside(SecurityDocument(db))
    assert "bond" not in ((await db.security()).members or [])


async def fail_inside(security: SecurityDocument) -> None:
    async with security:
        security.add_member("bond")
        raise ZeroDivisionError


async def test_own_members_survive(db: Database) -> None:
    security = await db.security()
    security["mine"] = {"ü": [1, None]}
    await security.save()
    async with SecurityDocument(db) as again:
        again.add_admin("fleming")
    read = await db.security()
    assert read["mine"] == {"ü": [1, None]}
    assert "_id" not in read
    assert "_rev" not in read


async def test_missing_database(missing: Database) -> None:
    with pytest.raises(aiocouch.NotFoundError):
        await missing.security()
