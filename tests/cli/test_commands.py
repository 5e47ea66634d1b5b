"""Every command tells about itself, completes, and is described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
import pytest
import shtab

from aiocouch.cli.exits import Exit
from aiocouch.cli.parsing import whole_parser
from aiocouch.cli.registry import COMMANDS, Command
from tests.cli.pages import actions_of, commands, pages

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


def test_commands_are_in_order_and_each_once() -> None:
    names = [command.name for command in COMMANDS]
    assert names == sorted(set(names))
    files = (ROOT / "src/aiocouch/cli/commands").glob("[!_]*.py")
    assert sorted(file.stem for file in files) == names


@EVERY
async def test_it_has_help(command: Command, alone: Run) -> None:
    ended = await alone(command.name, "--help")
    assert ended.status == 0
    assert ended.out.startswith(f"usage: aiocouch {command.name}")
    assert command.summary[1:].split()[0] in ended.out
    assert all(action.help for action in actions_of(command.name))


def test_the_docs_are_as_the_help() -> None:
    for page, text in pages().items():
        assert text == page.read_text("utf-8"), f"{page.name}: python -m tests.cli makes it anew"


@EVERY
def test_the_docs_have_a_section_of_it(command: Command) -> None:
    told = "\n".join(pages().values())
    assert f"\n## {command.name}\n" in told
    for name in commands():
        if name.split()[0] == command.name:
            assert f"<!-- options of {name} -->" in told
            assert all(action.help for action in actions_of(name))


@EVERY
def test_it_has_no_option_of_another_name_for_the_same(command: Command) -> None:
    names = [name for name in commands() if name.split()[0] == command.name]
    known = {
        word for name in names for action in actions_of(name) for word in action.option_strings
    }
    assert not known & {"--url", "--database", "--output-format", "--password", "--username"}


@EVERY
def test_it_completes(command: Command) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert command.name in shtab.complete(whole_parser(), shell)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["aiocouch", "comp"], "completion"),
        (["aiocouch", "ls", "--lo"], "--long"),
        (["aiocouch", "completion", "ba"], "bash"),
        (["aiocouch", "users", "pa"], "passwd"),
        (["aiocouch", "conflicts", "resolve", "--ke"], "--keep"),
    ],
)
def test_bash_completes(words: list[str], wanted: str, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(shtab.complete(whole_parser(), "bash"))
    told = f"""
        source {script}
        COMP_WORDS=({" ".join(words)}) COMP_CWORD={len(words) - 1} COMP_TYPE=9
        complete -p aiocouch > /dev/null || exit 1
        $(complete -p aiocouch | sed 's/.*-F \\([^ ]*\\).*/\\1/') aiocouch {words[-1]} {words[-2]}
        echo "${{COMPREPLY[@]}}"
    """
    ended = subprocess.run(["bash", "-c", told], capture_output=True, text=True, check=True)
    assert wanted in ended.stdout.split()


async def test_completion_prints_it(alone: Run) -> None:
    ended = await alone("completion", "bash")
    assert ended.status == 0
    assert "complete " in ended.out


async def test_completion_says_what_it_needs(alone: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    ended = await alone("completion", "bash")
    assert ended.status == Exit.FAILED
    assert "aiocouch[cli]" in ended.err


def test_commands_use_public_names_only() -> None:
    graph = grimp.build_graph("aiocouch", exclude_type_checking_imports=True)
    for name in graph.modules:
        if name.startswith("aiocouch.cli"):
            used = graph.find_modules_directly_imported_by(name)
            assert not [each for each in used if "._" in each], name


def test_a_command_loads_only_itself() -> None:
    code = (
        "import sys; from aiocouch.cli.parsing import parser_of; parser_of(['ls']);"
        "print(*(name for name in sys.modules if name.startswith('aiocouch.cli.commands.')));"
        "print(*{'rich', 'shtab', 'aiocouch.embedded'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["aiocouch.cli.commands.ls", ""]


async def test_no_command_is_wrong(alone: Run) -> None:
    ended = await alone()
    assert ended.status == Exit.USAGE
    ended = await alone("no-such-command")
    assert ended.status == Exit.USAGE
    assert "no-such-command" in ended.err


def test_the_list_of_statuses_is_in_the_docs() -> None:
    found = re.findall(r"^\| (\d+) \| ", "\n".join(pages().values()), re.MULTILINE)
    assert [int(number) for number in found] == [status.value for status in Exit]


def as_subprocess(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "aiocouch", *words]
    known = {name: value for name, value in os.environ.items() if not name.startswith("COUCHDB")}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=known | environment
    )


def test_as_a_program() -> None:
    ended = as_subprocess("ls", "http://ada:secret@127.0.0.1:1/")
    assert ended.returncode == Exit.NO_ANSWER
    assert ended.stderr.startswith("aiocouch ls: ")
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr
