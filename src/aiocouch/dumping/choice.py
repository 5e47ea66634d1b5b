"""Which documents of a dump are restored. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from aiocouch._wire.codec import decode

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocouch.dumping.lines import Look


@dataclass(frozen=True)
class Choice:
    """What is restored: documents of these ids, design documents or not, and what a function chooses."""

    ids: frozenset[str] | None = None
    design: bool | None = None
    function: Callable[[dict[str, Any]], bool] | None = None

    def takes(self, seen: Look, text: bytes) -> bool:
        """Return whether a document is restored."""
        if self.ids is not None and seen.id not in self.ids:
            return False
        if self.design is not None and seen.is_design is not self.design:
            return False
        return self.function is None or bool(self.function(decode(text)))


def digest_of(doc_id: str, rev: str) -> int:
    """Return a hash of a leaf, of 16 bytes."""
    leaf = f"{doc_id}\n{rev}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(leaf, digest_size=16).digest(), "big")


class Fingerprint:
    """What leaves there are, whatever their order, in a few bytes: the sum of a hash of each.

    Two sets that differ have the same one by a chance of 2^-128.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, doc_id: str, rev: str) -> None:
        """Take in a leaf."""
        self._sum += digest_of(doc_id, rev)
        self.count += 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]
