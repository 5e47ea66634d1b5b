"""What imports what: no cycles, nothing heavy, nothing that is not declared."""

from __future__ import annotations

import graphlib
import json
import subprocess
import sys

import grimp
import pytest

IMPORT_SECONDS = 0.25
_MEASURE = """
import sys, time
start = time.process_time()
import aiocouch
print(time.process_time() - start)
"""
_LOADED = """
import sys, json
import aiocouch
print(json.dumps(sorted(sys.modules)))
"""


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("aiocouch", exclude_type_checking_imports=True)


def test_no_import_cycle_at_run_time(graph: grimp.ImportGraph) -> None:
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # CycleError names the cycle


def test_the_client_imports_neither_server_nor_extras() -> None:
    loaded = json.loads(run(_LOADED))
    unwanted = {"aiocouch.embedded", "aiocouch.testing", "aiocouch.cli", "rich", "pytest"}
    assert unwanted.isdisjoint(loaded)
    assert not [name for name in loaded if name.split(".")[0] in {"quickjs", "sqlite3"}]


def test_imports_quickly() -> None:
    # CPU time, and the best of some: the rest says how busy the machine is.
    assert min(float(run(_MEASURE)) for _ in range(5)) < IMPORT_SECONDS
