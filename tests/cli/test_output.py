"""What commands print: on a terminal, in a pipe, and for machines."""

from __future__ import annotations

import argparse
import io
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from aiocouch.cli import output
from aiocouch.cli.output import Column, Output, as_bytes, as_count, as_text, several
from aiocouch.cli.progress import Progress, progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROWS: list[dict[str, Any]] = [
    {"name": "a", "size": 1_234_567, "more": [1]},
    {"name": "b\n[red]", "size": None},
]
COLUMNS = (Column("name"), Column("size", "bytes", as_bytes, is_number=True))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO, *, json: bool = False) -> tuple[Output, io.StringIO]:
    return Output(argparse.Namespace(json=json), stream), stream


async def each(rows: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for row in rows:
        yield row


def test_a_pipe_gets_exact_values_and_tabs() -> None:
    out, stream = printed(io.StringIO())
    out.table(ROWS, COLUMNS)
    assert stream.getvalue() == 'a\t1234567\n"b\\n[red]"\t\n'


def test_machines_get_all_of_a_row() -> None:
    out, stream = printed(Terminal(), json=True)
    out.table(ROWS[:1], COLUMNS)
    assert stream.getvalue() == '{"name":"a","size":1234567,"more":[1]}\n'


async def test_a_terminal_gets_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_TOGETHER", 2)
    out, stream = printed(Terminal())
    await out.stream(each([*ROWS, *ROWS[:1]]), COLUMNS)
    shown = stream.getvalue()
    assert shown.count("1.2 MB") == 2
    assert shown.count("bytes") == 2
    assert '"b\\n[red]"' in shown


def test_a_terminal_without_rich_gets_columns_and_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr(output, "_told", False)
    out, stream = printed(Terminal())
    out.table(ROWS, COLUMNS)
    out.table(ROWS[:1], COLUMNS)
    out.document({"a": 1})
    assert stream.getvalue().startswith('name        bytes\na           1.2 MB\n"b\\n[red]"\n')
    assert capsys.readouterr().err.count("pip install 'aiocouch[cli]'") == 1


def test_numbers_of_documents_stay_as_they_are() -> None:
    text = b'{"_id":"a","n":1.10,"big":123456789012345678901234567890,"far":1e400}\n'
    out, stream = printed(io.StringIO(), json=True)
    out.document(text)
    assert stream.getvalue() == text.decode()
    out, stream = printed(io.StringIO())
    out.document(text)
    assert '\n  "n": 1.10,\n' in stream.getvalue()
    out, stream = printed(Terminal())
    out.document(text)
    assert "123456789012345678901234567890" in stream.getvalue()


def test_facts() -> None:
    facts = {"name": "a", "size": 2_000, "other": 1}
    out, stream = printed(io.StringIO())
    out.facts(facts, COLUMNS)
    assert stream.getvalue() == "name\ta\nbytes\t2000\n"
    out, stream = printed(Terminal())
    out.facts(facts, COLUMNS)
    assert stream.getvalue() == "name   a\nbytes  2.0 kB\n"
    out, stream = printed(io.StringIO(), json=True)
    out.facts(facts, COLUMNS)
    assert stream.getvalue() == '{"name":"a","size":2000,"other":1}\n'


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_950, "1.0 MB"), (10**16, "10000.0 TB")],
)
def test_bytes(size: int, shown: str) -> None:
    assert as_bytes(size) == shown


def test_values_as_text() -> None:
    assert as_count(1234) == "1,234"
    assert as_text(None) == ""
    assert as_text(True) == "true"
    assert as_text("\x1b[2J") == '"\\u001b[2J"'
    assert as_text("häß 日") == "häß 日"


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(argparse.Namespace(), "work", 10) as bar:
        bar.advance()
        bar.to(5, 20)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [True, False])
def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, quiet: bool) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress(argparse.Namespace(quiet=quiet), "work", 10) as bar:
        bar.advance()
        bar.to(5, 20)
    assert ("work" in stream.getvalue()) is not quiet


