"""The CPU that our import needs, beside that of aiohttp in the same process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

SHARE = 0.16
TIMES = 11
_MEASURE = """
import time
start = time.process_time()
import aiohttp
middle = time.process_time()
import aiocouch
print((time.process_time() - middle) / (middle - start))
"""

_LATE = ("_transport.send", "auth", "changes", "hooks", "mango", "models", "remote", "replication")


def share() -> float:
    # With the bytecode that an installation has.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", _MEASURE]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return float(done.stdout)


def test_imports_quickly() -> None:
    # The median of some: single ones say how busy the machine is.
    assert statistics.median(share() for _ in range(TIMES)) < SHARE


def test_brings_the_faces_alone() -> None:
    code = "import sys; from aiocouch import CouchDB, Database; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    loaded = done.stdout.decode().split()
    assert "aiocouch.database" in loaded
    assert [name for name in _LATE if f"aiocouch.{name}" in loaded] == []
