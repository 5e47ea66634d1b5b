"""Spans and metrics by OpenTelemetry's conventions for databases; the extra `otel` installs what it needs.

`CouchDB(url, hooks=[OpenTelemetry()])`. Nothing of it is imported before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from yarl import URL

from aiocouch.exception import CouchDBError
from aiocouch.hooks import Call, Hooks

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["OpenTelemetry"]

_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""The bounds, in seconds, that the conventions ask for."""


class OpenTelemetry(Hooks):
    """A span of kind `CLIENT` for each call, and the histogram `db.client.operation.duration`.

    The span is named by operation and database (`GET /{db}/{docid} animals`) and is the current one
    while the call lasts. Attributes: `db.system.name`, `db.operation.name`, `db.namespace`,
    `server.address`, `server.port`, `db.response.status_code`, and for errors `error.type`. What was
    sent again is an event of the span. Ids of documents, queries and bodies appear nowhere.

    The providers are the global ones unless others are given.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer("aiocouch", tracer_provider=tracer_provider)
        meter = metrics.get_meter("aiocouch", meter_provider=meter_provider)
        self._durations = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )

    def started(self, call: Call) -> None:
        """Begin the span, and make it the current one."""
        attributes = _attributes(call)
        target = call.database or attributes["server.address"]
        span = self._tracer.start_span(
            f"{call.operation} {target}", kind=SpanKind.CLIENT, attributes=attributes
        )
        token = context.attach(trace.set_span_in_context(span))
        call.notes[self] = span, token

    def ended(self, call: Call) -> None:
        """End the span, and count the time."""
        self._end(call, None)

    def failed(self, call: Call, error: BaseException) -> None:
        """End the span, with what went wrong."""
        self._end(call, error)

    def repeated(self, call: Call, error: CouchDBError, seconds: float) -> None:
        """Note that something was sent again."""
        span, _ = call.notes[self]
        span.add_event("retry", {"error.type": _type_of(error), "aiocouch.wait": seconds})

    def _end(self, call: Call, error: BaseException | None) -> None:
        span, token = call.notes.pop(self)
        context.detach(token)
        attributes = _attributes(call)
        if call.status is not None:
            attributes["db.response.status_code"] = str(call.status)
        if error is not None:
            attributes["error.type"] = _type_of(error)
            span.set_status(Status(StatusCode.ERROR, _words(error)))
        span.set_attributes(attributes)
        span.end()
        self._durations.record(call.seconds, attributes)


def _attributes(call: Call) -> dict[str, Any]:
    server = URL(call.server)
    attributes: dict[str, Any] = {
        "db.system.name": "couchdb",
        "db.operation.name": call.operation,
        "server.address": server.host or "",
        "server.port": server.port or 0,
    }
    if call.database is not None:
        attributes["db.namespace"] = call.database
    return attributes


def _type_of(error: BaseException) -> str:
    """Return the status where there is one, else the class."""
    status = error.status if isinstance(error, CouchDBError) else None
    return type(error).__qualname__ if status is None else str(status)


def _words(error: BaseException) -> str | None:
    """Return what CouchDB said; its reasons name neither ids nor credentials."""
    return error.error if isinstance(error, CouchDBError) else None
