"""Single writes under faults: what each call claims, held against what the server has."""

from __future__ import annotations

import asyncio
import enum
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiocouch import ConflictError, CouchDBError, Document, NotFoundError, TransportError
from tests.faults.oracle import id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiocouch import Database
    from tests.faults.oracle import Oracle, Stored


class Work(enum.Enum):
    """A write, by what is there before it."""

    NEW = 0  # nothing
    CHANGE = 1  # the revision that the document was fetched in
    DELETE = 2  # the same
    LATE = 3  # another revision: somebody else was first


class Claim(enum.Enum):
    """What a call says has happened."""

    DONE = "done"
    CONFLICT = "conflict"
    ABSENT = "absent"
    UNCLEAR = "unclear"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and after how many seconds."""

    id: str
    work: Work
    claim: Claim
    rev: str
    seconds: float
    said: str = ""


async def prepare(oracle: Oracle, count: int) -> dict[str, str]:
    """Write what must be there; give the revisions that the client shall know, by id."""
    there = [number for number in range(count) if work_of(number) is not Work.NEW]
    docs: list[dict[str, Any]] = [{"_id": id_of(number), "n": number} for number in there]
    known = dict(zip(map(id_of, there), await oracle.write(docs), strict=True))
    rivals = [
        {"_id": id_of(number), "_rev": known[id_of(number)], "by": "a rival"}
        for number in there
        if work_of(number) is Work.LATE
    ]
    await oracle.write(rivals)
    return known


def work_of(number: int) -> Work:
    """Choose what is done with a document."""
    return Work(number % 4)


class Saver:
    """Does all the work with some callers at a time, and notes how each call ended."""

    def __init__(self, database: Database, known: Mapping[str, str]) -> None:
        self.outcomes: list[Outcome] = []
        self._database = database
        self._known = known

    async def run(
        self,
        count: int,
        callers: int,
        save: Callable[[Document, Work], Awaitable[str]] | None = None,
    ) -> None:
        """Do it; `save` writes a document and gives the new revision."""
        numbers = iter(range(count))

        async def caller() -> None:
            for number in numbers:
                self.outcomes.append(await self._one(number, save or write))

        await asyncio.gather(*(caller() for _ in range(callers)))

    async def _one(self, number: int, save: Callable[[Document, Work], Awaitable[str]]) -> Outcome:
        id, work = id_of(number), work_of(number)
        document = Document(self._database, id, {"_id": id, "n": number, **self._rev(id)})
        document["by"] = "us"
        start = time.monotonic()
        claim, rev, said = Claim.DONE, "", ""
        try:
            rev = await save(document, work)
        except CouchDBError as error:
            claim, said = claim_of(error), f"{type(error).__name__}: {error}"
        return Outcome(id, work, claim, rev, time.monotonic() - start, said)

    def _rev(self, id: str) -> dict[str, str]:
        return {"_rev": self._known[id]} if id in self._known else {}


async def write(document: Document, work: Work) -> str:
    """Save or delete a document once; give the new revision."""
    if work is Work.DELETE:
        return str((await document.delete(discard_changes=True)).json()["rev"])
    answer = await document.save()
    assert answer is not None
    return str(answer.json()["rev"])


def claim_of(error: CouchDBError) -> Claim:
    """Tell what an error says about the write."""
    if isinstance(error, TransportError):
        return Claim.UNCLEAR
    if isinstance(error, ConflictError):
        return Claim.CONFLICT
    return Claim.ABSENT if isinstance(error, NotFoundError) else Claim.UNCLEAR


def judge(outcome: Outcome, stored: Stored | None, deadline: float) -> str:
    """Hold a call's claim against what the server has: `right`, `unclear`, or what is wrong."""
    before = outcome.work.value and (2 if outcome.work is Work.LATE else 1)
    if stored is not None and len(stored.leaves) != 1:
        return "two branches"
    if stored is not None and stored.generation > before + 1:
        return "twice"
    if outcome.seconds > deadline:
        return "late"
    return _truth(outcome, stored, is_done=stored is not None and stored.generation == before + 1)


def _truth(outcome: Outcome, stored: Stored | None, *, is_done: bool) -> str:
    is_late = outcome.work is Work.LATE
    if is_late and is_done:
        return "raised from the dead"
    if outcome.claim is Claim.CONFLICT:
        return "right" if is_late else "false conflict"
    if outcome.claim is Claim.ABSENT:
        return "false absence"
    if outcome.claim is Claim.UNCLEAR:
        return "unclear"
    if not is_done or stored is None or stored.rev != outcome.rev:
        return "lost"
    return "right" if _is_ours(outcome.work, stored) else "other content"


def _is_ours(work: Work, stored: Stored) -> bool:
    return stored.deleted if work is Work.DELETE else stored.doc.get("by") == "us"


async def verdicts(outcomes: list[Outcome], oracle: Oracle, deadline: float) -> Counter[str]:
    """Judge all calls; documents that no call was about count as `unknown`."""
    stored = await oracle.documents()
    counts = Counter(judge(outcome, stored.get(outcome.id), deadline) for outcome in outcomes)
    counts.update(["unknown"] * len(stored.keys() - {outcome.id for outcome in outcomes}))
    return counts
