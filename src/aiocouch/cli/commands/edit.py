"""`aiocouch edit DATABASE ID`: a document in your editor."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from aiocouch import ConflictError, Document, NotFoundError
from aiocouch.cli.asking import ask
from aiocouch.cli.editor import Draft
from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.merging import Overlap, differences, is_same, merge
from aiocouch.cli.output import Column, Output, add_output
from aiocouch.cli.target import Of, Target, add_target, read_target
from aiocouch.cli.values import object_of

if TYPE_CHECKING:
    import argparse

__all__ = ["configure"]

_COLUMNS = (Column("id"), Column("rev", "revision"))


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command does, and which options it takes."""
    parser.epilog = (
        "The editor is that of VISUAL or EDITOR. What was typed and not saved is kept in a file, which is "
        "named. Ends with 4 if somebody saved meanwhile and the two were not merged."
    )
    add_target(parser, Of.DATABASE)
    parser.add_argument("id", metavar="ID", help="the document")
    parser.add_argument("--create", action="store_true", help="begin a new one if there is none")
    parser.add_argument(
        "--on-conflict",
        choices=("ask", "merge", "fail"),
        default="ask",
        help="if somebody saved meanwhile: ask on a terminal (and else fail), merge what does not "
        "overlap (and else fail), or fail (default: %(default)s)",
    )
    add_output(parser)
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    edited = _Edited(read_target(given, Of.DATABASE), given)
    draft = Draft(given.id)
    try:
        edited.in_editor(draft)
    except BaseException:
        if draft.has_typing:
            edited.out.problem(f"what you typed is kept in {draft.path}")
        else:
            draft.forget()
        raise
    draft.forget()
    return Exit.DONE


@dataclass
class _Version:
    """A content without revision, and the revision that it has; None for a document that does not exist."""

    content: dict[str, Any]
    rev: str | None

    def text(self) -> bytes:
        """Return the text that people edit."""
        own = {"_id": self.content["_id"]} | ({"_rev": self.rev} if self.rev else {})
        return msgspec.json.format(msgspec.json.encode({**own, **self.content}), indent=2) + b"\n"


class _Edited:
    """A document that is edited, and saved on top of what was seen of it."""

    def __init__(self, target: Target, given: argparse.Namespace) -> None:
        self.out = Output(given)
        self._target = target
        self._given = given

    def in_editor(self, draft: Draft) -> None:
        """Edit and save it, as often as it takes."""
        # The loop does not run while a person types: each request has a session of its own.
        seen = asyncio.run(self._fetch())
        if seen.rev is None and not self._given.create:
            raise CommandError(f"there is no document {self._given.id!r}: --create", Exit.NOT_FOUND)
        draft.write(seen.text())
        mine = self._typed(draft, seen)
        while not is_same(mine, seen.content):
            try:
                rev = asyncio.run(self._save(mine, seen.rev))
            except ConflictError as error:
                before, seen = seen, asyncio.run(self._fetch())
                mine = self._reconciled(draft, error, before, mine, seen)
            else:
                self.out.facts({"id": self._given.id, "rev": rev}, _COLUMNS)
                return
        why = "it is so already" if seen.rev else "nothing was typed"
        self.out.note(f"{why}: nothing was saved")

    def _typed(self, draft: Draft, seen: _Version) -> dict[str, Any]:
        while True:
            text = draft.edit()
            try:
                return self._read(text, seen)
            except CommandError as error:
                self.out.problem(str(error))
                if ask("It cannot be saved.", {"e": "edit again", "q": "quit"}) != "e":
                    raise CommandError("nothing was saved") from None

    def _read(self, text: bytes, seen: _Version) -> dict[str, Any]:
        found = object_of(text, "the text")
        if found.get("_id", self._given.id) != self._given.id:
            raise CommandError("the _id cannot be changed: `put` makes another document")
        if found.pop("_rev", seen.rev) != seen.rev:
            raise CommandError(f"the _rev is CouchDB's, and must stay {seen.rev}")
        return {"_id": self._given.id, **found}

    def _reconciled(
        self,
        draft: Draft,
        error: ConflictError,
        before: _Version,
        mine: dict[str, Any],
        now: _Version,
    ) -> dict[str, Any]:
        """Return what to save now that somebody else was faster."""
        if now.rev is None:
            self.out.problem(f"somebody deleted {self._given.id!r} meanwhile")
            merged, overlaps = mine, list[Overlap]()
        else:
            merged, overlaps = merge(before.content, mine, now.content)
            self._tell_changes(before, now, overlaps)
        choice = self._choice(now, overlaps)
        if choice == "m":
            return merged
        if choice != "e":
            raise CommandError(
                f"{str(error).rstrip('.')}. Nothing was saved", Exit.CONFLICT
            ) from None
        return self._edited_again(draft, merged, overlaps, now)

    def _edited_again(
        self, draft: Draft, merged: dict[str, Any], overlaps: list[Overlap], now: _Version
    ) -> dict[str, Any]:
        """Let the person edit what was merged, as far as it could be, on top of what is there now."""
        self.out.problem(f"what you typed before is kept in {draft.keep()}")
        draft.write(_Version(merged, now.rev).text())
        if now.rev is not None:
            self.out.problem(f"what they saved is in {draft.write_beside('theirs', now.text())}")
        mine = self._typed(draft, now)
        while overlaps and not draft.is_changed:
            # Who leaves the editor at once may not mean that theirs is to be replaced.
            answers = {"s": "save it so", "e": "edit again", "q": "quit"}
            choice = ask("You changed nothing; where both did, yours would stand.", answers)
            if choice == "s":
                break
            if choice != "e":
                raise CommandError("nothing was saved", Exit.CONFLICT)
            mine = self._typed(draft, now)
        return mine

    def _tell_changes(self, before: _Version, now: _Version, overlaps: list[Overlap]) -> None:
        places = [each.path for each in differences([before.content, now.content])]
        changed = ", ".join(places) or "nothing"
        self.out.problem(f"somebody saved {now.rev} meanwhile, and changed {changed}")
        for overlap in overlaps:
            yours, others = _short(overlap.ours), _short(overlap.theirs)
            self.out.problem(f"  both changed {overlap.path}: yours {yours}, theirs {others}")

    def _choice(self, now: _Version, overlaps: list[Overlap]) -> str | None:
        how = self._given.on_conflict
        if how == "merge":
            return "m" if now.rev is not None and not overlaps else None
        if how == "fail":
            return None
        answers = {"e": "edit again on top of theirs", "q": "quit"}
        if not overlaps:
            answers = {"m": "merge" if now.rev else "create it anew", **answers}
        return ask("What now?", answers)

    async def _fetch(self) -> _Version:
        async with self._target.connect() as couchdb:
            try:
                document = await self._target.database(couchdb).get(self._given.id)
            except NotFoundError:
                await self._target.database(couchdb).info()  # or this is not found
                return _Version({"_id": self._given.id}, None)
            return _Version(
                {name: value for name, value in document.items() if name != "_rev"}, document.rev
            )

    async def _save(self, content: dict[str, Any], rev: str | None) -> str | None:
        data = content if rev is None else {**content, "_rev": rev}
        async with self._target.connect() as couchdb:
            document = Document(self._target.database(couchdb), self._given.id, data)
            await document.save()
            return document.rev


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, dict | list | str | int | float | bool) else ""
    text = text or msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"
