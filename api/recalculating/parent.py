"""The end of a process with the one that started it and holds its standard input open."""

import os
import threading

_STANDARD_INPUT = 0
_BYTES = 4096


def end_with_parent() -> None:
    """End this process, from now on, when its standard input ends.

    The descriptor is read, not `sys.stdin`: a thread that waits in that holds its lock, for which
    the interpreter aborts a process that has ended well.
    """
    threading.Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    while os.read(_STANDARD_INPUT, _BYTES):
        pass
    os._exit(1)
