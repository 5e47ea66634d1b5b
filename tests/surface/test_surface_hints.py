"""`inspect.signature`, `help` and `typing.get_type_hints` know every public name."""

import json
import subprocess
import sys
import typing

import pytest

import aiocouch
from aiocouch.database import Database
from aiocouch.event import ChangedEvent
from aiocouch.selector import Field
from tests.surface import introspection

# In a program that has loaded nothing else.
_FIRST_THING = """
import aiocouch, json, typing
found = {}
for face in (aiocouch.Database, aiocouch.Document, aiocouch.CouchDB):
    for name, member in vars(face).items():
        member = member.fget if isinstance(member, property) else member
        if callable(member):
            gives = typing.get_type_hints(member).get("return")
            path = f"{face.__name__}.{name}"
            found[path] = [getattr(gives, "__module__", ""), getattr(gives, "__qualname__", "")]
print(json.dumps(found))
"""
_LATE = {
    "Database.maintenance": ["aiocouch.topics.maintenance", "Maintenance"],
    "Database.search": ["aiocouch.topics.search", "SearchIndex"],
    "Database.partition": ["aiocouch.topics.partition", "Partition"],
    "Database.replicate_to": ["aiocouch.replication.replication", "Replication"],
    "Database.write": ["aiocouch.writing.writer", "BulkWriter"],
    "Database.leaves": ["aiocouch.conflicts", "Leaves"],
    "Document.leaves": ["aiocouch.conflicts", "Leaves"],
    "CouchDB.session": ["aiocouch.server.session", "Session"],
    "CouchDB.node": ["aiocouch.server.node", "Node"],
}
_ROOMS = [
    f"aiocouch.{name}"
    for name in (
        "changes",
        "conflicts",
        "dumping",
        "edits",
        "models",
        "queries",
        "replication",
        "schema",
        "server",
        "slices",
        "topics",
        "writing",
    )
]
_OF_A_ROOM = """
import importlib, inspect, sys, typing
import aiocouch{also}
room = importlib.import_module({room!r})
for name in room.__all__:
    thing = getattr(room, name)
    if inspect.isclass(thing):
        assert "aiocouch.embedded" not in repr(typing.get_type_hints(thing)), name
    for _, member in inspect.getmembers(thing, inspect.isfunction):
        if member.__name__ == "__new__":  # a tuple's, made by Python
            continue
        for hint in typing.get_type_hints(member).values():
            assert "aiocouch.embedded" not in repr(hint), (name, member, hint)
"""


def test_python_can_tell_of_every_public_name() -> None:
    assert list(introspection.failures()) == []


def test_no_public_name_was_forgotten() -> None:
    seen = {path for path, _ in introspection.public()}
    things = {name: getattr(aiocouch, name) for name in aiocouch.__all__}
    assert {f"aiocouch.{name}" for name in things if not isinstance(things[name], Field)} <= seen
    assert {
        "aiocouch.event.ChangedEvent",
        "aiocouch.database.Database.docs",
        "aiocouch.typing.ViewOptions",
        "aiocouch.testing.faults.Faults.answer",
        "aiocouch.embedded.EmbeddedCouchDB.start",
        "aiocouch.cli.main",
    } <= seen


def test_hints_are_the_classes_themselves() -> None:
    assert typing.get_type_hints(ChangedEvent)["database"] is Database
    assert typing.get_type_hints(Database.get)["return"] is aiocouch.Document


def _run(code: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_hints_load_the_classes_that_they_name() -> None:
    found = json.loads(_run(_FIRST_THING))
    assert {name: found[name] for name in _LATE} == _LATE


@pytest.mark.parametrize("also", ["", ", aiocouch.embedded, aiocouch.testing"])
@pytest.mark.parametrize("room", _ROOMS)
def test_what_is_loaded_late_has_hints_of_the_client(room: str, also: str) -> None:
    _run(_OF_A_ROOM.format(room=room, also=also))


def test_what_is_loaded_late_is_there_like_the_rest() -> None:
    _run("""
import aiocouch, pickle
assert set(aiocouch.__all__) <= set(dir(aiocouch))
assert pickle.loads(pickle.dumps(aiocouch.Edit)) is aiocouch.Edit
from aiocouch import *
assert BulkWriter is aiocouch.BulkWriter
assert not hasattr(aiocouch, "BulkReader")
""")
