"""Notes every request of a test run, and says at its end which endpoints were never called.

Only a run of all tests is held to it: one of a few cannot call everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch._transport.send import Send
from tests.endpoints import ROWS, Row, Sent

if TYPE_CHECKING:
    from aiocouch._transport.request import Request

__all__ = ["Recorder"]


class Recorder:
    """A plugin of pytest. With xdist each worker has one, and tells the controller in the end."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._met: set[int] = set()
        self._known: set[Sent] = set()
        self._send = Send.__call__
        recorder, send = self, self._send

        def recorded(step: Send, request: Request) -> Any:
            recorder.note(request)
            return send(step, request)

        Send.__call__ = recorded  # type: ignore[method-assign,assignment]

    def note(self, request: Request) -> None:
        """Note a request of the client."""
        headers = request.headers or {}
        types = " ".join(headers.get(name, "") for name in ("Content-Type", "Accept"))
        sent = Sent(request.method, request.path, types)
        if sent not in self._known:
            self._known.add(sent)
            self._met.update(row.number for row in ROWS if row.is_met_by(sent))

    def pytest_unconfigure(self) -> None:
        """Let the client be as it was."""
        Send.__call__ = self._send  # type: ignore[method-assign]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker has met."""
        self._met.update(getattr(node, "workeroutput", {}).get("endpoints", ()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Tell the controller, or fail the run."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output["endpoints"] = sorted(self._met)
        elif self._is_whole() and session.exitstatus == 0 and self._never_called():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what is wrong."""
        if self._is_whole():
            for row in self._never_called():
                words = f"{row.number} {'/'.join(row.methods)} {row.path} ({row.ours})"
                terminalreporter.write_line(f"endpoint never called by a test: {words}", red=True)

    def _never_called(self) -> list[Row]:
        return [row for row in ROWS if row.ours and row.number not in self._met]

    def _is_whole(self) -> bool:
        """Whether all tests were to run, on servers of their own."""
        if self._config.getoption("--endpoints"):
            return True
        options = self._config.option
        chosen = options.keyword or options.markexpr or self._config.getoption("--couchdb-url")
        few = getattr(options, "lf", False) or options.collectonly
        named = [str(argument) for argument in self._config.args]
        return not chosen and not few and named == list(self._config.getini("testpaths"))
