"""What imports what: no cycles, nothing heavy, nothing that is not declared."""

from __future__ import annotations

import graphlib
import json
import subprocess
import sys

import grimp
import pytest

_LOADED = """
import sys, json
import aiocouch
print(json.dumps(sorted(sys.modules)))
"""
_OF_STRUCTS = """
import sys, json
import msgspec
from aiocouch import CouchDB
class Book(msgspec.Struct):
    title: str
loaded = {name for name in sys.modules if name.startswith("aiocouch.models")}
CouchDB("http://h").database("db").collection(Book)
print(json.dumps([sorted(loaded), sorted(sys.modules)]))
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


def test_models_are_loaded_when_used_and_pydantic_only_for_its_own() -> None:
    before, after = json.loads(run(_OF_STRUCTS))
    assert not before
    assert "aiocouch.models" in after
    assert "pydantic" not in after


def test_what_is_rarely_used_is_loaded_when_it_is() -> None:
    loaded = json.loads(run(_LOADED))
    late = {f"aiocouch.{name}" for name in ("conflicts", "edits", "writing")}
    late |= {f"aiocouch.{name}" for name in ("replication", "server", "slices", "topics")}
    assert late.isdisjoint(loaded)
