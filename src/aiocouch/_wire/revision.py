r"""Revisions: how they are written, and how CouchDB computes them.

A revision is a generation (1, 2, …) and a hash. In here it is a `Rev`, the tuple
`(generation, hash)` with the hash as bytes: the 16 bytes of CouchDB's 32 hex digits, or the
bytes of any other text that a replicator may send. Tuples and bytes compare as CouchDB compares.

    parse_revision("2-7051cbe5c8faecd085a3fa619e6e6337")  # (2, b"pQ\xcb…"), ValueError if bad
    format_revision(rev)                                  # and back
    next_revision(parent, body, deleted=…, attachments=…) # the revision an edit gets

`next_revision` gives what Apache CouchDB 3.5 gives to the same edit: the MD5 of the list
`[Deleted, OldGeneration, OldHash, Body, Attachments]` in Erlang's external term format, minor
version 1. So the same edit made here and there is one edit to a replicator, and no conflict.
The body is the document without its underscore members, members in the order they were sent
(of a name given twice, the last). `DELETE` has an empty body; a `_deleted` document keeps its own.
"""

from __future__ import annotations

import re
from hashlib import md5
from itertools import repeat
from struct import Struct
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocouch._wire.numerals import is_printed_otherwise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Encoder: TypeAlias = Callable[[Any, "_Parts"], None]

__all__ = [
    "AttachmentDigest",
    "Rev",
    "check_generation",
    "encode_term",
    "format_revision",
    "next_revision",
    "next_revision_of",
    "parse_hash",
    "parse_revision",
]

Rev: TypeAlias = tuple[int, bytes]
"""Generation and hash of a revision."""

AttachmentDigest: TypeAlias = tuple[str, str, bytes]
"""Name, content type and MD5 (16 bytes; of the stored, maybe gzipped, data) of an attachment."""

# Erlang's list_to_integer takes a sign, and only ASCII digits.
_REVISION = re.compile(r"\+?([0-9]+)-(.*)", re.DOTALL)
_HEX = re.compile(r"[0-9A-Fa-f]{32}")
_HEX_BYTES = re.compile(rb"[0-9A-Fa-f]{32}")
_GENERATIONS = 1 << 63
_HEX_LENGTH = 32
_RAW_LENGTH = 16


def parse_revision(text: str) -> Rev:
    """Read `"2-abc…"`.

    Raise ValueError when it is not a revision. 32 bytes after the dash must be hex digits.
    """
    match = _REVISION.fullmatch(text)
    if match is None:
        raise ValueError("Invalid rev format")
    generation, digest = match.groups()
    if len(digest) == _HEX_LENGTH and generation != "0" and _HEX.fullmatch(digest):
        return check_generation(int(generation)), bytes.fromhex(digest)
    number = check_generation(int(generation))
    return number, parse_hash(number, digest.encode("utf-8", "surrogateescape"))


def check_generation(number: int) -> int:
    """Return the number; ValueError for one that no tree here can hold, unlike those of CouchDB."""
    if not 0 <= number < _GENERATIONS:
        raise ValueError("Invalid rev format")
    return number


def parse_hash(generation: int, digest: bytes) -> bytes:
    """Read what comes after the dash, or is a member of `_revisions.ids`.

    Raise ValueError for 32 bytes that are not hex digits; generation 0 takes them as they are.
    """
    if len(digest) != _HEX_LENGTH or generation == 0:
        return digest
    if _HEX_BYTES.fullmatch(digest) is None:
        raise ValueError("Invalid rev format")
    return bytes.fromhex(digest.decode())


def format_revision(rev: Rev) -> str:
    """Write a revision as CouchDB does. Sixteen bytes come out as hex, whatever they were."""
    generation, digest = rev
    if len(digest) == _RAW_LENGTH and generation:
        return f"{generation}-{digest.hex()}"
    return f"{generation}-{digest.decode('utf-8', 'replace')}"


