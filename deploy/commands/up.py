"""`milestream up`: the whole stack on this machine, until Ctrl-C."""

import signal
import sys
from types import FrameType
from typing import Annotated

import typer

from deploy.stack.whole import WholeStack
from schemas.settings import Settings

_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def command(
    demo: Annotated[bool, typer.Option(help="Keep demo data flowing.")] = True,
    json: Annotated[
        bool, typer.Option("--json", help="When ready, print one line of JSON on stdout.")
    ] = False,
) -> None:
    """Start broker, database, workers, projector and API here; Ctrl-C ends them all.

    Their data stays in MILESTREAM_DATA_DIR. With MILESTREAM_KAFKA or MILESTREAM_DATABASE_URL set,
    those servers are used instead of own ones.
    """
    for number in _STOPPING_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, _stop)
    stack = WholeStack(Settings.from_env(local_stack=False), demo=demo)
    try:
        with stack:
            if json:
                print(stack.addresses().to_json(), flush=True)
            else:
                through = not demo or _wait_for_history(stack)
                _show(stack, demo=demo, through=through)
            stack.watch()
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End once: further signals must not disturb the orderly stop that this one begins."""
    for number in _STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    print("Stopping …", file=sys.stderr)
    raise KeyboardInterrupt


def _wait_for_history(stack: WholeStack) -> bool:
    """Show a bar until the demo's history is through, for what is sent meanwhile waits behind it;
    tell whether it is."""
    import asyncio

    from deploy.demo_history import wait_for_history
    from deploy.progress import bar

    with bar("Demo history: sending") as show:

        def tell(what: str, done: int, total: int) -> None:
            show(done, total, what=f"Demo history: {what}")

        look = stack.servers.supervisor.check_start
        return asyncio.run(wait_for_history(stack.settings, tell, look))


def _show(stack: WholeStack, *, demo: bool, through: bool) -> None:
    from rich.console import Console

    settings = stack.settings
    addresses = stack.addresses()
    lines = {
        "dashboard": f"{addresses.api}/",
        "API": f"{addresses.api}/docs",
        "topics": f"{addresses.api}/asyncapi",
        "Kafka": addresses.kafka,
        "PostgreSQL": addresses.database_url,
        "data": str(settings.data_dir),
        "logs": str(settings.data_dir / "log"),
    }
    # What is to be copied is printed as it is: no markup, no line breaks of the console's own.
    console = Console(highlight=False, soft_wrap=True)
    console.print("\nMilestream is running", style="bold")
    for what, where in lines.items():
        console.print(f"  {what:<11}{where}", markup=False)
    if not through:
        console.print("  The demo's history is still in front: answers may take a while.")
    if demo:
        from deploy.demo_examples import examples

        console.print("\nTry", style="bold")
        console.print(examples(settings), markup=False)
    console.print("\nCtrl-C ends it all; the data stays.\n")
