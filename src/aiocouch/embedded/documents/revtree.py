"""Revision trees: every revision of a document that is known, and what descends from what.

A `RevTree` is immutable; every change gives a new one. It is pure: no I/O, no clock.

    tree = RevTree.load(blob)                 # costs nothing, a chain is not even decoded
    tree.winner                               # Node(rev, parent, deleted, pointer)
    tree = tree.append(parent, rev, deleted=False, pointer=17)     # a normal edit
    tree, how = tree.merge(path, deleted=False, pointer=18)        # new_edits=false
    tree = tree.stem(1000)
    blob = tree.dump()

A node's `pointer` is a number of the store's choice that says where the body is, 0 where there is
none: an ancestor that a replicator has named but not sent, or one that compaction has dropped.

Nearly every tree is a chain without branches, so that is one string of equal records: start
generation, then 16 bytes of hash and 8 bytes of pointer and `deleted` for each revision. Appending
to it and cutting old revisions off is slicing. All others are a list of nodes, parents first.

What follows CouchDB to the letter: the winner is the leaf that is not deleted, has the highest
generation, has the greatest hash, in that order. A path joins the tree where its oldest revision
is found, or where the root of a branch is found in it; where neither, it is a branch of its own.
Stemming keeps each leaf and its nearest ancestors. Purging a leaf takes the ancestors along that
no other leaf has.
"""

from __future__ import annotations

from bisect import insort
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from aiocouch._wire.revision import Rev

__all__ = ["Growing", "MergeResult", "Node", "RevTree"]

MergeResult: TypeAlias = Literal["new_leaf", "new_branch", "internal_node"]
"""What a merge did: extended a leaf (or began the tree), made a conflict, or knew the revision."""

_NO_PARENT = -1
_CHAIN = b"\x01"
_FOREST = b"\x02"
_chain_head = Struct(">cQ")
_record = Struct(">16sQ")
_node = Struct(">iQQI")
_HEAD = _chain_head.size
_RECORD = _record.size
_HASH = 16


class Node(NamedTuple):
    """One revision of a tree."""

    rev: Rev
    parent: int
    """Index of the parent in `RevTree.nodes`, -1 at a root."""
    deleted: bool
    pointer: int
    """Where the store keeps the body; 0 where it does not."""


