"""One loop for all: a history goes through the fold and, beside it, through the naive reference.

Answers are compared on the way, and after each chunk what was published with what the reference
says has happened.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from schemas.instants import from_millis
from schemas.topics import TICKS
from tests.properties.reference import Reference
from tests.spec import Happened, Partition, Sent
from tests.strategies import Segment

Fact = dict[str, Any]
Facts = dict[tuple[int, str], list[Fact]]
"""Facts by the record that they came with, and their type."""

MEMBER = "ownedById"
LOG = ("challengeId", MEMBER)
PROGRESS = (*LOG, "periodKey")
REWARD = ("milestoneId", MEMBER, "periodKey")
ENTRY = (MEMBER, "challengeGroup", "points", "balance")
GRANT = ("actionId", "userGroupId", "cut", "cutBy", "base", "bonus", "boosts", "tier")
ABOUT: Mapping[str, tuple[str, ...]] = {
    "challenge_log.recorded": LOG,
    "challenge_log.voided": (*LOG, "change"),
    "challenge_progress.corrected": (*PROGRESS, "difference"),
    "challenge.completed": PROGRESS,
    "challenge.failed": PROGRESS,
    "challenge.reopened": PROGRESS,
    "reward.granted": REWARD,
    "reward.revoked": REWARD,
    "points.granted": (*ENTRY, *GRANT),
    "points.redeemed": (*ENTRY, "actionId", "userGroupId"),
    "points.spent": ENTRY,
    "points.captured": ENTRY,
    "points.adjusted": ENTRY,
    "points.expired": ENTRY,
    "points.reversed": (*ENTRY, "notRecovered"),
    "points.held": ENTRY,
    "points.released": (*ENTRY, "why"),
    "points.activated": ENTRY,
    "points.refused": ("asked", "available"),
    "points.expiring": (MEMBER, "challengeGroup", "points", "noticeDays"),
    "tier.changed": ("tierSetId", MEMBER, "from", "to", "reason"),
    "event.logged": (
        *(MEMBER, "userId", "eventId", "points", "type", "title", "limit", "maximumReward"),
        *("metadata", "conditionReached", "limitReached", "userGroupId", "localDate", "localHour"),
    ),
    "event.voided": (MEMBER, "pointsVoided"),
    "streak.advanced": (
        *("streakId", MEMBER, "periodKey", "runLength", "healed", "longestLength"),
    ),
    "streak.reverted": ("streakId", MEMBER, "periodKey", "currentLength", "longestLength"),
    "streak.broken": ("streakId", MEMBER, "periodKey"),
    "streak.completed": ("streakId", MEMBER),
}
"""What the reference says of each type of event."""

OWN_TIME = {"challenge.completed", "challenge.failed", "tier.changed", "points.expiring"}
OWN_TIME |= {type_ for type_, names in ABOUT.items() if "balance" in names}
"""What the reference knows the time of."""


def type_of(event: Mapping[str, Any]) -> str:
    """Return a CloudEvent's type without what they all have."""
    return str(event["type"]).removeprefix("milestream.").removesuffix(".v1")


def events_of(chunks: Iterable[Happened]) -> list[dict[str, Any]]:
    """Return every CloudEvent, its type without what they all have."""
    return [event | {"type": type_of(event)} for chunk in chunks for event in chunk.envelopes]


def as_reference(event: Mapping[str, Any]) -> Fact:
    """Return of an output what the reference knows of it."""
    data, type_ = event["data"], type_of(event)
    fact = {name: data[name] for name in ABOUT[type_] if name in data}
    if type_ == "challenge_log.recorded":
        progress = data["challengeProgress"]
        fact["value"] = progress and progress["currentProgressValue"]
    elif type_ == "challenge_progress.corrected":
        fact["value"] = data["after"]["currentProgressValue"]
    elif type_ == "challenge.reopened":
        fact["status"] = data["challengeProgressStatus"]
    elif "balance" in ABOUT[type_]:
        fact["held"] = data.get("held", 0)
        if type_ not in ("points.held", "points.released", "points.activated"):
            fact["pending"] = data.get("pending", 0)
    if type_ in OWN_TIME:
        fact["at"] = datetime.fromisoformat(event["time"])
    return fact


def by_record(facts: Iterable[tuple[int, str, Fact]]) -> Facts:
    """Put facts together by the record that they came with, and their type."""
    together: Facts = defaultdict(list)
    for record, type_, fact in facts:
        together[record, type_].append(fact)
    return together


