"""Revision trees: what each operation does, on trees small enough to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded.documents.revtree import RevTree

if TYPE_CHECKING:
    from aiocouch._wire.revision import Rev


def rev(text: str) -> Rev:
    generation, _, letter = text.partition("-")
    return int(generation), letter.encode().ljust(16, b"_")


def path(text: str) -> list[Rev]:
    """`"3-c 2-b 1-a"`, newest first."""
    return [rev(part) for part in text.split()]


def grow(*paths: str, deleted: str = "") -> RevTree:
    """A tree of these paths, pointers counted from 1; `deleted` names deleted revisions."""
    tree: RevTree | None = None
    for pointer, text in enumerate(paths, 1):
        gone = text.split()[0] in deleted.split()
        if tree is None:
            tree = RevTree.from_path(path(text), deleted=gone, pointer=pointer)
        else:
            tree, _ = tree.merge(path(text), deleted=gone, pointer=pointer)
    assert tree is not None
    return tree


def test_one_revision() -> None:
    tree = RevTree.start(rev("1-a"), deleted=False, pointer=5)
    assert tree.is_chain
    assert tree.winner.rev == rev("1-a")
    assert tree.winner.pointer == 5
    assert tree.conflicts == []
    assert tree != RevTree.start(rev("1-a"), deleted=False, pointer=6)


@pytest.mark.parametrize(
    ("first", "more", "result"),
    [
        ("1-a", "2-b 1-a", "new_leaf"),
        ("1-a", "3-c 2-b 1-a", "new_leaf"),
        ("2-b 1-a", "2-c 1-a", "new_branch"),
        ("2-b 1-a", "1-a", "internal_node"),
        ("2-b 1-a", "2-b 1-a", "internal_node"),
        ("2-b 1-a", "1-z", "new_branch"),
        ("3-c", "4-d 3-c", "new_leaf"),
        ("3-c", "4-d 3-c 2-b", "new_leaf"),
        ("3-c 2-b", "2-b 1-a", "internal_node"),
        ("3-c", "5-e", "new_branch"),
        ("3-c 2-b 1-a", "3-c 2-x", "new_branch"),
    ],
)
def test_merging_tells_what_happened(first: str, more: str, result: str) -> None:
    _, how = grow(first).merge(path(more), deleted=False, pointer=2)
    assert how == result


def test_a_longer_history_is_put_above_a_root() -> None:
    tree = grow("3-c", "4-d 3-c 2-b")
    assert [node.rev for node in tree.nodes] == path("2-b 3-c 4-d")
    assert [node.pointer for node in tree.nodes] == [0, 1, 2]
    assert tree.is_chain


def test_a_late_body_fills_a_stub() -> None:
    tree = grow("3-c 2-b 1-a", "2-b")
    assert [node.pointer for node in tree.nodes] == [0, 2, 1]
    again, _ = tree.merge(path("2-b"), deleted=False, pointer=9)
    assert again is tree


def test_the_winner_is_not_deleted_if_any_is_not() -> None:
    tree = grow("1-a", "2-b 1-a", "2-c 1-a", "3-d 2-c 1-a", deleted="3-d")
    assert tree.winner.rev == rev("2-b")
    assert [node.rev for node in tree.deleted_conflicts] == [rev("3-d")]
    assert tree.conflicts == []


def test_the_winner_of_deleted_leaves() -> None:
    tree = grow("1-a", "2-b 1-a", "2-c 1-a", deleted="2-b 2-c")
    assert tree.winner.rev == rev("2-c")
    assert tree.winner.deleted


def test_generation_beats_hash() -> None:
    tree = grow("1-a", "2-z 1-a", "2-b 1-a", "3-a 2-b 1-a")
    assert tree.winner.rev == rev("3-a")


def test_append_needs_a_parent() -> None:
    with pytest.raises(LookupError):
        grow("1-a").append(rev("1-b"), rev("2-c"), deleted=False, pointer=1)


def test_append_to_an_inner_revision_makes_a_branch() -> None:
    tree = grow("2-b 1-a").append(rev("1-a"), rev("2-c"), deleted=False, pointer=2)
    assert [node.rev for node in tree.leaves] == path("2-b 2-c")


def test_leaves_only_can_be_edited() -> None:
    tree = grow("3-c 2-b 1-a", "3-d 2-b 1-a")
    assert tree.find_leaf(rev("2-b")) is None
    leaf = tree.find_leaf(rev("3-d"))
    assert leaf is not None
    assert leaf.pointer == 2


def test_find() -> None:
    for tree in (grow("3-c 2-b"), grow("3-c 2-b", "3-d 2-b")):
        found = tree.find(rev("2-b"))
        assert found is not None
        assert found.rev == rev("2-b")
        for unknown in ("1-b", "2-c", "4-c"):
            assert tree.find(rev(unknown)) is None


def test_ancestry_and_latest() -> None:
    tree = grow("3-c 2-b 1-a", "2-d 1-a")
    assert [node.rev for node in tree.ancestry(rev("3-c"))] == path("3-c 2-b 1-a")
    assert tree.ancestry(rev("9-x")) == []
    assert [node.rev for node in tree.latest(rev("1-a"))] == path("2-d 3-c")
    assert [node.rev for node in tree.latest(rev("2-b"))] == path("3-c")
    assert [node.rev for node in tree.latest(rev("2-d"))] == path("2-d")
    assert tree.latest(rev("9-x")) == []


def test_missing_and_possible_ancestors() -> None:
    tree = grow("2-b 1-a", "2-c 1-a")
    assert tree.missing(path("2-b 3-d 1-a")) == path("3-d")
    assert tree.possible_ancestors(path("3-d")) == path("2-c 2-b")
    assert tree.possible_ancestors(path("2-d")) == []


def test_stemming_a_chain() -> None:
    tree = grow("4-d 3-c 2-b 1-a")
    stemmed = tree.stem(2)
    assert [node.rev for node in stemmed.nodes] == path("3-c 4-d")
    assert stemmed.is_chain
    assert tree.stem(4) is tree


def test_stemming_splits_branches() -> None:
    tree = grow("3-c 2-b 1-a", "3-d 2-b 1-a").stem(1)
    assert [(node.rev, node.parent) for node in tree.nodes] == [(rev("3-c"), -1), (rev("3-d"), -1)]


def test_purging_takes_the_branch() -> None:
    tree = grow("3-c 2-b 1-a", "2-d 1-a")
    left, gone = tree.purge([rev("3-c"), rev("1-a")])
    assert gone == [rev("3-c")]
    assert left is not None
    assert [node.rev for node in left.nodes] == path("1-a 2-d")
    assert left.is_chain
    assert left.purge([rev("2-d")]) == (None, [rev("2-d")])
    assert left.purge([rev("1-a")]) == (left, [])


def test_hashes_of_any_length() -> None:
    tree = RevTree.from_path([(2, b"x"), (1, b"")], deleted=False, pointer=1)
    tree = tree.append((2, b"x"), rev("3-c"), deleted=True, pointer=2)
    assert not tree.is_chain
    assert RevTree.load(tree.dump()).nodes == tree.nodes
    assert tree.winner.rev == rev("3-c")


def test_a_short_hash_sorts_by_its_bytes() -> None:
    tree = RevTree.from_path([(1, b"x")], deleted=False, pointer=1)
    tree, _ = tree.merge([(1, b"\xbb" * 16)], deleted=False, pointer=2)
    assert tree.winner.rev == (1, b"\xbb" * 16)
