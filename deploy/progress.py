"""A bar for long work: on stderr where that is a terminal, and nothing where it is not."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


class Bar:
    """One bar. Calling it says how far the work is; `say` prints a line above it."""

    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def __call__(
        self, done: int, total: int | None, beside: str = "", *, what: str | None = None
    ) -> None:
        """Say how much is done, in any unit.

        Args:
            done: how much.
            total: of how much; None or 0: nobody knows.
            beside: what stands beside the percentage.
            what: what is being done, where it is another thing than before.
        """
        whole = max(done, total) if total else None  # more may come while it is read
        self._shown.update(self._task, completed=done, total=whole, description=what, beside=beside)

    def say(self, line: str) -> None:
        """Print a line on stderr, also where there is no bar."""
        self._shown.console.print(line, markup=False, highlight=False)


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """Show a bar until the block ends; it goes away then."""
    console = Console(stderr=True, soft_wrap=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[beside]}", markup=False),
        TimeRemainingColumn(),
    )
    shown = Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,  # or what is meant for a file goes to the terminal
        disable=not console.is_terminal,
    )
    with shown:
        yield Bar(shown, shown.add_task(what, total=None, beside=""))
