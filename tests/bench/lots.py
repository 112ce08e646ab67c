"""Members with 2,000 lots in a wallet that lapses, against members without a wallet.

The fold alone, on a real store and in one process: what everything else costs is the same for both,
and would only hide the difference. An event gives points, which go into a lot: mostly into one that
is there, a member's first of a day into a new one (where all lots lapse together, that day's); a
spend takes some.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
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
from tests.points_spec import adjust, rolling, spend, wallet_of
from tests.spec import Defined, Sent, upsert
from tests.stack import FreshSettings

MEMBERS = 50
CHUNKS = 20
LOTS = MAX_LOTS - CHUNKS - 2
"""Each member's at first; the events make the rest, so that none have to become one."""
_FIRST = datetime(2026, 6, 1, 12, tzinfo=UTC)
_WANTED = 0.5


@dataclass(frozen=True)
class Run:
    """Processor time of the fold for a record, in microseconds: the middle of all chunks."""

    event: float
    first: float
    """A member's first event of a day."""
    spend: float


def measure(
    fresh: FreshSettings,  # noqa: ARG001  (every part is given them)
    directory: Path,
    say: Callable[[str], None],
) -> Sequence[Finding]:
    """Fold the same events and spends of members with very many lots, and of members with none."""
    without = _told(say, "no wallet", _run(directory / "without", []))
    found = []
    for kind, wallet in _WALLETS.items():
        lots = _told(say, kind, _run(directory / kind, [wallet]))
        found += [
            _finding(f"an event of a member with 2,000 lots, {kind}", lots.event, without.event),
            _finding(f"that member's first event of a day, {kind}", lots.first, without.first),
            _finding(f"a spend of that member, {kind}", lots.spend, without.spend),
        ]
    return found


_WALLETS = {
    "rolling": rolling("P12M"),
    "calendar": wallet_of(expiry={"type": "calendar", "dates": ["12-31"]}),
    "sliding": wallet_of(expiry={"type": "sliding", "after": "P12M"}),
    "after hours": rolling("P1DT6H"),
    "waiting": rolling("P12M", pendingFor="P3D"),
    "own days": rolling("P12M", timezone="member"),
}
_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia")
"""The members', one after another."""


def _told(say: Callable[[str], None], who: str, run: Run) -> Run:
    say(
        f"  {who}: {run.event:.1f} µs an event, {run.first:.1f} µs the first of a day, "
        f"{run.spend:.1f} µs a spend"
    )
    return run


def _finding(what: str, micros: float, without: float) -> Finding:
    return Finding(
        f"{what}, the fold alone",
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
    zones = dict(zip(range(MEMBERS), cycle(_ZONES)))
    folding.fold([upsert(f"m{n}", timezone=zones[n]).arriving(early) for n in range(MEMBERS)])
    for chunk in _opening(early, LOTS if wallets else 1, lapsing=bool(wallets)):
        folding.fold(chunk)
    chunks = range(CHUNKS)
    events = [folding.fold(_events(timedelta(minutes=4 * n))) for n in chunks]
    firsts = [folding.fold(_events(timedelta(days=1 + n), each=1)) for n in chunks]
    spends = [folding.fold(_spends(timedelta(days=CHUNKS + 1, minutes=4 * n))) for n in chunks]
    records = MEMBERS * _EACH
    return Run(
        median(events) / records * 1e6,
        median(firsts) / MEMBERS * 1e6,
        median(spends) / records * 1e6,
    )


_EACH = 4
"""Records of each member in most chunks."""


def _opening(early: str, lots: int, *, lapsing: bool) -> Iterator[list[Sent]]:
    """Yield chunks that give every member points, in as many lots."""
    for lot in range(lots):
        ends = format_instant(_FIRST + timedelta(days=400 + lot)) if lapsing else None
        fields = {"expiresAt": ends} if ends else {}
        yield [
            adjust(1000, f"opening-{lot}", userId=f"m{n}", **fields).arriving(early)
            for n in range(MEMBERS)
        ]


def _moments(after: timedelta, each: int) -> Iterator[tuple[int, str]]:
    """Yield a member and a moment for each record of a chunk."""
    for record in range(MEMBERS * each):
        yield record % MEMBERS, format_instant(_FIRST + after + timedelta(seconds=record))


def _events(after: timedelta, each: int = _EACH) -> list[Sent]:
    return [event("visit", at, userId=f"m{n}").arriving(at) for n, at in _moments(after, each)]


def _spends(after: timedelta) -> list[Sent]:
    return [
        spend(1, f"spend-{at}", userId=f"m{n}").arriving(at) for n, at in _moments(after, _EACH)
    ]
