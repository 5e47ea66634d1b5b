"""Bad days: every kind of fault on a share of the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Unpack

    from aiocouch.testing import Faults
    from aiocouch.testing.faults import Which

KINDS = ("reset", "lose", "cut", "delay", "stall", "answer", "html", "down")
"""What `bad_day` does, by the names that `Faults.broken` counts them under."""

_CUTS = range(300)  # an answer's head has some 200 bytes, that of a write some 100 behind it
_AWAY = 0.05


def bad_day(faults: Faults, share: float, callers: int = 1, **which: Unpack[Which]) -> None:
    """Let each kind of fault hit this share of the requests, as long as the proxy is there.

    A server that goes down hits all callers at once.
    """
    often: Which = {"times": None, "chance": share, **which}
    faults.reset(**often)
    faults.lose(**often)
    faults.cut(_CUTS, head=True, **often)
    faults.stall(**often)
    faults.answer(429, headers={"Retry-After": "1"}, **often)
    faults.answer(503, **often)
    faults.html(**often)
    seldom: Which = {**often, "chance": share / callers}
    faults.down(_AWAY, **seldom)
    faults.delay(_AWAY, **often)
