"""The encoder of rjson, where that is installed (the extra `fast`).

It refuses what JSON has no type for while it writes, so that nothing has to be looked at twice.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

Encode = Callable[[Any], bytes]


class _Member(enum.Enum):
    ONE = "one"


_FOREIGN: tuple[Any, ...] = (
    math.nan,
    -math.inf,
    "\ud800",
    b"bytes",
    {1},
    {1: "one"},
    _Member.ONE,
    uuid.UUID(int=0),
    decimal.Decimal(1),
    datetime.date(2000, 1, 1),
    datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
    datetime.time(0, 0),
    object(),
)


def strict_encoder() -> Encode | None:
    """The encoder, or None without rjson, or with one that writes what would come back as another thing."""
    try:
        import rjson

        every = (
            rjson.PASSTHROUGH_DATACLASS
            | rjson.PASSTHROUGH_DATETIME
            | rjson.PASSTHROUGH_ENUM
            | rjson.PASSTHROUGH_UUID
        )
    except (ImportError, AttributeError):
        return None
    encode = partial(rjson.dumps, passthrough=every)
    return encode if refuses_foreign(encode) else None


def refuses_foreign(encode: Encode) -> bool:
    """Whether it refuses all that has no type in JSON. A later release of an encoder may not."""
    return not any(_writes(encode, [value]) for value in _FOREIGN)


def _writes(encode: Encode, value: Any) -> bool:
    try:
        encode(value)
    except (TypeError, ValueError):
        return False
    return True
