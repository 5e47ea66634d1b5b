"""`inspect.signature`, `help` and `typing.get_type_hints` know every public name."""

import typing

import aiocouch
from aiocouch.database import Database
from aiocouch.event import ChangedEvent
from aiocouch.selector import Field
from tests.surface import introspection


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
