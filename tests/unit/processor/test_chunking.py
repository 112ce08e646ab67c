"""What a fetch brought becomes chunks: commands first, ticks after everything before them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import TopicPartition

from processor import chunking
from processor.chunking import Asked, Chunk, ChunkAssembler
from processor.fetching import Fetch
from schemas.settings import Settings
from schemas.topics import (
    CHALLENGE_LOGS,
    DRY_RUNS,
    EVENTS,
    FETCHED_TOPICS,
    FORWARDED,
    MEMBER_COMMANDS,
    TICKS,
)

PREFIX = "test-"
Shape = list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Record:
    """A record as far as gathering looks at it."""

    offset: int
    key = value = None
    headers = ()


def place(topic: str, partition: int = 0) -> TopicPartition:
    return TopicPartition(PREFIX + topic, partition)


@dataclass
class Partitions:
    """A gathering, and a broker as data: where logs end, and up to where they were handed out."""

    gathering: ChunkAssembler
    ends: dict[TopicPartition, int]
    positions: dict[TopicPartition, int]
    starts: dict[TopicPartition, int] = field(default_factory=dict)
    epoch: int = 1

    def fetch(self, **offsets: Sequence[int]) -> list[Chunk]:
        """Hand out records of partition 0, by topic with ``_`` for ``-``."""
        found = {place(name.replace("_", "-")): list(o) for name, o in offsets.items()}
        return self.fetch_of(found)

    def fetch_of(self, offsets: Mapping[TopicPartition, Sequence[int]]) -> list[Chunk]:
        """Hand out records of any partitions, and gather."""
        for tp, numbers in offsets.items():
            self.positions[tp] = max(self.positions.get(tp, 0), numbers[-1] + 1)
            self.ends[tp] = max(self.ends.get(tp, 0), self.positions[tp])
        fetched = {tp: [Record(o) for o in numbers] for tp, numbers in offsets.items()}
        asked = {tp: self.ends.get(tp, 0) for tp in self.gathering.to_ask(fetched)}
        starts = {tp: self.starts.get(tp, 0) for tp in fetched}
        self.starts |= {tp: numbers[-1] + 1 for tp, numbers in offsets.items()}
        weights = {tp: 10 * len(records) for tp, records in fetched.items()}
        fetch = Fetch(self.epoch, fetched, starts, dict(self.positions), weights)
        return list(self.gathering.add(fetch, Asked(asked, 0)))

    def wanted(self) -> set[str]:
        """Name the topics of partition 0 that are fetched next."""
        active = {place(name) for name in FETCHED_TOPICS}
        return {tp.topic.removeprefix(PREFIX) for tp in self.gathering.wanted(active)}


@pytest.fixture
def partitions() -> Partitions:
    settings = Settings.of({"topic_prefix": PREFIX})
    return Partitions(ChunkAssembler(settings), {}, {})


def shape(chunks: list[Chunk]) -> list[Shape]:
    return [[(s.topic, [r.offset for r in s.records]) for s in chunk.stretches] for chunk in chunks]


def test_commands_go_first_and_ticks_last(partitions: Partitions) -> None:
    chunks = partitions.fetch(ticks=[0], challenge_logs=[0, 1], forwarded=[3], member_commands=[5])
    assert shape(chunks) == [
        [(MEMBER_COMMANDS, [5]), (FORWARDED, [3]), (CHALLENGE_LOGS, [0, 1]), (TICKS, [0])]
    ]
    assert chunks[0].size == 5
    assert not partitions.gathering.holding


def test_records_wait_for_the_commands_before_them(partitions: Partitions) -> None:
    partitions.ends[place(MEMBER_COMMANDS)] = 2
    assert partitions.fetch(challenge_logs=[0]) == []
    assert partitions.wanted() == {MEMBER_COMMANDS, DRY_RUNS}
    assert shape(partitions.fetch(member_commands=[0])) == [[(MEMBER_COMMANDS, [0])]]
    assert shape(partitions.fetch(member_commands=[1])) == [
        [(MEMBER_COMMANDS, [1]), (CHALLENGE_LOGS, [0])]
    ]


def test_a_tick_waits_for_the_backlog_while_the_backlog_is_folded(partitions: Partitions) -> None:
    partitions.ends[place(CHALLENGE_LOGS)] = 4
    assert partitions.fetch(ticks=[7, 8]) == []
    assert partitions.gathering.ticks_held == 1
    assert partitions.wanted() == set(FETCHED_TOPICS) - {TICKS}
    assert shape(partitions.fetch(challenge_logs=[0, 1])) == [[(CHALLENGE_LOGS, [0, 1])]]
    assert shape(partitions.fetch(challenge_logs=[2, 3, 4])) == [
        [(CHALLENGE_LOGS, [2, 3, 4]), (TICKS, [7, 8])]
    ]
    assert partitions.wanted() == set(FETCHED_TOPICS)


def test_what_comes_after_a_tick_was_fetched_does_not_hold_it_longer(
    partitions: Partitions,
) -> None:
    partitions.ends[place(CHALLENGE_LOGS)] = 2
    assert partitions.fetch(ticks=[0]) == []
    partitions.ends[place(CHALLENGE_LOGS)] = 1_000
    chunks = partitions.fetch(challenge_logs=[0, 1])
    assert shape(chunks) == [[(CHALLENGE_LOGS, [0, 1]), (TICKS, [0])]]


def test_a_tick_is_released_by_a_position_that_passes_what_was_aborted(
    partitions: Partitions,
) -> None:
    """Aborted records and markers take offsets; nothing is handed out for them."""
    partitions.ends[place(FORWARDED)] = 9
    partitions.positions[place(FORWARDED)] = 5
    assert partitions.fetch(ticks=[0]) == []
    assert partitions.gathering.holding
    assert partitions.fetch_of({}) == []
    partitions.positions[place(FORWARDED)] = 9
    assert shape(partitions.fetch_of({})) == [[(TICKS, [0])]]


def test_a_tick_waits_behind_records_that_wait_for_commands(partitions: Partitions) -> None:
    partitions.ends[place(MEMBER_COMMANDS)] = 1
    assert partitions.fetch(challenge_logs=[0], ticks=[0]) == []
    assert partitions.wanted() == {MEMBER_COMMANDS, DRY_RUNS}
    assert shape(partitions.fetch(member_commands=[0])) == [
        [(MEMBER_COMMANDS, [0]), (CHALLENGE_LOGS, [0]), (TICKS, [0])]
    ]


def test_ticks_keep_their_order_and_wait_for_the_newest(partitions: Partitions) -> None:
    partitions.ends[place(CHALLENGE_LOGS)] = 1
    assert partitions.fetch(ticks=[0]) == []
    partitions.ends[place(CHALLENGE_LOGS)] = 2
    assert partitions.fetch(ticks=[1]) == []
    assert shape(partitions.fetch(challenge_logs=[0])) == [[(CHALLENGE_LOGS, [0])]]
    chunks = partitions.fetch(challenge_logs=[1])
    assert shape(chunks) == [[(CHALLENGE_LOGS, [1]), (TICKS, [0, 1])]]


def test_partitions_wait_each_for_itself(partitions: Partitions) -> None:
    partitions.ends[place(CHALLENGE_LOGS, 1)] = 1
    chunks = partitions.fetch_of({place(TICKS, 0): [0], place(TICKS, 1): [0]})
    assert [chunk.partition for chunk in chunks] == [0]
    active = {place(TICKS, 0), place(TICKS, 1), place(CHALLENGE_LOGS, 1)}
    assert partitions.gathering.wanted(active) == active - {place(TICKS, 1)}


def test_a_rebalance_forgets_what_is_held(partitions: Partitions) -> None:
    partitions.ends[place(CHALLENGE_LOGS)] = 1
    assert partitions.fetch(ticks=[0]) == []
    assert partitions.gathering.reset() == 1
    assert partitions.wanted() == set(FETCHED_TOPICS)
    assert not partitions.gathering.holding
    assert shape(partitions.fetch(challenge_logs=[0])) == [[(CHALLENGE_LOGS, [0])]]


def test_what_is_held_of_another_epoch_is_forgotten(partitions: Partitions) -> None:
    """It was fetched before a seek, so it is fetched again."""
    partitions.ends[place(MEMBER_COMMANDS)] = 1
    assert partitions.fetch(challenge_logs=[0, 1]) == []
    partitions.epoch = 2
    partitions.starts.clear()
    chunks = partitions.fetch(member_commands=[0], challenge_logs=[0])
    assert shape(chunks) == [[(MEMBER_COMMANDS, [0]), (CHALLENGE_LOGS, [0])]]
    assert chunks[0].epoch == 2


def test_a_chunk_says_from_where_on_nothing_was_left_out(partitions: Partitions) -> None:
    partitions.starts[place(CHALLENGE_LOGS)] = 3  # what was sought
    (chunk,) = partitions.fetch(challenge_logs=[5, 6])
    assert [(s.start, s.bytes) for s in chunk.stretches] == [(3, 20)]
    (chunk,) = partitions.fetch(challenge_logs=[9], forwarded=[2])
    assert [(s.topic, s.start) for s in chunk.stretches] == [(FORWARDED, 0), (CHALLENGE_LOGS, 7)]
    assert chunk.bytes == 20


def test_ticks_that_wait_together_begin_where_the_first_does(partitions: Partitions) -> None:
    partitions.ends[place(CHALLENGE_LOGS)] = 1
    assert partitions.fetch(ticks=[4]) == []
    assert partitions.fetch(ticks=[7]) == []
    (chunk,) = partitions.fetch(challenge_logs=[0])
    assert chunk.stretches[-1].start == 0
    partitions.ends[place(CHALLENGE_LOGS)] = 2
    assert partitions.fetch(ticks=[8]) == []
    partitions.starts[place(TICKS)] = 20  # what lay between was lost
    assert partitions.fetch(ticks=[21]) == []
    (chunk,) = partitions.fetch(challenge_logs=[1])
    assert chunk.stretches[-1].start == 20


def dry(chunks: list[Chunk]) -> list[list[int]]:
    return [[record.offset for record in chunk.dry_runs] for chunk in chunks]


def test_dry_runs_come_after_what_came_with_them(partitions: Partitions) -> None:
    chunks = partitions.fetch(dry_runs=[4, 5], challenge_logs=[0], ticks=[0])
    assert shape(chunks) == [[(CHALLENGE_LOGS, [0]), (TICKS, [0])]]
    assert dry(chunks) == [[4, 5]]
    assert chunks[0].size == 4
    assert not partitions.gathering.holding


def test_dry_runs_alone_are_a_chunk(partitions: Partitions) -> None:
    chunks = partitions.fetch(dry_runs=[0])
    assert (shape(chunks), dry(chunks)) == ([[]], [[0]])
    assert chunks[0].bytes > 0


@pytest.mark.parametrize("topic", [EVENTS, MEMBER_COMMANDS, FORWARDED, TICKS])
def test_dry_runs_wait_for_what_stood_on_the_inputs(partitions: Partitions, topic: str) -> None:
    partitions.ends[place(topic)] = 2
    assert partitions.fetch(dry_runs=[0]) == []
    assert partitions.gathering.holding
    assert DRY_RUNS not in partitions.wanted()
    assert dry(partitions.fetch_of({place(topic): [0]})) == [[]]
    assert dry(partitions.fetch_of({place(topic): [1]})) == [[0]]
    assert partitions.wanted() == set(FETCHED_TOPICS)


def test_dry_runs_wait_as_long_as_anything_before_them_is_held(partitions: Partitions) -> None:
    partitions.ends[place(MEMBER_COMMANDS)] = 1
    assert partitions.fetch(challenge_logs=[0], dry_runs=[0]) == []
    chunks = partitions.fetch(member_commands=[0])
    assert shape(chunks) == [[(MEMBER_COMMANDS, [0]), (CHALLENGE_LOGS, [0])]]
    assert dry(chunks) == [[0]]


def test_some_dry_runs_at_a_time_are_handed_on(
    partitions: Partitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunking, "MAX_DRY_RUNS", 2)
    assert dry(partitions.fetch(dry_runs=[0, 1, 2])) == [[0, 1]]
    assert dry(partitions.fetch(challenge_logs=[0])) == [[2]]


def test_dry_runs_are_forgotten_where_partitions_move(partitions: Partitions) -> None:
    partitions.ends[place(EVENTS)] = 1
    assert partitions.fetch(dry_runs=[0]) == []
    partitions.gathering.reset()
    assert not partitions.gathering.holding


def test_dry_runs_make_no_other_partition_wait(partitions: Partitions) -> None:
    partitions.ends[place(EVENTS)] = 1
    chunks = partitions.fetch_of({place(DRY_RUNS): [0], place(CHALLENGE_LOGS, 1): [0]})
    assert shape(chunks) == [[(CHALLENGE_LOGS, [0])]]
