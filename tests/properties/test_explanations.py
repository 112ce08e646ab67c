"""Every reward, and every progress, is explained by exactly the logs that a naive reference names,
over random histories in which definitions change, members are paused, and logs are voided."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.retelling import retell, up_to_reward
from schemas import ids
from schemas.instants import from_millis
from schemas.topics import TICKS
from tests.properties.explained import History, Tables, judge
from tests.properties.void_reference import Key, VoidReference, reward_id
from tests.spec import PROJECT, Partition, Sent
from tests.strategies import Segment, histories
from tests.strategies_voids import void_histories


class ExplainingReference(VoidReference):
    """Remembers which records moved each progress, and which of them each reward is for."""

    def __init__(self) -> None:
        super().__init__()
        self.moved: dict[Key, list[int]] = {}
        self.for_reward: dict[str, list[int]] = {}
        self.told_twice: set[str] = set()

    def _count(self, progress: Any, challenge: Any, key: Key, log: Any, at: Any) -> list[str]:
        self.moved.setdefault(key, []).append(self.taken)
        return super()._count(progress, challenge, key, log, at)

    def _add_up(self, key: Key) -> Any:
        change = super()._add_up(key)
        if change:
            self.moved[key].append(self.taken)
        return change

    def _reward(self, reward: Key, milestone: Any, challenge: Any) -> None:
        super()._reward(reward, milestone, challenge)
        key = (challenge["id"], reward[1], reward[2])
        self.for_reward[reward_id(reward)] = list(self.moved[key])


def place_of(tables: Tables, sequence: int) -> tuple[str, int]:
    """Return where ``chunk-log`` says that an input lies."""
    located = tables.chunk_of(sequence).locate(sequence)
    assert located.topic is not None
    return located.topic, located.offset


def explain(history: list[Segment], data: st.DataObject) -> None:
    """Fold a history and explain all that it led to."""
    partition, reference = Partition(definitions=History()), ExplainingReference()
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

    tables = Tables(chunks)
    assert isinstance(partition.definitions, History)
    logs, voids = tables.logs(), tables.voids()
    rewards = {row["id"]: row for row in tables.rows("reward_logs")}
    reached = {
        (row["milestone_id"], row["member_id"], row["period_key"]): row["sequence"]
        for row in tables.rows("milestones_reached")
    }
    explained: dict[str, list[int]] = {}
    for key, moved in reference.moved.items():
        challenge_id, member_id, period_key = key
        judging = judge(tables, partition.definitions, member_id)
        progress_id = ids.progress_id(PROJECT, *key)
        counted = [
            log
            for owner, of, log in logs
            if (owner, of) == (member_id, challenge_id)
            and log.progress_id == progress_id
            and judging.uncounted_because(log) is None
        ]
        steps = retell(counted, voids)
        assert [step.of.sequence for step in steps] == moved
        assert [place_of(tables, n) for n in moved] == [
            (sent[n].topic, sent[n].offset) for n in moved
        ]
        total = reference.progress[key]["total"]
        assert not steps or steps[-1].after == max(int(total * 10**9), 0)
        for id_, row in rewards.items():
            if (row["linked_schema_record_id"], row["member_id"], row["period_key"]) == key:
                told = up_to_reward(
                    steps, id_, row["sequence"], reached[row["milestone_id"], member_id, period_key]
                )
                explained[id_] = [step.of.sequence for step in told]
    assert explained == reference.for_reward


@given(void_histories(), st.data())
def test_rewards_of_histories_with_voids(history: list[Segment], data: st.DataObject) -> None:
    explain(history, data)


@given(histories(), st.data())
def test_rewards_of_histories_of_all_kinds(history: list[Segment], data: st.DataObject) -> None:
    explain(history, data)