class RevTree:
    """The revisions of one document."""

    __slots__ = ("_blob", "_nodes")

    def __init__(self, blob: bytes | None, nodes: list[Node] | None) -> None:
        """Take one of the two forms. Use `load`, `start` or `from_path`."""
        self._blob = blob
        self._nodes = nodes

    @classmethod
    def load(cls, blob: bytes) -> RevTree:
        """Take a tree as `dump` wrote it."""
        return cls(blob, None)

    @classmethod
    def start(cls, rev: Rev, *, deleted: bool, pointer: int) -> RevTree:
        """Make the tree of a document with one revision."""
        generation, digest = rev
        if len(digest) == _HASH:
            record = _record.pack(digest, pointer << 1 | deleted)
            return cls(_chain_head.pack(_CHAIN, generation) + record, None)
        return cls(None, [Node(rev, _NO_PARENT, deleted, pointer)])

    @classmethod
    def from_path(cls, path: Sequence[Rev], *, deleted: bool, pointer: int) -> RevTree:
        """Make the tree of a replicated document. `path` has the newest revision first."""
        if all(len(digest) == _HASH for _, digest in path):
            head = _chain_head.pack(_CHAIN, path[-1][0])
            return cls(head + _chain_records(path, deleted, pointer), None)
        tree, _ = cls(None, []).merge(path, deleted=deleted, pointer=pointer)
        return tree

    def dump(self) -> bytes:
        """Return the tree as bytes, equal for equal trees."""
        if self._blob is None:
            self._blob = _pack(self.nodes)
        return self._blob

    def __eq__(self, other: object) -> bool:
        """Return whether the revisions, bodies and branches are equal."""
        return isinstance(other, RevTree) and self.dump() == other.dump()

    def __hash__(self) -> int:
        """Return a hash, equal for equal trees."""
        return hash(self.dump())

    def __repr__(self) -> str:
        """Show the leaves only, a tree may be long."""
        return f"<RevTree of {len(self.nodes)} revisions, leaves {[n.rev for n in self.leaves]}>"

    @property
    def nodes(self) -> list[Node]:
        """All revisions, a parent before its children, siblings by hash. Not to be changed."""
        if self._nodes is None:
            self._nodes = _unpack(self._blob or _FOREST)
        return self._nodes

    @property
    def is_chain(self) -> bool:
        """Whether there is one branch only (as far as that is known without looking)."""
        return self._blob is not None and self._blob[:1] == _CHAIN

    @property
    def is_one(self) -> bool:
        """Whether there is one revision only (as far as that is known without looking)."""
        return self.is_chain and len(self._blob or b"") == _chain_head.size + _record.size

    @property
    def winner(self) -> Node:
        """The leaf that a read without a revision gives."""
        blob = self._blob
        if blob is not None and blob[:1] == _CHAIN:
            return _last_of_chain(blob)
        return _winner_of_forest(self.dump())

    @property
    def leaves(self) -> list[Node]:
        """The revisions that nothing descends from, by revision (as `open_revs` lists them)."""
        if self.is_chain:
            return [self.winner]
        return list(_leaves_of_forest(self.dump()))

    @property
    def ranked_leaves(self) -> list[Node]:
        """The leaves by precedence, the winner first (as `style=all_docs` lists them)."""
        return sorted(self.leaves, key=_rank, reverse=True)

    @property
    def conflicts(self) -> list[Node]:
        """Leaves beside the winner that are not deleted, by precedence."""
        return [node for node in self.ranked_leaves[1:] if not node.deleted]

    @property
    def deleted_conflicts(self) -> list[Node]:
        """Leaves beside the winner that are deleted, by precedence."""
        return [node for node in self.ranked_leaves[1:] if node.deleted]

    def find(self, rev: Rev) -> Node | None:
        """Return the node of a revision, or None."""
        blob = self._blob
        if blob is not None and blob[:1] == _CHAIN:
            return _find_in_chain(blob, rev)
        return next((node for node in self.nodes if node.rev == rev), None)

    def find_leaf(self, rev: Rev) -> Node | None:
        """Return the node of a revision if it is a leaf, else None: only leaves can be edited."""
        if self.is_chain:
            last = self.winner
            return last if last.rev == rev else None
        return next((node for node in self.leaves if node.rev == rev), None)

    def ancestry(self, revision: Rev | Node) -> list[Node]:
        """Return a revision and its ancestors, newest first (`_revisions`); [] if unknown.

        A node names its place; of a revision that stands in two branches the first counts.
        """
        node = revision if isinstance(revision, Node) else self.find(revision)
        nodes = self.nodes
        found = []
        while node is not None:
            found.append(node)
            node = nodes[node.parent] if node.parent >= 0 else None
        return found

    def latest(self, rev: Rev) -> list[Node]:
        """Return the leaves that descend from a revision (`latest=true`), or itself if a leaf."""
        if self.is_chain:
            return [] if self.find(rev) is None else [self.winner]
        below: set[int] = set()  # parents come before their children
        for index, node in enumerate(self.nodes):
            if node.rev == rev or node.parent in below:
                below.add(index)
        inner = {node.parent for node in self.nodes}
        return sorted((self.nodes[index] for index in sorted(below - inner)), key=_revision)

    def missing(self, revs: Iterable[Rev]) -> list[Rev]:
        """Return those revisions that the tree does not know, sorted."""
        return sorted(rev for rev in set(revs) if self.find(rev) is None)

    def possible_ancestors(self, missing: Iterable[Rev]) -> list[Rev]:
        """Return the leaves that a missing revision may descend from (`_revs_diff`), ranked."""
        highest = max((rev[0] for rev in missing), default=0)
        return [leaf.rev for leaf in self.ranked_leaves if leaf.rev[0] < highest]

    def append(self, parent: Rev, rev: Rev, *, deleted: bool, pointer: int) -> RevTree:
        """Add the edit of a known revision.

        If that is a leaf it grows, else there is a new branch. An unknown parent is LookupError.
        """
        blob = self._blob
        if blob is not None and blob[:1] == _CHAIN and len(rev[1]) == _HASH:
            last = _last_of_chain(blob)
            if last.rev == parent and rev[0] == parent[0] + 1:
                return RevTree(blob + _record.pack(rev[1], pointer << 1 | deleted), None)
        if self.find(parent) is None:
            raise LookupError(parent)
        return self.merge((rev, parent), deleted=deleted, pointer=pointer)[0]

    def merge(
        self, path: Sequence[Rev], *, deleted: bool, pointer: int
    ) -> tuple[RevTree, MergeResult]:
        """Merge a revision and its ancestors, newest first, without gaps in the generations.

        The same tree object comes back when there is nothing new in the path. A revision that was
        known without its body takes this one.
        """
        grown = self._grow_chain(path, deleted, pointer)
        if grown is not None:
            return grown, "new_leaf"
        growing = Growing(self)
        result = growing.merge(path, deleted=deleted, pointer=pointer)
        return growing.tree(), result or "internal_node"

    def stem(self, limit: int) -> RevTree:
        """Keep every leaf and its nearest ancestors, `limit` revisions for each."""
        blob = self._blob
        if blob is not None and blob[:1] == _CHAIN:
            return _stem_chain(self, blob, limit)
        if len({node.rev[1] for node in self.nodes}) < len(self.nodes):
            return _repaired(self, limit)
        generations = {node.rev[0] for node in self.nodes}
        if max(generations) - min(generations) < limit:
            return self
        keep: set[int] = set()
        for leaf in self.leaves:
            keep.update(self._indexes_of(leaf)[:limit])
        return self if len(keep) == len(self.nodes) else _from_nodes(_pick(self.nodes, keep))

    def purge(self, revs: Collection[Rev]) -> tuple[RevTree | None, list[Rev]]:
        """Remove those of `revs` that are leaves, and the ancestors no other leaf has.

        Return the tree that is left (None: nothing) and what was removed of `revs`.
        """
        gone = [leaf.rev for leaf in self.leaves if leaf.rev in revs]
        if not gone:
            return self, []
        keep: set[int] = set()
        for leaf in self.leaves:
            if leaf.rev not in revs:
                keep.update(self._indexes_of(leaf))
        return (_from_nodes(_pick(self.nodes, keep)) if keep else None), gone

    def _grow_chain(self, path: Sequence[Rev], deleted: bool, pointer: int) -> RevTree | None:
        """Merge a path that just goes on where this chain ends; None: it is not so simple."""
        blob = self._blob
        if blob is None or blob[:1] != _CHAIN:
            return None
        new = path[0][0] - _last_of_chain(blob).rev[0]
        if not 0 < new < len(path) or any(len(digest) != _HASH for _, digest in path[:new]):
            return None
        if any(_find_in_chain(blob, rev) is None for rev in path[new:]):
            return None
        return RevTree(blob + _chain_records(path[:new], deleted, pointer), None)

    def _indexes_of(self, leaf: Node) -> list[int]:
        """Return the indexes of a leaf and its ancestors, newest first."""
        nodes = self.nodes
        index = nodes.index(leaf)
        found = []
        while index != _NO_PARENT:
            found.append(index)
            index = nodes[index].parent
        return found


