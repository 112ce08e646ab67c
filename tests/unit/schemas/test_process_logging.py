"""Logs have ids and no personal fields, as text and as JSON."""

import asyncio
import gc
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from psycopg import errors
from pydantic import BaseModel

from api.http.middleware import Envelope
from api.metrics import Metrics
from schemas.process_logging import CORRELATION_ID, JsonFormatter, TextFormatter, readable

PERSONAL = "Ann Miller"


class _RowRefused(errors.NotNullViolation):
    """What psycopg raises: its text has the server's details, which quote the row."""

    class _Diagnostics:
        message_primary = 'null value in column "id" violates not-null constraint'

    def __init__(self) -> None:
        super().__init__(f"null value …\nDETAIL:  Failing row contains (null, {PERSONAL}).\n")

    @property
    def diag(self) -> Any:
        return self._Diagnostics()


class _ValueRefused(errors.InvalidTextRepresentation):
    class _Diagnostics:
        message_primary = f'invalid input syntax for type date: "{PERSONAL}"'

    def __init__(self) -> None:
        super().__init__(self._Diagnostics.message_primary)

    @property
    def diag(self) -> Any:
        return self._Diagnostics()


class _Profile(BaseModel):
    age: int


def _invalid() -> None:
    _Profile.model_validate({"age": PERSONAL})


def _refused_row() -> None:
    raise _RowRefused


def _refused_value() -> None:
    raise _ValueRefused


def _caused() -> None:
    try:
        _refused_row()
    except _RowRefused as error:
        raise RuntimeError("a batch is not written") from error


def _hidden() -> None:
    try:
        _refused_value()
    except _ValueRefused:
        raise KeyError("batch")  # noqa: B904 (what it was met in is logged too)


def _grouped() -> None:
    raise ExceptionGroup("two", [_RowRefused(), _ValueRefused()])


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize(
    "fail", [_invalid, _refused_row, _refused_value, _caused, _hidden, _grouped]
)
def test_what_an_error_quotes_is_not_logged(
    fail: Callable[[], None], formatter: logging.Formatter
) -> None:
    with pytest.raises(Exception) as failed:  # noqa: PT011 (of any kind)
        fail()
    error = failed.value
    exc_info = (type(error), error, error.__traceback__)
    line = formatter.format(_record("cannot write: %s, %r", error, error, exc_info=exc_info))
    assert PERSONAL not in line
    assert fail.__name__ in line  # the stack is there
    assert "Traceback (most recent call last):" in line
    assert "cannot write: " in line


LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
@pytest.mark.parametrize("new_loop", LOOPS)
def test_what_is_said_of_a_lost_task_quotes_no_error(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    formatter: logging.Formatter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise _ValueRefused

    def call(_row: str) -> None:
        raise _RowRefused

    async def lose() -> None:
        task = asyncio.create_task(fail(), name="renewals")
        asyncio.get_running_loop().call_soon(call, PERSONAL)
        future = asyncio.get_running_loop().create_future()
        future.set_exception(_RowRefused())
        await asyncio.wait([task])
        del task, future
        gc.collect()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(lose())
    lines = [formatter.format(record) for record in caplog.records if record.name == "asyncio"]
    assert len(lines) == 3
    text = "\n".join(lines)
    assert PERSONAL in caplog.text  # it would be there
    assert PERSONAL not in text
    for part in ("Task exception was never retrieved", "renewals", "fail", "in call"):
        assert part in text


@pytest.mark.parametrize("log", ["text", "json"])
def test_what_nobody_caught_is_logged_without_what_it_quotes(log: str) -> None:
    """In a thread, in a destructor and in the process."""
    ended = subprocess.run(
        [sys.executable, "-c", _NOBODY_CATCHES, log],
        check=False, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert PERSONAL not in ended.stderr
    for part in ("this ended the thread lost", "ignored in a function", "this ended the process"):
        assert part in ended.stderr
    assert ended.stderr.count("_RowRefused: null value in column") == 3


_NOBODY_CATCHES = """
import sys, threading
from schemas import process_logging
from schemas.settings import Settings
from tests.unit.schemas.test_process_logging import _refused_row

class Destroyed:
    def __del__(self):
        _refused_row()

settings = Settings.of({"log_format": sys.argv[1]})
process_logging.log_to_stderr(settings, {})
thread = threading.Thread(target=_refused_row, name="lost")
thread.start()
thread.join()
Destroyed()
_refused_row()
"""


def test_a_future_among_arguments_quotes_no_error() -> None:
    async def failed() -> str:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(_RowRefused())
        line = TextFormatter().format(_record("given up: %r", future))
        future.exception()
        return line

    assert PERSONAL not in asyncio.run(failed())


def test_an_error_keeps_what_quotes_nothing() -> None:
    line = json.loads(JsonFormatter().format(_record("cannot write: %s", _RowRefused())))
    assert line["message"] == (
        'cannot write: null value in column "id" violates not-null constraint (SQL state 23502)'
    )


def test_a_line_is_one_object_whatever_is_in_it() -> None:
    formatted = JsonFormatter().format(_record("two\nlines, %s", "\ud800"))
    assert "\n" not in formatted
    line = json.loads(formatted)
    assert line["message"] == "two\nlines, \ud800"
    assert line["level"] == "warning"
    assert set(line) == {"time", "level", "logger", "message", "pid"}


def test_lines_of_a_request_have_its_id_and_that_of_its_command() -> None:
    lines: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        CORRELATION_ID.set(b"asked-7")
        lines.append(json.loads(JsonFormatter().format(_record("inside"))))
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def request() -> None:
        headers = [(b"x-request-id", b"abc-1")]
        scope = {"type": "http", "method": "POST", "path": "/x", "headers": headers}
        await Envelope(app, Metrics())(scope, _nothing, _drop)

    async def both() -> None:
        await asyncio.create_task(request())
        lines.append(json.loads(JsonFormatter().format(_record("outside"))))

    asyncio.run(both())
    inside, outside = lines
    assert (inside["requestId"], inside["correlationId"]) == ("abc-1", "asked-7")
    assert "requestId" not in outside
    assert "correlationId" not in outside


@pytest.mark.parametrize(
    ("correlation_id", "text"),
    [(b"order-1", "order-1"), (bytes(range(4)), "00010203"), ("ä".encode(), "c3a4")],
)
def test_correlation_ids_are_text(correlation_id: bytes, text: str) -> None:
    assert readable(correlation_id) == text


def test_a_commands_error_is_an_object(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").touch()
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "apply", "-f", str(tmp_path / "empty.yaml")],
        env={"MILESTREAM_LOG_FORMAT": "json", "MILESTREAM_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    line = json.loads(ended.stderr)
    assert (line["level"], line["logger"]) == ("critical", "milestream")
    assert "empty.yaml" in line["message"]


def _record(message: str, *arguments: object, exc_info: Any = None) -> logging.LogRecord:
    return logging.LogRecord(
        "tests", logging.WARNING, __file__, 1, message, arguments, exc_info=exc_info
    )


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _drop(_message: Any) -> None:
    return None
