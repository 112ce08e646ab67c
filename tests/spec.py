"""Given definitions and records, when more records come, then this happened: the fold, specified.

``given(ann, challenge()).when(log("first", value=60)).then(recorded(progress(60)))`` runs the real
``fold_chunk`` over a dict as its store. What comes out is decoded and compared on the fields that a
test names; that nothing else happened is always checked.
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple, Self

import msgspec

from processor.domain.definitions import Definitions
from processor.domain.dry_run import fold_dry
from processor.domain.effects import Answer, Effects, Forward, Output
from processor.domain.fast_path import COMPILED, MakeFastPath, fastest, in_python
from processor.domain.fold import Part, Poison, fold_chunk
from processor.domain.inputs import Place, Record
from processor.domain.member_keys import NO_KEYS, MemberKeys
from schemas import dry_runs, ids, replies, topics
from schemas.definitions import decode_numbers
from schemas.instants import parse_instant

PROJECT = ids.DEFAULT_PROJECT
NOW = "2026-11-21T12:00:00Z"
"""When records arrive unless they say otherwise: a Saturday, in week 47."""
ANN = ids.member_id(PROJECT, "ann")
BEN = ids.member_id(PROJECT, "ben")
OUTPUT_TOPICS = tuple(name for name, t in topics.TOPICS.items() if t.purpose.startswith("output"))

_JSON = msgspec.json.Encoder(decimal_format="number")


def numbered(number: int) -> str:
    """Return a UUID that a reader can tell from others."""
    return f"00000000-0000-4000-8000-{number:012d}"


CHALLENGE = numbered(1)
OTHER_CHALLENGE = numbered(2)
MILESTONE = numbered(11)


def millis(text: str) -> int:
    """Return a Kafka timestamp."""
    return round(parse_instant(text).timestamp() * 1000)


ASKING = tuple(replies.headers_for(topics.REPLIES, 0, b"asked"))
"""The headers that ask for an answer, on ``replies`` 0."""

# What is given.


@dataclass(frozen=True)
class Defined:
    """A record of ``definitions``; ``fields`` None deletes."""

    kind: str
    id: str
    fields: Mapping[str, Any] | None
    project: str = PROJECT

    @property
    def key(self) -> bytes:
        """The record's key."""
        return f"{self.project}/{self.kind}/{self.id}".encode()

    @property
    def value(self) -> bytes | None:
        """The record's value."""
        return None if self.fields is None else _JSON.encode(self.fields)

    def but(self, **fields: Any) -> "Defined":
        """The same definition with other fields."""
        return replace(self, fields={**(self.fields or {}), **fields})

    def deleted(self) -> "Defined":
        """The null that deletes it."""
        return replace(self, fields=None)


def challenge(id_: str = CHALLENGE, *, project: str = PROJECT, **fields: Any) -> Defined:
    """A challenge that sums up to 100 a day."""
    known = {"id": id_, "name": "Spend", "completionTargetValue": 100}
    return Defined("challenge", id_, known | fields, project)


def milestone(target: Any, id_: str = MILESTONE, **fields: Any) -> Defined:
    """A milestone of ``CHALLENGE``."""
    known = {"id": id_, "name": f"At {target}", "linkedSchemaRecordId": CHALLENGE}
    return Defined("milestone", id_, known | {"milestoneTargetValue": target} | fields)


def project_settings(project: str = PROJECT, **fields: Any) -> Defined:
    """A project's settings."""
    return Defined("project", project, {"id": project, **fields}, project)


@dataclass(frozen=True)
class Sent:
    """A record on an input topic. Every record asks for an answer, on ``replies`` 0."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    timestamp: int = millis(NOW)
    headers: tuple[tuple[str, bytes | None], ...] = ASKING
    offset: int = -1
    """Where it lies; -1: the topic's next."""

    def arriving(self, at: str) -> "Sent":
        """The same record with another timestamp."""
        return replace(self, timestamp=millis(at))

    def with_headers(self, *headers: tuple[str, bytes | None]) -> "Sent":
        """The same record with these headers alone."""
        return replace(self, headers=headers)


