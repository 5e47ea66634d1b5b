"""The embedded server answers as Apache CouchDB 3.5.0 did when it was recorded."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance import wirecheck

if TYPE_CHECKING:
    from aiocouch.testing import CouchDBServer

HERE = Path(__file__).parent
WANTED_SHARE = 0.98

Scenario = dict[str, Any]
Failures = dict[int, str]

SCENARIOS: list[Scenario] = wirecheck.load([str(HERE / "public")])
EXCEPTIONS: list[dict[str, Any]] = tomllib.loads(
    (HERE / "exceptions.toml").read_text(encoding="utf-8")
).get("exception", [])


class Replay:
    """One scenario sent to a server, and what was different: step number → why."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.failures: Failures = {}
        self._names = wirecheck.Names(wirecheck.literals_of(scenario))

    def run(self, server: CouchDBServer) -> Failures:
        admin = (server.user, server.password)
        wirecheck.run_scenario(self.scenario, server.url, admin, self.on_step)
        return self.failures

    def on_step(self, index: int, step: Any, answer: Any, error: str | None) -> None:
        differences = [error] if error else self._differences(step, answer)
        if differences:
            request = step["request"]
            what = f"{request['method']} {wirecheck.target(request)}"
            self.failures[index + 1] = f"{what}: {'; '.join(differences[:3])}"

    def _differences(self, step: Any, answer: Any) -> list[str]:
        wanted = step["response"]
        found = wirecheck.compare(wanted, answer, self._names, step.get("compare", {}))
        if found.hard and answer["status"] == wanted["status"]:
            kept = json.dumps(answer["body"]) if step.get("save") else ""
            self._names.rollback(kept)
        return list(found.hard)


def expected_failures(name: str) -> set[int]:
    return {step for entry in EXCEPTIONS if entry["scenario"] == name for step in entry["steps"]}


@pytest.fixture(scope="module")
def embedded_server(embedded_server: CouchDBServer) -> CouchDBServer:
    """The embedded server with the database behind `_db_updates`, as the recorded one had it."""
    request = {"method": "PUT", "path": "/_global_changes"}
    admin = (embedded_server.user, embedded_server.password)
    assert wirecheck.send(embedded_server.url, request, {}, {}, admin=admin).status in {201, 412}
    return embedded_server


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_the_server_answers_as_recorded(scenario: Scenario, embedded_server: CouchDBServer) -> None:
    failures = Replay(scenario).run(embedded_server)
    expected = expected_failures(scenario["name"])
    unexpected = {step: why for step, why in failures.items() if step not in expected}
    assert not unexpected, "\n".join(f"#{step} {why}" for step, why in unexpected.items())
    assert not expected - failures.keys(), "these pass now: take them out of exceptions.toml"


def test_exceptions_are_few_and_reasoned() -> None:
    total = sum(len(scenario["steps"]) for scenario in SCENARIOS)
    excepted = sum(len(set(entry["steps"])) for entry in EXCEPTIONS)
    assert total == 1625
    assert 1 - excepted / total >= WANTED_SHARE
    assert all(len(entry["reason"].split()) > 3 for entry in EXCEPTIONS)


def test_exceptions_name_steps_that_exist() -> None:
    steps = {scenario["name"]: len(scenario["steps"]) for scenario in SCENARIOS}
    for entry in EXCEPTIONS:
        assert max(entry["steps"]) <= steps[entry["scenario"]], entry


def test_a_wrong_answer_is_noticed() -> None:
    """The harness itself can fail: another status is a difference."""
    scenario = next(s for s in SCENARIOS if s["name"] == "server-root")
    replay = Replay(scenario)
    step = scenario["steps"][0]
    answer = step["response"] | {"status": 299}
    replay.on_step(0, step, answer, None)
    assert 1 in replay.failures
