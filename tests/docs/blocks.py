"""The code blocks of a page, and how they are run.

- Blocks of ``python`` run from top to bottom in one namespace, with ``await`` at the top level.
  Those inside an HTML comment run as well: that is how a page prepares what it does not show.
- A block of ``text`` right behind one of ``python`` is what that block prints; ``...`` in it
  stands for any text.
- A block of ``python`` under the comment ``<!-- test file -->`` is a test file and runs in pytest.
- One under the comment ``<!-- program -->`` is a whole program and runs in a Python of its own.
- ``"http://127.0.0.1:5984", "admin", "admin"``, which is what ``aiocouch serve`` starts, stands for
  the server of the tests.
- Blocks of other languages do not run.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import inspect
import io
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_TEST_FILE = "<!-- test file -->"
_PROGRAM = "<!-- program -->"
_SERVED = '"http://127.0.0.1:5984", "admin", "admin"'
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A code block: where it is, what it says, and what it must print (None: anything)."""

    page: Path
    line: int
    code: str
    output: str | None
    is_test_file: bool
    is_program: bool = False

    @property
    def runs_in_page(self) -> bool:
        """Whether it is a part of its page, and no file of its own."""
        return not (self.is_test_file or self.is_program)


def blocks_of(page: Path) -> list[Block]:
    """Read the blocks of ``python`` of a page."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    return [
        _block(page, text, fence, after)
        for fence, after in zip_longest(fences, fences[1:])
        if fence[2] == "python"
    ]


def _block(page: Path, text: str, fence: re.Match[str], after: re.Match[str] | None) -> Block:
    printed = None
    if after and after[2] == "text" and not text[fence.end() : after.start()].strip():
        printed = after[3]
    return Block(
        page,
        text.count("\n", 0, fence.start()) + 2,
        inspect.cleandoc("\n" + fence[3]),
        printed,
        text[: fence.start()].rstrip().endswith(_TEST_FILE),
        text[: fence.start()].rstrip().endswith(_PROGRAM),
    )


async def run_block(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block; AssertionError when it prints something else than the page says."""
    # Line numbers as in the page, so that a traceback points to it.
    source = "\n" * (block.line - 1) + block.code.replace(_SERVED, "SERVER_URL, USER, PASSWORD")
    code = compile(source, str(block.page), "exec", flags=_AWAIT, dont_inherit=True)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(code, namespace)
        if inspect.iscoroutine(result):
            await result
    compare(block, printed.getvalue())


def compare(block: Block, printed: str) -> None:
    """Raise AssertionError when a block has printed something else than the page says."""
    if block.output is None:
        return
    same = doctest.OutputChecker().check_output(block.output, printed, _FLAGS)
    assert same, f"{block.page}:{block.line} prints\n{printed}\nand not\n{block.output}"
