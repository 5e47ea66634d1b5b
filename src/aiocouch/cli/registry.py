"""The table of commands. To add one is to add a line here, and its file in `commands`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    import argparse

__all__ = ["COMMANDS", "Command"]


class _Module(Protocol):
    def configure(self, parser: argparse.ArgumentParser, /) -> None: ...


class Command(NamedTuple):
    """A command: its name, which is that of its module, too, and what it does, in a few words."""

    name: str
    summary: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Load the command, and let it say which options it takes."""
        module = importlib.import_module(f"aiocouch.cli.commands.{self.name}")
        parser.description = f"{self.summary[0].upper()}{self.summary[1:]}."
        cast("_Module", module).configure(parser)


COMMANDS = (
    Command("attachments", "list, get, store and delete the attachments of a document"),
    Command("cat", "print documents"),
    Command("compact", "compact a database, and its views"),
    Command("completion", "print what makes a shell complete commands and options"),
    Command("conflicts", "list, show and resolve conflicts"),
    Command("copy", "copy a database to another one, of any server"),
    Command("doctor", "look for what is wrong with a server or a database"),
    Command("dump", "write all leaves of a database, with their histories, into a file"),
    Command("edit", "edit a document in your editor"),
    Command("export", "write documents as lines of JSON, as JSON or as CSV"),
    Command("find", "find documents by what is in them"),
    Command("info", "tell about a server, or a database"),
    Command("load", "write documents out of files of JSON lines, JSON or CSV"),
    Command("ls", "list the databases of a server, or the documents of a database"),
    Command("put", "store a document"),
    Command("replications", "list, watch and end what the server replicates"),
    Command("restore", "make a database of a dump, or add it to one"),
    Command("rm", "delete documents"),
    Command("schema", "compare a database with a schema, and make it so"),
    Command("security", "show and change who may read and write a database"),
    Command("serve", "run an embedded CouchDB"),
    Command("sync", "copy two databases to each other"),
    Command("tail", "print the last changes of a database, and those that come"),
    Command("top", "show what a server does now"),
    Command("users", "list, create, change and delete users"),
    Command("view", "print the rows of a view"),
)
"""All commands, in the order of the alphabet."""
