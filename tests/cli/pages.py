"""The lists of options in docs/cli*.md, as the commands themselves tell them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from aiocouch.cli.parsing import whole_parser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
COMMON = {"help", "json", "quiet", "verbose", "profile", "user", "ca"}
"""Options that most commands have, which the page tells once."""
_LIST = re.compile(r"(<!-- options of ([\w ]+?) -->\n).*?(<!-- end of options -->)", re.DOTALL)


@functools.cache
def _commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of all commands, and of their actions: "users", "users add"."""
    return dict(_below(whole_parser()))


def _below(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way
        if isinstance(action.choices, dict):
            for name, found in action.choices.items():
                yield f"{before}{name}", found
                yield from _below(found, f"{before}{name} ")


def commands() -> list[str]:
    """Return the names of all commands and of their actions."""
    return list(_commands())


def actions_of(command: str) -> list[argparse.Action]:
    """Return the arguments and options of a command."""
    return _commands()[command]._actions  # noqa: SLF001 - as above


def pages() -> dict[Path, str]:
    """Return the pages of the command line as they should be."""
    found = {page: page.read_text("utf-8") for page in sorted(DOCS.glob("cli*.md"))}
    return {page: _LIST.sub(_filled, text) for page, text in found.items()}


def _filled(place: re.Match[str]) -> str:
    return f"{place[1]}{listing(place[2])}\n{place[3]}"


def listing(command: str) -> str:
    """Return a list of what a command takes, a line each, without what most take."""
    parser = _commands()[command]
    lines = [_line(parser, action) for action in actions_of(command) if action.dest not in COMMON]
    common = sorted(COMMON & {action.dest for action in actions_of(command)} - {"help"})
    if common:
        lines.append(
            f"- and {', '.join(f'`--{name}`' for name in common)}, as [every command](#every-command) has"
        )
    return "\n".join(lines)


def _line(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = _value(action)
    names = [f"`{name}{value}`" for name in action.option_strings] or [f"`{value.strip()}`"]
    told = (action.help or "") % {**vars(action), "prog": parser.prog}
    return f"- {', '.join(names)}: {told}"


def _value(action: argparse.Action) -> str:
    """Return what stands for the value of an option or argument."""
    if action.nargs == 0:
        return ""
    name = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}"
        if action.choices
        else action.dest.upper().replace("_", "-")
    )
    several = {"?": f" [{name}]", "*": f" [{name} …]", "+": f" {name} …"}
    return several.get(str(action.nargs), f" {name}")
