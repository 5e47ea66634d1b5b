"""What must not be seen: not in a repr, and so not with the locals of a traceback."""

from __future__ import annotations

__all__ = ["SecretBytes", "SecretHeaders", "SecretPair"]


class SecretHeaders(dict[str, str]):
    """Headers whose values do not show."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self)}>"


class SecretBytes(bytes):
    """A body that does not show."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} bytes>"


class SecretPair(tuple[str, str]):
    """A name and a password, neither of which shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<name and password>"
