"""Multipart bodies of parts that are in memory, as clients send them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch._wire.multipart import closing, opening, part_head, separator

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def multipart_body(
    boundary: str, parts: Iterable[tuple[Sequence[tuple[str, str]], bytes]]
) -> bytes:
    """Give a whole body; a part is its headers and its content."""
    pieces = []
    lead = opening(boundary)
    for headers, content in parts:
        pieces.append(lead + part_head(headers) + content)
        lead = separator(boundary)
    return b"".join([*pieces, closing(boundary)])