def next_revision(
    parent: Rev | None,
    body: Mapping[str, Any],
    *,
    deleted: bool = False,
    attachments: Sequence[AttachmentDigest | None] = (),
) -> Rev:
    """Compute the revision that an edit of `parent` gets (None: a new document).

    `body` is decoded JSON without the underscore members, `attachments` are in the order of the
    document; None is one whose name, type and digest do not count, as where a deleted document
    is written anew. 600 bytes take about 10 µs.
    """
    return next_revision_of(parent, body, deleted=deleted, attachments=attachments)[0]


def next_revision_of(
    parent: Rev | None,
    body: Mapping[str, Any],
    *,
    deleted: bool = False,
    attachments: Sequence[AttachmentDigest | None] = (),
) -> tuple[Rev, bool]:
    """Compute the revision, and tell whether every float is printed as msgspec does it.

    Who writes the body to the store wants to know both, and one look at each value is enough.
    """
    parts = _Parts([_REVISION_DELETED if deleted else _REVISION_ALIVE])
    if parent is None:
        parts.append(_NO_PARENT)
        generation = 1
    else:
        _encode_integer(parent[0], parts)
        _encode_bytes(parent[1], parts)
        generation = parent[0] + 1
    _encode_any(body, parts)
    _encode_attachments(attachments, parts)
    parts.append(b"j")
    return (generation, md5(b"".join(parts), usedforsecurity=False).digest()), parts.plain


def encode_term(value: object) -> bytes:
    """Encode decoded JSON as `term_to_binary(Value, [{minor_version, 1}])` does."""
    parts = _Parts([b"\x83"])
    _encode_any(value, parts)
    return b"".join(parts)


class _Parts(list[bytes]):
    """The pieces of a term; `plain` until a float was among them that msgspec prints otherwise."""

    plain = True


def _encode_any(value: object, parts: _Parts) -> None:
    size = len(parts)
    try:
        _ENCODERS[type(value)](value, parts)
    except RecursionError:
        del parts[size:]
        _encode_deep(value, parts)


# The tags of the format: 131 version, 100 atom, 97 byte, 98 four bytes, 110 and 111 longer
# integers, 70 float, 109 binary, 107 list of bytes, 108 list, 106 empty list, 104 tuple.
_TRUE = b"d\x00\x04true"
_FALSE = b"d\x00\x05false"
_NULL = b"d\x00\x04null"
_UNDEFINED = b"d\x00\x09undefined"
_REVISION_ALIVE = b"\x83l\x00\x00\x00\x05" + _FALSE
_REVISION_DELETED = b"\x83l\x00\x00\x00\x05" + _TRUE
_NO_PARENT = b"a\x00a\x00"
_EMPTY_OBJECT = b"h\x01j"
_OBJECT = b"h\x01l"

_pack_binary = Struct(">cI").pack
_pack_float = Struct(">cd").pack
_pack_integer = Struct(">ci").pack
_pack_length = Struct(">I").pack
_pack_string = Struct(">cH").pack

_BINARY_HEADS = tuple(map(_pack_binary, repeat(b"m"), range(256)))
_SMALL_INTEGERS = tuple(bytes((97, number)) for number in range(256))
_MEMBERS: dict[str, bytes] = {}
_MEMBERS_KEPT = 4096
_MEMBER_LENGTH_KEPT = 64


def _encode_string(value: str, parts: _Parts) -> None:
    data = value.encode("utf-8", "surrogatepass")
    size = len(data)
    parts.append(_BINARY_HEADS[size] + data if size < 256 else _pack_binary(b"m", size) + data)


def _encode_bytes(value: bytes, parts: _Parts) -> None:
    parts.append(_pack_binary(b"m", len(value)) + value)


def _encode_bool(value: bool, parts: _Parts) -> None:
    parts.append(_TRUE if value else _FALSE)


def _encode_null(_value: None, parts: _Parts) -> None:
    parts.append(_NULL)


