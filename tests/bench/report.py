"""What a run found: a table to read, and JSON and Markdown to keep."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import findings
from tests.bench.findings import Finding
from tests.bench.stats import StatsTiming

_PACKAGES = ("aiokafka", "faust-streaming", "rocksdict", "msgspec", "cramjam", "uvloop")


@dataclass(frozen=True)
class Row:
    """One peer's figures; `ratio` is the rate of Milestream's challenge logs over this one's."""

    peer: str
    guarantee: str
    records: int
    seconds: float
    rate: float
    cpu_micros: float
    ratio: float | None

    @property
    def a_core_second(self) -> float | None:
        """Records for a second of one core: what a rate hides where a peer has threads.

        None where too little processor time was seen to say.
        """
        return 1e6 / self.cpu_micros if self.cpu_micros else None

    def values(self) -> dict[str, object]:
        """Return every figure, for the JSON file."""
        return {**asdict(self), "aCoreSecond": self.a_core_second}


@dataclass(frozen=True)
class Report:
    """A whole run."""

    workload: Mapping[str, float]
    import_rate: float = 0
    output_bytes: int = 0
    rows: Sequence[Row] = ()
    events: Row | None = None
    """Milestream's own, with events in place of challenge logs."""
    stats: StatsTiming | None = None
    findings: Sequence[Finding] = ()
    left_out: Sequence[str] = ()
    """Peers that could not be had, each with why."""

    def show(self) -> None:
        """Print the table."""
        table = Table(title="Folding challenge logs, and events, one process each")
        for name in _HEAD:
            table.add_column(name, justify="right" if name in _HEAD[2:] else "left")
        for row in self._all():
            table.add_row(*_cells(row))
        console = Console()
        if not console.is_terminal:
            console = Console(width=120)
        if self.rows:
            console.print(table)
            console.print(self._footnote())
        for note in self.left_out:
            console.print(f"left out: {note}", markup=False)
        if self.findings:
            console.print(self._table_of_findings())
            for finding in self.findings:
                if finding.note:
                    console.print(f"{finding.what}: {finding.note}")

    def _table_of_findings(self) -> Table:
        table = Table(title="What is reached")
        for name in findings.HEAD:
            table.add_column(name, justify="left" if name in findings.HEAD[:3] else "right")
        for finding in self.findings:
            table.add_row(*finding.cells())
        return table

    def write(self, directory: Path) -> None:
        """Write `bench.json` and `bench.md`."""
        directory.mkdir(parents=True, exist_ok=True)
        content = {
            **asdict(self),
            "rows": [row.values() for row in self.rows],
            "events": None if self.events is None else self.events.values(),
            "eventsToLogs": self.events_to_logs,
            "machine": machine(),
            "versions": versions(),
        }
        (directory / "bench.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        (directory / "bench.md").write_text(self.markdown(), "utf-8")

    def markdown(self) -> str:
        """Return the table in Markdown."""
        lines: list[str] = []
        if self.rows:
            lines += [
                f"| {' | '.join(_HEAD)} |",
                "|---|---|---:|---:|---:|---:|---:|---:|",
                *(f"| {' | '.join(_cells(row))} |" for row in self._all()),
                "",
                self._footnote(),
                "",
            ]
        if self.left_out:
            lines += [*(f"- left out: {note}" for note in self.left_out), ""]
        if self.findings:
            lines += [
                f"| {' | '.join(findings.HEAD)} |",
                "|---|---|---|---:|---:|",
                *(f"| {' | '.join(finding.cells())} |" for finding in self.findings),
                "",
                *(f"- {finding.what}: {finding.note}" for finding in self.findings if finding.note),
                "",
            ]
        about = ", ".join(f"{name} {value}" for name, value in machine().items())
        return "\n".join([*lines, f"On {about}.", ""])

    @property
    def events_to_logs(self) -> float | None:
        """The rate of events over that of challenge logs; None where either is missing."""
        ratio = self.events.ratio if self.events is not None else None
        return None if ratio is None else 1 / ratio

    def _all(self) -> Sequence[Row]:
        return [*self.rows, *([] if self.events is None else [self.events])]

    def _footnote(self) -> str:
        load = self.workload
        said = [self._about_logs(load)]
        if self.events_to_logs is not None:
            said.append(
                "Events (conditions, a limit, points, one challenge fed) fold at "
                f"{self.events_to_logs:.2f} of the rate of challenge logs."
            )
        if self.stats is not None:
            said.append(self.stats.text())
        return " ".join(said)

    def _about_logs(self, load: Mapping[str, float]) -> str:
        return (
            f"{load['records']:,} logs of {load['members']:,} members, {load['duplicates']:.0%} "
            f"duplicates, imported at {self.import_rate:,.0f} records/s; outputs of "
            f"{self.output_bytes:,} bytes. Rates move from machine to machine, ratios less."
        )


_HEAD = (
    "who",
    "guarantee",
    "records",
    "seconds",
    "records/s",
    "CPU µs each",
    "records a core-second",
    "Milestream's logs are",
)


def _cells(row: Row) -> Sequence[str]:
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    return (
        row.peer,
        row.guarantee,
        f"{row.records:,}",
        f"{row.seconds:.1f}",
        f"{row.rate:,.0f}",
        f"{row.cpu_micros:.0f}",
        "" if row.a_core_second is None else f"{row.a_core_second:,.0f}",
        ratio,
    )


def machine() -> dict[str, object]:
    """Return what the figures were taken on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text("utf-8").splitlines() if cpus.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    found = {name: metadata.version(name) for name in _PACKAGES}
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {**found, "milestream": commit.stdout.strip() or metadata.version("milestream")}
