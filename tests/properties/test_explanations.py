"""Every reward, and every progress, is explained by exactly the logs that a naive reference names,
over random histories in which definitions change, members are paused, and logs are voided."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from processor.domain.retelling.progress import retell, up_to, up_to_reward
from processor.domain.retelling.streaks import last_reached
from processor.domain.retelling.streaks import retell as retell_streak
from processor.domain.retelling.tiers import Judged
from processor.domain.retelling.tiers import retell as retell_tier
from schemas import ids
from schemas.instants import from_millis
from schemas.topics import TICKS
from tests.properties.explained import History, Tables, judge
from tests.properties.reference import Reference
from tests.properties.streak_reference import Run, name_of
from tests.properties.test_events import few
from tests.properties.void_reference import Key, reward_id
from tests.spec import PROJECT, Partition, Sent
from tests.strategies import Segment, histories
from tests.strategies_events import event_histories, streak_histories
from tests.strategies_tiers import tier_histories
from tests.strategies_voids import visit_histories, void_histories
from tests.strategies_whole import whole_histories

LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass
class Hits:
    """Which record hit each period of a streak first; and the runs as they were after each."""

    by_period: dict[int, int] = field(default_factory=dict)
    runs: dict[int, list[Run]] = field(default_factory=dict)

    def of(self, run: Run) -> list[int]:
        """Return the records of a run, in order."""
        return sorted(self.by_period[number] for number in run.hits)


class Remembering(Reference):
    """Remembers which records moved each progress and hit each streak, and which of them each
    reward and completion is for."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: dict[Key, list[int]] = {}
        self.for_reward: dict[str, list[int]] = {}
        self.for_completion: dict[tuple[Key, int], list[int]] = {}
        self.given_at: dict[str, list[int]] = defaultdict(list)
        self.hit_by: dict[tuple[str, str], Hits] = defaultdict(Hits)

    def _count(self, progress: Any, challenge: Any, key: Key, log: Any, at: Any) -> list[str]:
        self.moved.setdefault(key, []).append(self.taken)
        return super()._count(progress, challenge, key, log, at)

    def _add_up(self, key: Key) -> Any:
        change = super()._add_up(key)
        if change:
            self.moved[key].append(self.taken)
        return change

    def _complete(self, progress: Any, challenge: Any, key: Key, at: Any) -> None:
        self.for_completion[key, self.taken] = list(self.moved[key])
        super()._complete(progress, challenge, key, at)

    def _reward(self, reward: Key, milestone: Any, at: Any, challenge: Any = None) -> None:
        super()._reward(reward, milestone, at, challenge)
        self.given_at[reward_id(reward)].append(self.taken)
        if challenge is not None:
            key = (challenge["id"], reward[1], reward[2])
            self.for_reward[reward_id(reward)] = list(self.moved[key])

    def _advance(self, id_: str, definition: Any, member: str, at: Any) -> tuple[str, str, int]:
        before = set(self.streaks[id_, member].hits) if (id_, member) in self.streaks else set()
        hit = super()._advance(id_, definition, member, at)
        streak, hits = self.streaks[id_, member], self.hit_by[id_, member]
        for number in streak.hits - before:
            hits.by_period[number] = self.taken
            hits.runs[self.taken] = streak.runs
        return hit


def place_of(tables: Tables, sequence: int) -> tuple[str, int]:
    """Return where ``chunk-log`` says that an input lies."""
    located = tables.chunk_of(sequence).locate(sequence)
    assert located.topic is not None
    return located.topic, located.offset


def fold(
    history: list[Segment], data: st.DataObject, reference: Remembering
) -> tuple[Tables, History, list[Sent]]:
    """Fold a history for real, in any chunks, and by the reference."""
    partition = Partition(definitions=History())
    chunks, sent = [], list[Sent]()
    for segment in history:
        partition.define(*segment.definitions)
        for each in segment.definitions:
            reference.define(each.key, each.value)
        records = partition.placed(*segment.records)
        sent += records
        while records:
            length = data.draw(st.integers(1, len(records)))
            chunks.append(partition.fold(*records[:length]))
            records = records[length:]
        for record in segment.records:
            if record.topic == TICKS:
                reference.tick(from_millis(record.timestamp))
            else:
                reference.take(record.topic, record.value, record.timestamp)

    assert isinstance(partition.definitions, History)
    return Tables(chunks), partition.definitions, sent


def explain(tables: Tables, history: History, sent: list[Sent], reference: Remembering) -> None:
    """Explain each progress, reward of a challenge, and completion."""
    logs, voids = tables.logs(), tables.voids()
    rewards = [
        row for row in tables.rows("reward_logs") if row["linked_schema_slug"] == "challenge"
    ]
    reached = {
        (row["milestone_id"], row["member_id"], row["period_key"]): row["sequence"]
        for row in tables.rows("milestones_reached")
    }
    completions = [
        row for row in tables.rows("points_ledger") if row["action_id"].startswith("challenge:")
    ]
    explained: dict[str, list[int]] = {}
    for key, moved in reference.moved.items():
        challenge_id, member_id, period_key = key
        judging = judge(tables, history, member_id)
        progress_id = ids.progress_id(PROJECT, *key)
        counted = [
            log
            for owner, of, log in logs
            if (owner, of) == (member_id, challenge_id)
            and log.progress_id == progress_id
            and judging.uncounted_because(log) is None
        ]
        of_event = {log.unique_identifier: log.id for log in counted if log.fed}
        taken = [replace(v, log_id=of_event.get(v.log_id, v.log_id)) for v in voids]
        steps = retell(counted, taken)
        assert [step.of.sequence for step in steps] == moved
        lie = [(sent[n].topic, sent[n].offset) for n in moved]
        assert [place_of(tables, n) for n in moved] == lie
        total = reference.progress[key]["total"]
        assert not steps or steps[-1].after == max(int(total * 10**9), 0)
        for row in rewards:
            if (row["linked_schema_record_id"], row["member_id"], row["period_key"]) == key:
                of = reached[row["milestone_id"], member_id, period_key]
                told = up_to_reward(steps, row["id"], row["sequence"], of)
                explained[row["id"]] = [step.of.sequence for step in told]
        for row in completions:
            if row["source_id"] == progress_id:
                told = up_to(steps, row["sequence"], "completed")
                expected = reference.for_completion[key, row["sequence"]]
                assert [step.of.sequence for step in told] == expected
    assert explained == reference.for_reward