def test_progress_is_shown_some_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is told; a rate of the last thousand changes would be one of milliseconds."""
    shown: list[dict[str, float]] = []

    class Task:
        id = 1
        total: float | None = None

    class Bars:
        def update(self, task: int, **news: float) -> None:
            shown.append(news)

    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    task = Task()
    bar = Progress(Bars(), task)
    for _ in range(1_000):
        now[0] += 0.001
        bar.advance()
    assert 8 <= len(shown) <= 11
    now[0] += 1
    bar.to(5_000, 9_000)
    assert shown[-1] == {"completed": 5_000}, "with a total a rate begins anew"
    assert task.total == 9_000


def test_a_rate_goes_on_when_the_total_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a dump does, which learns by and by how much there is."""
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "100")
    with progress(argparse.Namespace(), "work", 100) as bar:
        for second in range(1, 6):
            now[0] += 1
            bar.to(10 * second, 100 + second)
    assert "10 documents/s" in stream.getvalue()


def shown_on(columns: int, monkeypatch: pytest.MonkeyPatch, what: str) -> list[str]:
    """Return the lines that show 1,234 of 5,000 documents after some seconds."""
    stream, now = Terminal(), [0.0]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("rich.console.monotonic", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress(argparse.Namespace(), what, 5_000) as bar:
        for count in (34, 1_234):
            now[0] += 1
            bar.to(count)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", stream.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if "1,234" in line]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (100, r"copying ab ━+[╸╺]?━+ 1,234 1,200 documents/s 0:00:04"),
        (80, r"copying ab ━+[╸╺]?━+ 1,234 1,200 documents/s 0:00:04"),
        (54, r"copying ab 1,234 1,200 documents/s 0:00:04"),
        (42, r"copying ab 1,234 1,200/s 0:00:04"),
    ],
)
def test_progress_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, line: str
) -> None:
    """It stays one line: the bar goes first, and then the unit."""
    shown = shown_on(columns, monkeypatch, "copying ab")
    assert re.fullmatch(line, shown[-1])


def test_progress_of_something_with_a_long_name(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_on(60, monkeypatch, "copying [a]-database-of-a-very-long-name")
    assert shown[-1].startswith("copying [a]-databas… 1,234 1,200")
    assert len(shown[-1]) <= 60


def test_the_phases_of_something_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress(argparse.Namespace(), "checking") as bar:
        bar.phase("writing a")
        bar.to(7, 9)
        bar.phase("writing a")
        bar.phase("comparing a")
        bar.to(1, 9)
    shown = stream.getvalue()
    assert 0 < shown.index("checking") < shown.index("comparing a")


def test_an_answer_on_the_terminal_is_not_mixed_with_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with progress(argparse.Namespace(), "work", 10, prints=True) as bar:
        bar.advance()
    assert "work" in stream.getvalue(), "an answer in a pipe"
    shown = len(stream.getvalue())
    monkeypatch.setattr("sys.stdout", Terminal())
    with progress(argparse.Namespace(), "work", 10, prints=True) as bar:
        bar.advance()
    assert len(stream.getvalue()) == shown


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_printed_meanwhile(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    """On the terminal it stands above the line of progress, and a pipe gets it as it is."""
    error, answer = Terminal(), Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stderr", error)
    monkeypatch.setattr("sys.stdout", answer)
    out = Output(argparse.Namespace())
    with progress(argparse.Namespace(), "work", 10):
        out.write("done: something")
    assert ("done: something\n" in error.getvalue()) is terminal
    assert (answer.getvalue() == "done: something\n") is not terminal


async def test_nothing_is_told_to_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        await Output(argparse.Namespace(), stream).stream(each([]), [Column("a")])
        assert stream.getvalue() == ""
    assert capsys.readouterr().err == "there are none\n"


def test_notes_go_beside_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    Output(argparse.Namespace()).note("a note")
    Output(argparse.Namespace(quiet=True)).note("no note")
    assert capsys.readouterr() == ("", "a note\n")


def test_several() -> None:
    told = [several(0, "document"), several(1, "document"), several(1_234, "query")]
    assert told == ["0 documents", "1 document", "1,234 queries"]


def test_problems_are_told_even_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    Output(argparse.Namespace(command="rm", quiet=True)).problem("it is missing")
    assert capsys.readouterr().err == "aiocouch rm: it is missing\n"
