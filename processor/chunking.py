"""Making chunks of what a fetch brought: all topics of a partition together, commands first.

A record is folded only after what stood on ``member-commands`` of its partition when it was
fetched, what transactions had open included: a command that was acknowledged may stand behind one.
Waiting for that inside the agent would deadlock, for the commands come through the same stream. So
records whose commands are still to come are held here, and nothing more of that partition's other
topics is fetched until they are released.

A tick is folded after all that stood on its partition's other topics when it was fetched. That is
at least what its ``ends`` name, for those were asked before it was written; and it is what stood
there before the broker gave it its time, which ``ends`` need not be: its writer may have been
frozen in between. Ticks are held alone: the other topics go on being fetched and folded. They end
where their logs ended, so they are reached however fast more is written, and whatever of it was
aborted: a position passes aborted records and markers.

Dry runs wait likewise, ticks included, and some at a time are handed on: nobody's record waits
behind thousands of them.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from processor.fetching import NO_EPOCH, Fetch, Offsets, Records, weigh
from schemas.settings import Settings
from schemas.topics import DRY_RUNS, INPUT_TOPICS, MEMBER_COMMANDS, MEMBER_KEYS, TICKS

MAX_DRY_RUNS = 256
"""Of a partition that are handed on together; the others wait for the next round."""


class Stretch(NamedTuple):
    """Records of one topic (name without prefix), in the order of their offsets."""

    topic: str
    records: Sequence[Any]
    start: int
    """The offset from which on nothing was left out before them."""
    bytes: int


@dataclass(slots=True)
class Chunk:
    """Records of one partition that are folded together; ``stretches`` in the order of folding."""

    partition: int
    stretches: list[Stretch]
    epoch: int
    """The seek that its records follow; where there was another since, they are read again."""
    definitions: int
    """Where ``definitions`` ended after the fetch: the fold must know at least so much."""
    dry_runs: Sequence[Any] = ()
    """Records that are answered afterwards, and change nothing."""
    keys: int = 0
    """Where ``member-keys`` ended after the fetch: likewise."""

    @property
    def size(self) -> int:
        """How many records it holds."""
        return sum(len(stretch.records) for stretch in self.stretches) + len(self.dry_runs)

    @property
    def bytes(self) -> int:
        """How much memory its records take."""
        return sum(stretch.bytes for stretch in self.stretches) + sum(map(weigh, self.dry_runs))


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the broker after a fetch, what transactions have open included."""

    ends: Offsets
    """Where the topics ended that `ChunkAssembler.to_ask` named."""
    definitions: int
    """Where ``definitions`` ended."""


@dataclass(slots=True)
class _Held:
    """Records that wait until ``member-commands`` was delivered up to ``commands_end``."""

    stretches: list[Stretch]
    commands_end: int
    definitions: int


@dataclass(slots=True)
class _HeldTicks:
    """Ticks that wait until all other inputs of their partition were delivered up to ``ends``."""

    stretch: Stretch
    ends: Offsets


@dataclass(slots=True)
class _HeldDryRuns:
    """Dry runs that wait until all inputs of their partition were handed on up to ``ends``."""

    records: list[Any]
    ends: Offsets
    definitions: int


