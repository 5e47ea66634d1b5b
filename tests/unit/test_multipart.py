"""The corners of the multipart parser that have one right answer each."""

from __future__ import annotations

import pytest

from aiocouch._wire.multipart import (
    MAX_HEADER_BYTES,
    MultipartError,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    content_type,
    disposition,
    parse_headers,
    quoted_parameter,
)


def test_a_body_without_even_a_line_break_is_empty() -> None:
    events = MultipartParser("b").feed(b"--b\r\nA: 1\r\n\r\n--b--")
    assert events == [PartBegin({"a": "1"}), PartEnd()]


def test_a_part_without_headers() -> None:
    events = MultipartParser("b").feed(b"--b\r\n\r\nx\r\n--b--")
    assert events == [PartBegin({}), PartData(b"x"), PartEnd()]


def test_boundaries_with_leading_dashes_as_bulk_get_writes_them() -> None:
    events = MultipartParser("--b").feed(b"\r\n----b\r\n\r\nx\r\n----b--\r\n")
    assert events == [PartBegin({}), PartData(b"x"), PartEnd()]


def test_spaces_behind_a_boundary_are_allowed_text_is_not() -> None:
    assert MultipartParser("b").feed(b"--b  \r\n\r\nx\r\n--b--")
    with pytest.raises(MultipartError, match="after a boundary"):
        MultipartParser("b").feed(b"--bc\r\n\r\nx")


def test_what_follows_the_last_boundary_is_ignored() -> None:
    parser = MultipartParser("b")
    parser.feed(b"--b\r\n\r\nx\r\n--b--")
    assert parser.finished
    assert parser.feed(b"--b\r\n\r\ny\r\n--b--") == []
    parser.close()


def test_endless_headers_are_refused() -> None:
    with pytest.raises(MultipartError, match="header block"):
        MultipartParser("b").feed(b"--b\r\na: " + b"x" * MAX_HEADER_BYTES)


def test_an_empty_boundary_is_refused() -> None:
    with pytest.raises(MultipartError):
        MultipartParser("")


def test_header_lines() -> None:
    assert parse_headers(b"Content-Type: a/b;\r\n  c=d\r\nX: y:z") == {
        "content-type": "a/b; c=d",
        "x": "y:z",
    }
    with pytest.raises(MultipartError, match="colon"):
        parse_headers(b"nothing")


def test_parameters() -> None:
    assert content_type('Multipart/Related; Boundary="a;b"') == (
        "multipart/related",
        {"boundary": "a;b"},
    )
    assert content_type("") == ("", {})
    assert boundary_of("application/json; boundary=x") is None
    assert boundary_of(None) is None
    assert disposition('attachment; filename="a b"') == {"filename": "a b"}
    assert disposition(None) == {}


def test_quoted_text_cannot_break_a_header() -> None:
    assert quoted_parameter('a"b\\c\r\nd') == '"a\\"b\\\\c  d"'