def log(identifier: str = "log-1", value: Any = None, **fields: Any) -> Sent:
    """A challenge log of Ann's; a field that is ``None`` is left out."""
    known = {
        "challengeId": CHALLENGE,
        "activityAt": "2026-11-21T10:00:00Z",
        "activityId": "purchase",
        "uniqueIdentifier": identifier,
        "activityValue": value,
    }
    if "ownedBy" not in fields:
        known["ownedById"] = ANN
    given_ = {name: v for name, v in (known | fields).items() if v is not None}
    return Sent(topics.CHALLENGE_LOGS, _JSON.encode(given_))


def raw_log(text: str | bytes | None) -> Sent:
    """A record on ``challenge-logs`` with exactly this value."""
    return Sent(topics.CHALLENGE_LOGS, text.encode() if isinstance(text, str) else text)


def command(type_: str, **fields: Any) -> Sent:
    """A member command."""
    return Sent(topics.MEMBER_COMMANDS, _JSON.encode({"type": type_, **fields}))


def upsert(external_id: str = "ann", **fields: Any) -> Sent:
    """The command that makes or changes a member."""
    return command("upsert-member", externalId=external_id, **fields)


ann = upsert("ann")
ben = upsert("ben")

# What is expected.


class Fact(NamedTuple):
    """Something that happened: an output's type, and fields of its data (or of a dead letter)."""

    type: str
    data: Mapping[str, Any]


def progress(value: Any, status: str = "in_progress", **fields: Any) -> dict[str, Any]:
    """The progress within a record."""
    return {
        "challengeProgress": {
            "currentProgressValue": value,
            "challengeProgressStatus": status,
            **fields,
        }
    }


def recorded(*parts: Mapping[str, Any], **fields: Any) -> Fact:
    """``challenge_log.recorded``."""
    return Fact("challenge_log.recorded", _merged(parts, fields))


def completed(**fields: Any) -> Fact:
    """``challenge.completed``."""
    return Fact("challenge.completed", fields)


def reached(milestone_id: str = MILESTONE, **fields: Any) -> Fact:
    """``milestone.reached``."""
    return Fact("milestone.reached", {"milestoneId": milestone_id, **fields})


def granted(milestone_id: str = MILESTONE, **fields: Any) -> Fact:
    """``reward.granted``."""
    return Fact("reward.granted", {"milestoneId": milestone_id, **fields})


def updated(**fields: Any) -> Fact:
    """``reward.updated``."""
    return Fact("reward.updated", fields)


def upserted(external_id: str = "ann", **fields: Any) -> Fact:
    """``member.upserted``."""
    return Fact("member.upserted", {"externalId": external_id, **fields})


def forgotten(member_id: str = ANN, external_id: str = "ann", **fields: Any) -> tuple[Fact, ...]:
    """What a member's being forgotten leads to."""
    data = {"id": member_id, "userId": external_id, **fields}
    return (
        Fact("points.forgotten", data),
        Fact("event.forgotten", data),
        Fact("member.gone", {"id": member_id, "milestream-project": PROJECT.encode()}),
    )


def refused(reason: str, field_: str | None = None, **fields: Any) -> Fact:
    """A dead letter; ``field_`` is the field that its message names first."""
    named = {} if field_ is None else {"field": field_}
    return Fact("refused", {"reason": reason, **named, **fields})