class Growing:
    """A tree that takes in many paths, and whose nodes are put in order when all are there.

    growing = Growing(tree)
    growing.merge(path, deleted=False, pointer=19)
    tree = growing.tree()
    """

    def __init__(self, tree: RevTree) -> None:
        self._tree = tree
        self._nodes = list(tree.nodes)
        self._is_changed = False
        self._children: dict[int, list[int]] = {}  # by revision, as in a tree
        for index, node in enumerate(self._nodes):
            self._children.setdefault(node.parent, []).append(index)

    def tree(self) -> RevTree:
        """Return the tree; the very object that this was made of, if nothing is new."""
        return _from_nodes(self._nodes) if self._is_changed else self._tree

    def merge(
        self, path: Sequence[Rev], *, deleted: bool, pointer: int, only_leaf: bool = False
    ) -> MergeResult | None:
        """Merge a revision and its ancestors, as `RevTree.merge` does; None: nothing was new.

        With `only_leaf` nothing is done unless the revision becomes a leaf that was none before.
        """
        if only_leaf and self._has_leaf(path[0]):
            return None
        return self.take(_with_stubs(path, deleted, pointer), only_leaf=only_leaf)

    def take(self, path: Sequence[Node], *, only_leaf: bool = False) -> MergeResult | None:
        """Merge a path that is given oldest first; the parents that its nodes name do not count."""
        for root in self._children.get(_NO_PARENT, ()):
            met = self._meet(root, path)
            if met is not None:
                return self._follow(*met, path, only_leaf)
        began = not self._nodes
        self._extend(_NO_PARENT, path)
        return "new_leaf" if began else "new_branch"

    def _has_leaf(self, rev: Rev) -> bool:
        return any(
            node.rev == rev and index not in self._children
            for index, node in enumerate(self._nodes)
        )

    def _meet(self, root: int, path: Sequence[Node]) -> tuple[int, int] | None:
        """Return where the path and this root's branch meet: index of the node, place in the path."""
        rev = self._nodes[root].rev
        ahead = rev[0] - path[0].rev[0]
        if ahead <= 0:
            found = self._search(root, path[0].rev)
            return None if found is None else (found, 0)
        return (root, ahead) if ahead < len(path) and path[ahead].rev == rev else None

    def _search(self, root: int, rev: Rev) -> int | None:
        todo = [root]
        while todo:
            index = todo.pop()
            if self._nodes[index].rev == rev:
                return index
            todo.extend(reversed(self._children.get(index, ())))
        return None

    def _follow(
        self, index: int, place: int, path: Sequence[Node], only_leaf: bool
    ) -> MergeResult | None:
        """Go down from where they met as long as the tree has the path."""
        known = [index]
        for node in path[place + 1 :]:
            child = self._child(known[-1], node.rev)
            if child is None:
                break
            known.append(child)
        new = path[place + len(known) :]
        if not new:
            return None if only_leaf else self._complete(known, place, path)
        self._complete(known, place, path)
        grown: MergeResult = "new_branch" if known[-1] in self._children else "new_leaf"
        self._extend(known[-1], new)
        return grown

    def _complete(self, known: list[int], place: int, path: Sequence[Node]) -> MergeResult | None:
        """Take from a path what known revisions lack: older ancestors, and a body."""
        if place:
            self._lengthen(known[0], path[:place])
        filled = [self._fill(at, node) for at, node in zip(known, path[place:], strict=False)]
        return "internal_node" if place or any(filled) else None

    def _child(self, index: int, rev: Rev) -> int | None:
        children = self._children.get(index, ())
        return next((child for child in children if self._nodes[child].rev == rev), None)

    def _lengthen(self, root: int, path: Sequence[Node]) -> None:
        """Put the beginning of a path above a root."""
        self._children[_NO_PARENT].remove(root)
        self._extend(_NO_PARENT, path)
        self._nodes[root] = self._nodes[root]._replace(parent=len(self._nodes) - 1)
        self._children[len(self._nodes) - 1] = [root]

    def _extend(self, parent: int, path: Sequence[Node]) -> None:
        """Hang a path below a node."""
        for node in path:
            index = len(self._nodes)
            self._nodes.append(node._replace(parent=parent))
            insort(self._children.setdefault(parent, []), index, key=self._rev_of)
            parent = index
        self._is_changed = True

    def _rev_of(self, index: int) -> Rev:
        return self._nodes[index].rev

    def _fill(self, index: int, incoming: Node) -> bool:
        node = self._nodes[index]
        if node.pointer or not incoming.pointer:
            return False
        self._nodes[index] = incoming._replace(parent=node.parent)
        self._is_changed = True
        return True


