"""A headless Chromium that tests drive by its debugging protocol, over a pipe.

A pipe needs no port and no library of its own: each message is JSON that ends with a zero byte.
Scripts that a test evaluates run whatever the page's content security policy allows.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 60
"""How long an answer may take, and what is waited for."""
_POLL_SECONDS = 0.1


def is_there() -> bool:
    """Tell whether there is a browser."""
    return shutil.which("chromium") is not None


class Page:
    """The one page of a browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write = write
        self._read = read
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        attached = self("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self("Page.enable")

    def __call__(self, method: str, **parameters: Any) -> Any:
        """Return what the browser answers to a call of the protocol.

        Raises:
            AssertionError: it refuses, or does not answer in time.
        """
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._next(deadline)
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def _next(self, deadline: float) -> Any:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._read, 1 << 16)
            assert part, "the browser has ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url: str) -> None:
        """Go to an address; also to another fragment of the same page."""
        self("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """Return what a script comes to, as JSON; a promise is waited for."""
        found = self("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, (script[:200], found["exceptionDetails"])
        return found["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Evaluate a script until it comes to something true; return that."""
        deadline = time.monotonic() + SECONDS
        while not (found := self.evaluate(script)):
            if time.monotonic() > deadline:
                shown = self.evaluate("document.body.innerText")
                raise AssertionError(f"{script}: not in time; the page shows:\n{shown}")
            time.sleep(_POLL_SECONDS)
        return found

    def look(self, scheme: str, width: int, height: int = 900) -> None:
        """Show pages light or dark, and so many pixels wide."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self("Emulation.setEmulatedMedia", features=[feature])
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self("Emulation.setDeviceMetricsOverride", **size)


@contextlib.contextmanager
def page(profile: Path) -> Iterator[Page]:
    """Start a browser with a directory of its own, and end it."""
    to_read, write = os.pipe()
    read, to_write = os.pipe()

    def pipes() -> None:  # it reads from 3 and writes to 4
        pair = os.dup(to_read), os.dup(to_write)
        os.dup2(pair[0], 3)
        os.dup2(pair[1], 4)

    with (profile / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=False,
            preexec_fn=pipes,  # noqa: PLW1509  (no thread of a test holds a lock here)
        )
    os.close(to_read)
    os.close(to_write)
    try:
        yield Page(write, read)
    finally:
        os.close(write)
        os.close(read)
        process.terminate()  # its children end with it
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
