"""The examples run, on every server, and say nothing on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aiocouch.testing import CouchDBServer

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, couchdb_server: CouchDBServer, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", example],
        cwd=tmp_path,
        env=os.environ | {"COUCHDB_URL": couchdb_server.auth_url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert not result.stderr
    assert result.stdout


def test_there_are_examples() -> None:
    assert "demo" in {path.stem for path in EXAMPLES}
