"""The lines of a dump. Pure.

A dump is text: lines of JSON. A line that begins with `{"#":` says something about the dump, every other line
is a leaf revision as `_bulk_docs` takes it with `new_edits` false.

- `header`: the first line. Which database, of which server, when, with which options.
- `security`, `local`: the security object, and a local document, as `document`.
- `data`: a piece of an attachment in base64. It belongs to the document before, whose attachments that
  `follow` come in their order, each of as many bytes as it says.
- `mark`: all changes up to the sequence `since` are in the lines before.
- `end`: the last line. Without it the dump is not whole.

A `mark` and the `end` have the SHA-256 of all text before their line.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch._wire.codec import decode
from aiocouch._wire.deep import members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = "aiocouch-dump"
VERSION = 1

CONTROL = b'{"#":'
_PIECE = 3 << 16  # bytes of a line of data: a multiple of three needs no padding

_decode_control = msgspec.json.Decoder(dict[str, Any]).decode


def control(kind: str, facts: dict[str, Any]) -> bytes:
    """Return a line that says something about the dump, without its end."""
    return msgspec.json.encode({"#": kind, **facts})


def is_control(line: bytes) -> bool:
    """Return whether a line says something about the dump."""
    return line.startswith(CONTROL)


def read_control(line: bytes) -> dict[str, Any]:
    """Return what such a line says; "#" is its kind. Raise `msgspec.DecodeError`."""
    return _decode_control(line)


def document_line(text: bytes) -> bytes:
    """Return the text of a document as a line: CouchDB writes it so, others may break it."""
    if b"\n" in text or b"\r" in text:
        text = msgspec.json.format(text, indent=-1)
    return b" " + text if is_control(text) else text


def document_lines(texts: list[bytes]) -> list[bytes]:
    """Return the texts of documents as lines. Those of CouchDB are looked at together."""
    joined = b"".join(texts)
    if b"\n" in joined or b"\r" in joined or any(map(is_control, texts)):
        return [document_line(text) for text in texts]
    return texts


def data_lines(content: bytes) -> Iterator[bytes]:
    """Yield lines with the bytes of an attachment, or of a part whose length is a multiple of three."""
    for at in range(0, len(content), _PIECE):
        yield b'{"#":"data","data":"%b"}' % b64encode(content[at : at + _PIECE])


def data_of(said: dict[str, Any]) -> bytes:
    """Return the bytes of such a line. Raise `ValueError` for what is not base64."""
    return b64decode(str(said.get("data", "")), validate=True)


class Look(msgspec.Struct, gc=False):
    """What has to be known of a document, without decoding it."""

    id: str = msgspec.field(name="_id", default="")
    rev: str = msgspec.field(name="_rev", default="")
    deleted: bool = msgspec.field(name="_deleted", default=False)
    attachments: msgspec.Raw = msgspec.field(name="_attachments", default=msgspec.Raw(b""))

    @property
    def is_design(self) -> bool:
        """Whether it is a design document."""
        return self.id.startswith("_design/")


_look = msgspec.json.Decoder(Look).decode


def look(text: bytes) -> Look:
    """Look at a document. Raise `msgspec.DecodeError` for what is not one."""
    try:
        return _look(text)
    except RecursionError:  # nested deeper than the decoder goes
        found = members(text)
        return Look(
            decode(found.get("_id", b'""')),
            decode(found.get("_rev", b'""')),
            found.get("_deleted") == b"true",
            msgspec.Raw(found.get("_attachments", b"")),
        )


def distinct(seen: Iterable[Look]) -> dict[str, list[str]]:
    """Return the revisions by document id, each once.

    A dump that was taken up may have a leaf twice, and of one that is named twice CouchDB says that it is
    missing, whether it is there or not.
    """
    revs: dict[str, dict[str, None]] = {}
    for each in seen:
        revs.setdefault(each.id, {})[each.rev] = None
    return {doc_id: list(found) for doc_id, found in revs.items()}
