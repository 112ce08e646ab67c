"""What a part of the benchmarks found, in a form that one table can hold.

A part is a module of `tests.bench` with a function

    measure(fresh: FreshSettings, directory: Path, say: Callable[[str], None]) -> Sequence[Finding]

that makes its own settings on the servers that run, and leaves nothing running.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One row of the table.

    Attributes:
        what: what was measured, and how much of it.
        figure: what it came to, for a reader: "10,700/s", "p50 7 ms, p99 31 ms".
        against: what it is held against, with its own figure; "" where nothing is.
        ratio: this over that; None where nothing is compared.
        at_least: the ratio that is wanted; None where none is.
        values: every number, by name with its unit, for the JSON file.
        note: why it falls short, or what a reader must know.
    """

    what: str
    figure: str
    against: str = ""
    ratio: float | None = None
    at_least: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return the row as text."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}x"
        wanted = "" if self.at_least is None else f"{self.at_least:g}x"
        return self.what, self.figure, self.against, ratio, wanted


HEAD = ("what", "measured", "held against", "ratio", "wanted")
