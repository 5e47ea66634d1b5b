"""What is dumped comes back, leaf for leaf."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import tempfile
import time
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from aiocouch import CouchDB, ForbiddenError, InvalidInputError, NotFoundError
from aiocouch.dumping import (
    BrokenDumpError,
    Dump,
    DumpError,
    DumpProgress,
    ForeignDumpError,
    OccupiedError,
    Restore,
    RestoreProgress,
)
from aiocouch.dumping.sink import Sink
from tests.dumping.databases import fill, leaf, leaves_of
from tests.support.validation import refuses, until_validated, validating

if TYPE_CHECKING:
    from pathlib import Path

    from aiocouch import Database
    from aiocouch.testing import CouchDBServer

LEAVES = 41


def lines_of(path: Path) -> list[bytes]:
    with gzip.open(path) as file:
        return file.read().splitlines()


async def test_everything_comes_back(full: Database, copy: Database, dumped: Path) -> None:
    done = await Restore(copy, dumped, security=True, local=True)
    assert await leaves_of(copy) == await leaves_of(full)
    assert (done.chosen, done.written, done.refused, done.missing) == (LEAVES, LEAVES, (), ())
    assert done.is_equal
    assert not done.is_resumed
    assert (await copy.security()).members == ["ada"]
    assert (await copy.local.get("note"))["n"] == 1
    assert [each async for each in copy.local.ids()] == ["_local/note"]
    text = (await copy.couchdb.request("GET", f"{copy.endpoint}/numbers")).body
    assert b"123456789012345678901234567890" in text


async def test_nothing_that_was_not_asked_for(copy: Database, dumped: Path) -> None:
    await Restore(copy, dumped)
    assert "ada" not in ((await copy.security()).members or [])
    assert [each async for each in copy.local.ids()] == []


async def test_what_it_tells(full: Database, tmp_path: Path) -> None:
    told: list[DumpProgress] = []
    done = await Dump(full, tmp_path / "a.gz", local=True, on_progress=told.append)
    assert (done.leaves, done.deleted, done.attachments, done.local) == (LEAVES, 2, 8, 1)
    assert done.pending == 0
    assert told[-1].leaves == LEAVES


async def test_other_tools_read_it(full: Database, dumped: Path) -> None:
    lines = lines_of(dumped)
    end = json.loads(lines[-1])
    assert end["#"] == "end"
    assert end["leaves"] == LEAVES
    assert (
        end["sha256"] == hashlib.sha256(b"".join(b"%b\n" % line for line in lines[:-1])).hexdigest()
    )
    kinds = [json.loads(line).get("#") for line in lines if line.startswith(b'{"#":')]
    assert kinds[:4] == ["header", "security", "local", "mark"]
    header = json.loads(lines[0])
    assert header["database"] == full.id
    documents = [json.loads(line) for line in lines if not line.startswith(b'{"#":')]
    assert {(each["_id"], each["_rev"]) for each in documents} == set(await leaves_of(full))


@pytest.mark.parametrize("level", [0, 6])
async def test_plain_or_small(full: Database, copy: Database, tmp_path: Path, level: int) -> None:
    path = tmp_path / "dump"
    await Dump(full, path, level=level)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") is bool(level)
    assert (await Restore(copy, path)).is_equal


async def test_what_others_have_compressed_anew(copy: Database, dumped: Path) -> None:
    text = b"".join(b"%b\n" % line for line in lines_of(dumped))
    assert (await Restore(copy, io.BytesIO(gzip.compress(text)))).is_equal


async def test_into_a_file_that_is_open(full: Database, copy: Database) -> None:
    file = io.BytesIO()
    await Dump(full, file)
    assert (await Restore(copy, file)).is_equal


async def test_without_attachments_only_stubs(full: Database, tmp_path: Path) -> None:
    path = tmp_path / "stubs.gz"
    await Dump(full, path, attachments=False)
    (large,) = [json.loads(line) for line in lines_of(path) if b'"_id":"large"' in line]
    assert large["_attachments"]["big"]["stub"]
    assert path.stat().st_size < 10_000


async def test_many_documents_with_small_attachments(
    db: Database, copy: Database, tmp_path: Path
) -> None:
    from tests.dumping.databases import attachment

    content = {"a": attachment(b"abc" * 100)}
    leaves = [leaf(f"d{number:04}", "a", _attachments=content) for number in range(1_200)]
    await db.bulk_docs(leaves, new_edits=False)
    done = await Dump(db, tmp_path / "a.gz", window=1)
    assert done.attachments == 1_200
    assert (await Restore(copy, tmp_path / "a.gz")).is_equal
    assert await leaves_of(copy) == await leaves_of(db)


async def test_a_large_one_among_many_small_ones(
    db: Database, copy: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents come with attachments while all are small; one that is not is streamed all the same."""
    from tests.dumping.databases import attachment

    monkeypatch.setattr("aiocouch.dumping.source._MOST_AT_ONCE", 100_000)
    small = [leaf(f"d{at:04}", "a", _attachments={"a": attachment(b"abc")}) for at in range(1_300)]
    await db.bulk_docs(small, new_edits=False)
    content = hashlib.shake_128(b"large").digest(6 << 20)  # more than is read of an answer at once
    await db.bulk_docs(
        [leaf("large", "a", _attachments={"a": attachment(content)})], new_edits=False
    )
    await Dump(db, tmp_path / "a.gz", window=1)
    with gzip.open(tmp_path / "a.gz") as file:
        assert any(b'"follows":true' in line for line in file)
    assert (await Restore(copy, tmp_path / "a.gz")).is_equal
    assert await leaves_of(copy) == await leaves_of(db)