def _with_stubs(path: Sequence[Rev], deleted: bool, pointer: int) -> list[Node]:
    """Make nodes of a path that is given newest first: only the newest has a body."""
    stubs = [Node(rev, _NO_PARENT, False, 0) for rev in path[:0:-1]]
    return [*stubs, Node(path[0], _NO_PARENT, deleted, pointer)]


def _repaired(tree: RevTree, limit: int) -> RevTree:
    """Merge the paths of all leaves anew, stemmed, those that begin earliest first.

    CouchDB does it where a hash stands in a tree more than once. That happens when a replicator
    brings ancestors that were cut off here, or when somebody makes up revisions.
    """
    paths = [tree.ancestry(leaf)[: max(limit, 1)] for leaf in tree.leaves]
    paths.sort(key=lambda path: (path[-1].rev[0], [node.rev[1] for node in path]))
    growing = Growing(RevTree(None, []))
    for path in paths:
        growing.take(path[::-1])
    return growing.tree()


def _revision(node: Node) -> Rev:
    return node.rev


def _rank(node: Node) -> tuple[bool, Rev]:
    return not node.deleted, node.rev


def _pick(nodes: list[Node], keep: set[int]) -> list[Node]:
    """Keep some nodes; one whose parent is gone becomes a root."""
    places = {index: place for place, index in enumerate(sorted(keep))}
    return [
        nodes[index]._replace(parent=places.get(nodes[index].parent, _NO_PARENT))
        for index in places
    ]


def _from_nodes(nodes: list[Node]) -> RevTree:
    """Make a tree of nodes in any order: sort them, and know a chain when it is one."""
    nodes = _in_tree_order(nodes)
    return RevTree(_pack(nodes), nodes)