def explain_streaks(tables: Tables, history: History, reference: Remembering) -> None:
    """Explain each streak, and each reward of one, but for those that go by their member's day:
    the tables do not have which zone that was."""
    rewards = [row for row in tables.rows("reward_logs") if row["linked_schema_slug"] == "streak"]
    reached = {row["id"]: row["sequence"] for row in tables.rows("milestones_reached")}
    for row in tables.rows("streak_progress"):
        streak_id, member_id = row["streak_id"], row["member_id"]
        streak = reference.streaks[streak_id, member_id]
        if streak.by_member:
            continue
        hits = reference.hit_by[streak_id, member_id]
        events = tables.qualifying(history, streak_id, member_id)
        told = retell_streak(events, row["period"], row["timezone"])
        assert [step.of.sequence for step in told.latest()] == hits.of(streak.runs[-1])
        for reward in rewards:
            if (reward["linked_schema_record_id"], reward["member_id"]) == (streak_id, member_id):
                period_key = reward["period_key"]
                id_ = ids.milestone_reached_id(
                    PROJECT, reward["milestone_id"], member_id, period_key
                )
                then = retell_streak(events, row["period"], row["timezone"], reached[id_])
                run = next(
                    run
                    for run in hits.runs[reached[id_]]
                    if period_key in [name_of(streak.period, number) for number in run.hits]
                )
                assert [step.of.sequence for step in then.run_of(period_key)] == hits.of(run)


@given(st.one_of(void_histories(), visit_histories()), st.data())
def test_rewards_of_histories_with_voids(history: list[Segment], data: st.DataObject) -> None:
    reference = Remembering()
    explain(*fold(history, data, reference), reference)


@given(visit_histories(), st.data())
def test_rewards_of_streaks_that_were_given_again(
    history: list[Segment], data: st.DataObject
) -> None:
    """Of one that is revoked now no table tells whether a run that a void had left too short, and
    that grew again, had kept its reward meanwhile."""
    reference = Remembering()
    tables, definitions, _ = fold(history, data, reference)
    gone = {row["id"]: row["sequence"] for row in tables.rows("voids")}
    reached = {row["id"]: row["sequence"] for row in tables.rows("milestones_reached")}
    streaks = {row["streak_id"]: row for row in tables.rows("streak_progress")}
    for row in tables.rows("reward_logs"):
        if row["revoked_at"] is not None:
            continue
        streak, member_id = streaks[row["linked_schema_record_id"]], row["member_id"]
        events = [
            replace(event, voided_at=gone.get(event.id))
            for event in tables.qualifying(definitions, streak["streak_id"], member_id)
        ]
        milestone = reference.definitions["milestone", row["milestone_id"]]
        key = (row["milestone_id"], member_id, row["period_key"])
        place = last_reached(
            events,
            streak["period"],
            streak["timezone"],
            row["period_key"],
            target=milestone["milestoneTargetValue"],
            first=reached[ids.milestone_reached_id(PROJECT, *key)],
            until=row["sequence"],
        )
        assert place == reference.given_at[row["id"]][-1]


@given(histories(), st.data())
def test_rewards_of_histories_of_all_kinds(history: list[Segment], data: st.DataObject) -> None:
    reference = Remembering()
    explain(*fold(history, data, reference), reference)


@few
@given(st.one_of(event_histories(), streak_histories()), st.data())
def test_rewards_and_streaks_that_events_lead_to(
    history: list[Segment], data: st.DataObject
) -> None:
    reference = Remembering()
    tables, definitions, sent = fold(history, data, reference)
    explain(tables, definitions, sent, reference)
    explain_streaks(tables, definitions, reference)


@few
@given(whole_histories(), st.data())
def test_rewards_of_histories_of_everything(history: list[Segment], data: st.DataObject) -> None:
    reference = Remembering()
    explain(*fold(history, data, reference), reference)


@few
@given(tier_histories(), st.data())
def test_tiers_are_explained_by_entries_that_come_to_their_basis(
    history: list[Segment], data: st.DataObject
) -> None:
    tables, definitions, _ = fold(history, data, Remembering())
    latest = {(row["member_id"], row["tier_set_id"]): row for row in tables.rows("tier_history")}
    for (member_id, _), row in latest.items():
        rule, first = definitions.sets[row["definition_version"]]
        if rule.basis == "progress" or rule.by_member or row["assigned"]:
            continue
        entries = tables.entries(member_id, earned=rule.basis == "earned")
        known = [e for e in entries if tables.chunk_of(e.sequence).definitions > first]
        since = min((entry.created_at for entry in known), default=LATEST)
        judged = msgspec.convert(
            row
            | {
                "at": row["occurred_at"],
                "value": row["basis_value"],
                "zone": rule.timezone,
                "since": since,
            },
            Judged,
            strict=False,
        )
        steps = retell_tier(entries, rule, judged)
        assert steps is not None
        assert (max(steps[-1].after, 0) if steps else 0) == judged.value
