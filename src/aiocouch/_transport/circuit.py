"""Which of several nodes gets the next request, and which are left alone for a while. Pure."""

from __future__ import annotations

from enum import Enum
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Circuit", "Health", "Nodes"]

# Its own: programs that have seeded the common one alike would all come back at once.
_RANDOM = Random()  # noqa: S311

_FAILURES = 3
_FIRST_REST = 1.0
_LONGEST_REST = 30.0


class Health(Enum):
    """What is known of a node."""

    CLOSED = "it is well, as far as we know"
    OPEN = "it has failed, and is left alone"
    HALF_OPEN = "it has been left alone for long enough: ask whether it is well"


class Circuit:
    """The health of one node. Times are seconds of any clock that only goes on.

    It opens when the node cannot be reached, or has failed three times in a row. It then rests, longer
    each time, up to half a minute, with jitter, until it may be asked again.
    """

    def __init__(self, draw: Callable[[], float] = _RANDOM.random) -> None:
        self._draw = draw
        self._failures = self._openings = 0
        self.rests_until = 0.0
        self.is_asked = False

    @property
    def is_troubled(self) -> bool:
        """Whether it has failed since it worked."""
        return self._failures > 0

    def health(self, now: float) -> Health:
        """Return what is known at that time."""
        if not self._openings:
            return Health.CLOSED
        return Health.OPEN if now < self.rests_until else Health.HALF_OPEN

    def is_due(self, now: float) -> bool:
        """Return whether somebody should ask the node how it is, and nobody does so already."""
        return not self.is_asked and self.health(now) is Health.HALF_OPEN

    def failed(self, now: float, *, unreachable: bool = False) -> bool:
        """Take note of a failure. True if the node, which seemed to be well, is left alone from now."""
        self._failures += 1
        was_closed = not self._openings
        if was_closed and not unreachable and self._failures < _FAILURES:
            return False
        if self.health(now) is Health.OPEN:
            return False  # a request that began before it was opened
        rest = min(_FIRST_REST * 2.0 ** min(self._openings, 16), _LONGEST_REST)
        self._openings += 1
        self.rests_until = now + rest * (0.5 + self._draw() / 2)
        return was_closed

    def worked(self) -> bool:
        """Take note of an answer. True if the node was left alone before."""
        was_open = self._openings > 0
        self._failures = self._openings = 0
        return was_open


class Nodes:
    """Some nodes, in the order in which they are preferred.

    All requests go to the same one (so that a caller reads where it has written) until it fails. Then
    they go to the next that is well, and to the first again as soon as that is well.
    """

    def __init__(self, urls: Sequence[str], draw: Callable[[], float] = _RANDOM.random) -> None:
        self._circuits = {url: Circuit(draw) for url in urls}
        self._first = urls[0]
        self._is_troubled = False

    def choose(self, now: float, instead_of: str | None = None) -> str:
        """Return the node for the next try: another one, if another one is well.

        If none is well, the one that has rested for longest.
        """
        if not self._is_troubled:
            return self._first
        circuits = self._circuits
        well = [url for url in circuits if circuits[url].health(now) is Health.CLOSED]
        if well:
            return next((url for url in well if url != instead_of), well[0])
        return min(circuits, key=lambda url: circuits[url].rests_until)

    def failed(self, url: str, now: float, *, unreachable: bool = False) -> bool:
        """Take note of a failure. True if that node, which seemed well, is left alone from now."""
        self._is_troubled = True
        return self._circuits[url].failed(now, unreachable=unreachable)

    def worked(self, url: str) -> bool:
        """Take note of an answer. True if that node had been left alone."""
        if not self._is_troubled:
            return False
        was_open = self._circuits[url].worked()
        self._is_troubled = any(circuit.is_troubled for circuit in self._circuits.values())
        return was_open

    def to_ask(self, now: float) -> list[str]:
        """Return the nodes that have rested for long enough: ask each how it is, and tell by `asked`."""
        if not self._is_troubled:
            return []
        due = [url for url, circuit in self._circuits.items() if circuit.is_due(now)]
        for url in due:
            self._circuits[url].is_asked = True
        return due

    def asked(self, url: str) -> None:
        """Note that the question of `to_ask` is over, whatever came of it."""
        self._circuits[url].is_asked = False
