"""Programs that somebody else wrote for aiocouch 3 and 4 run unchanged and say what they said."""

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from aiocouch.testing import CouchDBServer

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in HERE.glob("*.out"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(couchdb_server: CouchDBServer, program: str) -> None:
    server, name = couchdb_server, f"test-{uuid.uuid4().hex}"
    where = [server.url, server.user, server.password, name]
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "error::ResourceWarning", f"{program}.py", *where],
        cwd=HERE,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stderr.decode() == ""
    assert done.stdout.decode() == (HERE / f"{program}.out").read_text(encoding="utf-8")
    assert done.returncode == 0


def test_every_program_is_run() -> None:
    written = {path.stem for path in HERE.glob("*.py")} - {"__init__", "test_programs"}
    assert written == set(PROGRAMS)
