"""A served folder whose files may not grow any more, as on a full disk."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from aiocouch.embedded.store.registry import Databases
from tests.crash.ledger import DATABASE, check_whole
from tests.crash.processes import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.processes import Client

TEXT = "x" * 5000
FULL = 400_000

pytestmark = pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux changes the limits of another process"
)


def allow_files(client: Client, size: int) -> None:
    """Let no file of the server grow over a size; -1 ends that."""
    resource.prlimit(client.pid, resource.RLIMIT_FSIZE, (size, -1))


async def write(client: Client, name: str) -> int:
    """Write a document, and an attachment where that succeeded; give the last status."""
    status, answer = await client("PUT", f"{DATABASE}/{name}", {"text": TEXT})
    if status != 201:
        assert isinstance(answer, dict)
        assert answer["error"] in {"storage_error", "insufficient_storage"}
        return status
    assert isinstance(answer, dict)
    path = f"{DATABASE}/{name}/a?rev={answer['rev']}"
    return (await client("PUT", path, data=name.encode() * 1000))[0]


@pytest.mark.timeout(60)
async def test_all_goes_on_once_there_is_space_again(tmp_path: Path) -> None:
    written: list[str] = []
    async with serving(tmp_path) as client:
        await client("PUT", DATABASE)
        for round_ in range(3):
            allow_files(client, FULL * (round_ + 1))
            statuses: list[int] = []
            while statuses.count(201) == len(statuses) or len(statuses) < 20:
                name = f"{round_}-{len(statuses)}"
                statuses.append(await write(client, name))
                if statuses[-1] == 201:
                    written.append(name)
            assert {*statuses} <= {201, 500, 507}
            for name in written:
                assert (await client("GET", f"{DATABASE}/{name}"))[0] == 200
            allow_files(client, -1)
            assert await write(client, f"{round_}-after") == 201
            written.append(f"{round_}-after")
        client.kill()
    databases = Databases(tmp_path)
    database = databases.open(DATABASE)
    assert database is not None
    check_whole(database)
    assert database.get_many(written).keys() == {*written}
    assert all(entry.attachments for entry in database.get_many(written).values())
    await databases.close()