async def test_what_the_server_does_not_give_is_not_left_out(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revision that the changes name and `_bulk_get` does not find is an error, unless it was purged."""
    from aiocouch.dumping import source
    from aiocouch.replication.patience import Patience
    from aiocouch.replication.remote_endpoint import RemoteEndpoint

    await db.bulk_docs([leaf("a", "a"), leaf("b", "a")], new_edits=False)
    bulk_get = RemoteEndpoint.bulk_get

    async def lossy(self: RemoteEndpoint, asked: Any, **options: Any) -> Any:
        async for found in bulk_get(self, asked, **options):
            yield [(name, one if name == "a" else "1-none") for name, one in found]

    monkeypatch.setattr(RemoteEndpoint, "bulk_get", lossy)
    monkeypatch.setattr(source, "DEFAULT_PATIENCE", Patience(tries=2, first=0.01))
    with pytest.raises(NotFoundError, match="b has 1-"):
        await Dump(db, tmp_path / "a.gz")
    rev = (await db["b"]).rev
    assert rev is not None
    await db.purge({"b": [rev]})
    monkeypatch.setattr("aiocouch.dumping.compare.PAGE", 1)
    assert (await Dump(db, tmp_path / "a.gz")).leaves == 1


async def test_an_empty_database(db: Database, copy: Database, tmp_path: Path) -> None:
    assert (await Dump(db, tmp_path / "a.gz")).leaves == 0
    assert (await Restore(copy, tmp_path / "a.gz")).is_equal
    assert (await copy.info())["doc_count"] == 0


# -- files


async def test_a_file_that_is_there_is_left_alone(full: Database, dumped: Path) -> None:
    before = dumped.read_bytes()
    with pytest.raises(FileExistsError):
        await Dump(full, dumped)
    assert dumped.read_bytes() == before


async def test_no_database_no_file(copy: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        await Dump(copy, tmp_path / "a.gz")
    assert list(tmp_path.iterdir()) == []


async def test_a_half_dump_goes_on(full: Database, copy: Database, dumped: Path) -> None:
    """A dump that was cut after a mark has what came before it, and what was written meanwhile."""
    part = dumped.with_name("second.gz.part")
    whole = dumped.read_bytes()
    part.write_bytes(whole[:-20])
    await full.bulk_docs([leaf("later", "a")], new_edits=False)
    done = await Dump(full, dumped.with_name("second.gz"), local=True)
    assert done.is_resumed
    assert not part.exists()
    assert (await Restore(copy, dumped.with_name("second.gz"))).is_equal
    assert await leaves_of(copy) == await leaves_of(full)


async def test_a_dump_that_was_cut_before_its_first_mark_begins_anew(
    full: Database, copy: Database, dumped: Path
) -> None:
    """Such as among many local documents, which come before it."""
    part = dumped.with_name("second.gz.part")
    part.write_bytes(gzip.compress(b"".join(b"%b\n" % line for line in lines_of(dumped)[:3]))[:-20])
    done = await Dump(full, dumped.with_name("second.gz"), local=True)
    assert (done.is_resumed, done.local) == (False, 1)
    assert (await Restore(copy, dumped.with_name("second.gz"))).is_equal


@pytest.mark.parametrize("other", ["database", "options"])
async def test_a_half_dump_of_something_else_is_left_alone(
    full: Database, copy: Database, dumped: Path, other: str
) -> None:
    part = dumped.with_name("second.gz.part")
    part.write_bytes(dumped.read_bytes()[:-20])
    database = full
    if other == "database":
        database = await full.couchdb.create(copy.id)
    with pytest.raises(ForeignDumpError, match=other):
        await Dump(database, dumped.with_name("second.gz"), local=other != "options")
    assert part.read_bytes() == dumped.read_bytes()[:-20]


async def test_a_half_file_that_is_no_dump_is_left_alone(full: Database, tmp_path: Path) -> None:
    part = tmp_path / "a.gz.part"
    part.write_text("my diary")
    with pytest.raises(ForeignDumpError, match="not a dump"):
        await Dump(full, tmp_path / "a.gz")
    assert part.read_text() == "my diary"


async def test_two_dumps_do_not_write_one_file(full: Database, tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "a.gz.part").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DumpError, match="another dump"):
            await Dump(full, tmp_path / "a.gz")


@pytest.mark.parametrize(
    "options", [{"level": 10}, {"window": 0}, {"couchbackup": True, "local": True}]
)
def test_wrong_options(missing: Database, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Dump(missing, "a.gz", **options)


# -- restoring


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"ids": ["small", "none"]}, {"small"}),
        ({"design": True}, {"_design/views"}),
        ({"choose": lambda doc: doc.get("n") == 3}, {"plain0003", "edited"}),
        ({"design": False, "ids": ["_design/views"]}, set[str]()),
    ],
)
async def test_some_documents(
    full: Database, copy: Database, dumped: Path, options: dict[str, Any], ids: set[str]
) -> None:
    done = await Restore(copy, dumped, **options)
    every = await leaves_of(full)
    assert await leaves_of(copy) == {key: doc for key, doc in every.items() if key[0] in ids}
    assert done.is_equal


async def test_documents_are_left_alone_unless_merged(copy: Database, dumped: Path) -> None:
    await copy.couchdb.create(copy.id)
    await copy.bulk_docs([leaf("own", "a"), leaf("edited", "x", n=0)], new_edits=False)
    with pytest.raises(OccupiedError, match="2 documents"):
        await Restore(copy, dumped)
    assert (await copy.info())["doc_count"] == 2
    done = await Restore(copy, dumped, merge=True)
    assert done.is_equal is False
    assert done.missing == ()
    assert len(await leaves_of(copy)) == LEAVES + 2


async def test_a_restore_that_is_cancelled_leaves_no_file_open(
    copy: Database, dumped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not that of a large document either, which a thread is reading just then."""
    loop, reads = asyncio.get_running_loop(), asyncio.Event()
    files: list[Any] = []

    def opened(size: int) -> IO[bytes]:
        files.append(tempfile.SpooledTemporaryFile(size))  # noqa: SIM115 - as there
        loop.call_soon_threadsafe(reads.set)
        time.sleep(0.05)
        return cast("IO[bytes]", files[-1])

    monkeypatch.setattr(
        "aiocouch.dumping.portions.tempfile", SimpleNamespace(SpooledTemporaryFile=opened)
    )
    restoring = asyncio.ensure_future(Restore(copy, dumped).run())
    await reads.wait()
    restoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await restoring
    assert [file.closed for file in files] == [True] * len(files)
    monkeypatch.undo()
    assert (await Restore(copy, dumped)).is_equal


async def test_twice_is_as_once(full: Database, copy: Database, dumped: Path) -> None:
    await Restore(copy, dumped)
    done = await Restore(copy, dumped, merge=True)
    assert (done.missing, done.is_equal) == ((), True)
    assert await leaves_of(copy) == await leaves_of(full)


async def dump_of(*leaves: dict[str, Any]) -> IO[bytes]:
    """Return a file with some leaves, whatever they are."""
    file = io.BytesIO()
    sink = Sink(file, 1)
    await sink.begin({"format": "aiocouch-dump", "version": 1})
    await sink.write([json.dumps(each).encode() for each in leaves])
    await sink.mark("end", dict)
    return file


async def test_a_leaf_that_is_in_the_file_twice(db: Database, copy: Database) -> None:
    """A dump that was taken up may have one twice; of that, CouchDB's `_revs_diff` says it is missing."""
    file = await dump_of(leaf("a", "a"), leaf("a", "a"))
    done = await Restore(copy, file)
    assert (done.chosen, done.missing, done.is_equal) == (2, (), True)
    done = await Restore(copy, file, merge=True)
    assert (done.missing, done.is_equal) == ((), True)


@pytest.mark.parametrize("at_once", [1, 2, 500_000])
async def test_what_was_edited_while_the_dump_ran(
    copy: Database, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """The database has the last of it, and is equal; one that somebody else has written is noticed."""
    monkeypatch.setattr("aiocouch.dumping.compare.AT_ONCE", at_once)
    edited = [leaf("a", "a"), leaf("a", "c", "b", "a"), leaf("a", "b", "a"), leaf("a", "x", "a")]
    others = [leaf("b", "b", "a", _deleted=True), leaf("b", "a"), leaf("c", "a"), leaf("c", "a")]
    file = await dump_of(*edited, *others)
    done = await Restore(copy, file)
    assert (done.chosen, done.missing, done.is_equal) == (8, (), True)
    assert len(await leaves_of(copy)) == 4
    await copy.bulk_docs([leaf("c", "b", "a")], new_edits=False)
    done = await Restore(copy, file, merge=True)
    assert (done.missing, done.is_equal) == ((), False)


async def test_one_more_than_a_file_with_a_leaf_twice(
    copy: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts alone do not tell: what the file has twice is as much as what somebody else has written."""
    from aiocouch.dumping import compare

    fingerprint_of = compare.fingerprint_of

    async def after_a_write(endpoint: Any, tell: Any) -> Any:
        await copy.bulk_docs([leaf("other", "a")], new_edits=False)
        return await fingerprint_of(endpoint, tell)

    monkeypatch.setattr("aiocouch.dumping.restore.fingerprint_of", after_a_write)
    done = await Restore(copy, await dump_of(leaf("a", "a"), leaf("a", "a")))
    assert (done.missing, done.is_equal) == ((), False)


async def test_some_documents_of_a_file_with_a_leaf_twice(copy: Database) -> None:
    file = await dump_of(leaf("a", "a"), leaf("a", "a"), leaf("b", "a"))
    assert (await Restore(copy, file, ids=["a"])).is_equal
    assert (await Restore(copy, file, ids=["b"], merge=True)).is_equal is False


async def test_it_tells_how_far_it_is(copy: Database, dumped: Path) -> None:
    told: list[RestoreProgress] = []
    await Restore(copy, dumped, on_progress=told.append)
    assert told[0] == RestoreProgress("writing", LEAVES)
    assert RestoreProgress("comparing", LEAVES, LEAVES, LEAVES) in told
    assert told[-1] == RestoreProgress("comparing", LEAVES, LEAVES, LEAVES, LEAVES)


async def test_it_tells_how_many_it_has_looked_for(copy: Database) -> None:
    """Where sums alone do not tell that both are equal, each leaf is looked for."""
    told: list[RestoreProgress] = []
    file = await dump_of(leaf("a", "a"), leaf("a", "a"), leaf("b", "a"))
    assert (await Restore(copy, file, on_progress=told.append)).is_equal
    assert [now.compared for now in told if now.phase == "comparing"] == [0, 2, 3]


async def test_what_the_database_refuses_is_told(copy: Database, dumped: Path) -> None:
    await copy.couchdb.create(copy.id)
    code = validating("if (doc.side === 1) throw {forbidden: 'no side'}")
    await copy.bulk_docs([{"_id": "_design/guard", "validate_doc_update": code}])
    await until_validated(lambda doc_id: refuses(copy, doc_id))
    done = await Restore(copy, dumped, merge=True)
    assert [(each.id, each.error, each.reason) for each in done.refused] == [
        ("conflict", "forbidden", "no side")
    ]
    assert done.refused_count == done.missing_count == 1
    assert [doc_id for doc_id, _ in done.missing] == ["conflict"]
    assert done.written == LEAVES - 1


async def test_what_is_lost_meanwhile_is_noticed(
    copy: Database, dumped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is no matter of form: a document that vanished is named."""
    from aiocouch.dumping import compare

    fingerprint_of = compare.fingerprint_of

    async def after_a_loss(endpoint: Any, tell: Any) -> Any:
        rev = (await copy["edited"]).rev
        assert rev is not None
        await copy.purge({"edited": [rev]})
        return await fingerprint_of(endpoint, tell)

    monkeypatch.setattr("aiocouch.dumping.restore.fingerprint_of", after_a_loss)
    done = await Restore(copy, dumped)
    assert done.is_equal is False
    assert [doc_id for doc_id, _ in done.missing] == ["edited"]


async def test_who_may_not_write_the_security_object_is_told(
    full: Database, couchdb: CouchDB, couchdb_server: CouchDBServer, tmp_path: Path
) -> None:
    """CouchDB says 500 to that, and no_majority."""
    await Dump(full, tmp_path / "a.gz")
    async with CouchDB(couchdb_server.url) as nobody:
        security = await full.security()
        security.clear()
        await security.save()
        with pytest.raises(ForbiddenError, match="only an admin may write it"):
            await Restore(
                nobody.database(full.id), tmp_path / "a.gz", merge=True, security=True, ids=[]
            )


@pytest.mark.parametrize("change", ["cut", "flipped", "lost", "longer"])
async def test_a_damaged_file_writes_nothing(copy: Database, dumped: Path, change: str) -> None:
    lines = lines_of(dumped)
    if change == "cut":
        lines.pop()
    elif change == "flipped":
        at = next(at for at, line in enumerate(lines) if b'"n":3' in line)
        lines[at] = lines[at].replace(b'"n":3', b'"n":4')
    elif change == "lost":
        lines = [line for line in lines if b'"edited"' not in line]
    else:
        lines.append(b'{"_id":"more"}')
    with pytest.raises(BrokenDumpError):
        await Restore(copy, io.BytesIO(b"".join(b"%b\n" % line for line in lines)))
    with pytest.raises(NotFoundError):
        await copy.info()


@pytest.mark.parametrize("text", [b"", b"my diary\n", b'{"a":1}\n', b"\x1f\x8bno gzip at all"])
async def test_what_is_no_dump(copy: Database, text: bytes) -> None:
    with pytest.raises(BrokenDumpError):
        await Restore(copy, io.BytesIO(text))


async def test_partitioned_databases_are_made_so(
    db: Database, copy: Database, tmp_path: Path, fresh_name: str
) -> None:
    source = await db.couchdb.create(fresh_name, partitioned=True)
    await source.bulk_docs([leaf("p:1", "a")], new_edits=False)
    await Dump(source, tmp_path / "a.gz")
    assert (await Restore(copy, tmp_path / "a.gz", shards=1)).is_equal
    assert (await copy.info())["props"]["partitioned"]


async def test_wrong_options_of_a_restore(missing: Database) -> None:
    with pytest.raises(InvalidInputError):
        Restore(missing, "a.gz", window=0)
    with pytest.raises(InvalidInputError):
        Restore(missing, "a.gz", ids="a")


# -- couchbackup


async def test_a_file_of_couchbackup_and_back(
    full: Database, copy: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a.couchbackup"
    done = await Dump(full, path, couchbackup=True, level=0)
    assert done.leaves == LEAVES
    first, *rest = path.read_bytes().splitlines()
    assert json.loads(first)["name"] == "@cloudant/couchbackup"
    documents = [doc for line in rest for doc in json.loads(line)]
    small = next(doc for doc in documents if "other" in doc.get("_attachments", {}))
    assert small["_attachments"]["other"]["contentType"] == "image/png"
    assert (await Restore(copy, path)).is_equal
    assert await leaves_of(copy) == await leaves_of(full)


WRITTEN = (
    '{"name":"@cloudant/couchbackup","version":"2.11.12","mode":"full","attachments":false}\n'
    '[{"_id":"a","_rev":"1-34d01ba8a378424efe690c1975ea641e","_revisions":{"ids":'
    '["34d01ba8a378424efe690c1975ea641e"],"start":1},"n":1,"_attachments":{"a.bin":{"contentType":'
    '"image/png","digest":"md5-x","length":4096,"revpos":1,"stub":true}}},'
    '{"_id":"b","_rev":"1-34d01ba8a378424efe690c1975ea641e","_revisions":{"ids":'
    '["34d01ba8a378424efe690c1975ea641e"],"start":1},"n":2}]\n'
)
"""What couchbackup 2.11.12 has written."""


@pytest.mark.parametrize("older", [True, False])
async def test_attachments_that_a_backup_lacks_are_told(copy: Database, *, older: bool) -> None:
    text = WRITTEN.partition("\n")[2] if older else WRITTEN
    done = await Restore(copy, io.BytesIO(text.encode()))
    assert (done.chosen, done.lacking, done.is_equal) == (2, 1, True)
    assert dict(await copy["a"]).keys() == {"_id", "_rev", "n"}


async def test_a_backup_that_is_cut(copy: Database) -> None:
    with pytest.raises(BrokenDumpError, match="breaks off"):
        await Restore(copy, io.BytesIO(WRITTEN[:-20].encode()))


async def test_many_leaves_of_one_document(db: Database, copy: Database, tmp_path: Path) -> None:
    await fill(db, plain=0)
    await db.bulk_docs([leaf("wide", f"a{at}", n=at) for at in range(60)], new_edits=False)
    await Dump(db, tmp_path / "a.gz")
    assert (await Restore(copy, tmp_path / "a.gz")).is_equal
    assert await leaves_of(copy) == await leaves_of(db)


class _FullDisk(io.BytesIO):
    """A file on a disk that has room for little."""

    def write(self, text: Any, /) -> int:
        if self.tell() + len(text) > 1_000_000:
            raise OSError(28, "No space left on device")
        return super().write(text)


async def test_a_full_disk_ends_it(full: Database) -> None:
    with pytest.raises(OSError, match="No space left"):
        await Dump(full, _FullDisk())
