"""Saves and deletions on bad days: each call ends as it truly went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from aiocouch import Database, Document, TransportError
from aiocouch.testing import Faults
from tests.faults.oracle import Stored
from tests.faults.saves import Claim, Outcome, Saver, Work, judge, prepare, verdicts, write
from tests.faults.weather import KINDS, bad_day

if TYPE_CHECKING:
    from aiocouch.testing import CouchDBServer
    from tests.faults.oracle import Oracle

SHARE = 0.05
PATIENCE = aiohttp.ClientTimeout(total=2)
DEADLINE = 60.0
CALLERS = 16


@pytest.mark.timeout(1200)
async def test_calls_end_as_they_truly_went(
    couchdb_server: CouchDBServer, oracle: Oracle, db: Database, seed: int, is_long: bool
) -> None:
    count = 3000 if is_long else 160
    known = await prepare(oracle, count)
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        faults.server.connect(timeout=PATIENCE) as session,
    ):
        bad_day(faults, SHARE, CALLERS)
        saver = Saver(Database(session, db.id), known)
        await saver.run(count, CALLERS)
        assert set(faults.broken) == set(KINDS)
        assert faults.broken.total() > count * SHARE
    found = await verdicts(saver.outcomes, oracle, DEADLINE)
    # Who has had no luck six times says that nobody knows, which is true.
    assert found.keys() <= {"right", "unclear"}, (found, wrong(saver))
    assert found["unclear"] <= count * 0.02, (found, wrong(saver))


def wrong(saver: Saver) -> list[Outcome]:
    """Give the calls that did not end well."""
    return [one for one in saver.outcomes if (one.claim is Claim.DONE) is (one.work is Work.LATE)]


async def naive(document: Document, work: Work) -> str:
    """What programs do that know of no lost answers: once more."""
    try:
        return await write(document, work)
    except TransportError:
        return await write(document, work)


async def test_a_naive_loop_is_found_out(
    couchdb_server: CouchDBServer, oracle: Oracle, db: Database, seed: int
) -> None:
    known = await prepare(oracle, 60)
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        faults.server.connect(retry=None) as session,
    ):
        faults.lose(times=None, chance=0.5)
        saver = Saver(Database(session, db.id), known)
        await saver.run(60, 1, naive)
    found = await verdicts(saver.outcomes, oracle, DEADLINE)
    assert found["false conflict"] > 0
    assert not found["lost"]


async def raised(document: Document, work: Work) -> str:
    """Force an edit through, as some loops of programs do."""
    try:
        return await write(document, work)
    except TransportError:
        document.rev = (await document.info())["rev"]
        return await write(document, work)


async def test_an_edit_that_is_done_twice_is_found_out(
    couchdb_server: CouchDBServer, oracle: Oracle, db: Database, seed: int
) -> None:
    known = await prepare(oracle, 60)
    async with (
        Faults(couchdb_server, seed=seed) as faults,
        faults.server.connect(retry=None) as session,
    ):
        faults.lose(times=None, chance=0.5, when=lambda request: request.method == "PUT")
        saver = Saver(Database(session, db.id), known)
        await saver.run(60, 1, raised)
    found = await verdicts(saver.outcomes, oracle, DEADLINE)
    assert found["twice"] > 0


def stored(rev: str, *, by: str = "us", leaves: tuple[str, ...] = ()) -> Stored:
    return Stored(leaves or (rev,), {"_rev": rev, "by": by})


@pytest.mark.parametrize(
    ("outcome", "there", "verdict"),
    [
        ((Work.NEW, Claim.DONE, "1-a"), stored("1-a"), "right"),
        ((Work.NEW, Claim.DONE, "1-a"), None, "lost"),
        ((Work.NEW, Claim.DONE, "1-a"), stored("1-b"), "lost"),
        ((Work.NEW, Claim.DONE, "1-a"), stored("1-a", by="nobody"), "other content"),
        ((Work.NEW, Claim.DONE, "2-a"), stored("2-a"), "twice"),
        ((Work.CHANGE, Claim.DONE, "2-a"), stored("2-a"), "right"),
        ((Work.CHANGE, Claim.DONE, "2-a"), stored("1-a"), "lost"),
        ((Work.CHANGE, Claim.CONFLICT, ""), stored("2-a"), "false conflict"),
        ((Work.CHANGE, Claim.UNCLEAR, ""), stored("2-a"), "unclear"),
        ((Work.CHANGE, Claim.UNCLEAR, ""), stored("3-a"), "twice"),
        ((Work.CHANGE, Claim.DONE, "2-a"), stored("2-a", leaves=("2-a", "2-b")), "two branches"),
        ((Work.DELETE, Claim.ABSENT, ""), stored("2-a"), "false absence"),
        ((Work.LATE, Claim.CONFLICT, ""), stored("2-a", by="a rival"), "right"),
        ((Work.LATE, Claim.DONE, "3-a"), stored("3-a"), "raised from the dead"),
    ],
)
def test_the_judge(outcome: tuple[Work, Claim, str], there: Stored | None, verdict: str) -> None:
    work, claim, rev = outcome
    assert judge(Outcome("x", work, claim, rev, 1.0), there, 2.0) == verdict
    if verdict == "right":
        assert judge(Outcome("x", work, claim, rev, 3.0), there, 2.0) == "late"
