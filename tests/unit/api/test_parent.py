"""How the process of a recalculation ends."""

import subprocess
import sys
from subprocess import PIPE

_ENDS_WELL = """
from api.recalculating.parent import end_with_parent
end_with_parent()
"""
_GOES_ON = f"""{_ENDS_WELL}
import threading
threading.Event().wait(60)
"""


def _started(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stderr=PIPE)


def test_a_process_that_is_done_ends_well_while_its_parent_lives() -> None:
    with _started(_ENDS_WELL) as process:
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_process_ends_with_its_parent() -> None:
    with _started(_GOES_ON) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 1
