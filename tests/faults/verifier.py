"""After a schedule: recompute everything from the inputs in plain Python, and compare."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast
from unittest import mock

from typing_extensions import override

from processor import verification
from processor.bound_topics import INPUTS
from processor.store import PartitionStore, StateStore
from schemas.definitions import decode_numbers
from schemas.settings import Settings
from schemas.topics import (
    CHUNK_LOG,
    DEAD_LETTERS,
    DEFINITIONS,
    FORWARDED,
    INPUT_TOPICS,
    OUTPUT_TOPICS,
    PATHWAY_EVENTS,
    REPLIES,
    TICKS,
    changelog_topic,
)
from tests.faults.load import READ, SUMMED, Load
from tests.faults.replay import ORIGIN, PartitionReference, replay
from tests.faults.stack import Stack, Worker
from tests.integration.processor.driving import drain
from tests.integration.projections.driving import query
from tests.integration.projections.recomputation import AGAIN, differing
from tests.properties.beside import ABOUT, as_reference, by_record, check_answer

Topics = Mapping[tuple[str, int], list[Any]]


def read(settings: Settings, *names: str) -> dict[tuple[str, int], list[Any]]:
    """Return the committed records of topics, by name without prefix and partition."""
    found: dict[tuple[str, int], list[Any]] = defaultdict(list)
    for record in drain(settings, *names):
        name = record.topic.removeprefix(settings.topic_prefix)
        found[name, record.partition].append(record)
    return found


def unfolded(settings: Settings) -> int:
    """Return how many inputs, ticks apart, no chunk has yet."""
    names = [name for name in INPUT_TOPICS if name != TICKS]
    topics = read(settings, CHUNK_LOG, *names)
    left = 0
    for partition in range(settings.partitions):
        ends: dict[str, int] = {}
        for record in topics[CHUNK_LOG, partition]:
            for span in json.loads(record.value)["inputs"]:
                ends[span["topic"]] = span["last"] + 1
        for name in names:
            left += sum(r.offset >= ends.get(name, 0) for r in topics[name, partition])
    return left


class Verifier:
    """Holds what is on the topics against what the reference makes of the inputs."""

    def __init__(self, stack: Stack, load: Load) -> None:
        self._stack = stack
        self._load = load
        self._settings = stack.settings
        self._changelog = changelog_topic(self._settings.application_id).name
        self._topics = read(
            self._settings, CHUNK_LOG, REPLIES, DEFINITIONS, self._changelog,
            *INPUT_TOPICS, *OUTPUT_TOPICS,
        )  # fmt: skip
        self._partitions = range(self._settings.partitions)
        self.references: list[PartitionReference] = []
        self.counts: Counter[str] = Counter()
        self.compacted = 0
        """Of how many changelog partitions a forced compaction took records."""

    def check(self) -> None:
        """Compare everything.

        Raises:
            AssertionError: something was lost, doubled or counted wrongly.
        """
        self._look_for_compaction()
        self._check_inputs()
        self.references = [
            replay(
                partition,
                len(self._partitions),
                self._topics[CHUNK_LOG, partition],
                {name: self._topics[name, partition] for name in INPUT_TOPICS},
                self._topics[DEFINITIONS, 0],
            )
            for partition in self._partitions
        ]
        for reference, partition in zip(self.references, self._partitions, strict=True):
            self._check_events(reference, partition)
        self._check_ids()
        self._check_forwards()
        self._check_dead_letters()
        self._check_replies()
        self._check_pathways()
        self._check_http()
        self._check_state()
        self._check_tables()

    def _all(self, topic: str) -> Iterable[Any]:
        return (record for p in self._partitions for record in self._topics[topic, p])

    def _look_for_compaction(self) -> None:
        """Count a forced compaction where records are gone that were there before."""
        for partition, (end, count) in self._stack.changelog_before.items():
            left = [r for r in self._topics[self._changelog, partition] if r.offset < end]
            if len(left) < count:
                self._stack.happened["changelog partition compacted"] += 1
                self.compacted += 1

    def _check_inputs(self) -> None:
        """Nothing that a broker acknowledged is missing."""
        there = {
            (topic, partition, record.offset)
            for (topic, partition), records in self._topics.items()
            for record in records
        }
        lost = self._load.acknowledged - there
        assert not lost, f"the brokers lost {len(lost)} acknowledged records: {sorted(lost)[:5]}"
        self.counts["acknowledged"] = len(self._load.acknowledged)

    def _events(self, partition: int) -> list[dict[str, Any]]:
        events = []
        for topic in OUTPUT_TOPICS:
            if topic == DEAD_LETTERS:
                continue
            for record in self._topics[topic, partition]:
                event = cast("dict[str, Any]", decode_numbers(record.value))
                event["type"] = event["type"].removeprefix("milestream.").removesuffix(".v1")
                events.append(event)
        return events

    def _check_events(self, reference: PartitionReference, partition: int) -> None:
        events = self._events(partition)
        self.counts["inputs"] += reference.taken
        self.counts["outputs"] += len(events)
        known = [event for event in events if event["type"] in ABOUT]
        happened = by_record((int(e["sequence"]), e["type"], as_reference(e)) for e in known)
        expected = by_record(reference.facts)
        for place in sorted({*happened, *expected}):
            left = list(happened.get(place, []))
            for fact in expected.get(place, []):
                assert fact in left, f"partition {partition}, {place}: {fact} is not in {left}"
                left.remove(fact)
            assert not left, f"partition {partition}, {place}: nothing gives {left}"

    def _check_ids(self) -> None:
        ids = Counter(e["id"] for p in self._partitions for e in self._events(p))
        twice = [id_ for id_, times in ids.items() if times > 1]
        assert not twice, f"{len(twice)} outputs are there twice: {twice[:5]}"

    def _check_forwards(self) -> None:
        expected: Counter[Any] = Counter()
        for reference in self.references:
            expected += reference.forwards
        found: Counter[Any] = Counter()
        for record in self._all(FORWARDED):
            origin = json.loads(dict(record.headers)[ORIGIN])
            place = (origin["topic"], origin["partition"], origin["offset"])
            found[record.partition, place] += 1
        assert found == expected, _differ(found, expected)
        self.counts["forwarded"] = found.total()

    def _check_dead_letters(self) -> None:
        expected: Counter[Any] = Counter()
        for reference in self.references:
            expected += reference.refused
        letters = [json.loads(record.value) for record in self._all(DEAD_LETTERS)]
        found = Counter((e["reason"], (e["topic"], e["partition"], e["offset"])) for e in letters)
        assert found == expected, _differ(found, expected)
        self.counts["dead letters"] = found.total()
        self.counts["parked at the end"] = sum(
            len(waiting) for r in self.references for waiting in r.parked.values()
        )

    def _check_replies(self) -> None:
        found: dict[bytes, list[Any]] = defaultdict(list)
        for record in self._all(REPLIES):
            asked = dict(record.headers)["kafka_correlationId"]
            found[asked].append(decode_numbers(record.value))
        for reference in self.references:
            for asked, (status, answer) in reference.replies:
                assert found[asked], f"{asked!r} has no reply"
                alike = [r for r in found[asked] if _answers(r, status, answer)]
                assert alike, f"{asked!r}: {found[asked]} is not {status}, {answer}"
                found[asked].remove(alike[0])
                self.counts["replies"] += 1
        surplus = {asked: replies for asked, replies in found.items() if replies}
        assert not surplus, f"{len(surplus)} replies too many: {[*surplus.items()][:2]}"

    def _check_pathways(self) -> None:
        current: dict[str, Decimal] = {}
        done: Counter[tuple[str, str]] = Counter()
        enrolled: Counter[str] = Counter()
        for record in self._all(PATHWAY_EVENTS):
            event = cast("dict[str, Any]", decode_numbers(record.value))
            data, member = event["data"], event["subject"]
            if event["type"] == "milestream.member.enrolled.v1":
                enrolled[member] += 1
                continue
            if data["activityId"] == SUMMED:
                current[member] = Decimal(data["fulfilment"]["data"]["current"])
            if event["type"] == "milestream.activity.completed.v1":
                done[member, data["activityId"]] += 1
        steps: dict[str, Decimal] = {}
        for reference in self.references:
            steps |= reference.steps
        assert current == steps, _differ(Counter(current), Counter(steps))
        wanted = sum((r.done for r in self.references), Counter[tuple[str, str]]())
        assert done == wanted, _differ(done, wanted)
        assert enrolled == Counter(m for r in self.references for m in r.enrolled)
        assert {READ, SUMMED} >= {activity for _, activity in done}

    def _check_http(self) -> None:
        """What the API said was taken stands in the inputs; what it said was folded, in the log."""
        sent = {
            record["uniqueIdentifier"]
            for topic in ("challenge-logs", FORWARDED)
            for each in self._all(topic)
            if (record := _object(each.value)) and "uniqueIdentifier" in record
        }
        folded = {id_ for r in self.references for _, _, id_ in r.first_answers}
        for identifier, status in self._load.answers.items():
            assert status < 500 or status == 503, f"{identifier} was answered {status}"
            if status in (201, 202, 409):
                assert identifier in sent, f"{identifier} was answered {status}, and is lost"
            if status in (201, 409):
                assert identifier in folded, f"{identifier} was answered {status}, and not folded"
            self.counts[f"http {status}"] += 1

    def _check_state(self) -> None:
        """The changelog's last values are what `milestream verify` comes to on its way."""
        state: dict[int, dict[bytes, bytes]] = {}
        for partition in self._partitions:
            state[partition] = {}
            for record in self._topics[self._changelog, partition]:
                if record.key == INPUTS:
                    continue  # of the topics, and not of what was folded
                if record.value is None:
                    state[partition].pop(record.key, None)
                else:
                    state[partition][record.key] = record.value
        with mock.patch.object(verification, "StateStore", _Recorded):
            _Recorded.found.clear()
            found = asyncio.run(verification.verify(self._settings, lambda _done, _total: None))
        self.counts["verified outputs"] = found.outputs
        for partition in self._partitions:
            wanted = _Recorded.found.get(partition, {})
            differing = [k for k in {*wanted, *state[partition]}
                         if wanted.get(k) != state[partition].get(k)]  # fmt: skip
            assert not differing, (
                f"partition {partition}: {len(differing)} entries of the changelog differ, "
                f"{differing[0]!r}: {state[partition].get(differing[0])!r} is there, "
                f"{wanted.get(differing[0])!r} was expected"
            )
            self.counts["entries"] += len(wanted)
        for worker in self._stack.workers:
            self._check_stores(worker, state)
        logs = sum(key[:1] == b"l" for entries in state.values() for key in entries)
        from_logs = sum(len(r.first_answers) for r in self.references)
        assert logs == from_logs, f"{logs} logs in the state, {from_logs} in the reference"

    def _check_stores(self, worker: Worker, state: Mapping[int, Mapping[bytes, bytes]]) -> None:
        """A store that is at the changelog's end has what the changelog has."""
        for path in worker.stores():
            partition = int(path.name.rpartition("-")[2])
            records = self._topics[self._changelog, partition]
            states = StateStore(path.parent)
            store = states.open(partition)
            try:
                if not records or store.next_offset <= records[-1].offset:
                    continue  # the partition went to another worker since
                entries = dict(cast("Iterable[tuple[bytes, bytes]]", store._db.items()))
            finally:
                states.close_all_but(())
            same = {k: v for k, v in entries.items() if k[:1] != b"\x00"} == state[partition]
            assert same, f"{path} is not what its changelog is"
            self.counts["local stores compared"] += 1

    def _check_tables(self) -> None:
        """The read models have what the references have."""
        settings, references = self._settings, self.references
        progress = {
            (c, m, p): (max(each["total"], Decimal(0)), each["status"])
            for r in references
            for (c, m, p), each in r.progress.items()
        }
        text = "SELECT challenge_id::text, member_id::text, period_key, current_progress_value"
        found = query(settings, f"{text}, status FROM milestream.challenge_progress")
        _same({row[:3]: row[3:] for row in found}, progress, "challenge_progress")
        assert len(found) == len(progress)
        logged = Counter(
            (e["userId"], e["eventId"], e["points"], e["conditionReached"], e["limitReached"])
            for r in references
            for e in r.logged
        )
        text = "SELECT user_id, event_id, points::bigint, condition_reached, limit_reached"
        rows_of_log = Counter(query(settings, f"{text} FROM milestream.event_log"))
        assert rows_of_log == logged, _differ(rows_of_log, logged)
        moved = {
            (fact["ownedById"], fact["challengeGroup"])
            for r in references
            for _, type_, fact in r.facts
            if "balance" in ABOUT.get(type_, ())
        }
        balances = {k: b for r in references for k, b in r.balances.items() if k in moved}
        text = "SELECT member_id::text, challenge_group, balance::bigint"
        found = query(settings, f"{text} FROM milestream.points_balances")
        _same({row[:2]: row[2] for row in found}, balances, "points_balances")
        tiers = {member: tier for r in references for (member, _), tier in r.tiers.items()}
        text = "SELECT member_id::text, tier_id FROM milestream.member_tiers"
        _same(dict(query(settings, text)), tiers, "member_tiers")
        for table, type_ in (
            ("challenge_logs", "challenge_log.recorded"),
            ("reward_logs", "reward.granted"),
            ("milestones_reached", "reward.granted"),
        ):
            wanted = sum(fact[1] == type_ for r in references for fact in r.facts)
            wanted -= sum(r.granted_again for r in references if type_ == "reward.granted")
            assert query(settings, f"SELECT count(*) FROM milestream.{table}") == [(wanted,)], table
        gone = sum(each["revoked"] for r in references for each in r.given.values())
        text = "SELECT count(*) FROM milestream.reward_logs WHERE status = 'revoked'"
        assert query(settings, text) == [(gone,)], "revoked rewards"
        text = 'SELECT reason, topic, partition, "offset" FROM milestream.dead_letters'
        letters = Counter((row[0], row[1:]) for row in query(settings, text))
        refused: Counter[Any] = sum((r.refused for r in references), Counter())
        assert letters == refused, _differ(letters, refused)
        assert differing(settings) == []
        self.counts["tables"] += len(AGAIN)


