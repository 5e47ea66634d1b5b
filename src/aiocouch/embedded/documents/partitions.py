"""Partitions: in a partitioned database every document id is `partition:id`."""

from __future__ import annotations

from aiocouch.embedded.documents.edits import DESIGN, LOCAL, check_id
from aiocouch.embedded.errors import CouchError, bad_request

__all__ = ["check_partition", "check_partition_of", "check_partitioned_id", "partition_range"]


def check_partition(name: object) -> None:
    """Raise 400 `illegal_partition` unless this can be the name of a partition."""
    if not isinstance(name, str):
        raise _illegal("Partition must be a string")
    if not name:
        raise _illegal("Partition must not be empty")
    if name.startswith("_"):
        raise _illegal("Partition must not start with an underscore")
    if ":" in name:
        raise _illegal("Partition must not contain a colon")


def check_partition_of(doc_id: str) -> None:
    """Raise 400 unless the id says which partition a document belongs to."""
    if doc_id.startswith((LOCAL, DESIGN)):
        return
    partition, colon, rest = doc_id.partition(":")
    if not colon:
        raise bad_request("Doc id must be of form partition:id", "illegal_docid")
    check_partition(partition)
    check_id(rest)


def check_partitioned_id(doc_id: str) -> None:
    """Raise 400 `illegal_docid` for what a partitioned database calls none of its documents."""
    if ":" not in doc_id and not doc_id.startswith("_"):
        raise CouchError(400, "illegal_docid", "Doc id must be of form partition:id")


def partition_range(partition: str) -> tuple[str, str]:
    """Return the ids between which the documents of a partition are: first included, last not."""
    return f"{partition}:", f"{partition};"


def _illegal(reason: str) -> CouchError:
    return CouchError(400, "illegal_partition", reason)
