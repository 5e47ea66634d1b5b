"""Saves and deletions on bad days: each call ends as it truly went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from aiocouch import Database, Document, TransportError
from aiocouch.testing import Faults
from tests.faults.saves import Claim, Outcome, Saver, Work, judge, prepare, verdicts, write
from tests.faults.oracle import Stored, id_of
from tests.faults.weather import KINDS, bad_day

if TYPE_CHECKING:
    from aiocouch.testing import CouchDBServer
    from tests.faults.oracle import Oracle

SHARE = 0.05
PATIENCE = aiohttp.ClientTimeout(total=2)
DEADLINE = 30.0


async def naive(document: Document, work: Work) -> str:
    """What programs do that know of no lost answers: once more."""
    for _ in range(3):
        try:
            return await write(document, work)
        except TransportError:
            continue
    return await write(document, work)


async def saved_on_a_bad_day(
    server: CouchDBServer, oracle: Oracle, db: Database, seed: int, count: int, save: object = None
) -> Saver:
    known = await prepare(oracle, count)
    async with (
        Faults(server, seed=seed) as faults,
        faults.server.connect(timeout=PATIENCE) as session,
    ):
        bad_day(faults, SHARE)
        saver = Saver(Database(session, db.id), known)
        await saver.run(count, 16, save)
        print(faults.broken)
    return saver


async def test_naive(
    couchdb_server: CouchDBServer, oracle: Oracle, db: Database, seed: int, is_long: bool
) -> None:
    count = 3000 if is_long else 200
    for save in (None, naive):
        saver = await saved_on_a_bad_day(couchdb_server, oracle, db, seed, count, save)
        print(await verdicts(saver.outcomes, oracle, DEADLINE))
        if save is None:
            await oracle.drop()
            await oracle.create()