class _Recorded(StateStore):
    """The store of `milestream verify`, which tells what is in it at last."""

    found: dict[int, dict[bytes, bytes]] = {}  # noqa: RUF012

    @override
    def open(self, partition: int) -> PartitionStore:
        store = super().open(partition)
        kept = self.found.setdefault(partition, {})
        apply = store.apply

        def recorded(
            entries: Mapping[bytes, bytes | None], next_offset: int, **options: Any
        ) -> None:
            apply(entries, next_offset, **options)
            for key, value in entries.items():
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value

        store.apply = recorded  # type: ignore[method-assign]
        return store


def _answers(reply: Any, status: int, answer: Any) -> bool:
    if reply["status"] != status:
        return False
    try:
        check_answer(status, reply["body"], answer)
    except AssertionError:
        return False
    return True


def _object(value: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(value or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _same(found: Mapping[Any, Any], wanted: Mapping[Any, Any], what: str) -> None:
    wrong = [key for key in {*found, *wanted} if found.get(key) != wanted.get(key)]
    assert not wrong, (
        f"{what}: {len(wrong)} rows differ, {wrong[0]}: {found.get(wrong[0])} is there, "
        f"{wanted.get(wrong[0])} was expected"
    )


def _differ(found: Counter[Any], wanted: Counter[Any]) -> str:
    return f"too many: {[*(found - wanted)][:5]}; missing: {[*(wanted - found)][:5]}"
