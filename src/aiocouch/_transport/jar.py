"""The cookies that aiohttp keeps, but for the one that is kept here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from http.cookies import BaseCookie

__all__ = ["Jar"]

_NOWHERE = URL()


class Jar(aiohttp.CookieJar):
    """Does not send the session cookie of CouchDB.

    It would stand for the one that we send. After a login that was refused, for instance, CouchDB sets
    an empty one, for as long as a session lasts.
    """

    def filter_cookies(self, request_url: URL = _NOWHERE) -> BaseCookie[str]:
        """Return the cookies for a URL."""
        cookies = super().filter_cookies(request_url)
        cookies.pop("AuthSession", None)
        return cookies
