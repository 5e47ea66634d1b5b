"""Notes in the terminal, on devices that are not always online.

    python notes.py FOLDER add "Buy milk"                       # works without any network
    python notes.py FOLDER edit ID "Buy two litres of milk"
    python notes.py FOLDER remove ID
    python notes.py FOLDER list
    python notes.py FOLDER sync https://user:password@host/notes
    python notes.py FOLDER follow https://user:password@host/notes   # until Ctrl-C

The notes are in a database in this process, in the folder. `sync` makes it equal to one on a server, from
which other devices take what is new. A note that was edited on two devices has both texts afterwards.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from aiocouch import Database, Document, NotFoundError
from aiocouch.embedded import EmbeddedCouchDB
from aiocouch.exception import CouchDBError


async def add(notes: Database, text: str) -> None:
    """Write a note, and print its id."""
    note = await notes.add({"text": text, "when": datetime.now(UTC).isoformat()})
    print(note.id)


async def edit(notes: Database, id: str, text: str) -> None:
    """Give a note another text."""
    note = await notes[id]
    note["text"] = text
    await note.save()


async def remove(notes: Database, id: str) -> None:
    """Delete a note."""
    await (await notes[id]).delete()


async def show(notes: Database) -> None:
    """Print all notes, those that came first at the top."""
    found = [note async for note in notes.docs() if "text" in note]
    for note in sorted(found, key=lambda note: str(note.get("when"))):
        print(f"{note.id}  {note['text']}")


def both(base: Document | None, versions: list[Document]) -> None:
    """Make one note of several: the texts that were written, in an order that all devices find."""
    first, *_ = versions
    first["text"] = " / ".join(sorted({str(version["text"]) for version in versions}))


async def settle(notes: Database) -> bool:
    """Resolve all conflicts. Return whether there were any."""
    found = [conflict async for conflict in notes.conflicts()]
    for conflict in found:
        await notes.resolve(conflict.id, both)
        print(f"{conflict.id} was edited on two devices")
    return bool(found)


async def sync(notes: Database, url: str) -> None:
    """Make the notes equal to those on the server, and send what became of conflicts."""
    done = await notes.sync(url, push={"create_target": True})
    if done.push and done.pull:
        print(f"equal: {done.push.docs_written} sent, {done.pull.docs_written} got")
    if await settle(notes):
        await notes.sync(url)


async def follow(notes: Database, url: str) -> None:
    """Keep the notes equal, whether the network is there or not, until somebody ends it."""
    seen = ""
    async for progress in notes.sync(url, live=True, push={"create_target": True}):
        if progress.state == "idle":
            await settle(notes)
        got = progress.pull.docs_written if progress.pull else 0
        said = f"{progress.state}, {got} got"
        if said != seen:
            seen = said
            print(said, flush=True)


COMMANDS: dict[str, Callable[..., Awaitable[None]]] = {
    "add": add,
    "edit": edit,
    "remove": remove,
    "list": show,
    "sync": sync,
    "follow": follow,
}


async def run(folder: Path, command: str, words: list[str]) -> None:
    """Open the notes, and do what is asked."""
    async with EmbeddedCouchDB(folder).connect() as couchdb:
        notes = await couchdb.create("notes", exists_ok=True)
        await COMMANDS[command](notes, *words)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="notes.py", description="Notes that work offline.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("words", nargs="*", help="a text, an id, a URL")
    if len(sys.argv) == 1:
        parser.print_help()
        return
    given = parser.parse_args()
    try:
        asyncio.run(run(given.folder.absolute(), given.command, given.words))
    except NotFoundError:
        sys.exit("there is no such note")
    except CouchDBError as error:
        sys.exit(f"that did not work: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