class ChunkAssembler:
    """Holds back what must wait, and groups the rest. Knows topics by their full names."""

    def __init__(self, settings: Settings) -> None:
        self._names = {settings.topic(name): name for name in INPUT_TOPICS}
        self._rank = {name: rank for rank, name in enumerate(INPUT_TOPICS)}
        self._commands = settings.topic(MEMBER_COMMANDS)
        self._ticks = settings.topic(TICKS)
        self._dry_runs = settings.topic(DRY_RUNS)
        self._keys = settings.topic(MEMBER_KEYS)
        self._held: dict[int, _Held] = {}
        self._held_ticks: dict[int, _HeldTicks] = {}
        self._held_dry_runs: dict[int, _HeldDryRuns] = {}
        self._epoch = NO_EPOCH

    def reset(self) -> int:
        """Forget what is held, for it is read again; return how many records that were."""
        held = [stretch for held in self._held.values() for stretch in held.stretches]
        held += [held.stretch for held in self._held_ticks.values()]
        self._held.clear()
        self._held_ticks.clear()
        self._held_dry_runs.clear()
        return sum(len(stretch.records) for stretch in held)

    def wanted(self, active: Set[TopicPartition]) -> set[TopicPartition]:
        """Leave out of a fetch what could only be held."""
        return {tp for tp in active if not self._could_only_wait(tp)}

    def _could_only_wait(self, tp: TopicPartition) -> bool:
        if tp.topic == self._commands:
            return False
        if tp.topic == self._dry_runs:
            return tp.partition in self._held_dry_runs
        waiting = tp.partition in self._held
        return waiting or (tp.topic == self._ticks and tp.partition in self._held_ticks)

    @property
    def holding(self) -> bool:
        """Whether anything waits."""
        return bool(self._held or self._held_ticks or self._held_dry_runs)

    @property
    def ticks_held(self) -> int:
        """On how many partitions a tick waits."""
        return len(self._held_ticks)

    def to_ask(self, fetched: Records) -> set[TopicPartition]:
        """Name the topics whose ends decide how long ``fetched`` must wait: the commands of each
        partition, all other inputs of those of which ticks were fetched, and all of those of which
        dry runs were; and the keys of each partition of which a chunk may come."""
        partitions = {tp.partition for tp in fetched} | self._partitions_held()
        asked = {TopicPartition(self._keys, partition) for partition in partitions}
        for tp in fetched:
            if tp.topic == self._ticks:
                asked |= self._beside_ticks(tp.partition)
            elif tp.topic == self._dry_runs:
                asked |= self._inputs(tp.partition)
            elif tp.topic in self._names and tp.topic != self._commands:
                asked.add(TopicPartition(self._commands, tp.partition))
        return asked

    def add(self, fetch: Fetch, asked: Asked) -> Iterable[Chunk]:
        """Take what a fetch brought; yield the chunks that may be folded now.

        What is held of another epoch is forgotten: it was fetched again, or is going to be.
        """
        if fetch.epoch != self._epoch:
            self.reset()
            self._epoch = fetch.epoch
        by_partition: dict[int, list[Stretch]] = {}
        ticks: dict[int, Stretch] = {}
        for tp, records in fetch.records.items():
            name = self._names.get(tp.topic)
            if tp.topic == self._dry_runs and records:
                self._hold_dry_runs(tp.partition, records, asked)
            if name is None or not records:
                continue
            stretch = Stretch(name, records, fetch.starts[tp], fetch.bytes[tp])
            if name == TICKS:
                ticks[tp.partition] = stretch
            else:
                by_partition.setdefault(tp.partition, []).append(stretch)
        for partition in by_partition.keys() | ticks.keys() | self._partitions_held():
            new = by_partition.get(partition, [])
            ready, definitions = self._release(partition, new, fetch.positions, asked)
            ready += self._release_ticks(partition, ticks.get(partition), fetch.positions, asked)
            dry, known = self._release_dry_runs(partition, fetch.positions)
            if ready or dry:
                keys = asked.ends.get(TopicPartition(self._keys, partition), 0)
                yield Chunk(partition, ready, fetch.epoch, max(definitions, known), dry, keys)

    def _partitions_held(self) -> set[int]:
        return self._held.keys() | self._held_ticks.keys() | self._held_dry_runs.keys()

    def _release(
        self, partition: int, new: list[Stretch], positions: Offsets, asked: Asked
    ) -> tuple[list[Stretch], int]:
        new.sort(key=lambda stretch: self._rank[stretch.topic])
        commands = TopicPartition(self._commands, partition)
        end, definitions = asked.ends.get(commands, 0), asked.definitions
        held = self._held.get(partition)
        if held is not None:
            end = held.commands_end
            definitions = max(definitions, held.definitions)
            new = new + held.stretches
        if positions.get(commands, 0) >= end:
            self._held.pop(partition, None)
            return new, definitions
        waiting = [stretch for stretch in new if stretch.topic != MEMBER_COMMANDS]
        if waiting:
            self._held[partition] = _Held(waiting, end, definitions)
        return [stretch for stretch in new if stretch.topic == MEMBER_COMMANDS], definitions

    def _release_ticks(
        self, partition: int, new: Stretch | None, positions: Offsets, asked: Asked
    ) -> list[Stretch]:
        held = self._held_ticks.get(partition)
        if new is not None:
            ends = {tp: asked.ends[tp] for tp in self._beside_ticks(partition)}
            stretch = new if held is None else _one(held.stretch, new)
            held = self._held_ticks[partition] = _HeldTicks(stretch, ends)
        if held is None or partition in self._held:
            return []
        if any(positions.get(tp, 0) < end for tp, end in held.ends.items()):
            return []
        del self._held_ticks[partition]
        return [held.stretch]

    def _beside_ticks(self, partition: int) -> set[TopicPartition]:
        return {tp for tp in self._inputs(partition) if tp.topic != self._ticks}

    def _inputs(self, partition: int) -> set[TopicPartition]:
        return {TopicPartition(topic, partition) for topic in self._names}

    def _hold_dry_runs(self, partition: int, records: Sequence[Any], asked: Asked) -> None:
        before = self._held_dry_runs.get(partition)
        waiting = [] if before is None else before.records
        ends = {tp: asked.ends[tp] for tp in self._inputs(partition)}
        held = _HeldDryRuns([*waiting, *records], ends, asked.definitions)
        self._held_dry_runs[partition] = held

    def _release_dry_runs(self, partition: int, positions: Offsets) -> tuple[Sequence[Any], int]:
        """Return the dry runs that may be folded now, and the end of ``definitions`` for them."""
        held = self._held_dry_runs.get(partition)
        if held is None or partition in self._held or partition in self._held_ticks:
            return (), 0
        if any(positions.get(tp, 0) < end for tp, end in held.ends.items()):
            return (), 0
        ready, held.records = held.records[:MAX_DRY_RUNS], held.records[MAX_DRY_RUNS:]
        if not held.records:
            del self._held_dry_runs[partition]
        return ready, held.definitions


def _one(first: Stretch, second: Stretch) -> Stretch:
    """Make one stretch of two; where something is missing between them, it is missing before it."""
    start = first.start if second.start <= first.records[-1].offset + 1 else second.start
    records = [*first.records, *second.records]
    return Stretch(first.topic, records, start, first.bytes + second.bytes)