def _merged(parts: Iterable[Mapping[str, Any]], fields: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for part in parts:
        merged.update(part)
    return {**merged, **fields}


def alike(expected: Any, actual: Any) -> Any:
    """Return of ``actual`` only what ``expected`` speaks of, so that ``==`` shows what differs."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return {k: alike(v, actual.get(k, "(absent)")) for k, v in expected.items()}
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [alike(e, a) for e, a in zip(expected, actual, strict=True)]
    return actual


# The driver.


@dataclass
class Partition:
    """One partition under the real fold: a dict for its store, and offsets that count up."""

    number: int = 0
    partitions: int = 1
    reply_partitions: Mapping[str, int] = field(default_factory=lambda: {topics.REPLIES: 4})
    definitions: Definitions = field(default_factory=Definitions)
    entries: dict[bytes, bytes] = field(default_factory=dict)
    offsets: Counter[str] = field(default_factory=Counter)
    fast_path: MakeFastPath = fastest
    """Who takes common logs."""
    keys: MemberKeys = NO_KEYS
    """What opens sealed fields."""
    compared: bool = True
    """Whether each chunk is folded by the fast path and by Python besides, and compared."""

    def define(self, *definitions: Defined) -> None:
        """Put definitions in force."""
        for each in definitions:
            offset = self.definitions.next_offset
            self.definitions.apply(each.key, each.value, offset, millis(NOW) - 60_000)

    def placed(self, *records: Sent) -> list[Sent]:
        """Give each record that has none its topic's next offset."""
        lying = []
        for each in records:
            offset = self.offsets[each.topic] if each.offset < 0 else each.offset
            self.offsets[each.topic] = max(self.offsets[each.topic], offset + 1)
            lying.append(replace(each, offset=offset))
        return lying

    def fold(
        self, *records: Sent, poisoned: Poison | None = None, whole: bool = False
    ) -> "Happened":
        """Fold the records, in this order, as one chunk; ``poisoned`` names what cannot be."""
        runs = groupby(self.placed(*records), key=lambda r: r.topic)
        parts = [Part(topic, list(run)) for topic, run in runs]
        if self.compared:
            self._compare(parts, poisoned=poisoned or {}, whole=whole)
        tried = self._tried(records) if self.compared and not poisoned else None
        effects = self._effects(parts, self.fast_path, poisoned=poisoned or {}, whole=whole)
        if tried is not None and not effects.forwards and not effects.counts["skipped"]:
            assert tried == [as_tried(answer) for answer in effects.answers]
        for key, value in effects.writes.items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value
        return Happened(self, effects)

    def _effects(
        self, parts: Sequence[Part], fast_path: MakeFastPath, *, poisoned: Poison, whole: bool
    ) -> Effects:
        return fold_chunk(
            Place(self.number, self.partitions, self.reply_partitions),
            parts,
            self.definitions,
            self.load,
            self.scan,
            fast_path=fast_path,
            poisoned=poisoned,
            whole=whole,
            keys=self.keys,
        )

    def try_out(self, record: Sent) -> Effects:
        """Fold a record as a dry run; see that it changes nothing."""
        before = dict(self.entries)
        dry = replace(record, headers=(*dry_runs.headers_for(record.topic), *record.headers))
        effects = self.dry(replace(dry, topic=topics.DRY_RUNS, offset=0))
        assert self.entries == before
        return effects

    def dry(self, record: Sent) -> Effects:
        """Fold a record of ``dry-runs``."""
        place = Place(self.number, self.partitions, self.reply_partitions)
        return fold_dry(place, record, self.definitions, self.load, self.scan, keys=self.keys)

    def _tried(self, records: Sequence[Sent]) -> list[Any] | None:
        """Return what a dry run of a chunk's only record answers; None where it has others, or none
        that can be tried."""
        if len(records) != 1 or records[0].topic not in dry_runs.TRIED:
            return None
        effects = self.try_out(records[0])
        assert not effects.faults
        assert all(answer.value.endswith(b'"dryRun":true}}') for answer in effects.answers)
        return [msgspec.json.decode(answer.value) for answer in effects.answers]

    def _compare(self, parts: Sequence[Part], *, poisoned: Poison, whole: bool) -> None:
        """Check that the fast path and Python fold a chunk alike, order included.

        Records that ask for an answer are Python's, so here they ask for none.
        """
        may_be_fast = topics.CHALLENGE_LOGS, topics.EVENTS  # these, and the logs that events feed
        if COMPILED is not None and any(topic in may_be_fast for topic, _ in parts):
            silent = [
                Part(topic, [_silent(record) for record in records]) for topic, records in parts
            ]
            compiled, python = (
                self._effects(silent, fast_path, poisoned=poisoned, whole=whole)
                for fast_path in (COMPILED, in_python)
            )
            assert compiled == python
            assert list(compiled.writes) == list(python.writes)
            assert list(compiled.outputs) == list(python.outputs)

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries, as a partition's store does."""
        return [self.entries.get(key) for key in keys]

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Return the first keys of a range, as a partition's store does."""
        return sorted(key for key in self.entries if first <= key < last)[:limit]


def as_tried(answer: Answer) -> Any:
    """Return a real answer as a dry run gives it."""
    reply = msgspec.json.decode(answer.value)
    reply["body"]["dryRun"] = True
    reply["status"] = {201: 200}.get(reply["status"], reply["status"])
    return reply


def _silent(record: Record) -> Record:
    if isinstance(record, Sent) and record.headers == ASKING:
        return replace(record, headers=())
    return record


class Given:
    """What was so before."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition

    def and_given(self, *things: Defined | Sent) -> Self:
        """Apply definitions and fold records in this order."""
        for thing in things:
            if isinstance(thing, Defined):
                self.partition.define(thing)
            else:
                happened = self.partition.fold(thing)
                assert not happened.of("refused"), f"given, but refused: {happened.facts}"
        return self

    def when(self, *records: Sent) -> "Happened":
        """Fold the records as one chunk."""
        return self.partition.fold(*records)


def given(*things: Defined | Sent, partition: Partition | None = None) -> Given:
    """Start from definitions and records, in this order."""
    return Given(partition or Partition()).and_given(*things)


class Happened:
    """What a chunk led to, decoded."""

    def __init__(self, partition: Partition, effects: Effects) -> None:
        self.partition = partition
        self.effects = effects
        self.facts = [
            _decoded(topic, output) for topic in OUTPUT_TOPICS for output in self.outputs(topic)
        ]

    def outputs(self, topic: str) -> list[Output]:
        """Return what was written to a topic."""
        return self.effects.outputs.get(topic, [])

    def of(self, type_: str) -> list[Mapping[str, Any]]:
        """Return the data of each event of a type, or of dead letters (``refused``)."""
        return [fact.data for fact in self.facts if fact.type == type_]

    @property
    def only(self) -> Mapping[str, Any]:
        """The record of the only log."""
        (record,) = self.of("challenge_log.recorded")
        return record

    @property
    def envelopes(self) -> list[dict[str, Any]]:
        """Every CloudEvent whole."""
        return [
            decode_numbers(output.value)
            for topic in OUTPUT_TOPICS
            if topic not in (topics.DEAD_LETTERS, topics.REPLIES)
            for output in self.outputs(topic)
            if output.value
        ]

    @property
    def answers(self) -> list[tuple[int, Any]]:
        """The status and body of each answer."""
        decoded = [decode_numbers(answer.value) for answer in self.effects.answers]
        return [(reply["status"], reply["body"]) for reply in decoded]

    @property
    def forwards(self) -> list[Forward]:
        """What was forwarded."""
        return self.effects.forwards

    @property
    def counts(self) -> Mapping[str, int]:
        """What metrics are told."""
        return self.effects.counts

    def then(self, *expected: Fact) -> Self:
        """Check that exactly this happened; the order counts within a topic."""
        wanted = sorted(expected, key=_topic_order)
        happened = sorted(self.facts, key=_topic_order)
        assert [fact.type for fact in happened] == [fact.type for fact in wanted], self.facts
        for want, fact in zip(wanted, happened, strict=True):
            assert alike(want.data, fact.data) == want.data
        return self

    def then_nothing_happened(self) -> Self:
        """Check that no event was written and no entry but the position changed."""
        self.then()
        assert set(self.effects.writes) <= {b"o"}
        return self

    def answering(self, *expected: tuple[int, Mapping[str, Any]]) -> Self:
        """Check the answers: status, and the fields of the body that are named."""
        assert [status for status, _ in self.answers] == [status for status, _ in expected]
        for (_, want), (_, body) in zip(expected, self.answers, strict=True):
            assert alike(want, body) == want
        return self

    def and_when(self, *records: Sent) -> "Happened":
        """Fold more records as another chunk."""
        return self.partition.fold(*records)

    def and_given(self, *things: Defined | Sent) -> Given:
        """Go on from here."""
        return Given(self.partition).and_given(*things)


_ORDER = (
    *("challenge", "challenge_log", "challenge_progress", "milestone", "reward", "member"),
    *("points", "event", "streak", "activity", "tier", "clock", "refused"),
)


def _topic_order(fact: Fact) -> int:
    """Sort facts by topic: across topics there is no order."""
    return max(2, _ORDER.index(fact.type.split(".")[0]))


def _decoded(topic: str, output: Output) -> Fact:
    if not output.value:
        return Fact("member.gone", {"id": (output.key or b"").decode(), **dict(output.headers)})
    value = decode_numbers(output.value)
    if topic != topics.DEAD_LETTERS:
        return Fact(value["type"].removeprefix("milestream.").removesuffix(".v1"), value["data"])
    head, colon, _ = value["message"].partition(": ")
    bytes_ = None if value["value"] is None else b64decode(value["value"])
    return Fact("refused", value | {"field": head if colon else "", "bytes": bytes_})