def log_as_reference(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a log's record what the reference knows: ids for milestones, times as times."""
    progress = body["challengeProgress"]
    joined = {n: body[n] and body[n]["id"] for n in ("achievedMilestone", "nextMilestone")}
    return {
        **joined,
        "achievedMilestones": [each["id"] for each in body["achievedMilestones"]],
        "activityValue": body["activityValue"],
        "challengeProgress": progress
        and {
            "currentProgressValue": progress["currentProgressValue"],
            "challengeProgressStatus": progress["challengeProgressStatus"],
            "aggregationMethod": progress["aggregationMethod"],
            "periodKey": progress["periodKey"],
            "challengeStartedAt": _time(progress["challengeStartedAt"]),
            "challengeCompletedAt": _time(progress["challengeCompletedAt"]),
        },
    }


def void_as_reference(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a void's answer what the reference knows of it."""
    return {
        "progress": [
            (
                Decimal(str(each["currentProgressValue"])),
                each["challengeProgressStatus"],
                _time(each["challengeCompletedAt"]),
            )
            for each in body["progress"]
        ],
        "points": body["points"],
        "revoked": [each["rewardLogId"] for each in body["revoked"]],
        "notRevoked": [each["rewardLogId"] for each in body["notRevoked"]],
    }


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def check_answer(status: int, body: Any, answer: Mapping[str, Any] | None) -> None:
    """Check an answer's body as far as the reference knows it."""
    if answer is None:
        return
    if "challengeProgress" in answer:
        if status == 201:
            assert log_as_reference(body) == answer
        else:  # joins are as they are now
            first = log_as_reference(body["record"])
            assert first["challengeProgress"] == answer["challengeProgress"]
            assert first["activityValue"] == answer["activityValue"]
    elif "notRevoked" in answer:
        assert void_as_reference(body) == answer
    else:
        for name, value in answer.items():
            shown = body[name]
            is_time = isinstance(value, datetime)
            assert (datetime.fromisoformat(shown) if is_time else shown) == value, (name, shown)


@dataclass
class Both:
    """The fold and the reference, after what they went through together."""

    partition: Partition = field(default_factory=Partition)
    reference: Reference = field(default_factory=Reference)
    chunks: list[Happened] = field(default_factory=list)
    _compared: int = 0
    """How many facts of the reference were compared."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every CloudEvent, its type without what they all have."""
        return events_of(self.chunks)

    @property
    def counts(self) -> Counter[str]:
        """What metrics were told."""
        return sum((Counter(chunk.counts) for chunk in self.chunks), Counter[str]())

    def take(self, records: list[Sent]) -> Happened:
        """Fold records as one chunk, and one by one by the reference; compare."""
        happened = self.partition.fold(*records)
        self.chunks.append(happened)
        answers = iter(happened.answers)
        for record in records:
            if record.topic == TICKS:
                self.reference.tick(from_millis(record.timestamp))
                continue
            expected, answer = self.reference.take(record.topic, record.value, record.timestamp)
            status, body = next(answers)
            assert status == expected, (record, body)
            check_answer(status, body, answer)
        self._compare(happened)
        return happened

    def _compare(self, happened: Happened) -> None:
        facts = self.reference.facts[self._compared :]
        self._compared += len(facts)
        known = [event for event in events_of([happened]) if event["type"] in ABOUT]
        found = by_record((int(e["sequence"]), e["type"], as_reference(e)) for e in known)
        check_alike(found, by_record(facts))


def check_alike(found: Facts, expected: Facts) -> None:
    """Check that each record led to the same. What moves points says what there is after it, and
    so in which order it came."""
    for place in sorted({*found, *expected}):
        left = list(found.get(place, ()))
        for fact in expected.get(place, ()):
            assert fact in left, (place, fact, left)
            left.remove(fact)
        assert not left, (place, left)


def fold_beside(
    history: Iterable[Segment],
    *,
    most_lots: int = 2000,
    one_by_one: Callable[[Both, Happened], None] | None = None,
    compared: bool = True,
) -> Both:
    """Take a history through both: each segment as one chunk, or each record as one, after which
    ``one_by_one`` is called. ``compared``: see ``Partition``."""
    both = Both(Partition(compared=compared), Reference(most_lots))
    for segment in history:
        both.partition.define(*segment.definitions)
        for each in segment.definitions:
            both.reference.define(each.key, each.value)
        if one_by_one is None:
            both.take(segment.records)
            continue
        for record in segment.records:
            one_by_one(both, both.take([record]))
    counts = both.counts
    assert counts["duplicates"] == both.reference.duplicates
    refused = {k.split(":")[1]: n for k, n in counts.items() if k.startswith("dead_letter:")}
    assert refused == both.reference.refusals
    ids = [event["id"] for event in both.events]
    assert len(set(ids)) == len(ids)
    return both
