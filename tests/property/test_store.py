"""The store against a plain model: any edits leave the documents that the model has."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.revision import Rev, next_revision
from aiocouch.embedded.documents.edits import Edit
from aiocouch.embedded.documents.revtree import RevTree
from aiocouch.embedded.identity import SYSTEM
from aiocouch.embedded.state import Server
from aiocouch.embedded.store.compaction import compact
from aiocouch.embedded.store.purging import purge
from aiocouch.embedded.store.spans import Span, entries, revs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from aiocouch.embedded.store.database import Database

IDS = st.sampled_from(["a", "b", "é"])
HASHES = st.sampled_from([bytes([n]) * 16 for n in b"abc"])


class Put(NamedTuple):
    """An edit of the leaf or other revision of this number, None: without a revision."""

    id: str
    base: int | None
    deleted: bool
    n: int


class Replicate(NamedTuple):
    """A document that brings its history along, oldest first."""

    id: str
    hashes: tuple[bytes, ...]
    deleted: bool
    n: int


class Together(NamedTuple):
    """Documents that bring their histories along in one request."""

    steps: tuple[Replicate, ...]


class Purge(NamedTuple):
    """Removal of the revision of this number."""

    id: str
    which: int


class Compact(NamedTuple):
    """Compaction."""


Step = Put | Replicate | Together | Purge | Compact

REPLICATED = st.builds(
    Replicate,
    IDS,
    st.lists(HASHES, min_size=1, max_size=4).map(tuple),
    st.booleans(),
    st.integers(0, 99),
)
STEPS = st.lists(
    st.one_of(
        st.builds(Put, IDS, st.none() | st.integers(0, 5), st.booleans(), st.integers(0, 99)),
        REPLICATED,
        st.lists(REPLICATED, min_size=2, max_size=6).map(tuple).map(Together),
        st.builds(Purge, IDS, st.integers(0, 5)),
        st.builds(Compact),
    ),
    max_size=25,
)


@dataclass
class Document:
    """What the model knows of a document: its tree, and every body that was ever written."""

    tree: RevTree
    bodies: dict[Rev, tuple[bool, int]] = field(default_factory=dict)


class Model:
    """Documents in a dict, the one that changed last at its end."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.compacted = False

    def put(self, step: Put, rev: Rev | None) -> Rev | None:
        """Edit a document and give the new revision, None for a conflict."""
        known = self.documents.get(step.id)
        if known is None:
            parent = rev
        elif known.tree.winner.deleted:
            parent = None if rev or step.deleted else known.tree.winner.rev
        else:
            leaves = [leaf.rev for leaf in known.tree.leaves]
            parent = rev if rev in leaves else None
        if known is not None and parent is None:
            return None
        new = next_revision(parent, {"n": step.n}, deleted=step.deleted)
        self._add(step.id, (new,) if parent is None else (new, parent), step.deleted, step.n)
        return new

    def replicate(self, step: Replicate, path: tuple[Rev, ...], *, only_leaf: bool) -> None:
        """Take a document as it is, or leave out one that would be no leaf."""
        known = self.documents.get(step.id)
        if known is not None and only_leaf:
            after, _ = known.tree.merge(path, deleted=step.deleted, pointer=1)
            was_leaf, is_leaf = (tree.find_leaf(path[0]) for tree in (known.tree, after))
            if was_leaf or not is_leaf:
                return
        self._add(step.id, path, step.deleted, step.n)

    def _add(self, doc_id: str, path: tuple[Rev, ...], deleted: bool, n: int) -> None:
        known = self.documents.pop(doc_id, None)
        if known is None:
            known = Document(RevTree.from_path(path, deleted=deleted, pointer=1))
            known.bodies[path[0]] = deleted, n
        else:
            before = known.tree.find(path[0])
            known.tree, _ = known.tree.merge(path, deleted=deleted, pointer=1)
            if before is None or not before.pointer:
                known.bodies[path[0]] = deleted, n
        self.documents[doc_id] = known

    def purge(self, step: Purge, rev: Rev) -> list[Rev]:
        """Remove a revision that is a leaf."""
        known = self.documents[step.id]
        tree, gone = known.tree.purge({rev})
        if tree is None:
            del self.documents[step.id]
        elif gone:
            kept = {node.rev for node in tree.nodes}
            bodies = {rev: body for rev, body in known.bodies.items() if rev in kept}
            self.documents[step.id] = Document(tree, bodies)
        return gone

    def rev_of(self, doc_id: str, number: int | None) -> Rev | None:
        """Give the revision of a number, going round where there are fewer."""
        known = self.documents.get(doc_id)
        if known is None or number is None:
            return None
        nodes = known.tree.nodes
        return nodes[number % len(nodes)].rev


