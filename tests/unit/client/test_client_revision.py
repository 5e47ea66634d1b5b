"""Revision ids: reading, writing, and what Apache CouchDB 3.5.0 computed.

`tests/conformance/test_revisions.py` has the recorded chains; here are single ids for shapes that
are not among them, taken from a running 3.5.0.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from aiocouch._wire.revision import format_revision, next_revision, parse_revision


def first(text: str, **more: Any) -> str:
    return format_revision(next_revision(None, msgspec.json.decode(text), **more))


@pytest.mark.parametrize(
    ("text", "rev"),
    [
        ('{"a":"\\ud83d\\ude00"}', "1-6209036231a849bef7b48602e7245033"),
        ('{"n":1' + "0" * 250 + "}", "1-666ea6668750676b7a5fd043224c1d0a"),
        ('{"n":-1' + "0" * 250 + "}", "1-411e9c00df8ba81aa787ea62f8135b98"),
        (
            '{"a":1E2,"b":123456789012345678,"c":-123456789012,"d":4294967296,"e":1e-320,"f":0.1}',
            "1-52cd8c167e2d5fd0046d3255a4e95a5c",
        ),
        ('{"a":[true,1],"b":[1,256],"c":[1.0],"":""}', "1-7ead975ed3e97520ddfd35be43d895da"),
        (
            '{"a":-0,"b":9223372036854775807,"c":-9223372036854775808,"d":18446744073709551616}',
            "1-3359270fabdc75bf1f319f06fbbc8478",
        ),
        ('{"a":"\\/\\b\\u007f"}', "1-71960ec3575cb4ce1c83474627f819b4"),
        ('{"a":{"_x":1}}', "1-418854ea1540a41cf63f6b1f0953e6da"),
        ('{"o":100000000000000000000.0}', "1-b29ec9f263e9cb1f6069d17355256c69"),
        ('{"l":[[],[0],[255],[256],[-1]]}', "1-ac6d1bc3ac5d52f7284e35a62fd66d8b"),
    ],
)
def test_revisions_of_couchdb(text: str, rev: str) -> None:
    assert first(text) == rev


def test_attachments_count_in_the_order_of_the_document() -> None:
    digests = [
        (name, "application/x", hashlib.md5(data).digest())
        for name, data in (("b", b"bb"), ("a", b"aa"), ("c", b"cc"))
    ]
    assert first('{"k":1}', attachments=digests) == "1-e45d390d7f11992ce324bca94fa95848"
    assert first('{"k":1}', attachments=digests[::-1]) != "1-e45d390d7f11992ce324bca94fa95848"


@pytest.mark.parametrize(
    "text",
    ["", "x", "1", "-1", "abc-def", "1-gggggggggggggggggggggggggggggggg", "1 -a", '"1-a"', "٣-a"],
)
def test_what_is_no_revision(text: str) -> None:
    with pytest.raises(ValueError, match="Invalid rev format"):
        parse_revision(text)


@pytest.mark.parametrize(
    ("text", "rev"),
    [
        (
            "2-7051cbe5c8faecd085a3fa619e6e6337",
            (2, bytes.fromhex("7051cbe5c8faecd085a3fa619e6e6337")),
        ),
        ("1-abc", (1, b"abc")),
        ("1-", (1, b"")),
        ("0-1", (0, b"1")),
        ("1-a-b", (1, b"a-b")),
        ("12-ü", (12, "ü".encode())),
    ],
)
def test_revisions_are_read_and_written(text: str, rev: tuple[int, bytes]) -> None:
    assert parse_revision(text) == rev
    assert format_revision(rev) == text


def test_upper_case_digits_are_the_same_revision() -> None:
    assert parse_revision("1-" + "AB" * 16) == parse_revision("1-" + "ab" * 16)
    assert format_revision(parse_revision("+1-" + "AB" * 16)) == "1-" + "ab" * 16


def test_an_edit_follows_its_parent() -> None:
    parent = parse_revision("7-7051cbe5c8faecd085a3fa619e6e6337")
    assert next_revision(parent, {})[0] == 8
