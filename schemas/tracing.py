"""Traces by OpenTelemetry, from an HTTP request over its record to the rows: off by default.

Where they are off, ``begin`` returns None and nothing of OpenTelemetry is imported. Who traces is
told by W3C's `traceparent`, a header of requests and records; a record without one is not traced.
The exporter and the sampler are set by OpenTelemetry's own variables (`OTEL_…`).
"""

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from schemas.process_logging import TRACE_ID
from schemas.settings import Settings, SettingsError, variable

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

HEADER = "traceparent"

_SAMPLED = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f][13579bdf](?:-|\Z)")

FLUSH_SECONDS = 3
"""How long a process that ends may take to hand over its last spans."""

Headers = Iterable[tuple[str, bytes | None]]


def begin(settings: Settings, service: str) -> "Tracing | None":
    """Return what this process tells its spans to; None where traces are off.

    To be called in the process that tells them: a fork has no thread that sends them on.

    Raises:
        SettingsError: they are on, and the packages of the extra `traces` are not installed.
    """
    if settings.traces == "off":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError(
            f"{variable('traces')}: OpenTelemetry is not installed: "
            "pip install -e '.[traces]' where you cloned it"
        ) from error
    named = Resource.create({"service.name": service})
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a traced record lies, and who traces it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    parent: bytes


def traced(topic: str, partition: int, records: Iterable[Any]) -> Iterator[Place]:
    """Yield the places of those Kafka records of a partition that are traced, by somebody who keeps
    the trace."""
    for record in records:
        parent = next((value for name, value in record.headers if name == HEADER), None)
        if parent is not None and _SAMPLED.match(parent) is not None:
            yield Place(topic, partition, record.offset, record.key, parent)


@dataclass(slots=True)
class Spans:
    """The spans of records that are worked at together."""

    spans: "list[Span]" = field(default_factory=list)
    by_key: dict[bytes, bytes] = field(default_factory=dict)
    """By the key of a record: the `traceparent` of what it leads to. Of several records of one
    member, the last: outputs do not say which of them they come from."""


class Tracing:
    """Tells spans to an OpenTelemetry provider; its methods may be called from any thread."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation import tracecontext

        self._provider = provider
        self._tracer = provider.get_tracer("milestream")
        self._trace = trace
        self._propagator = tracecontext.TraceContextTextMapPropagator()

    @contextlib.contextmanager
    def request(
        self, method: str, parent: str | None, answered: Callable[[], tuple[str, int]]
    ) -> Iterator[None]:
        """Trace an HTTP request; ``answered`` returns its route and status afterwards."""
        span = self._tracer.start_span(
            method,
            self._context(parent),
            kind=self._trace.SpanKind.SERVER,
            attributes={"http.request.method": method},
        )
        TRACE_ID.set(self._trace.format_trace_id(span.get_span_context().trace_id))
        try:
            with self._failing(span):
                yield
        finally:
            route, status = answered()
            span.update_name(f"{method} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})
            if status >= 500:
                span.set_status(self._trace.StatusCode.ERROR)
            span.end()

    @contextlib.contextmanager
    def _failing(self, span: "Span") -> Iterator[None]:
        """Make a span the current one; of what is raised meanwhile it is told the type alone, for a
        text may quote rows of members."""
        with self._trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                yield
            except Exception as error:
                span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
                raise

    @contextlib.contextmanager
    def sending(self, topic: str) -> Iterator[bytes]:
        """Trace the writing of a record; yield its `traceparent`."""
        span = self._tracer.start_span(
            f"send {topic}",
            kind=self._trace.SpanKind.PRODUCER,
            attributes={"messaging.system": "kafka", "messaging.destination.name": topic},
        )
        try:
            with self._failing(span):
                yield self._parent_of(span)
        finally:
            span.end()

    @contextlib.contextmanager
    def working_at(self, what: str, places: Iterable[Place]) -> Iterator[Spans]:
        """Trace what is done with some records together, a span each."""
        started = time.time_ns()
        working = Spans()
        for place in places:
            span = self._tracer.start_span(
                f"{what} {place.topic}",
                self._context(place.parent.decode("ascii", "replace")),
                kind=self._trace.SpanKind.CONSUMER,
                start_time=started,
                attributes={
                    "messaging.system": "kafka",
                    "messaging.destination.name": place.topic,
                    "messaging.destination.partition.id": str(place.partition),
                    "messaging.kafka.offset": place.offset,
                },
            )
            working.spans.append(span)
            if place.key is not None:
                working.by_key[place.key] = self._parent_of(span)
        try:
            yield working
        except BaseException as error:
            for span in working.spans:
                span.set_status(self._trace.StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            for span in working.spans:
                span.end()

    def close(self) -> None:
        """Hand over what was told, for a short while."""
        self._provider.force_flush(FLUSH_SECONDS * 1000)

    def _context(self, parent: str | None) -> "Context | None":
        return None if parent is None else self._propagator.extract({HEADER: parent})

    def _parent_of(self, span: "Span") -> bytes:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return carrier.get(HEADER, "").encode()


NOT_TRACED: Mapping[bytes, bytes] = {}
"""Outputs of records that nobody traces."""
