"""Members with 2,000 lots in a wallet that lapses, against members without a wallet.

The fold alone, on a real store and in one process: what everything else costs is the same for both,
and would only hide the difference. An event gives points, which go into a lot; a spend takes some.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import process_time

from processor.domain.aggregates.wallet import MAX_LOTS
from processor.domain.definitions import Definitions
from processor.domain.fold import Part, fold_chunk
from processor.domain.inputs import Place
from processor.store import StateStore
from schemas.instants import format_instant
from tests.bench.findings import Finding
from tests.event_spec import event, event_of
from tests.points_spec import adjust, rolling, spend
from tests.spec import Defined, Sent, upsert
from tests.stack import FreshSettings

MEMBERS = 50
LOTS = MAX_LOTS - 1
"""Each member's; the events make one more."""
CHUNKS = 20
_FIRST = datetime(2026, 6, 1, 12, tzinfo=UTC)
_WANTED = 0.5


@dataclass(frozen=True)
class Run:
    """Processor time of the fold for a record, in microseconds: the middle of all chunks."""

    event: float
    spend: float


def measure(
    fresh: FreshSettings,  # noqa: ARG001  (every part is given them)
    directory: Path,
    say: Callable[[str], None],
) -> Sequence[Finding]:
    """Fold the same events and spends of members with very many lots, and of members with none."""
    without = _run(directory / "without", [])
    say(f"  no wallet: {without.event:.0f} µs an event, {without.spend:.0f} µs a spend")
    lots = _run(directory / "lots", [rolling("P12M")])
    say(f"  {LOTS + 1:,} lots: {lots.event:.0f} µs an event, {lots.spend:.0f} µs a spend")
    return [
        _finding("an event", lots.event, without.event),
        _finding("a spend", lots.spend, without.spend),
    ]


def _finding(what: str, micros: float, without: float) -> Finding:
    return Finding(
        f"{what} of a member with {LOTS + 1:,} lots, the fold alone",
        f"{micros:.0f} µs",
        f"{without:.0f} µs without a wallet",
        without / micros,
        _WANTED,
        {"micros": micros, "without_micros": without},
    )


class _Folding:
    """One partition's store under the fold."""

    def __init__(self, directory: Path, definitions: Sequence[Defined]) -> None:
        self._store = StateStore(directory).open(0)
        self._definitions = Definitions()
        for place, each in enumerate(definitions):
            self._definitions.apply(each.key, each.value, place, 0)
        self._offsets: Counter[str] = Counter()
        self._chunks = 0

    def fold(self, records: Sequence[Sent]) -> float:
        """Fold records of one topic as one chunk; return the processor seconds that it took."""
        topic = records[0].topic
        first = self._offsets[topic]
        self._offsets[topic] += len(records)
        lying = [replace(r, offset=first + n, headers=()) for n, r in enumerate(records)]
        begun = process_time()
        effects = fold_chunk(
            Place(0, 1, {}),
            [Part(topic, lying)],
            self._definitions,
            self._store.load,
            self._store.scan,
        )
        taken = process_time() - begun
        assert effects.complete
        assert not [name for name in effects.counts if name.startswith("dead_letter")]
        self._chunks += 1
        self._store.apply(effects.writes, self._chunks)
        return taken


def _run(directory: Path, wallets: Sequence[Defined]) -> Run:
    folding = _Folding(directory, [event_of(), *wallets])
    early = format_instant(_FIRST - timedelta(days=1))
    folding.fold([upsert(f"m{n}").arriving(early) for n in range(MEMBERS)])
    for chunk in _opening(early, LOTS if wallets else 1, lapsing=bool(wallets)):
        folding.fold(chunk)
    events = [folding.fold(_events(number)) for number in range(CHUNKS)]
    spends = [folding.fold(_spends(number)) for number in range(CHUNKS)]
    records = MEMBERS * _EACH
    return Run(median(events) / records * 1e6, median(spends) / records * 1e6)


_EACH = 4
"""Records of each member in a chunk."""


def _opening(early: str, lots: int, *, lapsing: bool) -> Iterator[list[Sent]]:
    """Yield chunks that give every member points, in as many lots."""
    for lot in range(lots):
        ends = format_instant(_FIRST + timedelta(days=400 + lot)) if lapsing else None
        fields = {"expiresAt": ends} if ends else {}
        yield [
            adjust(1000, f"opening-{lot}", userId=f"m{n}", **fields).arriving(early)
            for n in range(MEMBERS)
        ]


def _moments(number: int) -> Iterator[tuple[int, str]]:
    """Yield a member and a moment for each record of a chunk."""
    for record in range(MEMBERS * _EACH):
        yield record % MEMBERS, format_instant(_FIRST + timedelta(hours=number, seconds=record))


def _events(number: int) -> list[Sent]:
    return [event("visit", at, userId=f"m{n}").arriving(at) for n, at in _moments(number)]


def _spends(number: int) -> list[Sent]:
    return [
        spend(1, f"spend-{at}", userId=f"m{n}").arriving(at) for n, at in _moments(CHUNKS + number)
    ]
