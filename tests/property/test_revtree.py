"""Revision trees against a plain model: any order of any edits gives the same winner and tree."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from aiocouch._wire.revision import Rev
from aiocouch.embedded.documents.revtree import Growing, RevTree

if TYPE_CHECKING:
    from random import Random

Path = tuple[Rev, ...]  # oldest first, from a root of generation 1

HASHES = st.sampled_from([bytes([n]) * 16 for n in b"abc"] + [b"x", b"zz"])


@st.composite
def histories(draw: st.DrawFn) -> dict[Path, bool]:
    """Edits by their whole path, and whether each is a deletion. Paths share beginnings."""
    edits: dict[Path, bool] = {}
    for _ in range(draw(st.integers(1, 8))):
        known = [*edits, ()]
        start = draw(st.sampled_from(known))
        steps = draw(st.lists(HASHES, min_size=1, max_size=3))
        generations = itertools.count(len(start) + 1)
        path = (*start, *zip(generations, steps, strict=False))
        edits[path] = draw(st.booleans())
    return edits


def push(edits: list[tuple[Path, bool]], pointers: dict[Path, int]) -> RevTree:
    tree = None
    for path, deleted in edits:
        newest_first, pointer = path[::-1], pointers[path]
        if tree is None:
            tree = RevTree.from_path(newest_first, deleted=deleted, pointer=pointer)
        else:
            tree, _ = tree.merge(newest_first, deleted=deleted, pointer=pointer)
    assert tree is not None
    return tree


def pushed(edits: dict[Path, bool]) -> RevTree:
    return push(list(edits.items()), {path: n for n, path in enumerate(edits, 1)})


def all_prefixes(edits: dict[Path, bool]) -> set[Path]:
    return {path[:size] for path in edits for size in range(1, len(path) + 1)}


def leaf_paths(edits: dict[Path, bool]) -> set[Path]:
    every = all_prefixes(edits)
    return every - {path[:-1] for path in every}


def paths_of(tree: RevTree) -> set[Path]:
    """Every revision of a tree by its path; a root may have any generation."""
    paths: list[Path] = []
    for node in tree.nodes:
        before = paths[node.parent] if node.parent >= 0 else ()
        paths.append((*before, node.rev))
    assert len(set(paths)) == len(paths)
    return set(paths)


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_edits_does_not_matter(edits: dict[Path, bool], random: Random) -> None:
    pointers = {path: n for n, path in enumerate(edits, 1)}
    shuffled = list(edits.items())
    random.shuffle(shuffled)
    first, second = push(list(edits.items()), pointers), push(shuffled, pointers)
    assert first == second
    assert first.dump() == second.dump()
    assert first.winner.rev == second.winner.rev


@given(histories())
def test_the_tree_is_the_union_of_the_paths(edits: dict[Path, bool]) -> None:
    assert paths_of(pushed(edits)) == all_prefixes(edits)


@given(histories())
def test_winner_and_conflicts_are_the_ranked_leaves(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    ranked = sorted(((not edits[path], path[-1]) for path in leaf_paths(edits)), reverse=True)
    assert (not tree.winner.deleted, tree.winner.rev) == ranked[0]
    assert [node.rev for node in tree.conflicts] == [rev for live, rev in ranked[1:] if live]
    gone = [rev for live, rev in ranked[1:] if not live]
    assert [node.rev for node in tree.deleted_conflicts] == gone
    assert [node.rev for node in tree.leaves] == sorted(rev for _, rev in ranked)


@given(histories())
def test_bodies_belong_to_the_pushed_revisions(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    bodies = sum(1 for node in tree.nodes if node.pointer)
    assert bodies == len(edits)


@given(histories())
def test_pushing_again_changes_nothing(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    for path, deleted in edits.items():
        again, how = tree.merge(path[::-1], deleted=deleted, pointer=99)
        assert again is tree
        assert how == "internal_node"


@given(histories())
def test_a_tree_survives_its_bytes(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    loaded = RevTree.load(tree.dump())
    assert loaded == tree
    assert loaded.nodes == tree.nodes
    assert loaded.winner == tree.winner
    assert loaded.leaves == tree.leaves


@given(histories(), st.integers(1, 4))
def test_stemming_keeps_the_nearest_of_each_leaf(edits: dict[Path, bool], limit: int) -> None:
    every = all_prefixes(edits)
    assume(len({path[-1] for path in every}) == len(every))
    tree = pushed(edits).stem(limit)
    kept: set[Path] = set()
    for path in leaf_paths(edits):
        kept.update(path[:size] for size in range(max(len(path) - limit, 0) + 1, len(path) + 1))
    assert {path[-1] for path in paths_of(tree)} == {path[-1] for path in kept}
    assert len(tree.nodes) == len(kept)
    assert {node.rev for node in tree.leaves} == {path[-1] for path in leaf_paths(edits)}
    assert tree.winner.rev == pushed(edits).winner.rev


@given(histories(), st.data())
def test_purging_leaves_the_paths_of_the_other_leaves(
    edits: dict[Path, bool], data: st.DataObject
) -> None:
    leaves = leaf_paths(edits)
    gone = data.draw(st.sets(st.sampled_from(sorted(leaves))))
    revs = {path[-1] for path in gone}
    # One revision may stand in two branches, and goes from both.
    left = {path for path in leaves if path[-1] not in revs}
    tree, purged = pushed(edits).purge(revs)
    assert set(purged) == revs
    wanted = {path[:size] for path in left for size in range(1, len(path) + 1)}
    assert (paths_of(tree) if tree else set()) == wanted


@given(histories())
def test_what_is_missing(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    known = {path[-1] for path in all_prefixes(edits)}
    asked = [*known, (1, b"?"), (9, b"?")]
    assert tree.missing(asked) == [(1, b"?"), (9, b"?")]
    ancestors = tree.possible_ancestors([(3, b"?")])
    assert set(ancestors) == {path[-1] for path in leaf_paths(edits) if path[-1][0] < 3}


@given(histories())
def test_ancestry_leads_to_the_root(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    paths = {path[::-1] for path in all_prefixes(edits)}
    for node in tree.nodes:
        assert tuple(each.rev for each in tree.ancestry(node.rev)) in paths


@given(st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.booleans()), min_size=1))
def test_a_chain_of_edits_is_the_same_as_merging_it(edits: list[tuple[bytes, bool]]) -> None:
    (digest, deleted), *rest = edits
    tree = RevTree.start((1, digest), deleted=deleted, pointer=1)
    path: list[Rev] = [(1, digest)]
    for pointer, (digest, deleted) in enumerate(rest, 2):
        path.insert(0, (pointer, digest))
        grown = tree.append(path[1], path[0], deleted=deleted, pointer=pointer)
        merged, how = tree.merge(path, deleted=deleted, pointer=pointer)
        assert how == "new_leaf"
        assert grown == merged
        tree = grown
    assert tree.is_chain
    assert [node.rev for node in tree.ancestry(path[0])] == path


@given(histories(), st.data())
def test_many_paths_at_once_are_as_good_as_one_after_the_other(
    edits: dict[Path, bool], data: st.DataObject
) -> None:
    """Paths may lack their beginning, as those of documents whose old revisions were cut off."""
    cut = {path: path[data.draw(st.integers(0, len(path) - 1)) :] for path in edits}
    only_leaf = data.draw(st.booleans())
    tree = RevTree.from_path(next(iter(cut.values()))[::-1], deleted=False, pointer=1)
    growing = Growing(tree)
    for pointer, (path, deleted) in enumerate(edits.items(), 2):
        newest_first = cut[path][::-1]
        after, how = tree.merge(newest_first, deleted=deleted, pointer=pointer)
        is_leaf = tree.find_leaf(path[-1]) is None and after.find_leaf(path[-1]) is not None
        is_new = after is not tree and (is_leaf or not only_leaf)
        told = growing.merge(newest_first, deleted=deleted, pointer=pointer, only_leaf=only_leaf)
        assert told == (how if is_new else None)
        tree = after if is_new else tree
    assert growing.tree() == tree


@given(histories())
def test_the_latest_of_a_revision_are_the_leaves_below_it(edits: dict[Path, bool]) -> None:
    tree = pushed(edits)
    for rev in {node.rev for node in tree.nodes}:
        below = [leaf for leaf in tree.leaves if rev in {n.rev for n in tree.ancestry(leaf)}]
        assert tree.latest(rev) == below
    assert tree.latest((9, b"?" * 16)) == []
