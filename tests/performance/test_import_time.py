"""The CPU that our import needs, beside that of aiohttp in the same process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

SHARE = 0.25
TIMES = 11
_MEASURE = """
import time
start = time.process_time()
import aiohttp
middle = time.process_time()
import aiocouch
print((time.process_time() - middle) / (middle - start))
"""


def share() -> float:
    # With the bytecode that an installation has.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", _MEASURE]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return float(done.stdout)


def test_imports_quickly() -> None:
    # The median of some: single ones say how busy the machine is.
    assert statistics.median(share() for _ in range(TIMES)) < SHARE
