"""Who we are: the ways to say it, and `Auth` for ways of your own.

`CouchDB(url, auth=LoginAuth("bond", "secret"))`.
"""

from aiocouch.auth.basic import BasicAuth, RotatingBasicAuth
from aiocouch.auth.cookie import CookieAuth
from aiocouch.auth.flow import Answer, Ask, Auth
from aiocouch.auth.given import credentials
from aiocouch.auth.login import LoginAuth
from aiocouch.auth.proxy import ProxyAuth
from aiocouch.auth.tls import tls
from aiocouch.auth.token import TokenAuth

__all__ = [
    "Answer",
    "Ask",
    "Auth",
    "BasicAuth",
    "CookieAuth",
    "LoginAuth",
    "ProxyAuth",
    "RotatingBasicAuth",
    "TokenAuth",
    "credentials",
    "tls",
]