def _in_tree_order(nodes: list[Node]) -> list[Node]:
    """Return the nodes depth first, siblings by hash, roots by generation and hash."""
    children: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        children.setdefault(node.parent, []).append(index)
    result: list[Node] = []
    todo = [(root, _NO_PARENT) for root in _by_rev(nodes, children[_NO_PARENT])]
    while todo:
        index, parent = todo.pop()
        result.append(nodes[index]._replace(parent=parent))
        place = len(result) - 1
        todo.extend((child, place) for child in _by_rev(nodes, children.get(index, ())))
    return result


def _by_rev(nodes: list[Node], indexes: Sequence[int]) -> Sequence[int]:
    """Sort indexes, the greatest revision first, as they go onto a stack."""
    if len(indexes) < 2:
        return indexes
    return sorted(indexes, key=lambda index: nodes[index].rev, reverse=True)


# --- The two forms in bytes


def _pack(nodes: list[Node]) -> bytes:
    if _fits_chain(nodes):
        return _chain_head.pack(_CHAIN, nodes[0].rev[0]) + b"".join(
            _record.pack(node.rev[1], node.pointer << 1 | node.deleted) for node in nodes
        )
    return _FOREST + b"".join(map(_pack_node, nodes))


def _fits_chain(nodes: list[Node]) -> bool:
    return bool(nodes) and all(
        node.parent == index - 1 and len(node.rev[1]) == _HASH for index, node in enumerate(nodes)
    )


def _pack_node(node: Node) -> bytes:
    (generation, digest), parent, deleted, pointer = node
    return _node.pack(parent, generation, pointer << 1 | deleted, len(digest)) + digest


def _chain_records(path: Sequence[Rev], deleted: bool, pointer: int) -> bytes:
    """Return the records of a path that is given newest first: all but the newest have no body."""
    stubs = [_record.pack(digest, 0) for _, digest in path[:0:-1]]
    return b"".join(stubs) + _record.pack(path[0][1], pointer << 1 | deleted)


def _unpack(blob: bytes) -> list[Node]:
    return _unpack_chain(blob) if blob[:1] == _CHAIN else _unpack_forest(bytes(blob))


def _unpack_chain(blob: bytes) -> list[Node]:
    start = _chain_head.unpack_from(blob)[1]
    return [
        Node((start + index, digest), index - 1, bool(value & 1), value >> 1)
        for index, (digest, value) in enumerate(_record.iter_unpack(memoryview(blob)[_HEAD:]))
    ]


# who reads a document with many leaves asks for one after the other: the last ones are kept


@lru_cache(maxsize=2)
def _leaves_of_forest(blob: bytes) -> list[Node]:
    nodes = _unpack(blob)
    inner = {node.parent for node in nodes}
    return sorted((node for at, node in enumerate(nodes) if at not in inner), key=_revision)


@lru_cache(maxsize=2)
def _winner_of_forest(blob: bytes) -> Node:
    return max(_leaves_of_forest(blob), key=_rank)


@lru_cache(maxsize=2)
def _unpack_forest(blob: bytes) -> list[Node]:
    nodes = []
    offset = 1
    while offset < len(blob):
        parent, generation, value, size = _node.unpack_from(blob, offset)
        offset += _node.size
        digest = blob[offset : offset + size]
        offset += size
        nodes.append(Node((generation, digest), parent, bool(value & 1), value >> 1))
    return nodes


def _last_of_chain(blob: bytes) -> Node:
    length = (len(blob) - _HEAD) // _RECORD
    return _chain_node(blob, length - 1)


def _chain_node(blob: bytes, index: int) -> Node:
    start = _chain_head.unpack_from(blob)[1]
    digest, value = _record.unpack_from(blob, _HEAD + index * _RECORD)
    return Node((start + index, digest), index - 1, bool(value & 1), value >> 1)


def _find_in_chain(blob: bytes, rev: Rev) -> Node | None:
    """Look at the one place where a generation can be."""
    index = rev[0] - _chain_head.unpack_from(blob)[1]
    if not 0 <= index < (len(blob) - _HEAD) // _RECORD:
        return None
    node = _chain_node(blob, index)
    return node if node.rev == rev else None


def _stem_chain(tree: RevTree, blob: bytes, limit: int) -> RevTree:
    cut = (len(blob) - _HEAD) // _RECORD - max(limit, 1)
    if cut <= 0:
        return tree
    start = _chain_head.unpack_from(blob)[1]
    return RevTree(_chain_head.pack(_CHAIN, start + cut) + blob[_HEAD + cut * _RECORD :], None)
