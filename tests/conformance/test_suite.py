"""The command that tells how CouchDB's own test suite went."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.conformance import suite

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = [suite.Kind("Needs a lift", ("Attic: *",))]
JUNIT = """<testsuites><testsuite>
<testcase classname="01-index.Tests" name="test_fine"/>
<testcase classname="01-index.Tests" name="test_bad"><failure>no</failure></testcase>
<testcase classname="01-index.Tests" name="test_error"><error>no</error></testcase>
<testcase classname="01-index.Tests" name="test_text"><skipped/></testcase>
<testcase classname="setUpClass (02-find" name="Tests)"><error>no</error></testcase>
</testsuite></testsuites>"""


def lines_of(*rows: tuple[str, str, str]) -> str:
    names = ("module", "test", "outcome")
    return "\n".join(
        json.dumps({"suite": "elixir"} | dict(zip(names, row, strict=True))) for row in rows
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """The arguments of a run over invented results."""
    files = {
        "couchdb": lines_of(
            ("Cellar", "dig", "passed"), ("Attic", "climb", "passed"), ("Roof", "mend", "invalid")
        ),
        "again": lines_of(("Roof", "mend", "failed"), ("Cellar", "dig", "failed")),
        "memory": lines_of(
            ("Cellar", "dig", "failed"), ("Attic", "climb", "failed"), ("Roof", "mend", "passed")
        ),
        "folder": lines_of(
            ("Cellar", "dig", "passed"), ("Attic", "climb", "failed"), ("Roof", "mend", "passed")
        ),
    }
    for name, text in files.items():
        (tmp_path / f"{name}.jsonl").write_text(text)
    (tmp_path / "mango.xml").write_text(JUNIT)
    at = {name: str(tmp_path / f"{name}.jsonl") for name in files}
    couchdb = ["--couchdb", at["couchdb"], at["again"], str(tmp_path / "mango.xml")]
    rest = ["--memory", at["memory"], "--folder", at["folder"], "--to", str(tmp_path)]
    return couchdb + rest


def test_results_are_counted_by_server(runs: list[str], tmp_path: Path) -> None:
    suite.main(runs)
    counts = json.loads((tmp_path / "suite.json").read_text())["counts"]
    assert counts["couchdb"] == {
        "elixir": {"passed": 2, "failed": 1, "skipped": 0, "again": 1},
        "mango": {"passed": 1, "failed": 2, "skipped": 1, "again": 0},
    }
    assert counts["memory"]["elixir"]["passed"] == 1
    assert counts["folder"]["elixir"]["passed"] == 2


def test_the_page_has_the_counts(runs: list[str], tmp_path: Path) -> None:
    suite.main(runs)
    text = (tmp_path / "suite.md").read_text()
    assert "| `test/elixir` | 2 of 3 | 1 of 3 | 2 of 3 |" in text
    assert "| `src/mango/test` | 1 of 3 | not run | not run |" in text
    assert "- CouchDB 3.5.2: 1 passed only when run again, 1 skip themselves." in text


def test_what_is_left_is_sorted_by_kind(runs: list[str], tmp_path: Path) -> None:
    suite.main(runs)
    left = json.loads((tmp_path / "suite.json").read_text())["left"]
    assert suite.sort_out(left, KNOWN) == {
        "Needs a lift": ["`Attic`: climb"],
        suite.UNSORTED: ["`Cellar`: dig (only in memory)"],
        suite.AS_COUCHDB: [
            "`Roof`: mend (passes here)",
            "`01-index.Tests`: test_bad",
            "`01-index.Tests`: test_error",
        ],
    }


def test_what_passes_everywhere_is_not_kept(runs: list[str], tmp_path: Path) -> None:
    suite.main(runs)
    left = json.loads((tmp_path / "suite.json").read_text())["left"]
    assert "test_fine" not in {row["test"] for row in left}


def test_a_test_that_is_missing_has_failed() -> None:
    dig, climb = ("elixir", "Cellar", "dig"), ("elixir", "Attic", "climb")
    runs: dict[str, suite.Outcomes] = {
        "couchdb": {dig: [suite.PASSED], climb: [suite.PASSED]},
        "memory": {dig: [suite.PASSED]},
        "folder": {},
    }
    found = suite.summary(runs)
    assert found["counts"]["memory"]["elixir"]["failed"] == 1
    assert found["counts"]["folder"] == {}
    (left,) = found["left"]
    assert (left["test"], left["memory"]) == ("climb", suite.FAILED)


def test_results_of_all_servers_are_wanted(runs: list[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(runs[:4])


@pytest.mark.parametrize("text", ["{", "[]", '{"suite": "elixir"}', "\n"])
def test_a_file_of_something_else_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"results\.jsonl:1"):
        suite.read([path])


def test_broken_xml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mango.xml"
    path.write_text("<testsuites>")
    with pytest.raises(SystemExit, match=r"mango\.xml"):
        suite.read([path])


@pytest.fixture
def published() -> dict[str, list[dict[str, str]]]:
    """What the page about conformance was made from."""
    found: dict[str, list[dict[str, str]]] = json.loads((suite.FOLDER / "suite.json").read_text())
    return found


def test_the_published_page_is_the_commands(published: dict[str, list[dict[str, str]]]) -> None:
    text = (suite.FOLDER / "suite.md").read_text(encoding="utf-8")
    assert text == suite.page(published, suite.kinds())


def test_what_is_left_has_a_reason(published: dict[str, list[dict[str, str]]]) -> None:
    assert suite.UNSORTED not in suite.sort_out(published["left"], suite.kinds())


def test_no_kind_is_without_tests(published: dict[str, list[dict[str, str]]]) -> None:
    used = suite.sort_out(published["left"], suite.kinds())
    assert {kind.title for kind in suite.kinds()} <= used.keys()
