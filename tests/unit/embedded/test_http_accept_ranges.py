"""Accept headers and byte ranges, as CouchDB 3.5.0 was seen to read them."""

from __future__ import annotations

import pytest

from aiocouch.embedded.errors import CouchError
from aiocouch.embedded.http.accept import accepts_gzip, accepts_no_encoding, accepts_type
from aiocouch.embedded.http.ranges import read_ranges


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("multipart/*", True),
        ("multipart/mixed", True),
        ("Multipart/Mixed;q=0.5", True),
        ("application/json, multipart/mixed", True),
        ("multipart/related", False),
        ("application/json", False),
        ("application/*", False),
        ("multipart/mixed;q=0, */*", False),
        ("multipart/mixed;q=x", False),
    ],
)
def test_accept(header: str | None, expected: bool) -> None:
    assert accepts_type(header, "multipart/mixed") is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("*", True),
    ],
)
def test_accept_encoding(header: str | None, expected: bool) -> None:
    assert accepts_gzip(header) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("x", False),
        ("gzip, *;q=0", False),
        ("*;q=0, identity", False),
        ("gzip;q=0.123", False),
        ("gzip;x=1", False),
        ("*;q=0", True),
        ("identity;q=0", True),
        ("identity;q=0, gzip;q=0", True),
        ("x;q=y", True),
        ("gzip;q=2", True),
        ("gzip;q=0.1234", True),
    ],
)
def test_accept_encoding_that_leaves_nothing(header: str | None, expected: bool) -> None:
    assert accepts_no_encoding(header) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-9", [(0, 9)]),
        ("bytes= 0-5", [(0, 5)]),
        ("bytes=0-5,", [(0, 5)]),
        ("bytes=5-", [(5, 99)]),
        ("bytes=0-100", [(0, 99)]),
        ("bytes=99-99", [(99, 99)]),
        ("bytes=-5", [(95, 99)]),
        ("bytes=-100", [(1, 99)]),
        ("bytes=-200", [(1, 99)]),
        ("bytes=0-0,-1", [(0, 0), (99, 99)]),
        ("bytes=0-", None),
        ("bytes=0-50,0-", None),
        ("bytes=abc", None),
        ("bytes=", None),
        ("items=0-1", None),
        ("BYTES=0-1", None),
    ],
)
def test_ranges(header: str | None, expected: list[tuple[int, int]] | None) -> None:
    assert read_ranges(header, 100) == expected


@pytest.mark.parametrize(
    "header", ["bytes=100-", "bytes=100-110", "bytes=50-40", "bytes=-0", "bytes=0-9,200-300"]
)
def test_ranges_that_cannot_be(header: str) -> None:
    with pytest.raises(CouchError) as caught:
        read_ranges(header, 100)
    assert caught.value.status == 416
