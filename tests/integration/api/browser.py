"""A headless Chromium, driven over two pipes by its own DevTools protocol: no driver is needed."""

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

LIMIT_SECONDS = 120
_PAUSE_SECONDS = 0.05
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")


def is_there() -> bool:
    """Tell whether there is a browser."""
    return shutil.which("chromium") is not None


class Browser:
    """One tab. What goes wrong in it is kept in `faults`: errors of scripts, of what is loaded, and
    what the content security policy refuses."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.faults: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the answer to a command of the protocol."""
        self._last += 1
        sent: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            sent["sessionId"] = self._session
        os.write(self._commands, json.dumps(sent).encode() + b"\0")
        while True:
            said = self._read()
            if said.get("id") == self._last:
                assert "error" not in said, f"{method}: {said['error']}"
                answer: dict[str, Any] = said["result"]
                return answer
            self._note(said)

    def open(self, url: str) -> None:
        """Open an address."""
        self.call("Page.navigate", url=url)

    def forget(self) -> None:
        """Forget who is signed in, what was looked at and how, and what went wrong."""
        self.open("about:blank")
        self.call("Network.clearBrowserCookies")
        self.call("Emulation.clearDeviceMetricsOverride")
        self.call("Emulation.setEmulatedMedia", features=[])
        self.faults.clear()

    def look(self, width: int, *, dark: bool) -> None:
        """Look by a window so wide, in light or dark; nothing moves, so that colours are there."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.call("Emulation.setEmulatedMedia", features=[scheme, still])

    def value(self, expression: str) -> Any:
        """Return what an expression comes to in the page, promises awaited."""
        options = {"returnByValue": True, "awaitPromise": True}
        found = self.call("Runtime.evaluate", expression=expression, **options)
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Return when an expression is true in the page."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > deadline:
                shown = self.value("document.body?.innerText")
                raise AssertionError(f"{expression} is not true of {shown}")
            time.sleep(_PAUSE_SECONDS)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._answers], [], [], LIMIT_SECONDS)
            assert ready, "the browser says nothing"
            read = os.read(self._answers, 1 << 16)
            assert read, "the browser has ended"
            self._buffer += read
        said, _, self._buffer = self._buffer.partition(b"\0")
        found: dict[str, Any] = json.loads(said)
        return found

    def _note(self, said: dict[str, Any]) -> None:
        if said.get("method") == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(said["params"]["exceptionDetails"]))
        elif said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] == "error":
            self.faults.append(json.dumps(said["params"]["entry"]))


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a browser whose profile is in a directory, until the context ends."""
    read_commands, commands = os.pipe()
    answers, write_answers = os.pipe()
    # The protocol is on descriptors 3 and 4; a shell puts them there.
    wired = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", wired, "chromium", "chromium", *_OPTIONS, f"--user-data-dir={profile}"],
        pass_fds=(read_commands, write_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        yield Browser(commands, answers)
    finally:
        os.close(commands)
        os.close(answers)
        process.kill()
        process.wait()
