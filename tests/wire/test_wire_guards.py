"""Guards of speed that do not depend on the machine: frames, requests, imports, growth."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import aiocouch
from aiocouch import CouchDB, Database, Document
from tests.wire.canned import Answer, CannedServer, doc_row, json_answer, rows_answer

OWN = str(Path(aiocouch.__file__).parent)
STANDARD = sys.stdlib_module_names
ALLOWED = {"aiohttp", "msgspec", "yarl", "multidict", "propcache", "frozenlist", "aiosignal"} | {
    "attr",
    "attrs",
    "idna",
    "aiohappyeyeballs",
    "typing_extensions",
    "aiodns",
    "pycares",
    "brotli",
    "brotlicffi",
    "_brotli",
    "zstandard",
    "backports",
    "cffi",
    "_cffi_backend",
}


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Our own frames, outermost first, at each moment when aiohttp is entered."""
    seen: list[list[str]] = []
    original = aiohttp.ClientSession._request  # noqa: SLF001 - every way into aiohttp ends there

    async def request(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> Any:
        frame, names = sys._getframe(1), []  # noqa: SLF001
        while frame is not None:
            if frame.f_code.co_filename.startswith(OWN):
                names.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}")
            frame = frame.f_back  # type: ignore[assignment]
        seen.append(names[::-1])
        return await original(self, *args, **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    return seen


async def first(rows: AsyncIterator[Any]) -> None:
    async for _ in rows:
        break


CALLS: dict[str, tuple[int, Callable[[Database], Awaitable[Any]]]] = {
    "item": (7, lambda db: db["x"]),
    "get": (7, lambda db: db.get("x")),
    "save": (5, lambda db: Document(db, "x").save()),
    "delete": (5, lambda db: Document(db, "x", data={"_rev": "1-a"}).delete(discard_changes=True)),
    "find": (5, lambda db: first(db.find({}, limit=1))),
    "changes": (5, lambda db: first(db.changes())),
    "docs": (6, lambda db: first(db.docs())),
    "info": (5, lambda db: db.info()),
}


def answer(request: Any) -> Answer:
    if request.path.endswith("_changes"):
        return json_answer({"results": [], "last_seq": "0", "pending": 0})
    if request.path.endswith("_all_docs"):
        return rows_answer(doc_row("a"))
    if request.path.endswith("_find"):
        return json_answer({"docs": [], "bookmark": "nil"})
    id = request.path.rpartition("/")[2]
    document = {"_id": id, "_rev": "1-a", "ok": True, "id": id, "rev": "2-b"}
    return json_answer({**document, "couchdb": "Welcome", "db_name": "db"})


@pytest.mark.parametrize("name", CALLS)
async def test_few_frames_down_to_aiohttp(
    canned: CannedServer, frames: list[list[str]], name: str
) -> None:
    """One of them is for what is tried again."""
    canned.handler = answer
    most, call = CALLS[name]
    async with CouchDB(canned.url) as couchdb:
        await call(Database(couchdb, "db"))
    assert len(frames) == 1
    assert 1 <= len(frames[0]) <= most, frames[0]


async def test_bulk_is_linear(base: Database) -> None:
    """Ten times the documents: about ten times the calls, not a hundred."""

    def calls(count: int) -> int:
        counted = 0

        def profile(frame: object, event: str, arg: object) -> None:
            nonlocal counted
            counted += 1

        bulk = base.create_docs()
        sys.setprofile(profile)
        try:
            for at in range(count):
                bulk.create(str(at), {"n": at})
        finally:
            sys.setprofile(None)
        return counted

    calls(10)
    assert calls(2_000) < 12 * calls(200)


async def test_duplicate_check_compares_no_documents(base: Database) -> None:
    import time

    bulk = base.create_docs()
    began = time.process_time()
    for at in range(20_000):
        bulk.create(str(at))
    assert time.process_time() - began < 2, "20,000 documents: a quadratic check takes minutes"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The texts that documents have decoded."""
    seen: list[bytes] = []

    def decode(text: bytes) -> Any:
        seen.append(text)
        return json.loads(text)

    monkeypatch.setattr("aiocouch._tracked.decode", decode)
    return seen


async def test_document_is_decoded_when_it_is_looked_into(
    canned: CannedServer, base: Database, decoded: list[bytes]
) -> None:
    canned.say(rows_answer(*(doc_row(f"d{at}", a=[at]) for at in range(50))))
    docs = [doc async for doc in base.docs()]
    assert [doc.id for doc in docs] == [f"d{at}" for at in range(50)]
    assert await docs[7].save() is None
    assert repr(docs[7])
    assert decoded == [], "only passed on"
    assert docs[7]["a"] == [7]
    assert docs[7]["_id"] == "d7"
    assert len(decoded) == 1, "once"


async def test_clean_document_is_not_encoded_for_reading(
    canned: CannedServer, base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(value: Any) -> bytes:
        raise AssertionError(f"{value!r} is encoded, though nobody asked for it")

    canned.say_json({"_id": "x", "_rev": "1-a", "n": [1]})
    monkeypatch.setattr(base.remote, "encode", encode)
    doc = await base["x"]
    assert doc["n"] == [1]
    assert (doc.rev, doc.exists, doc.json) == ("1-a", True, {"n": [1]})
    doc["n"] = 2


async def test_save_encodes_once(
    canned: CannedServer, base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiocouch._wire.codec import encode

    bodies: list[Any] = []

    def counting(value: Any) -> bytes:
        if isinstance(value, dict):
            bodies.append(value.copy())
        return encode(value)

    monkeypatch.setattr(base.remote, "encode", counting)
    canned.say_json({"ok": True, "id": "x", "rev": "1-a"}, 201)
    await Document(base, "x", {"n": 1}).save()
    assert bodies == [{"_id": "x", "n": 1}]


async def test_connections_are_kept_after_streams(canned: CannedServer, base: Database) -> None:
    canned.handler = answer
    for _ in range(5):
        await anext(base.docs())
        assert [doc.id async for doc in base.docs()] == ["a"]
        assert [event async for event in base.changes()] == []
    assert canned.connections <= 6, "five streams were left in the middle"


async def test_cancelled_requests_leave_nothing_behind(
    canned: CannedServer, base: Database
) -> None:
    forever = asyncio.Event()

    async def silence() -> AsyncGenerator[bytes, None]:
        yield b"{"
        await forever.wait()

    canned.handler = lambda request: Answer(pieces=silence())
    for _ in range(3):
        seen = len(canned.requests)
        tasks = [asyncio.create_task(base.info()) for _ in range(40)]
        await canned.requested(seen + 40)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}
    canned.handler = answer
    found = await asyncio.gather(*(base.info() for _ in range(150)))
    assert len(found) == 150


PROBE = """
import sys
import aiocouch
print(*{name.partition(".")[0] for name in sys.modules})
"""


def imported() -> set[str]:
    """Name the packages that an import of ours brings."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE], capture_output=True, check=True, text=True
    )
    return set(done.stdout.split())


def test_import_brings_aiohttp_and_msgspec_only() -> None:
    fast = {"rjson"}  # the extra, where it is installed
    foreign = imported() - STANDARD - ALLOWED - fast - {"aiocouch", "cython_runtime"}
    foreign = {name for name in foreign if not name.startswith("_cython_")}
    # What a .pth file of the environment loads is loaded before us.
    bare = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
    )
    assert foreign - {name.partition(".")[0] for name in bare.stdout.split()} == set()


def test_import_leaves_the_server_and_the_command_line_out() -> None:
    code = "import sys, aiocouch; print(*[m for m in sys.modules if m.startswith('aiocouch.')])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True
    )
    heavy = ("aiocouch.embedded", "aiocouch.cli", "aiocouch.testing")
    assert [name for name in done.stdout.split() if name.startswith(heavy)] == []
