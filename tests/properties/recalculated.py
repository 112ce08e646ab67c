"""Recalculations over histories, without a broker: by the library, and by two naive references.

The references take a history as it was, and as if the definitions of now had always been there, in
which case nothing is left of how a recalculation is done: no worlds, no cuts, no differences.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import groupby
from types import SimpleNamespace
from typing import Any

from processor.domain.definitions import Definitions
from processor.domain.fold import FOLD_VERSION, ChunkLogged, Part
from processor.domain.inputs import Place
from processor.recalculation.comparison import Both, corrections
from processor.recalculation.correction import Correction
from processor.recalculation.history import ForHistory
from processor.recalculation.replay import Replay
from processor.recalculation.wanted import Mode, Wanted, put_on_top
from processor.recalculation.worlds import Worlds
from processor.recorded import RecordedChunk
from schemas import definitions as models
from schemas import ids
from schemas.instants import from_millis
from schemas.topics import TICKS
from tests.properties.reference import Reference
from tests.spec import NOW, PROJECT, Defined, Happened, Partition, Sent, millis
from tests.strategies import Segment

Key = tuple[str, str, str]


class MemoryStore:
    """A scratch store in memory."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries."""
        return [self.entries.get(key) for key in keys]

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Return the keys in [first, last), in order."""
        return sorted(key for key in self.entries if first <= key < last)[:limit]

    def apply(self, entries: Mapping[bytes, bytes | None], next_offset: int) -> None:  # noqa: ARG002
        """Write entries."""
        for key, value in entries.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value


@dataclass
class Chunked:
    """A history as its topics would have it: all definitions in order, and chunks under them."""

    definitions: list[Defined] = field(default_factory=list)
    chunks: list[RecordedChunk] = field(default_factory=list)
    places: Partition = field(default_factory=Partition)

    def add(self, segment: Segment, at_once: int) -> None:
        """Put definitions in force, and fold records in chunks of so many."""
        self.definitions += segment.definitions
        for first in range(0, len(segment.records), at_once):
            records = self.places.placed(*segment.records[first : first + at_once])
            parts = [Part(topic, list(run)) for topic, run in groupby(records, lambda r: r.topic)]
            logged = ChunkLogged(0, 0, len(records), [], len(self.definitions), fold=FOLD_VERSION)
            offset = len(self.chunks)
            self.chunks.append(RecordedChunk(SimpleNamespace(offset=offset), logged, parts))


def chunked(history: Iterable[Segment], at_once: int) -> Chunked:
    """Return a history in chunks of at most so many records."""
    made = Chunked()
    for segment in history:
        made.add(segment, at_once)
    return made


def apply(definitions: Definitions, defined: Iterable[Defined]) -> None:
    """Put definitions in force."""
    for each in defined:
        definitions.apply(each.key, each.value, definitions.next_offset, millis(NOW) - 60_000)


def wanted_of(changed: Sequence[Defined], mode: Mode, challenge_id: str | None = None) -> Wanted:
    """Return what a recalculation with these definitions is asked for."""
    made = [models.parse(each.kind, dict(each.fields or {})) for each in changed]
    return Wanted(project=PROJECT, definitions=made, challenge_id=challenge_id, mode=mode)


def recalculate(made: Chunked, wanted: Wanted, cut: str | None = None) -> list[Correction]:
    """Return what a recalculation corrects."""
    return recalculated(made, wanted, cut)[0]


def recalculated(
    made: Chunked, wanted: Wanted, cut: str | None = None
) -> tuple[list[Correction], Partition]:
    """Return what a recalculation corrects; and the partition as it is at the cut, under the
    definitions that it goes by."""
    now = Definitions()
    apply(now, made.definitions)
    challenges = put_on_top(wanted, now)
    stores = MemoryStore(), MemoryStore()
    worlds = Worlds(
        Place(0, 1, {}),
        PROJECT,
        ForHistory(PROJECT, challenges, now),
        recorded=stores[0],
        recomputed=stores[1],
    )
    replay = Replay(PROJECT, worlds, cut)
    for chunk in made.chunks:
        for piece in _pieces(replay, worlds, made, chunk):
            worlds.fold(piece)
        if replay.is_over:
            break
    rest = replay.rest()
    if rest is not None:
        worlds.fold(rest)
    found = [each for some in corrections(wanted, challenges, Both(*stores), now) for each in some]
    return found, Partition(
        definitions=now,
        entries=dict(stores[0].entries),
        offsets=Counter(made.places.offsets),
        compared=False,
    )


def _pieces(replay: Replay, worlds: Worlds, made: Chunked, chunk: RecordedChunk) -> Iterator[Any]:
    before = replay.before(chunk)
    if before is not None:
        yield before
    seen = worlds.definitions.next_offset
    apply(worlds.definitions, made.definitions[seen : chunk.logged.definitions])
    then = replay.take(chunk)
    if then is not None:
        yield then


# By the references.


@dataclass
class Told:
    """A history as it was, and as if what is recalculated had always been as it is now."""

    was: Reference = field(default_factory=Reference)
    now: Reference = field(default_factory=Reference)
    in_force: Reference = field(default_factory=Reference)
    """Under the definitions in force, with nothing folded."""


def told(history: Sequence[Segment], changed: Sequence[Defined], challenges: set[str]) -> Told:
    """Take a history through two references."""
    both, always = Told(), _always(history, changed, challenges)
    for each in always.values():
        both.now.define(each.key, each.value)
        both.in_force.define(each.key, each.value)
    for segment in history:
        for each in segment.definitions:
            both.was.define(each.key, each.value)
            then = _then(each, always, challenges)
            both.now.define(then.key, then.value)
        for record in segment.records:
            _take(both, record)
    return both


def _always(
    history: Sequence[Segment], changed: Sequence[Defined], challenges: set[str]
) -> dict[tuple[str, str], Defined]:
    """Return the challenges and their milestones as they are now."""
    now = {}
    for each in [*(each for segment in history for each in segment.definitions), *changed]:
        now[each.kind, each.id] = each
    return {key: each for key, each in now.items() if _is_of(each, challenges)}


def _is_of(each: Defined, challenges: set[str]) -> bool:
    """Tell whether a definition is one of the challenges, or a milestone of one."""
    if each.fields is None:
        return False
    if each.kind == "milestone":
        return each.fields["linkedSchemaRecordId"] in challenges
    return each.kind == "challenge" and each.id in challenges


def _then(
    each: Defined, always: Mapping[tuple[str, str], Defined], challenges: set[str]
) -> Defined:
    """Return a change of definitions as it holds for history."""
    now = always.get((each.kind, each.id))
    if each.fields is None or (now is None and not _is_of(each, challenges)):
        return each
    if now is None:
        return each.deleted()
    return now.but(status=each.fields.get("status", "live"))


def _take(both: Told, record: Sent) -> None:
    """Have both take a record; what the first refuses the second does not see."""
    if record.topic == TICKS:
        for reference in (both.was, both.now):
            reference.tick(from_millis(record.timestamp))
        return
    refused = sum(both.was.refusals.values())
    both.was.take(record.topic, record.value, record.timestamp)
    if sum(both.was.refusals.values()) == refused:
        both.now.take(record.topic, record.value, record.timestamp)


@dataclass(frozen=True)
class Expected:
    """What a correction is to come to, by the references."""

    difference: Decimal
    completed: bool
    falls_short: bool
    granted: frozenset[str]
    not_given: frozenset[str]

    @property
    def is_anything(self) -> bool:
        """Whether there is anything that may be seen of it."""
        return self != _NOTHING


_NOTHING = Expected(Decimal(0), False, False, frozenset(), frozenset())


def expected(both: Told, challenges: set[str], mode: Mode) -> dict[Key, Expected]:
    """Return by challenge, member and period what the references differ by, and what is given by
    what is kept."""
    found = {}
    for key in {*both.was.progress, *both.now.progress}:
        if key[0] in challenges and both.was.members[key[1]]["status"] != "forgotten":
            difference = _difference(both, key, exact=mode == "exact")
            found[key] = difference if mode == "exact" else _with_kept(both, key, difference)
    return found


def _with_kept(both: Told, key: Key, difference: Expected) -> Expected:
    """Return a difference with what the value of before reaches of what is in force, where the
    recomputed one is less."""
    was, now = both.was.progress.get(key), both.now.progress.get(key)
    if was is None or not _adds_up(both, key):
        return difference
    least = Decimal(0) if now is None else now["total"]
    challenge = both.in_force.definitions["challenge", key[0]]
    done = [each is not None and each["status"] == "completed" for each in (was, now)]
    completes = least < challenge["completionTargetValue"] <= was["total"] and not any(done)
    given = _given(both.was, key)
    new = {
        each["id"]
        for each in both.in_force._milestones(challenge)
        if least < each["milestoneTargetValue"] <= was["total"] and each["id"] not in given
    } - {*was["reached"], *(now["reached"] if now else ())}
    return replace(
        difference,
        completed=difference.completed or completes,
        granted=difference.granted | new,
    )


_KEYS = {
    "yearly": r"\d{4}",
    "daily": r"\d{4}-\d\d-\d\d",
    "weekly": r"\d{4}-W\d\d",
    "monthly": r"\d{4}-\d\d",
    "all_time": "all",
}


def _adds_up(both: Told, key: Key) -> bool:
    """Tell whether a log of now could add to a progress."""
    challenge = both.in_force.definitions["challenge", key[0]]
    lives = [challenge.get("status", "live"), both.was.members[key[1]]["status"]]
    period = challenge.get("aggregationPeriod", "daily")
    return lives == ["live", "live"] and bool(re.fullmatch(_KEYS[period], key[2]))


def without_left(
    both: Told, challenges: set[str], found: dict[Key, Expected]
) -> dict[Key, Expected]:
    """Return what is corrected without what a correction gives besides where it is sent: what the
    recomputed value is enough for, and an earlier log did not give, as it was not live then."""
    left = {}
    for key, each in found.items():
        now = both.now.progress.get(key)
        if now is None or key[0] not in challenges:
            left[key] = each
            continue
        challenge = both.in_force.definitions["challenge", key[0]]
        enough = {
            milestone["id"]
            for milestone in both.in_force._milestones(challenge)
            if milestone["milestoneTargetValue"] <= now["total"]
        } - _given(both.now, key)
        late = now["status"] != "completed" and challenge["completionTargetValue"] <= now["total"]
        left[key] = replace(
            each, granted=each.granted - enough, completed=each.completed and not late
        )
    return left


def _difference(both: Told, key: Key, *, exact: bool) -> Expected:
    was, now = both.was.progress.get(key), both.now.progress.get(key)
    totals = [Decimal(0) if each is None else each["total"] for each in (was, now)]
    done = [each is not None and each["status"] == "completed" for each in (was, now)]
    difference = totals[1] - totals[0]
    given, by_it = _given(both.was, key), _given(both.now, key, of=key[0])
    reached = set(was["reached"] if was else ())  # once and for all, whatever became of the reward
    return Expected(
        difference if exact else max(difference, Decimal(0)),
        completed=done[1] and not done[0],
        falls_short=exact and done[0] and not done[1],
        granted=frozenset(by_it - given - reached),
        not_given=frozenset(_given(both.was, key, of=key[0]) - _given(both.now, key))
        if exact
        else frozenset(),
    )


def _given(reference: Reference, key: Key, of: str | None = None) -> set[str]:
    """Return the milestones whose rewards a member has for a period, of one challenge or of all."""
    return {
        milestone
        for (milestone, member, period), each in reference.given.items()
        if (member, period) == key[1:] and not each["revoked"] and of in (None, each["challenge"])
    }


def as_expected(correction: Correction) -> tuple[Key, Expected]:
    """Return of a correction what the references know."""
    key = correction.challenge_id, correction.member_id, correction.period_key
    return key, Expected(
        correction.difference,
        correction.completed,
        correction.falls_short,
        frozenset(each.milestone_id for each in correction.reached if each.granted),
        frozenset(each.milestone_id for each in correction.not_given),
    )


def command_of(correction: Correction, recalculation_id: str, at: str) -> Sent:
    """Return a correction's command as it lies on its topic."""
    value = correction.command(recalculation_id)
    key = correction.member_id.encode()
    return replace(Sent("member-commands", value, key), timestamp=millis(at))


@dataclass(frozen=True)
class Gave:
    """What a correction gives: of these, how many points, before caps."""

    difference: Decimal
    completed: bool
    reopened: bool
    granted: frozenset[str]
    points: int


def as_listed(correction: Correction) -> Gave:
    """Return what a correction says that it gives."""
    return Gave(
        correction.difference,
        correction.completed,
        correction.falls_short,
        frozenset(each.milestone_id for each in correction.reached if each.granted),
        correction.points,
    )


def as_folded(happened: Happened) -> Gave:
    """Return what a correction gave."""
    (corrected,) = happened.of("challenge_progress.corrected")
    points = happened.of("points.granted")
    return Gave(
        Decimal(corrected["difference"]),
        bool(happened.of("challenge.completed")),
        bool(happened.of("challenge.reopened")),
        frozenset(each["milestoneId"] for each in happened.of("reward.granted")),
        sum(each["points"] + each.get("cut", 0) for each in points),
    )


def member(name: str) -> str:
    """Return a member's id."""
    return ids.member_id(PROJECT, name)
