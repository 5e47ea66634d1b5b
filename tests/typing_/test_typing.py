"""The types of the public names: what must hold holds, and mistakes are found."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOLD, FAIL = HERE / "must_hold.py", HERE / "must_fail.py"


def expected() -> set[int]:
    """The numbers of the lines that say that they are wrong."""
    lines = FAIL.read_text(encoding="utf-8").splitlines()
    return {at for at, line in enumerate(lines, 1) if line.endswith("# error")}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """One run of mypy --strict over both files, with a cache of its own."""
    pytest.importorskip("mypy")
    cache = tmp_path_factory.mktemp("mypy")
    return run("mypy", "--strict", f"--cache-dir={cache}", str(HOLD), str(FAIL))


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int, str]]:
    """What basedpyright says of both files: file, line and message."""
    pytest.importorskip("basedpyright")
    # The settings of the project leave the file with the mistakes out.
    settings = {"include": [str(HOLD), str(FAIL)], "typeCheckingMode": "standard"}
    settings |= {"pythonVersion": "3.11", "extraPaths": [str(ROOT / "src")]}
    project = tmp_path_factory.mktemp("pyright") / "pyrightconfig.json"
    project.write_text(json.dumps(settings), encoding="utf-8")
    python = ["--pythonpath", sys.executable]
    done = run("basedpyright", "--outputjson", "--project", str(project), *python)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in found
        if one["severity"] == "error"
    ]


@pytest.mark.timeout(300)
def test_mypy_knows_what_must_hold(mypy: subprocess.CompletedProcess[str]) -> None:
    assert [line for line in mypy.stdout.splitlines() if HOLD.name in line] == []
    assert "error" in mypy.stdout, "mypy did not run"


@pytest.mark.timeout(300)
def test_mypy_finds_every_mistake(mypy: subprocess.CompletedProcess[str]) -> None:
    pattern = re.compile(rf"{FAIL.name}:(\d+): error")
    assert {int(number) for number in pattern.findall(mypy.stdout)} == expected()


@pytest.mark.timeout(300)
def test_pyright_knows_what_must_hold(pyright: list[tuple[str, int, str]]) -> None:
    assert [one for one in pyright if one[0] == HOLD.name] == []


@pytest.mark.timeout(300)
def test_pyright_finds_every_mistake(pyright: list[tuple[str, int, str]]) -> None:
    assert {line for name, line, _ in pyright if name == FAIL.name} == expected()
