"""Spans and metrics, by the exporters of OpenTelemetry that keep them in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiocouch import CouchDB, Database
from aiocouch.exception import NotFoundError, RemoteResponseError, TransportError
from aiocouch.hooks import Call
from tests.wire.canned import Answer, CannedServer, canned_server, error_answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

sdk = pytest.importorskip("opentelemetry.sdk", reason="needs the extra otel")


class Seen:
    """A tracer and a meter that keep what they get."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        from aiocouch.otel import OpenTelemetry

        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.hook = OpenTelemetry(tracer_provider=self.tracers, meter_provider=self.meters)

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def points(self) -> list[Any]:
        data: Any = self.reader.get_metrics_data()
        return [
            (metric, point)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]

    def close(self) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()


@pytest.fixture
async def canned() -> AsyncIterator[CannedServer]:
    async with canned_server() as server:
        yield server


@pytest.fixture
async def seen() -> AsyncIterator[Seen]:
    found = Seen()
    yield found
    found.close()


@pytest.fixture
async def couchdb(canned: CannedServer, seen: Seen) -> AsyncIterator[CouchDB]:
    async with CouchDB(canned.url, "bond", "s3cr3t", hooks=seen.hook) as session:
        yield session


async def test_a_call_is_a_span(canned: CannedServer, seen: Seen, couchdb: CouchDB) -> None:
    canned.say_json({"_id": "a-document", "_rev": "1-a"})
    await Database(couchdb, "animals")["a-document"]
    (span,) = seen.spans
    assert span.name == "GET /{db}/{docid} animals"
    assert span.kind.name == "CLIENT"
    assert dict(span.attributes) == {
        "db.system.name": "couchdb",
        "db.namespace": "animals",
        "db.operation.name": "GET /{db}/{docid}",
        "db.response.status_code": "200",
        "server.address": "127.0.0.1",
        "server.port": int(canned.url.rpartition(":")[2]),
    }
    assert span.status.status_code.name == "UNSET"
    for secret in ("a-document", "s3cr3t", "bond"):
        assert secret not in span.to_json()


async def test_a_call_to_the_server_is_named_by_its_address(
    canned: CannedServer, seen: Seen, couchdb: CouchDB
) -> None:
    canned.say_json({"couchdb": "Welcome"})
    await couchdb.info()
    (span,) = seen.spans
    assert span.name == "GET / 127.0.0.1"
    assert "db.namespace" not in span.attributes


async def test_an_error_is_one_of_the_span(
    canned: CannedServer, seen: Seen, couchdb: CouchDB
) -> None:
    canned.say(error_answer(404, "not_found", "missing a-document"), error_answer(500, "oops", "x"))
    with pytest.raises(NotFoundError):
        await Database(couchdb, "animals")["a-document"]
    with pytest.raises(RemoteResponseError):
        await couchdb.remote.request("POST", "/_replicate", body=b"{}")
    for span, status, words in zip(seen.spans, ("404", "500"), ("not_found", "oops"), strict=True):
        assert span.status.status_code.name == "ERROR"
        assert span.status.description == words
        assert span.attributes["error.type"] == status
        assert span.attributes["db.response.status_code"] == status
        assert "a-document" not in span.to_json()


async def test_no_answer_is_an_error_by_its_class(
    canned: CannedServer, seen: Seen, couchdb: CouchDB
) -> None:
    canned.handler = lambda request: Answer(silent=True)
    with pytest.raises(TransportError):
        await couchdb.remote.request("POST", "/_replicate", body=b"{}")
    (span,) = seen.spans
    assert span.attributes["error.type"] == "ServerDisconnectedError"
    assert "db.response.status_code" not in span.attributes


async def test_the_span_is_a_child_and_the_current_one(
    canned: CannedServer, seen: Seen, couchdb: CouchDB
) -> None:
    from opentelemetry import trace

    current = []
    canned.handler = lambda request: error_answer(404)

    class Looks(type(seen.hook)):  # type: ignore[misc]
        def started(self, call: Call) -> None:
            super().started(call)
            current.append(trace.get_current_span())

    hook = Looks(tracer_provider=seen.tracers, meter_provider=seen.meters)
    tracer = seen.tracers.get_tracer("test")
    async with CouchDB(canned.url, hooks=hook) as session:
        with tracer.start_as_current_span("of the program") as parent:
            with pytest.raises(NotFoundError):
                await session.info()
            assert trace.get_current_span() is parent
    call, of_program = seen.spans
    assert call.parent.span_id == of_program.context.span_id
    assert current[0].get_span_context().span_id == call.context.span_id


async def test_durations(canned: CannedServer, seen: Seen, couchdb: CouchDB) -> None:
    canned.handler = lambda request: error_answer(404)
    for _ in range(3):
        with pytest.raises(NotFoundError):
            await Database(couchdb, "animals").info()
    ((metric, point),) = seen.points()
    assert (metric.name, metric.unit) == ("db.client.operation.duration", "s")
    assert point.count == 3
    assert point.sum > 0
    assert tuple(point.explicit_bounds) == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
    assert point.attributes["db.operation.name"] == "GET /{db}"
    assert point.attributes["error.type"] == "404"


async def test_what_is_sent_again_is_an_event(seen: Seen) -> None:
    call = Call("GET", "/db", "https://couch.example:6984")
    seen.hook.started(call)
    seen.hook.repeated(call, TransportError("away"), 0.5)
    seen.hook.ended(call)
    (span,) = seen.spans
    (event,) = span.events
    assert event.name == "retry"
    assert dict(event.attributes) == {"error.type": "TransportError", "aiocouch.wait": 0.5}
    assert (span.attributes["server.address"], span.attributes["server.port"]) == (
        "couch.example",
        6984,
    )


def test_nothing_of_it_is_imported_with_the_package() -> None:
    import subprocess
    import sys

    code = "import aiocouch, sys; print([m for m in sys.modules if m.startswith('opentelemetry')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
