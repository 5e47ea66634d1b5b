"""The harness: a server that was killed comes back with its data, under the same URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aiocouch import TransportError
from tests.support.installed import is_installed
from tests.support.killable import killable

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ["embedded", *(["installed"] if is_installed() else [])]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_killed_server_comes_back(kind: str, tmp_path: Path) -> None:
    async with killable(kind, tmp_path) as running:
        url = running.server.url
        async with running.server.connect() as session:
            database = await session.create("kept")
            await (await database.create("a", data={"n": 1})).save()
            running.kill()
            with pytest.raises(TransportError):
                await session.info()
            await running.start()
            assert running.server.url == url
            assert (await database["a"])["n"] == 1
