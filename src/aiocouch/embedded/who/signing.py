"""The secret with which cookies and proxies' tokens are signed, and those that still hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.who.cookies import CookieSettings, is_signed_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiocouch.embedded.node.config import Configuration

_SECTION = "chttpd_auth"


class Secrets:
    """The setting `secret` of `chttpd_auth`; an earlier one holds for the time-out of a session.

    `clock` gives seconds since 1970.
    """

    def __init__(self, config: Configuration, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._current = self.current
        self._earlier: list[tuple[float, str]] = []
        config.listen(self._configured)

    @property
    def current(self) -> str | None:
        """The secret of the settings, None when there is none yet."""
        return self._config.get(_SECTION, "secret")

    def ensure(self) -> str:
        """Return the secret; make one at first use."""
        return self._config.ensure_secret(_SECTION, "secret")

    def verify(
        self, message: str, signature: bytes, settings: CookieSettings, extra: str = ""
    ) -> bool:
        """Return whether a text was signed with a secret that holds; `extra` was appended to it."""
        return is_signed_with(message, signature, self._keys(extra), settings)

    def _keys(self, extra: str) -> Iterator[bytes]:
        now = self._clock()
        self._earlier = [each for each in self._earlier if each[0] > now]
        for secret in (self.current, *(secret for _, secret in self._earlier)):
            if secret is not None:
                yield (secret + extra).encode()

    def _configured(self, section: str, key: str) -> None:
        del section
        if key != "secret" or self.current == self._current:
            return
        if self._current is not None:
            timeout = CookieSettings.of(self._config).timeout
            self._earlier.append((self._clock() + timeout, self._current))
        self._current = self.current
