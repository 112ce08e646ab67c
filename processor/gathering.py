"""Making chunks of what a fetch brought: all topics of a partition together, commands first.

A record is folded only after what stood on ``member-commands`` of its partition when it was
fetched: waiting for that inside the agent would deadlock, for the commands come through the same
stream. So records whose commands are still to come are held here, and nothing more of that
partition's other topics is fetched until they are released.

A tick is folded after all that stood on its partition's other topics when it was fetched. That is
at least what its ``ends`` name, for those were asked before it was written; and it is what stood
there before the broker gave it its time, which ``ends`` need not be: its writer may have been
frozen in between. Ticks are held alone: the other topics go on being fetched and folded. They end
where their logs ended, so they are reached however fast more is written, and whatever of it was
aborted: a position passes aborted records and markers.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from processor.domain.fold import Part
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, MEMBER_COMMANDS, TICKS

Fetched = Mapping[TopicPartition, Sequence[Any]]
Offsets = Mapping[TopicPartition, int]


@dataclass(slots=True)
class Chunk:
    """Records of one partition that are folded together; ``parts`` in the order of folding."""

    partition: int
    parts: list[Part]
    generation: int
    definitions: int
    """Where ``definitions`` ended after the fetch: the fold must know at least so much."""

    @property
    def size(self) -> int:
        """How many records it holds."""
        return sum(len(part.records) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of the broker, and of the consumer, after a fetch."""

    commands_ends: Offsets
    """Where ``member-commands`` ended, as far as it is committed."""
    log_ends: Offsets
    """Where the logs of the other inputs ended on partitions of which ticks were fetched."""
    positions: Offsets
    """Up to where records were handed out."""
    definitions: int
    """Where ``definitions`` ended."""


@dataclass(slots=True)
class _Held:
    """Records that wait until ``member-commands`` was delivered up to ``commands_end``."""

    parts: list[Part]
    commands_end: int
    definitions: int


@dataclass(slots=True)
class _HeldTicks:
    """Ticks that wait until all other inputs of their partition were delivered up to ``ends``."""

    records: list[Any]
    ends: Offsets


class Gathering:
    """Holds back what must wait, and groups the rest. Knows topics by their full names."""

    def __init__(self, settings: Settings) -> None:
        self._names = {settings.topic(name): name for name in INPUT_TOPICS}
        self._rank = {name: rank for rank, name in enumerate(INPUT_TOPICS)}
        self._commands = settings.topic(MEMBER_COMMANDS)
        self._ticks = settings.topic(TICKS)
        self._held: dict[int, _Held] = {}
        self._held_ticks: dict[int, _HeldTicks] = {}

    def reset(self) -> None:
        """Forget what is held: the partitions are read again from where they were committed."""
        self._held.clear()
        self._held_ticks.clear()

    def wanted(self, active: Set[TopicPartition]) -> set[TopicPartition]:
        """Leave out of a fetch what could only be held."""
        return {tp for tp in active if not self._could_only_wait(tp)}

    def _could_only_wait(self, tp: TopicPartition) -> bool:
        if tp.topic == self._commands:
            return False
        waiting = tp.partition in self._held
        return waiting or (tp.topic == self._ticks and tp.partition in self._held_ticks)

    @property
    def holding(self) -> set[TopicPartition]:
        """Whose positions held records wait for; empty where none is held."""
        commands = {TopicPartition(self._commands, partition) for partition in self._held}
        return commands.union(*(held.ends for held in self._held_ticks.values()))

    @property
    def ticks_held(self) -> int:
        """On how many partitions a tick waits."""
        return len(self._held_ticks)

    def commands_to_ask(self, fetched: Fetched) -> set[TopicPartition]:
        """Name the command partitions whose end decides whether ``fetched`` must wait."""
        return {
            TopicPartition(self._commands, tp.partition)
            for tp in fetched
            if tp.topic in self._names and tp.topic != self._commands
        }

    def logs_to_ask(self, fetched: Fetched) -> set[TopicPartition]:
        """Name the partitions whose logs' ends decide how long fetched ticks must wait."""
        ticked = [tp.partition for tp, records in fetched.items() if tp.topic == self._ticks]
        return {tp for partition in ticked for tp in self._beside_ticks(partition)}

    def add(self, fetched: Fetched, asked: Asked, generation: int) -> Iterable[Chunk]:
        """Take what a fetch brought; yield the chunks that may be folded now."""
        by_partition: dict[int, list[Part]] = {}
        ticks: dict[int, Sequence[Any]] = {}
        for tp, records in fetched.items():
            name = self._names.get(tp.topic)
            if name == TICKS:
                ticks[tp.partition] = records
            elif name is not None and records:
                by_partition.setdefault(tp.partition, []).append(Part(name, records))
        held = self._held.keys() | self._held_ticks.keys()
        for partition in by_partition.keys() | ticks.keys() | held:
            ready, definitions = self._release(partition, by_partition.get(partition, []), asked)
            ready += self._release_ticks(partition, ticks.get(partition, ()), asked)
            if ready:
                yield Chunk(partition, ready, generation, definitions)

    def _release(self, partition: int, parts: list[Part], asked: Asked) -> tuple[list[Part], int]:
        parts.sort(key=lambda part: self._rank[part.topic])
        commands = TopicPartition(self._commands, partition)
        end, definitions = asked.commands_ends.get(commands, 0), asked.definitions
        held = self._held.get(partition)
        if held is not None:
            end = held.commands_end
            definitions = max(definitions, held.definitions)
            parts = parts + held.parts
        if asked.positions.get(commands, 0) >= end:
            self._held.pop(partition, None)
            return parts, definitions
        waiting = [part for part in parts if part.topic != MEMBER_COMMANDS]
        if waiting:
            self._held[partition] = _Held(waiting, end, definitions)
        return [part for part in parts if part.topic == MEMBER_COMMANDS], definitions

    def _release_ticks(self, partition: int, new: Sequence[Any], asked: Asked) -> list[Part]:
        held = self._held_ticks.get(partition)
        if new:
            ends = {tp: asked.log_ends[tp] for tp in self._beside_ticks(partition)}
            records = [*(held.records if held is not None else ()), *new]
            held = self._held_ticks[partition] = _HeldTicks(records, ends)
        if held is None or partition in self._held:
            return []
        if any(asked.positions.get(tp, 0) < end for tp, end in held.ends.items()):
            return []
        del self._held_ticks[partition]
        return [Part(TICKS, held.records)]

    def _beside_ticks(self, partition: int) -> set[TopicPartition]:
        return {TopicPartition(topic, partition) for topic in self._names if topic != self._ticks}
