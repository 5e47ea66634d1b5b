"""Files of dumps: whatever is cut off or changed, it is noticed, and what held is taken up."""

from __future__ import annotations

import asyncio
import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiocouch.dumping.choice import Choice, Fingerprint
from aiocouch.dumping.couchbackup import array_line, documents_of, to_ours, to_theirs
from aiocouch.dumping.errors import BrokenDumpError
from aiocouch.dumping.lines import (
    data_lines,
    data_of,
    document_line,
    document_lines,
    is_control,
    look,
    read_control,
)
from aiocouch.dumping.portions import OurLines, Portions
from aiocouch.dumping.reader import Reader, last_point
from aiocouch.dumping.sink import Sink

HEADER = {"format": "aiocouch-dump", "version": 1}
ids = st.text(min_size=1, max_size=8)
documents = st.fixed_dictionaries(
    {"_id": ids, "_rev": st.just("1-a")}, optional={"n": st.integers(), "t": st.text()}
)
blocks = st.lists(st.lists(documents, max_size=4), max_size=4)


def written(parts: list[list[dict[str, Any]]], level: int) -> bytes:
    """Return the file of a dump that has a mark after each part."""
    import msgspec

    async def write() -> bytes:
        file = io.BytesIO()
        sink = Sink(file, level)
        await sink.begin(HEADER)
        for number, part in enumerate(parts):
            await sink.write([document_line(msgspec.json.encode(doc)) for doc in part])
            await sink.mark("mark", partial(dict, since=number))
        await sink.mark("end", dict)
        return file.getvalue()

    return asyncio.run(write())


def read(content: bytes) -> list[bytes]:
    reader, found = Reader(io.BytesIO(content)), []
    while lines := reader.lines():
        found += lines
    return found


@settings(deadline=None, max_examples=30)
@given(blocks, st.sampled_from([0, 1]))
def test_what_was_written_is_read(parts: list[list[dict[str, Any]]], level: int) -> None:
    texts = read(written(parts, level))
    assert [look(text).id for text in texts] == [doc["_id"] for part in parts for doc in part]


@settings(deadline=None, max_examples=60)
@given(blocks, st.sampled_from([0, 1]), st.data())
def test_a_cut_is_noticed_and_what_held_is_taken_up(
    parts: list[list[dict[str, Any]]], level: int, data: st.DataObject
) -> None:
    whole = written(parts, level)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(BrokenDumpError):
        read(cut)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.part"
        path.write_bytes(cut)
        _, point = last_point(path)
    if point is not None:
        # going on from there gives the same text as never having stopped
        number = point.mark["since"]
        assert written(parts, level).startswith(cut[: point.offset])
        before = written(parts[: number + 1], level)
        assert before.startswith(cut[: point.offset])


@settings(deadline=None, max_examples=60)
@given(blocks.filter(any), st.sampled_from([0, 1]), st.data())
def test_a_change_is_noticed(
    parts: list[list[dict[str, Any]]], level: int, data: st.DataObject
) -> None:
    whole = written(parts, level)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        found = read(bytes(changed))
    except BrokenDumpError:
        return
    # a few bits of the heads of gzip mean nothing; the text is what was written
    assert found == read(whole)


@given(st.binary(max_size=500_000))
@settings(deadline=None, max_examples=10)
def test_bytes_of_attachments(content: bytes) -> None:
    lines = list(data_lines(content))
    assert all(map(is_control, lines))
    assert b"".join(data_of(read_control(line)) for line in lines) == content


@given(st.sampled_from([b'{"_id":\n"a"}', b'{"#":1,"_id":"a"}', b'{"_id":"a"}']))
def test_a_document_is_a_line_and_never_a_mark(text: bytes) -> None:
    import msgspec

    line = document_line(text)
    assert b"\n" not in line
    assert not is_control(line)
    assert msgspec.json.decode(line) == msgspec.json.decode(text)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.sampled_from([b'{"_id":"a"}', b'{\n"_id": "b"}', b'{"#":"end"}', b"{}\r"]), max_size=4
    )
)
def test_documents_together_are_the_lines_that_each_is(texts: list[bytes]) -> None:
    assert document_lines(texts) == [document_line(text) for text in texts]


@given(blocks, st.integers(0, 10), st.integers(1, 5))
def test_portions_skip_what_is_done(
    parts: list[list[dict[str, Any]]], skip: int, most: int
) -> None:
    file = io.BytesIO(written(parts, 1))
    portions = Portions(OurLines(file), Choice(), skip=skip, most=most, most_bytes=100)
    found: list[str] = []
    through = 0
    while (portion := portions.next()) is not None:
        assert len(portion.texts) <= most
        found += [look(text).id for text in portion.texts]
        assert portion.through >= through
        through = portion.through
    every = [doc["_id"] for part in parts for doc in part]
    assert found == every[skip:]
    assert portions.fingerprint.count == through == len(every)


@given(st.lists(st.tuples(ids, ids), unique=True), st.randoms())
def test_fingerprints_know_no_order(leaves: list[tuple[str, str]], random: Any) -> None:
    one, other = Fingerprint(), Fingerprint()
    for leaf in leaves:
        one.add(*leaf)
    random.shuffle(leaves)
    for leaf in leaves:
        other.add(*leaf)
    assert one == other
    other.add("more", "1-a")
    assert one != other


@given(st.dictionaries(ids, st.fixed_dictionaries({"content_type": ids, "data": ids}), min_size=1))
def test_attachments_are_as_couchbackup_names_them_and_back(attached: dict[str, Any]) -> None:
    import msgspec

    document = {"_id": "a", "content_type": "mine", "_attachments": attached}
    theirs = to_theirs(msgspec.json.encode(document))
    assert b'"contentType"' in theirs
    (line,) = documents_of(array_line([theirs]))
    ours, lacking = to_ours(line)
    assert msgspec.json.decode(ours) == document
    assert lacking == 0
