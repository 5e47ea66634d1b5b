"""Say how CouchDB's own test suite went, on CouchDB and on the embedded server.

    python -m tests.conformance.suite --couchdb FILE… --memory FILE… --folder FILE…

reads the result files of the runs and writes `docs/conformance/suite.json` and, from it,
`docs/conformance/suite.md`, which the page about conformance includes. Without arguments it makes
the page anew from the JSON. How to get result files, and their two formats, is told in README.md.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / "docs" / "conformance"
KINDS = HERE / "suite_kinds.toml"
SERVERS = {"couchdb": "CouchDB 3.5.2", "memory": "in memory", "folder": "in a folder"}
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
AS_COUCHDB = "Fails on CouchDB as well"
UNSORTED = "Not looked at yet"

Test = tuple[str, str, str]
"""Suite, module, name."""
Outcomes = dict[Test, list[str]]
"""What became of each test, run by run."""


@dataclass(frozen=True)
class Kind:
    """Why some tests cannot pass: a pattern names them as `Module: name`."""

    title: str
    tests: tuple[str, ...]

    def holds(self, test: Test) -> bool:
        name = f"{test[1]}: {test[2]}"
        return any(fnmatchcase(name, pattern) for pattern in self.tests)


def kinds(path: Path = KINDS) -> list[Kind]:
    """Read the kinds of what is left."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["kind"]
    return [Kind(entry["title"], tuple(entry["tests"])) for entry in entries]


def read(paths: Iterable[Path]) -> Outcomes:
    """Read the result files of one server; those of a test that was run again are kept in turn."""
    outcomes: Outcomes = {}
    for path in paths:
        rows = _junit(path) if path.suffix == ".xml" else _lines(path)
        for test, outcome in rows:
            outcomes.setdefault(test, []).append(outcome)
    return outcomes


def _lines(path: Path) -> Iterator[tuple[Test, str]]:
    """Read JSON lines; what is neither passed nor skipped (ExUnit has `invalid`) has failed."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            test = (row["suite"], row["module"], row["test"])
            outcome = row["outcome"]
        except (ValueError, KeyError, TypeError) as error:
            raise SystemExit(f"{path}:{number}: no result of a test ({error!r})") from error
        yield test, outcome if outcome in (PASSED, SKIPPED) else FAILED


def _junit(path: Path) -> Iterator[tuple[Test, str]]:
    """Read the file that nose2 writes.

    Where a class cannot be set up, it names none of the tests of the class: they are missing.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise SystemExit(f"{path}: no JUnit file ({error})") from error
    for case in root.iter("testcase"):
        if case.get("classname", "").startswith("setUpClass "):
            continue
        found = {child.tag for child in case}
        outcome = FAILED if found & {"failure", "error"} else SKIPPED
        test = ("mango", case.get("classname", ""), case.get("name", ""))
        yield test, outcome if found & {"failure", "error", SKIPPED} else PASSED


def outcome_of(runs: Sequence[str]) -> str:
    """Sum up the runs of one test: passed if it ever did."""
    return next((wanted for wanted in (PASSED, FAILED, SKIPPED) if wanted in runs), SKIPPED)


def summary(runs: Mapping[str, Outcomes]) -> dict[str, Any]:
    """Count what ran, and keep the names of what did not pass everywhere.

    A test that is missing from the run of a suite on one server has failed there.
    """
    tests = sorted({test for outcomes in runs.values() for test in outcomes})
    whole = {server: _completed(outcomes, tests) for server, outcomes in runs.items()}
    left = []
    for test in tests:
        found = {server: outcome_of(whole[server].get(test, ())) for server in runs}
        if FAILED in found.values():
            left.append(dict(zip(("suite", "module", "test"), test, strict=True)) | found)
    return {
        "counts": {server: _counts(outcomes) for server, outcomes in whole.items()},
        "left": left,
    }


def _completed(outcomes: Outcomes, tests: Iterable[Test]) -> Outcomes:
    suites = {test[0] for test in outcomes}
    return {test: outcomes.get(test, [FAILED]) for test in tests if test[0] in suites}


