"""Floats as CouchDB 3.5.2 prints them, and JSON that is nested deeper than Python's stack."""

from __future__ import annotations

import math

import pytest

from aiocouch._wire.numerals import printed
from aiocouch._wire.revision import format_revision, next_revision
from aiocouch.embedded.codec import decode, decode_sent, encode
from aiocouch.embedded.errors import CouchError


# as Apache CouchDB 3.5.2 answered
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (1.0, "1.0"),
        (-1.5, "-1.5"),
        (100.0, "100.0"),
        (1000.0, "1.0e3"),
        (1200.0, "1.2e3"),
        (12340.0, "12340.0"),
        (123400.0, "1.234e5"),
        (12345678900.0, "12345678900.0"),
        (1e21, "1.0e21"),
        (-1e21, "-1.0e21"),
        (0.001, "0.001"),
        (0.0001, "0.0001"),
        (0.00001, "1.0e-5"),
        (0.00123, "0.00123"),
        (0.000123, "1.23e-4"),
        (9007199254740991.0, "9007199254740991.0"),
        (9007199254740992.0, "9.007199254740992e15"),
        (5e-324, "5.0e-324"),
        (1.7976931348623157e308, "1.7976931348623157e308"),
    ],
)
def test_a_float(value: float, text: str) -> None:
    assert printed(value) == text
    assert encode(value) == text.encode()


@pytest.mark.parametrize("depth", [300, 20_000])
def test_any_depth_is_read_and_written(depth: int) -> None:
    text = b'{"a":[' * depth + b"[1.0e3]" + b',"]"]}' * depth
    value = decode_sent(b" " + text + b"\n")
    assert encode(value) == text


def test_a_deep_document_has_the_revision_that_couchdb_gives_it() -> None:
    body = decode_sent(b'{"v":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
    assert format_revision(next_revision(None, body)) == "1-da5666fbef208be7f969cc5bfad4fa49"
    body = decode_sent(b'{"v":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}")
    assert format_revision(next_revision(None, body)) == "1-070cb257fe00334352d3229aab36b421"


def test_of_a_member_given_twice_far_down_the_last_counts() -> None:
    value = decode_sent(b"[" * 5000 + b'{"a":1,"b":2,"a":3}' + b"]" * 5000)
    assert encode(value) == b"[" * 5000 + b'{"b":2,"a":3}' + b"]" * 5000


@pytest.mark.parametrize(
    "end",
    [b"", b"]", b"]" * 5001, b"}" + b"]" * 4999, b",]" + b"]" * 4999, b"1" + b"]" * 5000 + b",",
     b"1 2" + b"]" * 5000, b'{"a":1,}' + b"]" * 5000, b'{"a" 1}' + b"]" * 5000, b'{1:1}' + b"]" * 5000,
     b'{"a":}' + b"]" * 5000, b":" + b"]" * 5000, b"nul" + b"]" * 5000, b'"\xff"' + b"]" * 5000],
)  # fmt: skip
def test_what_is_no_json_far_down(end: bytes) -> None:
    with pytest.raises(CouchError, match="invalid UTF-8 JSON"):
        decode(b"[" * 5000 + end)


def test_infinities_never_come_up() -> None:
    for text in (b"1e400", b"-1e400"):
        with pytest.raises(CouchError):
            decode(text)
    assert not math.isinf(decode(b"1.7976931348623157e308"))
