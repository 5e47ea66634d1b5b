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


_OWN: dict[str, Any] = {"a": [1, -1.5, None, True, "é", 1 << 70, {}, []]}
_OWN_TEXT = '{"a":[1,-1.5,null,true,"é",1180591620717411303424,{},[]]}'.encode()
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
    """Return the encoder; None without rjson, or with a release of it that writes something else."""
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
    return encode if is_strict(encode) else None


def is_strict(encode: Encode) -> bool:
    """Return whether it writes what JSON has types for, as UTF-8, and nothing else."""
    foreign = any(_written(encode, [value]) is not None for value in _FOREIGN)
    return _written(encode, _OWN) == _OWN_TEXT and not foreign


def _written(encode: Encode, value: Any) -> bytes | None:
    try:
        return encode(value)
    except Exception:  # noqa: BLE001, whatever a later release raises, it does not write
        return None
