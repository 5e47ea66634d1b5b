"""What the server and a JavaScript worker process say to each other.

Both directions carry frames: four bytes with the length (big endian), then MessagePack.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import msgspec

#: (sort key, document id, number within the document, key as JSON, value as JSON)
Row: TypeAlias = tuple[bytes, str, int, bytes, bytes]

HEADER = struct.Struct(">I")


class Order(msgspec.Struct, array_like=True):
    """One call of a function in a context.

    `setup` is (door, JSON text) and prepares the context `unit`; it is sent when the worker
    does not know the unit yet. `forget` names units to drop before. `text` is the input of the
    door as JSON. `seconds` of CPU and `memory` in bytes bound the call. `mapping` is given for
    the door `map` only.
    """

    unit: str
    setup: tuple[str, str] | None
    forget: list[str]
    door: str
    text: str
    seconds: float
    memory: int
    mapping: Mapping | None = None


class Mapping(msgspec.Struct, array_like=True):
    """What a worker must know to turn emitted pairs into rows of an index."""

    ids: list[str]
    raw: list[bool]
    partitioned: bool
    budget: int


class Mapped(msgspec.Struct, array_like=True):
    """The rows of each view for the first `done` documents of the batch.

    `references` holds for each of these documents what must be deleted when it changes: the
    MessagePack of a list of (view, sort key).
    """

    done: int
    rows: list[list[Row]]
    references: list[bytes]


class Reply(msgspec.Struct, array_like=True):
    """The answer of a door as JSON text, or `mapped` for the door `map`.

    `broken` says that the context ran out of time or memory: the process must be replaced.
    """

    text: str
    mapped: Mapped | None = None
    broken: str | None = None
