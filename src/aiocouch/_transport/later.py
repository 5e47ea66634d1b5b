"""What settles the writes that programs do most, loaded when an answer was lost, which is rare."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocouch._transport.answer import HTTPResponse
    from aiocouch._transport.request import Ask, Settle

__all__ = ["of_deletion", "of_document"]


def of_document(path: str, text: bytes) -> Settle:
    """Return what settles the save of a document as this JSON text, at the path of the document."""
    return partial(_document, path, text)


def of_deletion(path: str, id: str, rev: str) -> Settle:
    """Return what settles the deletion of a document, at the path of the document."""
    return partial(_deletion, path, id, rev)


async def _document(path: str, text: bytes, ask: Ask) -> HTTPResponse | None:
    from aiocouch._transport import settle

    return await settle.of_document(path, text)(ask)


async def _deletion(path: str, id: str, rev: str, ask: Ask) -> HTTPResponse | None:
    from aiocouch._transport import settle

    return await settle.of_deletion(path, id, rev)(ask)
