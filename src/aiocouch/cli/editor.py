"""A text in the editor of a person, who never loses what was typed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from aiocouch.cli.exits import CommandError, Exit
from aiocouch.cli.reading import interrupts_to

__all__ = ["Draft"]


class Draft:
    """A file that is edited, in a folder of its own that nobody else can read."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aiocouch-edit-"))
        self._name = re.sub(r"[^\w.@+-]+", "-", name)[:60].strip("-.") or "document"
        self.path = self.folder / f"{self._name}.json"
        self._written = b""
        self._count = 0

    def write(self, text: bytes) -> None:
        """Write the text that is to be edited."""
        self._written = text
        self.path.write_bytes(text)

    def write_beside(self, what: str, text: bytes) -> Path:
        """Write another text that helps to edit, and return where."""
        path = self.folder / f"{self._name}.{what}.json"
        path.write_bytes(text)
        return path

    def keep(self) -> Path:
        """Keep the text as it is now under another name, and return where."""
        self._count += 1
        return self.write_beside(f"typed-{self._count}", self.path.read_bytes())

    def edit(self) -> bytes:
        """Let the person edit it in `$VISUAL`, `$EDITOR` or vi, and return the text."""
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        try:
            process = subprocess.Popen([*shlex.split(editor), str(self.path)])  # noqa: S603 - theirs
        except (OSError, ValueError) as error:
            said = f"the editor {editor!r} does not start: {error}. Set EDITOR"
            raise CommandError(said, Exit.USAGE) from None
        with interrupts_to(signal.SIG_IGN):  # the editor has it, in the same group of processes
            status = process.wait()
        if status:
            raise CommandError(f"the editor ended with {status}. Nothing was saved")
        if not self.path.is_file():
            raise CommandError("the editor left no file. Nothing was saved")
        return self.path.read_bytes()

    @property
    def has_typing(self) -> bool:
        """Whether there is something in the folder that a person has typed."""
        return self._count > 0 or self.is_changed

    @property
    def is_changed(self) -> bool:
        """Whether the text is another than the one that was written."""
        return self.path.exists() and self.path.read_bytes() != self._written

    def forget(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
