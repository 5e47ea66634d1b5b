"""Attachments come out of the store as they went in, however they were cut."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.embedded.documents.attachment import Attachment, Compression, Content
from aiocouch.embedded.store import attachments as store
from aiocouch.embedded.store.attachment_texts import plain_chunks, stored_chunks, stored_range
from aiocouch.embedded.store.attachments import CHUNK, Spool

# Long ones are a short pattern repeated: what matters is where the chunks end.
contents = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(min_size=1, max_size=5), st.integers(CHUNK - 3, 2 * CHUNK + 3)).map(
        lambda item: (item[0] * item[1])[: item[1]]
    ),
)
pieces = st.lists(st.integers(1, CHUNK * 2), min_size=1, max_size=8)
types = st.sampled_from(["text/plain", "application/octet-stream"])


def upload(connection: sqlite3.Connection, data: bytes, sizes: list[int], kind: str) -> Content:
    spool = Spool(Compression().encoder(kind))
    start = 0
    while start < len(data):
        size = max(sizes[start % len(sizes)], len(data) // 50)
        for write in spool.feed(data[start : start + size]):
            write(connection)
        start += size
    return spool.finish()(connection)


def saved(connection: sqlite3.Connection, content: Content, kind: str) -> Attachment:
    attachment = Attachment(
        "a",
        kind,
        1,
        content.digest,
        content.length,
        content.encoded_length,
        content.encoding,
        content.blob,
    )
    return store.save(connection, [(attachment, content.data)])[0]


def check_roundtrip(
    connection: sqlite3.Connection, data: bytes, sizes: list[int], kind: str, draw: st.DataObject
) -> None:
    content = upload(connection, data, sizes, kind)
    attachment = saved(connection, content, kind)
    assert attachment.length == len(data)
    assert b"".join(plain_chunks(connection, attachment)) == data
    stored = b"".join(stored_chunks(connection, attachment))
    assert (gzip.decompress(stored) if attachment.compressed else stored) == data
    start = draw.draw(st.integers(0, len(stored)))
    end = draw.draw(st.integers(start, len(stored)))
    assert b"".join(stored_range(connection, attachment, start, end)) == stored[start:end]
    # The same content cut in another way is the same content.
    again = saved(connection, upload(connection, data, sizes[::-1], kind), kind)
    assert again == attachment


@settings(max_examples=60, deadline=None)
@given(contents, pieces, types, st.data())
def test_what_goes_in_comes_out(
    data: bytes, sizes: list[int], kind: str, draw: st.DataObject
) -> None:
    # Hypothesis may give up in the middle of an example.
    with closing(sqlite3.connect(":memory:")) as connection:
        store.create(connection)
        check_roundtrip(connection, data, sizes, kind, draw)
