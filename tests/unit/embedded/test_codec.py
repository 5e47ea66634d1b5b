"""JSON as clients send it."""

from __future__ import annotations

import pytest

from aiocouch._wire.revision import format_revision, next_revision
from aiocouch.embedded.codec import decode, decode_sent, encode
from aiocouch.embedded.errors import CouchError


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b'{"a":1,"b":2,"a":3}', b'{"b":2,"a":3}'),
        (b'{"n":{"x":1,"y":2,"x":3}}', b'{"n":{"y":2,"x":3}}'),
        (b'{"a":1,"b":2,"a":3,"q":"\\u0022"}', b'{"b":2,"a":3,"q":"\\""}'),
        (b'[{"a":1},{"b":1,"a":{},"b":"\\""}]', b'[{"a":1},{"a":{},"b":"\\""}]'),
        (b'{"a": "\\u0022", "b": 1}', b'{"a":"\\"","b":1}'),
        (b'{"a":12345678901234567890123,"b":1,"a":12345678901234567890124}',
         b'{"b":1,"a":12345678901234567890124}'),
    ],
)  # fmt: skip
def test_of_a_member_given_twice_the_last_counts_where_it_stands(sent: bytes, kept: bytes) -> None:
    assert encode(decode_sent(sent)) == kept


def test_the_revision_of_a_document_with_a_member_given_twice() -> None:
    rev = next_revision(None, decode_sent(b'{"a":1,"b":2,"a":3}'))
    assert format_revision(rev) == "1-cf8195ee4268460f49235c8e98d42c6f"


@pytest.mark.parametrize("text", [b"", b"{", b'{"a":1}}', b"NaN", b"\xff", b'{"a":"\\ud800"}'])
def test_what_is_no_json(text: bytes) -> None:
    for read in (decode, decode_sent):
        with pytest.raises(CouchError) as caught:
            read(text)
        assert (caught.value.status, caught.value.reason) == (400, "invalid UTF-8 JSON")
