"""What operators see of a request on its way through all parts: traces, logs and health."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.topics_create import create_topics
from tests.integration.api.serving import PATIENCE_SECONDS, Served, process, wait_until_ready
from tests.integration.api.test_records_end_to_end import LOGS, challenge, log
from tests.integration.processor.driving import wait_until
from tests.plain_http import NO_TLS
from tests.ports import free_port
from tests.stack import FreshSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
ANN = {"externalId": "ann", "firstName": "Annabella", "email": "annabella@example.org"}
PARTS = ("worker", "projector", "api")


class Collector:
    """An OTLP collector: the spans of one trace, by service and name."""

    def __init__(self) -> None:
        self.spans: dict[tuple[str, str], Any] = {}

    def take(self, body: bytes) -> None:
        """Take what an exporter sends."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if span.trace_id.hex() == TRACE:
                        self.spans[named["service.name"], span.name] = span


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collected = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collected.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield collected
    server.shutdown()
    thread.join()
    server.server_close()


def ready(port: int) -> Callable[[], bool]:
    def look() -> bool:
        with contextlib.suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{port}/readyz"
            return httpx.get(url, timeout=10, verify=NO_TLS).status_code == 200
        return False

    return look


def test_a_request_is_followed_from_the_api_to_the_rows(
    fresh_settings: FreshSettings, tmp_path: Path, collector: Collector
) -> None:
    settings = fresh_settings.migrated(
        api_port=free_port(),
        partitions=2,
        data_dir=tmp_path / "data",
        log_format="json",
        log_level="debug",
        traces="otlp",
    )
    create_topics(settings)
    ports = {part: free_port() for part in PARTS}
    with contextlib.ExitStack() as stack:
        for part, port in ports.items():
            own = settings.model_copy(update={"metrics_port": port})
            stack.enter_context(process(own, part, tmp_path))
        api = Served(settings)
        wait_until_ready(api, tmp_path)
        for part in ("worker", "projector"):
            well = ready(ports[part])
            wait_until(well, PATIENCE_SECONDS, lambda part=part: f"{part} is not ready")  # type: ignore[misc]
        asyncio.run(_send_traced(api))
        wanted = (
            ("milestream-api", f"POST {LOGS}"),
            ("milestream-api", "send challenge-logs"),
            ("milestream-worker", "fold challenge-logs"),
            ("milestream-projector", "project progress-events"),
        )
        wait_until(  # each process tells of its own when it comes to it
            lambda: collector.spans.keys() >= set(wanted),
            PATIENCE_SECONDS,
            lambda: f"{list(collector.spans)}",
        )
    served, sent, folded, projected = (collector.spans[each] for each in wanted)
    assert served.parent_span_id.hex() == CALLER
    assert sent.parent_span_id == served.span_id
    assert folded.parent_span_id == sent.span_id
    assert projected.parent_span_id == folded.span_id
    lines = {part: _lines(tmp_path / f"{part}.log") for part in PARTS}
    assert {(line.get("requestId"), line.get("traceId")) for line in lines["api"]} >= {
        ("shop-7", TRACE)
    }
    assert all(lines.values())


async def _send_traced(api: Served) -> None:
    async with await api.client() as admin:
        id_ = await challenge(admin, 100)
        traced = {"traceparent": f"00-{TRACE}-{CALLER}-01", "x-request-id": "shop-7"}
        body = log(id_, "order-1", activityValue=150, ownedBy=ANN)
        answer = await admin.post(LOGS, json=body, headers=traced)
        assert answer.status_code in (201, 202)  # where the machine is busy


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return a log's lines, none of which names Ann."""
    text = path.read_text("utf-8")
    assert "annabella" not in text.lower()
    return [json.loads(line) for line in text.splitlines()]
