"""What `_scheduler/docs` tells of a document whose job has ended, but which does not say so yet."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from tests.unit.embedded.server_client import ServerClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Keep the server from writing into a database."""
    path = folder / "databases" / name / "database.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def state_of(client: ServerClient, *wanted: str) -> dict[str, Any]:
    while True:
        shown: dict[str, Any] = (await client("GET", "/_scheduler/docs/_replicator/job")).json
        if shown["state"] in wanted:
            return shown


async def test_it_is_pending(tmp_path: Path) -> None:
    async with ServerClient(tmp_path) as client:
        for name in "ab":
            await client("PUT", f"/{name}")
        await client("PUT", "/a/doc", {})
        end = client.embedded.url_with_credentials
        with locked(tmp_path, "b"):
            body = {"source": f"{end}/a", "target": f"{end}/b"}
            assert (await client("PUT", "/_replicator/job", body)).status == 201
            running = await state_of(client, "running")
            note = locked(tmp_path, "_replicator")
            note.__enter__()
        pending = await state_of(client, "pending", "completed")
        assert (pending["state"], pending["id"]) == ("pending", running["id"])
        assert (pending["info"], pending["error_count"]) == (None, 0)
        note.__exit__(None, None, None)
        await state_of(client, "completed")
