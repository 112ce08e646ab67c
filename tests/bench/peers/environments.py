"""Environments of peers whose packages are no part of this project, made at first use.

`.bench/venvs/<name>` with what the file `<name>.txt` pins. A peer's other code runs in there too,
so it can import the standard library and its own packages only (see `tests.bench.peers.job`).
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.bench.peers import PeerUnavailable

_PARENT = Path(__file__).parents[3] / ".bench" / "venvs"
_SECONDS = 600


class Environment:
    """One environment.

    Attributes:
        wanted: the file that pins what is in it; the folder is called like the file.
        python: its interpreter, which `make` puts there.
    """

    def __init__(self, wanted: Path, parent: Path = _PARENT) -> None:
        self.wanted = wanted
        self._directory = parent / wanted.stem
        self._stamp = self._directory / "installed.txt"
        self.python = str(self._directory / "bin" / "python")

    def make(self) -> None:
        """Make it, unless it is there.

        Raises:
            PeerUnavailable: it cannot be made here.
        """
        if self._is_made():
            return
        print(f"installing {self.wanted.name} into {self._directory} …", file=sys.stderr)
        shutil.rmtree(self._directory, ignore_errors=True)
        self._run(sys.executable, "-m", "venv", str(self._directory))
        self._run(
            self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--only-binary", ":all:", "--requirement", str(self.wanted),
        )  # fmt: skip
        shutil.copyfile(self.wanted, self._stamp)

    def _is_made(self) -> bool:
        return self._stamp.exists() and self._stamp.read_bytes() == self.wanted.read_bytes()

    def _run(self, *command: str) -> None:
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise PeerUnavailable(
                f"{self.wanted.name} cannot be installed here: {' '.join(said)}"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise PeerUnavailable(
                f"{self.wanted.name} was not installed within {_SECONDS} s"
            ) from error
