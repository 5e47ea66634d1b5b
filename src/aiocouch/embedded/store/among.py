"""Many texts in one condition of SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocouch.embedded.codec import encode_text

if TYPE_CHECKING:
    from collections.abc import Iterable


def among(texts: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return what stands behind a column that is one of the texts, and its values.

    A text with the character NUL, where the JSON of SQLite ends it, is a value by itself.
    """
    given = list(texts)
    odd = [text for text in given if "\0" in text]
    more = f" UNION ALL VALUES {','.join(['(?)'] * len(odd))}" if odd else ""
    plain = [text for text in given if "\0" not in text] if odd else given
    return f"IN (SELECT value FROM json_each(?){more})", (encode_text(plain).decode(), *odd)
