"""What answers say to browsers about pages and frames: sections `csp` and `x_frame_options`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from aiocouch.embedded.http.exchange import Exchange
    from aiocouch.embedded.node.config import Configuration

_COMMA = re.compile(r"\s*,\s*")


def content_policy(
    config: Configuration, part: Literal["attachments", "showlist", "utils"], default: str
) -> dict[str, str]:
    """Return the header with the content security policy of a part of the server, if it has one."""
    if config.flag("csp", f"{part}_enable", default=True):
        return {"Content-Security-Policy": config.text("csp", f"{part}_header_value", default)}
    if part == "utils" and config.flag("csp", "enable", default=True):
        # as the settings were called before there were several
        return {"Content-Security-Policy": config.text("csp", "header_value", default)}
    return {}


def frame_policy(exchange: Exchange) -> dict[str, str]:
    """Return the header that says whose frames may show an answer."""
    config = exchange.server.config
    if config.text("x_frame_options", "same_origin") == "true":
        return {"X-Frame-Options": "SAMEORIGIN"}
    origin = exchange.url().removesuffix("/")
    allowed = _COMMA.split(config.text("x_frame_options", "hosts"))
    granted = allowed == ["*"] or origin in allowed
    return {"X-Frame-Options": f"ALLOW-FROM {origin}" if granted else "DENY"}
