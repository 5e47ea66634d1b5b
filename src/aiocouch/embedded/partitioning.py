"""Partitions: in a partitioned database every document id is `partition:id`."""

from __future__ import annotations

from .errors import CouchError

__all__ = ["check_document_id", "check_partition", "partition_of", "partition_range"]


def partition_of(document_id: str) -> str:
    """Give the partition of a document id; an id without one raises 400."""
    partition, colon, _ = document_id.partition(":")
    if not colon:
        raise CouchError(400, "illegal_docid", "Doc id must be of form partition:id")
    return partition


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


def check_document_id(document_id: str) -> None:
    """Raise 400 unless a document with this id may be in a partitioned database.

    Design and local documents may. What an ordinary id must be apart from that is not looked at,
    except that the part behind the partition is not empty and not reserved.
    """
    if document_id.startswith(("_design/", "_local/")):
        return
    partition = partition_of(document_id)
    check_partition(partition)
    rest = document_id[len(partition) + 1 :]
    if not rest:
        raise CouchError(400, "illegal_docid", "Document id must not be empty")
    if rest.startswith("_"):
        reason = "Only reserved document ids may start with underscore."
        raise CouchError(400, "illegal_docid", reason)


def partition_range(partition: str) -> tuple[str, str]:
    """Give the ids between which the documents of a partition are: first included, last not."""
    return f"{partition}:", f"{partition};"


def _illegal(reason: str) -> CouchError:
    return CouchError(400, "illegal_partition", reason)
