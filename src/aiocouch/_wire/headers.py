"""The headers of an answer: a dict, as JSON writes it, whose names have no case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from multidict import CIMultiDict

if TYPE_CHECKING:
    from multidict import MultiMapping

__all__ = ["Headers"]

T = TypeVar("T")


class Headers(dict[str, str]):
    """The headers by their names as the server wrote them, found in any case.

    Of a header that came more than once this is the first; `getall` has all.
    """

    def __init__(self, answered: MultiMapping[str]) -> None:
        super().__init__(answered)
        self._answered = answered

    def __missing__(self, name: str) -> str:
        return self._answered[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._answered

    @overload
    def get(self, name: str, default: None = None, /) -> str | None: ...
    @overload
    def get(self, name: str, default: str, /) -> str: ...
    @overload
    def get(self, name: str, default: T, /) -> str | T: ...
    def get(self, name: str, default: Any = None, /) -> Any:
        """Return the value, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def getall(self, name: str) -> list[str]:
        """Return all values of a header. Raise KeyError when there is none."""
        return self._answered.getall(name)

    def __reduce__(self) -> tuple[Any, ...]:
        return Headers, (CIMultiDict(self._answered),)
