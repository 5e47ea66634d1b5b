"""The content of attachments, from any pieces."""

import base64
import gzip
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from aiocouch._wire.content import ContentReader


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


@given(st.lists(st.binary(max_size=50)), st.booleans(), st.integers(1, 20))
def test_any_pieces_give_the_content(parts: list[bytes], packed: bool, step: int) -> None:
    content = b"".join(parts)
    sent = gzip.compress(content) if packed else content
    reader = ContentReader("gzip" if packed else None)
    pieces = [sent[start : start + step] for start in range(0, len(sent), step)]
    got = b"".join(content for piece in pieces for content in reader.feed(piece))
    assert got == content
    assert reader.is_whole()
    assert reader.matches(f'"{_md5(sent)}"')
    assert reader.matches(_md5(content))
    assert reader.matches('W/"anything"')
    assert reader.matches(None)
    assert not reader.matches(_md5(content + sent + b"x"))


@given(st.binary(min_size=1), st.integers(0))
def test_cut_content_is_seen(content: bytes, cut: int) -> None:
    sent = gzip.compress(content)
    reader = ContentReader("gzip")
    assert content.startswith(b"".join(reader.feed(sent[: cut % len(sent)])))
    assert not reader.is_whole()