async def play(server: Server, database: Database, model: Model, step: Step) -> None:
    """Do a step with the store and with the model, and compare what they say."""
    if isinstance(step, Put):
        rev = model.rev_of(step.id, step.base)
        edit = Edit(step.id, {"n": step.n}, step.deleted, () if rev is None else (rev,))
        (outcome,) = await server.update(database, SYSTEM).run([edit])
        assert (outcome.error is None) == (model.put(step, rev) is not None)
    elif isinstance(step, Replicate | Together):
        await play_replicated(
            server, database, model, step.steps if isinstance(step, Together) else [step]
        )
    elif isinstance(step, Purge):
        await play_purge(database, model, step)
    else:
        await compact(database)
        model.compacted = True


async def play_replicated(
    server: Server, database: Database, model: Model, steps: Sequence[Replicate]
) -> None:
    """Replicate into both."""
    paths = [path_of(step.hashes) for step in steps]
    edits = [
        Edit(step.id, {"n": step.n}, step.deleted, path)
        for step, path in zip(steps, paths, strict=True)
    ]
    only_leaf = not database.rules_known
    outcomes = await server.update(database, SYSTEM, replicated=True).run(edits)
    assert [(done.id, done.error) for done in outcomes] == [(step.id, None) for step in steps]
    for step, path in sorted(zip(steps, paths, strict=True), key=lambda pair: pair[0].id):
        model.replicate(step, path, only_leaf=only_leaf)


def path_of(hashes: tuple[bytes, ...]) -> tuple[Rev, ...]:
    """Give the revisions of a history, newest first; a hash tells of all that came before."""
    revs = [
        (generation, md5(b"".join(hashes[:generation]), usedforsecurity=False).digest())
        for generation in range(1, len(hashes) + 1)
    ]
    return tuple(reversed(revs))


async def play_purge(database: Database, model: Model, step: Purge) -> None:
    """Purge from both."""
    rev = model.rev_of(step.id, step.which)
    if rev is None:
        return

    def job(connection: sqlite3.Connection) -> list[Rev]:
        return purge(database, connection, step.id, [rev])

    assert await database.write(job) == model.purge(step, rev)


def check(database: Database, model: Model) -> None:
    """Compare all that can be read."""
    alive = sorted(
        doc_id for doc_id, known in model.documents.items() if not known.tree.winner.deleted
    )
    assert [entry.id for entry in entries(database.reader, Span())] == alive
    assert [doc_id for doc_id, _ in revs(database.reader, Span(descending=True))] == alive[::-1]
    assert database.doc_count == len(alive)
    assert database.deleted_count == len(model.documents) - len(alive)
    listed = database.changes(0, database.update_seq)
    assert {entry.id for entry in listed} == set(model.documents)
    assert [entry.seq for entry in listed] == sorted({entry.seq for entry in listed})
    for entry in listed:
        known = model.documents[entry.id]
        assert shape(entry.tree) == shape(known.tree)
        for node in known.tree.nodes:
            check_body(database, model, entry.id, node.rev)


def shape(tree: RevTree) -> list[tuple[Rev, int, bool]]:
    """Give what a tree looks like, without where its bodies are."""
    return [(node.rev, node.parent, node.deleted) for node in tree.nodes]


def check_body(database: Database, model: Model, doc_id: str, rev: Rev) -> None:
    """Look at the body of one revision; compaction may have taken those that are no leaves."""
    entry = database.get(doc_id)
    assert entry is not None
    known = model.documents[doc_id]
    found = database.revision(entry, rev)
    if rev not in known.bodies or found is None:
        is_leaf = known.tree.find_leaf(rev) is not None
        assert found is None
        assert rev not in known.bodies or (model.compacted and not is_leaf)
        return
    assert (bool(found.deleted), msgspec.json.decode(found.body)["n"]) == known.bodies[rev]


@given(STEPS)
def test_the_store_has_what_the_model_has(steps: list[Step]) -> None:
    async def run() -> None:
        server = Server(None)
        try:
            database = server.databases.create("db")
            model = Model()
            for step in steps:
                await play(server, database, model, step)
                check(database, model)
        finally:
            await server.close()

    asyncio.run(run())
