"""What has imported all of Milestream, and forks a process of it whenever it is asked to.

`python -m tests.fork_server FD`, where FD is the end of a socket of messages; see `tests.forking`.
It ends when the other end is closed.
"""

import atexit
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

MOST_BYTES = 1 << 20
STREAMS = 3
"""Standard input, output and error; they come with each order, and after them where to tell how it
ended."""


def main() -> None:
    """Take orders until nobody is there to give any."""
    _import_all()
    orders = socket.socket(fileno=int(sys.argv[1]))
    waking, awakened = os.pipe()
    for end in (waking, awakened):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever gives orders ends first
    signal.set_wakeup_fd(awakened, warn_on_full_buffer=False)
    living: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([orders.fileno(), waking], [], [])
        if waking in ready:
            os.read(waking, MOST_BYTES)
            _tell_ends(living)
        if orders.fileno() in ready:
            words, streams, _, _ = socket.recv_fds(orders, MOST_BYTES, STREAMS + 1)
            if not words:
                return
            pid = os.fork()
            if pid == 0:
                for number, stream in enumerate(streams[:STREAMS]):
                    os.dup2(stream, number)
                for descriptor in (*streams, *living.values(), waking, awakened):
                    os.close(descriptor)
                orders.close()
                _become(**json.loads(words))
            for stream in streams[:STREAMS]:
                os.close(stream)
            living[pid] = streams[STREAMS]
            orders.send(b"%d" % pid)


def _import_all() -> None:
    from deploy.cli import SUB_COMMANDS, load
    from deploy.imports import kept_for_life, without_aiohttp

    for name in SUB_COMMANDS:
        load(name)
    with kept_for_life(), without_aiohttp():
        for name in (
            "api.server",
            "processor.verification",
            "processor.worker",
            "projections.worker",
        ):
            import_module(name)


def _tell_ends(living: dict[int, int]) -> None:
    """Write down how each process ended that did."""
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        told = living.pop(pid)
        with suppress(BrokenPipeError):  # where nobody wants to know
            os.write(told, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(told)


def _become(arguments: list[str], environment: dict[str, str], prepared: str) -> NoReturn:
    """Be `milestream` with these arguments, and end as Python does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["milestream", *arguments]
    code: Any = 0
    try:
        exec(prepared, {"__name__": "__main__"})  # noqa: S102
        from deploy.cli import main as milestream

        milestream()
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:  # noqa: BLE001 - Python itself says it, and ends
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    main()
