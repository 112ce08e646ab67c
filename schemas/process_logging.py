"""How a process of Milestream logs: to stderr, as text or as one JSON object a line.

No line has a personal field: of an error that may quote what it met (a row, an input) only what
names none of it is logged. So it is with what Python itself says of errors that nobody caught: in a
task, a thread, a destructor, or the process.
"""

import asyncio
import copy
import json
import logging
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from pydantic_core import ValidationError

from schemas.settings import Settings

REQUEST_ID: ContextVar[str | None] = ContextVar("request id", default=None)
"""The HTTP request that is served; every JSON line logged meanwhile has it as `requestId`."""

CORRELATION_ID: ContextVar[bytes | None] = ContextVar("correlation id", default=None)
"""That of the command that is sent or folded; likewise `correlationId`."""

TRACE_ID: ContextVar[str | None] = ContextVar("trace id", default=None)
"""That of the request that is served, where it is traced; likewise `traceId`."""

_HEAD = "Traceback (most recent call last):"

_DATA_EXCEPTION = "22"
"""Class of SQL states whose messages quote the value that was refused."""


def log_to_stderr(settings: Settings, at_least: Mapping[str, int]) -> None:
    """Set up logging for this process.

    Args:
        settings: where level and format are set.
        at_least: by the name of a library's logger, the level below which it says too much.
    """
    if settings.log_format == "json":
        log_json(settings.log_level.upper())
    else:
        _handle_with(TextFormatter(), settings.log_level.upper())
    for name, level in at_least.items():
        logging.getLogger(name).setLevel(max(level, logging.getLogger().level))


def log_json(level: str) -> None:
    """Log JSON from this level on, warnings and the exception that ends this process as well."""
    _handle_with(JsonFormatter(), level)
    logging.captureWarnings(True)


def _handle_with(formatter: logging.Formatter, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    sys.excepthook = _log_last
    threading.excepthook = _log_last_of_thread
    sys.unraisablehook = _log_ignored


def _log_last(type_: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    if issubclass(type_, KeyboardInterrupt):
        return
    logging.getLogger("milestream").critical("this ended the process", exc_info=(type_, error, tb))


def _log_last_of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is None or issubclass(given.exc_type, SystemExit):
        return
    name = "a thread" if given.thread is None else f"the thread {given.thread.name}"
    logging.getLogger("milestream").error("this ended %s", name, exc_info=given.exc_value)


def _log_ignored(given: "sys.UnraisableHookArgs") -> None:
    # Not the object: its text may quote what it holds.
    kind = type(given.object).__qualname__
    logging.getLogger("milestream").error("ignored in a %s", kind, exc_info=given.exc_value)


class TextFormatter(logging.Formatter):
    """Lines for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's lines."""
        record = copy.copy(_quoting_nothing(record))
        record.exc_text = None  # another handler's text of the error, which quotes all
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        """Return an error with its causes and where they arose."""
        return stack_of(ei[1]) if ei[1] is not None else ""


class JsonFormatter(logging.Formatter):
    """A JSON object a line, for machines; `deploy/README.md#logs` lists its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _quoting_nothing(record).getMessage(),
            "pid": record.process,
        }
        correlation = getattr(record, "correlation_id", None) or CORRELATION_ID.get()
        found = {
            "requestId": getattr(record, "request_id", None) or REQUEST_ID.get(),
            "correlationId": None if correlation is None else readable(correlation),
            "traceId": TRACE_ID.get(),
            **getattr(record, "fields", {}),
        }
        line.update({name: value for name, value in found.items() if value is not None})
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = {
                "type": type(error).__name__,
                "message": said(error),
                "stack": stack_of(error),
            }
        return json.dumps(line, default=str)


def readable(correlation_id: bytes) -> str:
    """Return a correlation id as text: itself where it is printable ASCII, else in hexadecimal."""
    if correlation_id.isascii() and (text := correlation_id.decode()).isprintable():
        return text
    return correlation_id.hex()


def said(error: BaseException) -> str:
    """Return an error's message, without what it quotes of data.

    PostgreSQL's details quote the row, messages about values the value; pydantic quotes inputs.
    """
    state, primary = getattr(error, "sqlstate", None), _primary_message(error)
    if state is not None:
        quotes = primary is None or state.startswith(_DATA_EXCEPTION)
        return f"SQL state {state}" if quotes else f"{primary} (SQL state {state})"
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = (f"{'.'.join(map(str, each['loc']))}: {each['type']}" for each in found)
        return f"{error.title} is not valid: {', '.join(wrong)}"
    return str(error).strip()


def _primary_message(error: BaseException) -> str | None:
    return getattr(getattr(error, "diag", None), "message_primary", None)


def stack_of(error: BaseException) -> str:
    """Return an error's stack and message, after those of its causes."""
    return "\n".join(
        "".join((f"{how}\n" if how else "", *_calls(each.__traceback__), _last(each)))
        for each, how in reversed(list(_chain(error)))
    )


def _calls(tb: TracebackType | None) -> list[str]:
    """Return the lines of a stack below the one that people and tools look for in a log."""
    return [] if tb is None else [f"{_HEAD}\n", *traceback.format_tb(tb)]


def _last(error: BaseException) -> str:
    message = said(error)
    name = type(error).__qualname__
    within = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    inner = "".join(f"\n  | {line}" for each in within for line in stack_of(each).splitlines())
    return (f"{name}: {message}" if message else name) + inner


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """Yield an error and its causes, each with what it was to the one before it."""
    seen: set[int] = set()
    following: BaseException | None = error
    how = ""
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following, how
        cause, hidden = following.__cause__, following.__suppress_context__
        how = "(cause of what follows)" if cause is not None else "(met before what follows)"
        following = cause if cause is not None else None if hidden else following.__context__


class _Said:
    """Stands for an error among the arguments of a line."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        return said(self._error)

    def __repr__(self) -> str:
        return f"{type(self._error).__name__}({said(self._error)!r})"


def _quoting_nothing(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record whose text quotes no error; others may hold the same record."""
    if record.name == _ASYNCIO:
        changed = copy.copy(record)
        changed.msg, changed.args = _without_reprs(record.getMessage()), None
        return changed
    given = record.args
    if not isinstance(given, tuple) or not any(isinstance(one, _QUOTING) for one in given):
        return record
    changed = copy.copy(record)
    changed.args = tuple(_safe(one) for one in given)
    return changed


def _safe(argument: object) -> object:
    """Return an argument of a line, or what may be said of it."""
    if isinstance(argument, BaseException):
        return _Said(argument)
    return _named(repr(argument)) if isinstance(argument, asyncio.Future) else argument


_ASYNCIO = "asyncio"
_QUOTING = (BaseException, asyncio.Future)
"""What has the text of an error in its own."""


def _without_reprs(message: str) -> str:
    """Return what an event loop says, without the texts of its tasks, futures and callbacks: they
    quote errors, results and arguments. The error itself is logged beside it."""
    head, *details = message.split("\n")
    said_of = head.partition("(")[0].partition("<")[0].strip()
    tasks = [_named(line) for line in details if line.startswith(("future: ", "task: "))]
    return ": ".join([said_of, *tasks])


def _named(task: str) -> str:
    """Return the name and the function in a task's text, as far as it has them."""
    name = task.partition(" name='")[2].partition("'")[0]
    function = task.partition(" coro=<")[2].partition("(")[0].partition(" ")[0]
    return " ".join(part for part in ("task", name, function) if part)
