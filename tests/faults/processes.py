"""A process that may be killed, stopped and started again, and must never end in silence."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import deploy.stack.child
from deploy.stack.child import Child

_CHILD_PROGRAM = Path(deploy.stack.child.__file__)
_MESSAGE = re.compile(
    r"CRITICAL|ERROR|[Ee]rror\b|cannot|another worker|Broker shutdown|FATAL|^milestream: ",
    re.MULTILINE,
)
RESTART_SECONDS = 0.5
"""How long a supervisor waits before it starts again what died."""
END_SECONDS = 60


class Process:
    """One process of the stack. ``look`` is its supervisor: what died is started again."""

    def __init__(self, name: str, child: Child, directory: Path) -> None:
        self.name = name
        self.child = child
        self.log = directory / f"{name}.log"
        self._spec = directory / f"{name}.json"
        self._popen: subprocess.Popen[bytes] | None = None
        self._writing = threading.Thread()
        self._wanted = False
        self._expected = False
        self._restart_at = 0.0
        self._life = 0
        """Where in the log the present life began."""
        self.is_excused: Callable[[int], bool] = lambda _code: False
        """Whether an end that nobody expected was all the same a fault of ours."""
        self.starts = 0
        self.ends: list[tuple[int, str]] = []
        """Exit code and last words of each life that ended by itself, never by a signal of ours."""
        self.forgiven = 0
        """How many of them somebody dealt with."""

    def start(self) -> None:
        """Start it, and keep it running."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.child.save(self._spec)
        self._expected = False
        self._life = self.log.stat().st_size if self.log.exists() else 0
        self._popen = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD_PROGRAM), str(self._spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._writing = threading.Thread(target=self._write, args=(self._popen,), daemon=True)
        self._writing.start()
        self.starts += 1
        self._wanted = True  # last: whoever looks meanwhile must not take the life before for this

    def _write(self, popen: "subprocess.Popen[bytes]") -> None:
        """Write down what it says. A pipe, for a file of its own would end with a full disk."""
        assert popen.stdout is not None
        with self.log.open("ab", buffering=0) as log, popen.stdout as said:
            while words := os.read(said.fileno(), 65_536):
                log.write(words)

    @property
    def pid(self) -> int:
        """The process's number; it must have been started."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs, be it stopped."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def wanted(self) -> bool:
        """Whether it is kept running."""
        return self._wanted

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; tell whether it was there to get it."""
        if not self.alive:
            return False
        assert self._popen is not None
        self._popen.send_signal(number)
        return True

    def expect_end(self) -> None:
        """Its next end is ours, not its own."""
        self._expected = True

    def kill(self) -> bool:
        """SIGKILL; tell whether that is what it died of. It is started again by ``look``."""
        self._expected = True
        if not self.send(signal.SIGKILL):
            return False
        assert self._popen is not None
        return self._popen.wait() == -signal.SIGKILL

    def terminate(self) -> None:
        """TERM; ``look`` starts it again where it is still wanted."""
        self._expected = True
        self.send(signal.SIGTERM)

    def dismiss(self, number: signal.Signals) -> None:
        """Tell it to end for good with a signal; nobody waits for it."""
        self._wanted = False
        self._expected = True
        self.send(signal.SIGCONT)
        self.send(number)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = END_SECONDS) -> int:
        """End it for good with a signal, or with SIGKILL where that does not; return its code."""
        self.dismiss(number)
        if self._popen is None:
            return 0
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()

    def text(self) -> str:
        """What it said in its present life."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._life)
            return log.read().decode("utf-8", "replace")

    def said(self, words: str) -> bool:
        """Whether it said this in its present life."""
        return words in self.text()

    def look(self) -> None:
        """Write down how it ended, where it did, and start it again after a moment."""
        if self._popen is None or not self._wanted or self.alive:
            return
        if self._restart_at == 0.0:
            self._writing.join(2)  # children of its own may still hold the pipe
            if not self._expected and not self.is_excused(self._popen.returncode):
                self.ends.append((self._popen.returncode, self.text()[-3000:]))
            self._restart_at = time.monotonic() + RESTART_SECONDS
        elif time.monotonic() >= self._restart_at:
            self._restart_at = 0.0
            self.start()

    def forgive(self) -> None:
        """Forget why it ended so far: the cause is mended."""
        self.forgiven = len(self.ends)

    def silent_ends(self) -> list[str]:
        """Say which of its ends had no message, or were a crash of the interpreter itself."""
        return [
            f"{self.name} ended with {code}: {words[-500:] or 'without a word'}"
            for code, words in self.ends
            if code < 0 or not _MESSAGE.search(words)
        ]