def _encode_float(value: float, parts: _Parts) -> None:
    # The sign of -0.0 counts here, though CouchDB forgets it when it writes the document.
    parts.append(_pack_float(b"F", value))
    if is_printed_otherwise(value):
        parts.plain = False


def _encode_integer(value: int, parts: _Parts) -> None:
    if 0 <= value < 256:
        parts.append(_SMALL_INTEGERS[value])
    elif -0x80000000 <= value <= 0x7FFFFFFF:
        parts.append(_pack_integer(b"b", value))
    else:
        _encode_big_integer(value, parts)


def _encode_big_integer(value: int, parts: _Parts) -> None:
    size = (value.bit_length() + 7) // 8
    parts.append(bytes((110, size)) if size < 256 else b"o" + _pack_length(size))
    parts.append(b"\x01" if value < 0 else b"\x00")
    parts.append(abs(value).to_bytes(size, "little"))


def _encode_array(value: Sequence[Any], parts: _Parts) -> None:
    if not value:
        parts.append(b"j")
    elif len(value) < 0x10000 and _all_bytes(value):
        # To Erlang a list of small integers is a string.
        parts.append(_pack_string(b"k", len(value)) + bytes(value))
    else:
        parts.append(b"l" + _pack_length(len(value)))
        for item in value:
            _ENCODERS[type(item)](item, parts)
        parts.append(b"j")


def _all_bytes(value: Sequence[Any]) -> bool:
    return all(type(item) is int and 0 <= item < 256 for item in value)


def _encode_object(value: Mapping[str, Any], parts: _Parts) -> None:
    if not value:
        parts.append(_EMPTY_OBJECT)
        return
    append = parts.append
    append(_OBJECT + _pack_length(len(value)))
    for name, item in value.items():
        append(_MEMBERS.get(name) or _member(name))
        _ENCODERS[type(item)](item, parts)
    append(b"j")


def _member(name: str) -> bytes:
    """Return the head of a member: a pair, and its name. The usual names are remembered."""
    data = name.encode("utf-8", "surrogatepass")
    head = b"h\x02" + _pack_binary(b"m", len(data)) + data
    if len(name) <= _MEMBER_LENGTH_KEPT:
        if len(_MEMBERS) >= _MEMBERS_KEPT:
            _MEMBERS.clear()
        _MEMBERS[name] = head
    return head


def _encode_deep(value: object, parts: _Parts) -> None:
    """Encode what is nested deeper than the stack goes. Bytes are parts that are ready."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, bytes):
            parts.append(item)
        elif isinstance(item, dict) and item:
            parts.append(_OBJECT + _pack_length(len(item)))
            flat = [part for name, each in item.items() for part in (_member(name), each)]
            todo += [b"j", *reversed(flat)]
        elif isinstance(item, list) and not (len(item) < 0x10000 and _all_bytes(item)):
            parts.append(b"l" + _pack_length(len(item)))
            todo += [b"j", *reversed(item)]
        else:
            _ENCODERS[type(item)](item, parts)


def _encode_attachments(attachments: Sequence[AttachmentDigest | None], parts: _Parts) -> None:
    if not attachments:
        parts.append(b"j")
        return
    parts.append(b"l" + _pack_length(len(attachments)))
    # CouchDB folds them into a list, so the last comes first.
    for item in reversed(attachments):
        parts.append(b"h\x03")
        _encode_attachment(item, parts)
    parts.append(b"j")


def _encode_attachment(item: AttachmentDigest | None, parts: _Parts) -> None:
    if item is None:
        parts.append(_UNDEFINED * 3)
        return
    name, content_type, digest = item
    _encode_string(name, parts)
    _encode_string(content_type, parts)
    _encode_bytes(digest, parts)


_ENCODERS: dict[type, Encoder] = {
    str: _encode_string,
    int: _encode_integer,
    bool: _encode_bool,
    float: _encode_float,
    type(None): _encode_null,
    dict: _encode_object,
    list: _encode_array,
}
