"""A real PouchDB (npm package `pouchdb`, run by node) pushes to the server and pulls from it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

if TYPE_CHECKING:
    from tests.replication.site import Site

PROGRAM = Path(__file__).with_name("pouchdb_sync.js")
INSTALLED = Path(sys.prefix) / "pouchdb" / "node_modules"
"""Where `make pouchdb` puts the package."""


async def node(*arguments: str, modules: str | None = None) -> tuple[int, bytes, bytes]:
    """Run node and give its status, output and errors."""
    environment = {**os.environ, **({"NODE_PATH": modules} if modules else {})}
    process = await asyncio.create_subprocess_exec(
        "node",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output, errors


async def find_modules() -> str:
    """Give the folder with the package; skips the test where there is none."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    folders = [os.environ.get("POUCHDB_MODULES", ""), os.environ.get("NODE_PATH", "")]
    folders.append(str(INSTALLED))
    npm = shutil.which("npm")
    if npm is not None:
        process = await asyncio.create_subprocess_exec(
            npm, "root", "-g", stdout=asyncio.subprocess.PIPE
        )
        folders.append((await process.communicate())[0].decode().strip())
    for folder in filter(None, folders):
        if (Path(folder) / "pouchdb").is_dir():
            return folder
    pytest.skip("the npm package pouchdb is not installed (`make pouchdb` does that)")


async def synchronise(there: Site, far: str, folder: Path) -> dict[str, Any]:
    modules = await find_modules()
    arguments = (str(PROGRAM), str(folder / "pouch"), there.end(far))
    status, output, errors = await node(*arguments, modules=modules)
    assert status == 0, errors.decode()
    result = msgspec.json.decode(output)
    assert isinstance(result, dict)
    return result


def comparable(document: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Take out what PouchDB and CouchDB show differently: the digests of compressed text."""
    members = {
        name: (member["content_type"], member["revpos"], member["data"])
        for name, member in document.get("_attachments", {}).items()
    }
    return str(document["_rev"]), {**document, "_attachments": members}


async def test_pouchdb_synchronises_both_ways(there: Site, far: str, tmp_path: Path) -> None:
    text = {"content_type": "text/plain", "data": "aGVsbG8="}
    await there.must("PUT", f"{far}/served", {"from": "server", "_attachments": {"s.txt": text}})
    result = await synchronise(there, far, tmp_path)
    for run in ("pushed", "pulled", "again"):
        assert (result[run]["ok"], result[run]["doc_write_failures"]) == (True, 0)
    assert result["pushed"]["docs_written"] == 6
    assert result["pulled"]["docs_written"] == 1
    assert result["again"]["docs_read"] == 0
    assert result["live"] == ["live"]
    trees = await there.trees(far)
    assert set(result["documents"]) == set(trees)
    for doc_id, document in result["documents"].items():
        assert document["deleted"] == trees[doc_id]["deleted"]
        theirs = dict(map(comparable, document["leaves"]))
        assert theirs == dict(map(comparable, trees[doc_id]["leaves"]))
