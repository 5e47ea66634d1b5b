"""`aiocouch attachments ACTION DATABASE ID …`: what belongs to a document."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import sys
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from aiocouch import Document
from aiocouch.cli.actions import Actions
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.output import Column, Output, add_output, as_bytes
from aiocouch.cli.progress import progress
from aiocouch.cli.reading import apart, stdin_bytes
from aiocouch.cli.target import Of, add_target, read_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncGenerator

    from aiocouch import Attachment

__all__ = ["configure"]

_LIST = (
    Column("name"),
    Column("content_type", "type"),
    Column("length", "size", as_bytes, is_number=True),
    Column("digest"),
)
_DONE = (Column("id"), Column("name"), Column("rev", "revision"))
_BINARY = "application/octet-stream"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    actions = Actions(parser, "list, get, put or rm")
    _add(actions.add("list", "list the attachments of a document", _list))
    get = actions.add("get", "print an attachment, or write it to a file", _get)
    _add(get, "the attachment")
    get.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="where to; - for stdout (default: -)"
    )
    put = actions.add("put", "store a file as an attachment", _put)
    _add(put)
    put.add_argument("file", metavar="FILE", help="the file; - for stdin")
    put.add_argument("--name", help="the name of the attachment; else that of the file")
    put.add_argument("--type", help="its content type; else by the end of its name")
    _add(actions.add("rm", "delete an attachment", _rm), "the attachment")


def _add(parser: argparse.ArgumentParser, name: str | None = None) -> None:
    add_target(parser, Of.DATABASE)
    parser.add_argument("id", metavar="ID", help="the document")
    if name:
        parser.add_argument("name", metavar="NAME", help=name)
    add_output(parser)


async def _list(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        document = await target.database(couchdb).get(given.id)
        stubs = document.get("_attachments", {})
        out.table(({"name": name, **stub} for name, stub in stubs.items()), _LIST)
    return Exit.DONE


async def _get(given: argparse.Namespace) -> int:
    target = read_target(given, Of.DATABASE)
    async with target.connect() as couchdb:
        attachment = Document(target.database(couchdb), given.id).attachment(given.name)
        if given.file != "-":
            await _to_file(attachment, given)
            return Exit.DONE
        if sys.stdout.isatty() and not await _is_text(attachment):
            raise CommandError(
                f"{given.name!r} is not text: name a file, or use a pipe", Exit.USAGE
            )
        await _copied(attachment, sys.stdout.buffer, given)
        sys.stdout.buffer.flush()
    return Exit.DONE


async def _is_text(attachment: Attachment) -> bool:
    await attachment.exists()
    kind = attachment.content_type or ""
    return kind.startswith("text/") or "json" in kind or "xml" in kind


async def _to_file(attachment: Attachment, given: argparse.Namespace) -> None:
    """Write a file that is whole, or none."""
    path = Path(given.file)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            await _copied(attachment, file, given)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


async def _copied(attachment: Attachment, into: IO[bytes], given: argparse.Namespace) -> None:
    with progress(given, given.name, unit="bytes", prints=given.file == "-") as shown:
        async with aclosing(attachment.stream()) as content:
            async for piece in content:
                await asyncio.to_thread(into.write, piece)
                shown.advance(len(piece))


async def _put(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    name = given.name or (None if given.file == "-" else Path(given.file).name)
    if not name:
        raise CommandError("what comes from stdin needs a --name", Exit.USAGE)
    kind = given.type or mimetypes.guess_type(name)[0] or _BINARY
    async with target.connect() as couchdb:
        document = await target.database(couchdb).get(given.id)
        content = _stdin() if given.file == "-" else _file(given.file)
        await document.attachment(name).save(content, kind)
        out.facts({"id": given.id, "name": name, "rev": document.rev}, _DONE)
    return Exit.DONE


def _file(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise CommandError(f"there is no file {name}", Exit.NOT_FOUND)
    return path


async def _stdin() -> AsyncGenerator[bytes, None]:
    file = stdin_bytes()  # to close it is to wait for who reads it
    while piece := await apart(partial(file.read, 1 << 18)):
        yield piece


async def _rm(given: argparse.Namespace) -> int:
    target, out = read_target(given, Of.DATABASE), Output(given)
    async with target.connect() as couchdb:
        document = await target.database(couchdb).get(given.id)
        if given.name not in document.get("_attachments", {}):
            said = f"{given.id!r} has no attachment {given.name!r}"
            raise CommandError(said, Exit.NOT_FOUND)  # CouchDB takes it for deleted
        await document.attachment(given.name).delete()
        out.facts({"id": given.id, "name": given.name, "rev": document.rev}, _DONE)
    return Exit.DONE