def _counts(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for test, runs in sorted(outcomes.items()):
        suite = counts.setdefault(test[0], Counter({PASSED: 0, FAILED: 0, SKIPPED: 0, "again": 0}))
        suite[outcome_of(runs)] += 1
        suite["again"] += PASSED in runs and FAILED in runs
    return {suite: dict(count) for suite, count in counts.items()}


def sort_out(left: Iterable[Mapping[str, str]], known: Sequence[Kind]) -> dict[str, list[str]]:
    """Put the tests that are left under the titles of their kinds."""
    sorted_out: dict[str, list[str]] = {}
    for row in left:
        test = (row["suite"], row["module"], row["test"])
        if row["couchdb"] == FAILED:
            title = AS_COUCHDB
        else:
            title = next((kind.title for kind in known if kind.holds(test)), UNSORTED)
        where = _where(row) if title != AS_COUCHDB else _not_here(row)
        sorted_out.setdefault(title, []).append(f"`{row['module']}`: {row['test'].strip()}{where}")
    return sorted_out


def _where(row: Mapping[str, str]) -> str:
    """Name the one mode that fails, where the other passes."""
    failing = [SERVERS[mode] for mode in ("memory", "folder") if row.get(mode) == FAILED]
    return f" (only {failing[0]})" if len(failing) == 1 else ""


def _not_here(row: Mapping[str, str]) -> str:
    passes = all(row.get(mode) == PASSED for mode in ("memory", "folder"))
    return " (passes here)" if passes else ""


def page(found: Mapping[str, Any], known: Sequence[Kind]) -> str:
    """Write the part of the page about conformance."""
    lines = [
        "<!-- Made by `python -m tests.conformance.suite`; do not edit. -->",
        "",
        "| passed, of those that ran | " + " | ".join(SERVERS.values()) + " |",
        "|---|" + "---:|" * len(SERVERS),
        *(_row(found["counts"], suite, title) for suite, title in _SUITES.items()),
        "",
        *_notes(found["counts"]),
        "",
    ]
    for title, tests in sorted(sort_out(found["left"], known).items(), key=_order):
        lines += [f"**{title}** ({len(tests)})", "", *(f"- {test}" for test in tests), ""]
    return "\n".join(lines)


_SUITES = {"elixir": "`test/elixir`", "mango": "`src/mango/test`"}


def _row(counts: Mapping[str, Mapping[str, Mapping[str, int]]], suite: str, title: str) -> str:
    cells = [_cell(counts.get(server, {}).get(suite)) for server in SERVERS]
    return f"| {title} | " + " | ".join(cells) + " |"


def _cell(count: Mapping[str, int] | None) -> str:
    return f"{count[PASSED]} of {count[PASSED] + count[FAILED]}" if count else "not run"


def _notes(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> Iterator[str]:
    for server, title in SERVERS.items():
        suites = counts.get(server, {}).values()
        again, skipped = (sum(suite[what] for suite in suites) for what in ("again", SKIPPED))
        yield f"- {title}: {again} passed only when run again, {skipped} skip themselves."


def _order(entry: tuple[str, list[str]]) -> tuple[bool, str]:
    return entry[0] == AS_COUCHDB, entry[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.conformance.suite")
    for server, title in SERVERS.items():
        parser.add_argument(f"--{server}", type=Path, nargs="+", metavar="FILE", help=title)
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder to write to")
    given = vars(parser.parse_args(arguments))
    target = given["to"] / "suite.json"
    if files := {server: given[server] for server in SERVERS if given[server]}:
        if missing := SERVERS.keys() - files.keys():
            parser.error(f"results are missing: {', '.join(sorted(missing))}")
        found = summary({server: read(paths) for server, paths in files.items()})
        target.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    found = json.loads(target.read_text(encoding="utf-8"))
    (given["to"] / "suite.md").write_text(page(found, kinds()), encoding="utf-8")


if __name__ == "__main__":
    main()
