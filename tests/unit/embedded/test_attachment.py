"""Attachments as facts: names, data, stubs, compression, and what goes into JSON."""

from __future__ import annotations

import base64
import gzip
import hashlib

import pytest

from aiocouch.embedded.documents.attachment import (
    Attachment,
    Compression,
    Content,
    Encoder,
    decode_list,
    decompress,
    encode_content,
    encode_list,
    follows_member,
    inline_member,
    stub_member,
)
from aiocouch.embedded.documents.sent_attachments import (
    Follows,
    InvalidAttachmentError,
    InvalidMembersError,
    MissingStubError,
    SentAttachment,
    read_members,
    resolve_attachments,
    with_replaced,
    without,
)

COMPRESSION = Compression()


def stored(name: str, revpos: int = 1) -> Attachment:
    return Attachment(name, "x/y", revpos, "digest==", 3, 3, blob=7)


def content_of(member: SentAttachment | Follows) -> Content:
    assert isinstance(member, SentAttachment)
    assert member.content is not None
    return member.content


def test_plain_content_has_the_digest_of_its_bytes() -> None:
    content = encode_content(b"\x00\x01\x02", "application/octet-stream", COMPRESSION)
    assert content.digest == base64.b64encode(hashlib.md5(b"\x00\x01\x02").digest()).decode()
    assert (content.length, content.encoded_length, content.encoding) == (3, 3, "identity")


def test_compressible_content_has_the_digest_that_couchdb_gives() -> None:
    content = encode_content(b"hello", "text/plain", COMPRESSION)
    # As recorded from CouchDB 3.5.0: of the gzip bytes, which are the same here.
    assert content.digest == "iMaiC8wqiFlD2NjLTemvCQ=="
    assert (content.length, content.encoded_length, content.encoding) == (5, 25, "gzip")
    assert gzip.decompress(content.data or b"") == b"hello"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/plain", True),
        ("TEXT/Foo ; x=y", True),
        ("application/json; charset=utf-8", True),
        ("application/jsonx", False),
        ("image/png", False),
        ("x-text/plain", False),
    ],
)
def test_which_types_are_compressed(content_type: str, expected: bool) -> None:
    assert COMPRESSION.applies_to(content_type) is expected


def test_level_zero_compresses_nothing() -> None:
    assert not Compression(level=0).applies_to("text/plain")


def test_an_encoder_says_the_same_however_it_is_fed() -> None:
    data = bytes(range(256)) * 100
    whole, pieces = Encoder(level=8), Encoder(level=8)
    first = whole.feed(data) + whole.finish()
    second = b"".join(pieces.feed(data[i : i + 7]) for i in range(0, len(data), 7))
    second += pieces.finish()
    assert first == second
    assert whole.key == pieces.key
    assert whole.content() == pieces.content()


def test_decompressing_gives_back_the_bytes_in_bounded_pieces() -> None:
    data = b"a" * 5_000_000
    packed = gzip.compress(data)
    pieces = list(decompress([packed[:10], packed[10:]]))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 1 << 20


def test_inline_data_may_hold_white_space() -> None:
    (member,) = read_members({"a": {"data": "aGVs\nbG8="}}, COMPRESSION)
    assert content_of(member).data == b"hello"


@pytest.mark.parametrize("data", ["not base64 !", 5, None])
def test_bad_data_is_refused(data: object) -> None:
    with pytest.raises(InvalidAttachmentError, match="Invalid attachment data for a"):
        read_members({"a": {"data": data}}, COMPRESSION)


def test_names_with_an_underscore_are_refused_empty_ones_are_not() -> None:
    with pytest.raises(InvalidAttachmentError, match="prohibited character"):
        read_members({"_a": {"data": ""}}, COMPRESSION)
    assert len(read_members({"": {"data": ""}}, COMPRESSION)) == 1


def test_members_that_are_no_objects_are_dropped() -> None:
    assert read_members({"a": 5}, COMPRESSION) == []
    with pytest.raises(InvalidMembersError):
        read_members([], COMPRESSION)


def test_following_data_are_announced_with_their_length() -> None:
    (member,) = read_members(
        {"a": {"follows": True, "length": 5, "digest": "md5-x", "content_type": "t/t"}}, COMPRESSION
    )
    assert member == Follows("a", "t/t", None, 5, 5, "identity", "x")
    (packed,) = read_members(
        {"a": {"follows": True, "length": 5, "encoding": "gzip", "encoded_length": 25}}, COMPRESSION
    )
    assert isinstance(packed, Follows)
    assert (packed.length, packed.encoded_length, packed.encoding) == (5, 25, "gzip")
    with pytest.raises(InvalidAttachmentError, match="length"):
        read_members({"a": {"follows": True}}, COMPRESSION)


def test_stubs_are_taken_from_the_parent() -> None:
    old = stored("a", revpos=4)
    assert resolve_attachments([SentAttachment("a", "q/q")], [old], 9) == [(old, None)]
    assert resolve_attachments([SentAttachment("a", "q/q", 4)], [old], 9) == [(old, None)]


@pytest.mark.parametrize("stub", [SentAttachment("b", "q/q"), SentAttachment("a", "q/q", 5)])
def test_a_stub_without_its_attachment_is_missing(stub: SentAttachment) -> None:
    with pytest.raises(MissingStubError) as caught:
        resolve_attachments([stub], [stored("a", revpos=4)], 9)
    assert caught.value.name == stub.name


def test_new_content_belongs_to_the_new_revision() -> None:
    content = encode_content(b"x", "x/y", COMPRESSION)
    ((made, data),) = resolve_attachments([SentAttachment("a", "x/y", 3, content)], [], 9)
    assert (made.revpos, data) == (9, b"x")
    ((replicated, _),) = resolve_attachments([SentAttachment("a", "x/y", 3, content)], [], None)
    assert replicated.revpos == 3
    ((silent, _),) = resolve_attachments([SentAttachment("a", "x/y", None, content)], [], None)
    assert silent.revpos == 0


def test_putting_one_attachment_moves_it_to_the_front() -> None:
    new = SentAttachment("b", "x/y", content=encode_content(b"x", "x/y", COMPRESSION))
    names = [item.name for item in with_replaced([stored("a"), stored("b"), stored("c")], new)]
    assert names == ["b", "a", "c"]
    assert [item.name for item in without([stored("a"), stored("b")], "a")] == ["b"]


def test_a_list_survives_being_kept() -> None:
    items = [stored("a"), stored("é/ü")]
    assert decode_list(encode_list(items)) == items
    assert encode_list([]) is None
    assert decode_list(None) == []


def test_how_members_look() -> None:
    packed = Attachment("a", "text/plain", 2, "d", 5, 25, "gzip")
    common = {"content_type": "text/plain", "revpos": 2, "digest": "md5-d"}
    how = {"encoding": "gzip", "encoded_length": 25}
    assert stub_member(packed) == {**common, "length": 5, "stub": True}
    assert stub_member(packed, encoding_info=True) == {**common, "length": 5, "stub": True, **how}
    assert follows_member(packed) == {**common, "length": 5, "follows": True, **how}
    assert inline_member(packed, b"hello", encoding_info=False) == {**common, "data": "aGVsbG8="}
    assert stub_member(stored("b"), encoding_info=True)["stub"] is True
    assert "encoding" not in stub_member(stored("b"), encoding_info=True)
