"""What became of documents that were sent together, when the answer was lost.

Each one is settled by itself. Those that were not written are sent again, and the answer is put together
of what was found and of what was answered then. All of it may be done any number of times.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import msgspec

from aiocouch._transport.request import Request
from aiocouch._transport.settle import UnsettledError, asked, database_of, decided, told
from aiocouch._wire.codec import encode
from aiocouch._wire.ids import quote_document_id
from aiocouch._wire.texts import Texts
from aiocouch._wire.written import NOT_DONE, judge, leaves_of, read_written

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.request import Ask
    from aiocouch._wire.written import Written

__all__ = ["WriteTogether"]

_TOGETHER = 100
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_CONFLICT = {"error": "conflict", "reason": "Document update conflict."}
_UNKNOWN = {
    "error": "unknown",
    "reason": "no answer came, and what the server has does not tell whether it was written",
}

Rows = dict[int, dict[str, Any]]


class WriteTogether:
    """The documents of one `_bulk_docs` request, by their texts or by its body. All have an `_id`."""

    def __init__(self, database: str, body: bytes | Sequence[bytes]) -> None:
        self._database = database
        self._body = body
        self._texts: Sequence[bytes] = ()
        self._beside: dict[str, msgspec.Raw] = {}

    async def __call__(self, ask: Ask) -> HTTPResponse | None:
        """Return the answer for all documents."""
        docs = await self._read()
        rows = await self._done(ask, docs)
        rest = [at for at in range(len(docs)) if at not in rows]
        if rest:
            again = await self._send(ask, rest)
            rows.update(zip(rest, again, strict=True))
            refused = [at for at in rest if rows[at].get("error") == "conflict"]
            rows.update(await self._judged(ask, docs, refused))
        return told(_in_order(docs, rows), 201)

    async def _read(self) -> list[Written]:
        self._take_apart()
        docs: list[Written] = []
        for at, text in enumerate(self._texts):
            if at % _TOGETHER == 0:
                await asyncio.sleep(0)
            docs.append(read_written(text, database_of(self._database)))
        return docs

    def _take_apart(self) -> None:
        if not isinstance(self._body, bytes):
            self._texts = self._body
            return
        self._beside = _MEMBERS.decode(self._body)
        self._texts = [bytes(text) for text in _ELEMENTS.decode(self._beside.pop("docs"))]

    async def _done(self, ask: Ask, docs: list[Written]) -> Rows:
        """Return the rows of documents that were written, or of which nobody can tell."""
        expected = _expected(docs)
        there = await self._there(ask, docs, expected)
        edited = {at for at in there if docs[at].parent is not None}
        fresh = await self._fresh(ask, docs, expected, there - edited)
        rows = {at: _ok(docs[at], expected[at]) for at in edited | fresh}
        unknown = {
            at
            for at, doc in enumerate(docs)
            if at not in expected and not doc.id.startswith("_local/")
        }
        return rows | await self._judged(ask, docs, (there | unknown) - rows.keys())

    async def _there(self, ask: Ask, docs: list[Written], expected: dict[int, str]) -> set[int]:
        """Return those whose revision the server knows."""
        if not expected:
            return set()
        revs: dict[str, list[str]] = {}
        for at, rev in expected.items():
            revs.setdefault(docs[at].id, []).append(rev)
        answer = await asked(ask, "POST", f"{self._database}/_revs_diff", encode(revs))
        missing = {id: set(found["missing"]) for id, found in answer.json().items()}
        return {at for at, rev in expected.items() if rev not in missing.get(docs[at].id, ())}

    async def _fresh(
        self, ask: Ask, docs: list[Written], expected: dict[int, str], new: set[int]
    ) -> set[int]:
        """Return those of the new documents that nobody has touched since."""
        if not new:
            return set()
        keys = encode({"keys": [docs[at].id for at in new]})
        answer = await asked(ask, "POST", f"{self._database}/_all_docs", keys)
        rows = zip(new, answer.json()["rows"], strict=True)
        return {at for at, row in rows if _is_alive(row, expected[at])}

    async def _judged(self, ask: Ask, docs: list[Written], places: Iterable[int]) -> Rows:
        """Return the rows of those among some documents that were written, or of which nobody can tell."""
        wanted = sorted(places)
        if not wanted:
            return {}
        body = encode({"docs": [{"id": docs[at].id} for at in wanted]})
        path = f"{self._database}/_bulk_get?revs=true&att_encoding_info=true"
        results = (await asked(ask, "POST", path, body)).json()["results"]
        rows: Rows = {}
        for at, result in zip(wanted, results, strict=True):
            row = await self._row(ask, docs[at], result)
            if row is not None:
                rows[at] = row
        return rows

    async def _row(self, ask: Ask, doc: Written, result: dict[str, Any]) -> dict[str, Any] | None:
        leaves = leaves_of(result["docs"])
        verdict = judge(doc, leaves) if leaves else NOT_DONE
        path = f"{self._database}/{quote_document_id(doc.id)}"
        try:
            rev = await decided(ask, path, doc, verdict)
        except UnsettledError:
            return {"id": doc.id, **_UNKNOWN}
        return None if rev is None else _ok(doc, rev)

    async def _send(self, ask: Ask, places: list[int]) -> list[dict[str, Any]]:
        texts = [self._texts[at] for at in places]
        body: bytes | Texts = Texts(texts)
        if self._beside:
            docs = [msgspec.Raw(text) for text in texts]
            body = msgspec.json.encode({**self._beside, "docs": docs})
        request = Request("POST", f"{self._database}/_bulk_docs", body)
        rows: list[dict[str, Any]] = cast("HTTPResponse", await ask(request)).json()
        return rows


def _expected(docs: list[Written]) -> dict[int, str]:
    """Return the revisions that can be computed, by the places of their documents."""
    expected: dict[int, str] = {}
    for at, doc in enumerate(docs):
        if not doc.id.startswith("_local/") and (rev := doc.revision_after(doc.parent)):
            expected[at] = rev
    return expected


def _in_order(docs: list[Written], rows: Rows) -> list[dict[str, Any]]:
    """Return the rows. CouchDB writes but one of several documents that become the same revision."""
    taken: set[tuple[str, str]] = set()
    answer = []
    for at, doc in enumerate(docs):
        row, rev = rows[at], rows[at].get("rev")
        if rev is not None and not doc.id.startswith("_local/"):
            if (doc.id, rev) in taken:
                row = {"id": doc.id, **_CONFLICT}
            taken.add((doc.id, rev))
        answer.append(row)
    return answer


def _ok(doc: Written, rev: str) -> dict[str, Any]:
    return {"ok": True, "id": doc.id, "rev": rev}


def _is_alive(row: dict[str, Any], rev: str) -> bool:
    value = row.get("value") or {}
    return value.get("rev") == rev and not value.get("deleted")
