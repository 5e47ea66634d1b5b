"""Leaves of any history are ranked as the server ranks them, and part where its tree parts."""

from __future__ import annotations

import hashlib
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.leaves import common_ancestor, history, rank
from aiocouch._wire.revision import Rev, format_revision
from aiocouch.embedded.documents.revtree import RevTree

Edits = list[tuple[int, int, bool]]
EDITS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.booleans()), max_size=30)


def tree_of(edits: Edits) -> RevTree:
    """A tree that has grown by edits of one of its revisions each, so that it has branches."""
    tree = RevTree.start((1, b"0" * 16), deleted=False, pointer=1)
    known: list[list[Rev]] = [[(1, b"0" * 16)]]
    for parent, seed, deleted in edits:
        path = known[parent % len(known)]
        digest = hashlib.md5(repr((path, seed)).encode()).digest()
        longer = [(path[0][0] + 1, digest), *path]
        known.append(longer)
        tree, _ = tree.merge(longer, deleted=deleted, pointer=len(known))
    return tree


def histories(tree: RevTree) -> dict[str, list[str]]:
    """The history of each leaf, out of a `_revisions` as the server sends it."""
    found = {}
    for leaf in tree.leaves:
        path = [node.rev for node in tree.ancestry(leaf)]
        revisions = {"start": path[0][0], "ids": [digest.hex() for _, digest in path]}
        found[format_revision(leaf.rev)] = history(revisions)
    return found


@given(EDITS)
def test_the_highest_rank_wins(edits: Edits) -> None:
    tree = tree_of(edits)
    leaves = [(format_revision(leaf.rev), leaf.deleted) for leaf in tree.leaves]
    ranked = sorted(leaves, key=lambda leaf: rank(*leaf), reverse=True)
    assert ranked[0][0] == format_revision(tree.winner.rev)
    assert [rev for rev, _ in ranked] == [format_revision(leaf.rev) for leaf in tree.ranked_leaves]


@given(EDITS)
def test_the_ancestor_is_the_newest_that_all_have(edits: Edits) -> None:
    paths = histories(tree_of(edits))
    ancestor = common_ancestor(paths.values())
    shared = set.intersection(*map(set, paths.values()))
    assert ancestor == max(shared, key=lambda rev: int(rev.partition("-")[0]))
    assert all(path[0] == leaf for leaf, path in paths.items())
    assert all(
        rank(a, False) > rank(b, False) for path in paths.values() for a, b in pairwise(path)
    )


@given(EDITS)
def test_of_one_leaf_it_is_the_leaf_and_the_order_does_not_count(edits: Edits) -> None:
    paths = histories(tree_of(edits))
    for leaf, path in paths.items():
        assert common_ancestor([path]) == leaf
    assert common_ancestor(paths.values()) == common_ancestor(reversed(list(paths.values())))


def test_without_one_in_common_there_is_none() -> None:
    assert common_ancestor([["2-a", "1-a"], ["1-b"]]) is None
    assert common_ancestor([history({"start": 9, "ids": ["x"]}), ["9-y", "8-x"]]) is None
