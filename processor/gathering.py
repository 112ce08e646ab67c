"""Making chunks of what a fetch brought: all topics of a partition together, commands first.

A record is folded only after what stood on ``member-commands`` of its partition when it was
fetched: waiting for that inside the agent would deadlock, for the commands come through the same
stream. So records whose commands are still to come are held here, and nothing more of that
partition's other topics is fetched until they are released.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from aiokafka import TopicPartition

from processor.domain.fold import Part
from schemas.settings import Settings
from schemas.topics import INPUT_TOPICS, MEMBER_COMMANDS

Fetched = Mapping[TopicPartition, Sequence[Any]]


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


@dataclass(slots=True)
class _Held:
    """Records that wait until ``member-commands`` was delivered up to ``commands_end``."""

    parts: list[Part]
    commands_end: int
    definitions: int


class Gathering:
    """Holds back what must wait, and groups the rest. Knows topics by their full names."""

    def __init__(self, settings: Settings) -> None:
        self._names = {settings.topic(name): name for name in INPUT_TOPICS}
        self._rank = {name: rank for rank, name in enumerate(INPUT_TOPICS)}
        self._commands = settings.topic(MEMBER_COMMANDS)
        self._held: dict[int, _Held] = {}

    def reset(self) -> None:
        """Forget what is held: the partitions are read again from where they were committed."""
        self._held.clear()

    def wanted(self, active: Set[TopicPartition]) -> set[TopicPartition]:
        """Leave out of a fetch what could only be held."""
        if not self._held:
            return set(active)
        return {tp for tp in active if tp.topic == self._commands or tp.partition not in self._held}

    @property
    def holding(self) -> set[TopicPartition]:
        """The command partitions that held records wait for."""
        return {TopicPartition(self._commands, partition) for partition in self._held}

    def commands_to_ask(self, fetched: Fetched) -> set[TopicPartition]:
        """Name the command partitions whose end decides whether ``fetched`` must wait."""
        return {
            TopicPartition(self._commands, tp.partition)
            for tp in fetched
            if tp.topic in self._names and tp.topic != self._commands
        }

    def add(
        self,
        fetched: Fetched,
        commands_ends: Mapping[TopicPartition, int],
        commands_positions: Mapping[int, int],
        definitions_end: int,
        generation: int,
    ) -> Iterable[Chunk]:
        """Take what a fetch brought; yield the chunks that may be folded now.

        ``commands_positions`` says, by partition, up to where ``member-commands`` was fetched.
        """
        by_partition: dict[int, list[Part]] = {}
        for tp, records in fetched.items():
            name = self._names.get(tp.topic)
            if name is not None and records:
                by_partition.setdefault(tp.partition, []).append(Part(name, records))
        for partition in by_partition.keys() | self._held.keys():
            parts = by_partition.get(partition, [])
            end = commands_ends.get(TopicPartition(self._commands, partition), 0)
            ready, definitions = self._release(
                partition, parts, end, commands_positions.get(partition, 0), definitions_end
            )
            if ready:
                yield Chunk(partition, ready, generation, definitions)

    def _release(
        self, partition: int, parts: list[Part], end: int, position: int, definitions: int
    ) -> tuple[list[Part], int]:
        parts.sort(key=lambda part: self._rank[part.topic])
        held = self._held.get(partition)
        if held is not None:
            end = held.commands_end
            definitions = max(definitions, held.definitions)
            parts = parts + held.parts
        if position >= end:
            self._held.pop(partition, None)
            return parts, definitions
        waiting = [part for part in parts if part.topic != MEMBER_COMMANDS]
        if waiting:
            self._held[partition] = _Held(waiting, end, definitions)
        return [part for part in parts if part.topic == MEMBER_COMMANDS], definitions
