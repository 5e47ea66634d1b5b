"""Where a follower keeps how far it is."""

from __future__ import annotations

import asyncio
import inspect
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import msgspec

from aiocouch._hints import complete
from aiocouch._wire.codec import decode
from aiocouch._wire.ids import quote_document_id
from aiocouch.exception import (
    ConflictError,
    InvalidInputError,
    InvalidTypeError,
    NotFoundError,
    UnexpectedAnswerError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiocouch.remote import Remote
    from aiocouch.typing import JsonDict

__all__ = [
    "CallbackCheckpoint",
    "Checkpoint",
    "CheckpointOption",
    "FileCheckpoint",
    "LocalCheckpoint",
    "checkpoint_of",
]


@runtime_checkable
class Checkpoint(Protocol):
    """Keeps one sequence. Anything with these two methods will do."""

    async def load(self) -> str | None:
        """Return the sequence that was saved last, None where there is none."""
        ...

    async def save(self, sequence: str) -> None:
        """Keep the sequence. When this returns, a crash must not lose it."""
        ...


CheckpointOption: TypeAlias = "str | os.PathLike[str] | Checkpoint | None"


class LocalCheckpoint:
    """In the document `_local/aiocouch-follower-{name}` of a database, which is not replicated.

    `database` is anything with a `remote` and an `endpoint`. Raises `ConflictError` when somebody else
    writes the same document: two followers need two names.
    """

    def __init__(self, database: Any, name: str) -> None:
        self._remote: Remote = database.remote
        self._path = f"{database.endpoint}/{quote_document_id(f'_local/aiocouch-follower-{name}')}"
        self._name = name
        self._stored: JsonDict = {}

    async def load(self) -> str | None:
        """Return the sequence that was saved last (`GET /{db}/_local/{docid}`)."""
        self._stored = await self._read()
        sequence: str | None = self._stored.get("sequence")
        return sequence

    async def _read(self) -> JsonDict:
        try:
            return await self._remote.json("GET", self._path, into=dict[str, Any])
        except NotFoundError:
            return {}

    async def save(self, sequence: str) -> None:
        """Keep the sequence (`PUT /{db}/_local/{docid}`)."""
        document = {"sequence": sequence, "follower": self._name}
        if "_rev" in self._stored:
            document["_rev"] = self._stored["_rev"]
        try:
            answer = await self._remote.json(
                "PUT", self._path, into=dict[str, Any], body=self._remote.encode(document)
            )
        except ConflictError:
            await self._settle(sequence)
        else:
            self._stored = {"sequence": sequence, "_rev": answer.get("rev")}

    async def _settle(self, sequence: str) -> None:
        """Find out whether it was our own write, whose answer was lost, that is in the way."""
        known, self._stored = self._stored, await self._read()
        if self._stored.get("sequence") == sequence:
            return
        if self._stored.get("sequence") != known.get("sequence"):
            raise ConflictError(
                f"somebody else writes the checkpoint {self._name!r}: two followers need two names"
            )
        await self.save(sequence)


class FileCheckpoint:
    """In a file, which is replaced as a whole, and is on the disk before `save` returns."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    async def load(self) -> str | None:
        """Return the sequence in the file. Raise `InvalidInputError` for a file that has none."""
        return await asyncio.to_thread(self._load)

    async def save(self, sequence: str) -> None:
        """Write a new file, and give it the name of the old one. Raise `OSError`."""
        await asyncio.to_thread(self._save, sequence)

    def _load(self) -> str | None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            sequence = decode(text)["sequence"]
        except (msgspec.DecodeError, KeyError, TypeError):
            raise InvalidInputError(f"the file {str(self._path)!r} is not a checkpoint") from None
        if not isinstance(sequence, str | int):
            raise InvalidInputError(f"the file {str(self._path)!r} is not a checkpoint")
        return sequence  # type: ignore[return-value]  # an int of CouchDB 1

    def _save(self, sequence: str) -> None:
        folder = self._path.parent
        handle, name = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(msgspec.json.encode({"sequence": sequence}))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Make sure that the new name is on the disk, where the system can do that."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


Load: TypeAlias = "Callable[[], str | Awaitable[str | None] | None]"
Save: TypeAlias = "Callable[[str], Awaitable[None] | None]"


class CallbackCheckpoint:
    """Where two functions keep it, async or not: `save` gets the sequence, `load` gives it back."""

    def __init__(self, load: Load, save: Save) -> None:
        self._load = load
        self._save = save

    async def load(self) -> str | None:
        """Return what the function returns."""
        found = self._load()
        return await found if inspect.isawaitable(found) else found

    async def save(self, sequence: str) -> None:
        """Call the function with it."""
        done = self._save(sequence)
        if inspect.isawaitable(done):
            await done


def checkpoint_of(option: CheckpointOption, database: Any) -> Checkpoint | None:
    """Return the checkpoint that an option stands for: a name of one in the database, or a path."""
    if option is None:
        return None
    if isinstance(option, str):
        if database is None:
            raise InvalidInputError(
                "a checkpoint by name needs a database: give a path or an object"
            )
        return LocalCheckpoint(database, option)
    if isinstance(option, os.PathLike):
        return FileCheckpoint(option)
    if isinstance(option, Checkpoint):
        return option
    raise InvalidTypeError(
        f"checkpoint= is a name, a path or an object with load and save: {option!r}"
    )


def sequence_in(answer: JsonDict, what: str) -> str:
    """Return the sequence at which an answer ends. Raise `UnexpectedAnswerError`."""
    try:
        found: str = answer["last_seq"]
    except KeyError:
        raise UnexpectedAnswerError(f"{what}: an answer without last_seq") from None
    return found


complete("aiocouch")
