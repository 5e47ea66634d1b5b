"""Two replications between two servers, one each way, cut again and again: nothing is lost."""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, CouchDBError, Database
from aiocouch.testing import Faults
from tests.replication.site import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiocouch.replication import ReplicationResult
    from tests.replication.site import Site

CUTS = 50
DOCUMENTS, MANY_DOCUMENTS = 400, 20_000
_AT_ONCE = 1_000
_PATHS = ("*/_changes", "*/_bulk_get", "*/_bulk_docs", "*/_revs_diff", "*/f*", "*/_local/*")


def is_long(config: pytest.Config) -> bool:
    """Whether the test shall have its full size."""
    return bool(config.getoption("--long-faults", default=False))


async def write_documents(database: Database, side: str, count: int, random: random.Random) -> None:
    """Write documents of every kind, of which the other side has some in conflict."""
    documents: list[dict[str, Any]] = []
    for number in range(count):
        rev = f"{number:08x}{'a' if side == 'near' else 'b'}".rjust(32, "0")
        kind = number % 8
        if kind < 5:
            documents.append({"_id": f"{side}{number}", "n": number, "_rev": f"1-{rev}"})
        elif kind == 5:  # the same document on both sides: a conflict
            documents.append({"_id": f"both{number}", "of": side, "_rev": f"1-{rev}"})
            documents.append(
                {
                    "_id": f"both{number}",
                    "_deleted": number % 16 == 5,
                    "_rev": f"2-{rev}",
                    "_revisions": {"start": 2, "ids": [rev, "c" * 32]},
                }
            )
        elif kind == 6:
            documents.append({"_id": f"gone{side}{number}", "_deleted": True, "_rev": f"1-{rev}"})
        else:
            documents.append({"_id": f"f{side}{number}", "_rev": f"1-{rev}", **attached(random)})
    for start in range(0, len(documents), _AT_ONCE):
        part = documents[start : start + _AT_ONCE]
        assert await database.bulk_docs(part, new_edits=False) == []


def attached(random: random.Random) -> dict[str, Any]:
    """Attachments, of which the text is stored compressed."""
    import base64

    size = random.choice((0, 10, 3_000, 90_000))
    contents = {"a": ("x/y", random.randbytes(size)), "b ü/c": ("text/plain", TEXT[: size // 2])}
    return {
        "_attachments": {
            name: {"content_type": kind, "data": base64.b64encode(data).decode(), "revpos": 1}
            for name, (kind, data) in contents.items()
        }
    }


def break_often(faults: Faults, times: int) -> None:
    """Break so many requests of those that a replication sends, in every way."""
    ways = (
        lambda **which: faults.cut(range(20_000), **which),
        faults.lose,
        faults.reset,
        lambda **which: faults.answer(503, headers={"Retry-After": "0"}, **which),
        faults.html,
    )
    for number in range(times):
        path = _PATHS[number % len(_PATHS)]
        ways[number % len(ways)](path=path, chance=0.3)


async def replicate_through(faults: Sequence[Faults], names: Sequence[str]) -> tuple[int, int]:
    """Replicate both ways until nothing is left; give how often it was begun anew."""
    ends = [CouchDB(fault.url, fault.server.user, fault.server.password) for fault in faults]
    try:
        near, far = (Database(end, name) for end, name in zip(ends, names, strict=True))
        return await asyncio.gather(until_done(near, far), until_done(far, near))
    finally:
        for end in ends:
            await end.close()


async def until_done(source: Database, target: Database) -> int:
    """Replicate until that went well."""
    for begun in range(1, 2 * CUTS):
        try:
            result = await source.replicate_to(target, batch_size=50, checkpoint_interval=0.2)
        except CouchDBError:
            continue
        assert result.doc_write_failures == 0
        return begun
    raise AssertionError("it never ended well")


@pytest.mark.timeout(3600)
async def test_equal_leaf_for_leaf(
    request: pytest.FixtureRequest, here: Site, there: Site, near: str, far: str
) -> None:
    count = MANY_DOCUMENTS if is_long(request.config) else DOCUMENTS
    seed = request.config.getoption("--fault-seed", default=None)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    names = (near, far)
    for site, name, side in ((here, near, "near"), (there, far, "far")):
        async with CouchDB(site.server.url, site.server.user, site.server.password) as couchdb:
            database = Database(couchdb, name)
            await write_documents(database, side, count // 2, random.Random(f"{seed} {side}"))
    async with (
        Faults(here.server, seed=seed) as first,
        Faults(there.server, seed=seed + 1) as second,
    ):
        for faults in (first, second):
            break_often(faults, CUTS)
        await replicate_through((first, second), names)
        hits = sum((first.broken + second.broken).values())
        for faults in (first, second):
            faults.clear()
        # what one has got from the other after it was read
        again = await replicate_through((first, second), names)
    assert list(again) == [1, 1]
    assert hits >= CUTS // 2, f"seed {seed}: {hits} broken"
    assert await here.trees(near) == await there.trees(far), f"seed {seed}"


async def test_a_killed_program_goes_on_behind_its_checkpoint(
    here: Site, there: Site, near: str, far: str
) -> None:
    async with (
        CouchDB(here.server.url, here.server.user, here.server.password) as one,
        CouchDB(there.server.url, there.server.user, there.server.password) as other,
    ):
        source, target = Database(one, near), Database(other, far)
        await source.bulk_docs([{"_id": f"d{n}"} for n in range(300)])
        replication = source.replicate_to(target, batch_size=50, checkpoint_interval=0.01)
        events = aiter(replication)
        while not (await anext(events)).checkpointed_seq:
            pass
        await events.aclose()  # as if killed: nothing more is written
        kept: ReplicationResult = await source.replicate_to(target)
        assert kept.missing_checked < 300
    assert await here.trees(near) == await there.trees(far)
