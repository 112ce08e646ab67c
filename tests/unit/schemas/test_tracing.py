"""Traces cost nothing where they are off, and follow W3C's header where they are on."""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from schemas.settings import Settings, SettingsError
from schemas.tracing import HEADER, Place, Tracing, begin, traced

UNKEPT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
NOBODYS = (b"", b"00-1-2-01", b"\xff\xfe", b"x" * 10_000, b"00--", UNKEPT)
"""What is no header, and one of a trace that is not kept."""
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Tracing(provider)


@pytest.mark.parametrize(
    ("modules", "package"),
    [
        ("processor.worker, projections.worker", "opentelemetry"),
        # FastAPI imports OpenTelemetry's interface where it finds it; its implementation is ours.
        ("api.server", "opentelemetry.sdk"),
    ],
)
def test_nothing_is_imported_where_traces_are_off(modules: str, package: str) -> None:
    code = (
        f"import sys, {modules}\n"
        "from schemas.settings import Settings\n"
        "from schemas.tracing import begin\n"
        "assert begin(Settings(), 'x') is None\n"
        f"assert not [name for name in sys.modules if name.startswith('{package}')]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(SettingsError, match=r"MILESTREAM_TRACES.*pip install .*traces"):
        begin(Settings(traces="otlp"), "x")


def test_only_records_that_say_so_are_traced() -> None:
    records = [
        SimpleNamespace(offset=1, key=b"ann", headers=[("a", b"b"), (HEADER, PARENT)]),
        SimpleNamespace(offset=2, key=b"ben", headers=[]),
        SimpleNamespace(offset=3, key=None, headers=[(HEADER, None)]),
        *(SimpleNamespace(offset=4, key=None, headers=[(HEADER, each)]) for each in NOBODYS),
    ]
    assert list(traced("events", 2, records)) == [Place("events", 2, 1, b"ann", PARENT)]


def test_what_a_record_leads_to_follows_its_span(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    with tracing.working_at("fold", [Place("events", 0, 1, b"ann", PARENT)]) as spans:
        child = spans.by_key[b"ann"]
    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert span.parent.span_id == int(PARENT.split(b"-")[2], 16)
    assert child == b"00-%032x-%016x-01" % (span.context.trace_id, span.context.span_id)


def test_a_transaction_that_fails_is_seen(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with (
        pytest.raises(OSError, match="away"),
        tracing.working_at("fold", [Place("events", 0, 1, b"ann", PARENT)]),
    ):
        raise OSError("away")
    (span,) = exporter.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "OSError")


@pytest.mark.parametrize("what", ["request", "sending"])
def test_what_an_exception_says_goes_to_no_collector(
    what: str, tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    traced_by: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "request": lambda: tracing.request("GET", None, lambda: ("/members", 200)),
        "sending": lambda: tracing.sending("events"),
    }
    detail = "DETAIL: Key (email)=(ann@example.org) already exists"
    with pytest.raises(OSError, match="ann@"), traced_by[what]():
        raise OSError(detail)
    (span,) = exporter.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "OSError")
    assert "ann@" not in span.to_json()
