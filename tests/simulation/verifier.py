"""What must hold when all is quiet: each input took effect once, in an order that was promised."""

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fold import ChunkLogged, Part, fold_chunk
from processor.domain.inputs import Place
from processor.domain.state_kinds import POSITION
from schemas.topics import (
    CHALLENGE_LOGS,
    CHUNK_LOG,
    DEAD_LETTERS,
    DEFINITIONS,
    INPUT_TOPICS,
    MEMBER_COMMANDS,
    OUTPUT_TOPICS,
    TICKS,
    changelog_topic,
)

if TYPE_CHECKING:
    from tests.simulation.world import World

_CHUNK = msgspec.json.Decoder(ChunkLogged)
_LETTER = msgspec.json.Decoder(dict[str, Any])


class Violation(AssertionError):
    """A promise is broken; the message says which."""


def check(world: "World") -> None:
    """Check all partitions.

    Raises:
        Violation: what the outputs, the changelog or a store have is not what the inputs give.
    """
    for partition in range(world.settings.partitions):
        chunks = [_CHUNK.decode(e.value or b"") for e in world.committed(CHUNK_LOG, partition)]
        _covers(world, partition, chunks)
        entries = _fold_again(world, partition, chunks)
        _same_state(world, partition, entries)
        _ticks_last(world, partition, chunks)
        _commands_first(world, partition, chunks)
        _nothing_unknown(world, partition)
    if world.unfolded:
        raise Violation("it stands still: not all inputs are folded, or a transaction stays open")
    if world.outstanding:
        raise Violation(f"{world.outstanding} records are outstanding for ever")


def _covers(world: "World", partition: int, chunks: list[ChunkLogged]) -> None:
    """Each committed input lies in exactly one chunk's range."""
    sequence = 0
    for chunk in chunks:
        if chunk.sequence != sequence:
            raise Violation(f"partition {partition}: a chunk is missing before {chunk}")
        sequence += chunk.count
    for name in INPUT_TOPICS:
        spans = [(s.first, s.last) for c in chunks for s in c.inputs if s.topic == name]
        for (first, last), (again, _) in pairwise(spans):
            if again <= last:
                raise Violation(f"{name}, partition {partition}: {again} after {first} to {last}")
        covered = {offset for first, last in spans for offset in range(first, last + 1)}
        missing = [e.offset for e in world.committed(name, partition) if e.offset not in covered]
        if missing and missing[0] < max(covered, default=-1):
            raise Violation(f"{name}, partition {partition}: {missing} were never folded")


def _fold_again(world: "World", partition: int, chunks: list[ChunkLogged]) -> Mapping[bytes, bytes]:
    """What stands on the output topics is what folding the same chunks again gives."""
    expected: dict[str, list[tuple[bytes | None, bytes]]] = {name: [] for name in OUTPUT_TOPICS}
    entries: dict[bytes, bytes] = {}
    definitions = Definitions()
    place = Place(partition, world.settings.partitions, {})
    for chunk in chunks:
        _define(world, definitions, chunk.definitions)
        effects = fold_chunk(
            place,
            [Part(span.topic, _range(world, span, partition)) for span in chunk.inputs],
            definitions,
            lambda keys: [entries.get(key) for key in keys],
            lambda first, last, limit: sorted(k for k in entries if first <= k < last)[:limit],
        )
        if effects.counts["folded"] != chunk.count:
            raise Violation(f"partition {partition}: {chunk} took {effects.counts} when repeated")
        _apply(effects, entries)
        for name, outputs in effects.outputs.items():
            if name in expected:
                expected[name] += [(output.key, output.value) for output in outputs]
    for name in OUTPUT_TOPICS:
        written = [(entry.key, entry.value) for entry in world.committed(name, partition)]
        if written != expected[name]:
            raise Violation(
                f"{name}, partition {partition}: {len(written)} records are there, folding again "
                f"gives {len(expected[name])}"
            )
    return entries


def _range(world: "World", span: Any, partition: int) -> list[Any]:
    log = world.cluster.logs[world.place(span.topic, partition)]
    return log.committed(span.first, span.last + 1)


def _define(world: "World", definitions: Definitions, end: int) -> None:
    for entry in world.committed(DEFINITIONS, 0):
        if definitions.next_offset <= entry.offset < end:
            definitions.apply(entry.key, entry.value, entry.offset, entry.timestamp)
    definitions.next_offset = end


def _apply(effects: Effects, entries: dict[bytes, bytes]) -> None:
    for key, value in effects.writes.items():
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value


def _same_state(world: "World", partition: int, entries: Mapping[bytes, bytes]) -> None:
    """The changelog has that state, and the owner's store that of the changelog's end."""
    name = changelog_topic(world.settings.application_id).name
    changelog: dict[bytes, bytes] = {}
    states: dict[int, dict[bytes, bytes]] = {0: {}}
    for entry in world.committed(name, partition):
        if entry.value is None:
            changelog.pop(entry.key or b"", None)
        else:
            changelog[entry.key or b""] = entry.value
        if entry.key == POSITION:  # the last entry of a chunk
            states[entry.offset + 1] = dict(changelog)
    if changelog != entries:
        raise Violation(f"partition {partition}: the changelog is not what the inputs give")
    for process in world.workers:
        saved = process.machine.disk.get(partition)
        if saved is None:
            continue
        reached = max(offset for offset in states if offset <= saved.next_offset)
        if states[reached] != saved.entries:
            raise Violation(
                f"partition {partition}: the store of {process.machine.name} at "
                f"{saved.next_offset} is no prefix of the changelog"
            )


def _ticks_last(world: "World", partition: int, chunks: list[ChunkLogged]) -> None:
    """A tick is folded after all that its ends name."""
    folded: dict[str, int] = {}
    ticks = {e.offset: msgspec.json.decode(e.value or b"")["ends"]
             for e in world.committed(TICKS, partition)}  # fmt: skip
    for chunk in chunks:
        for span in chunk.inputs:
            if span.topic == TICKS:
                for offset in range(span.first, span.last + 1):
                    for name, end in ticks.get(offset, {}).items():
                        early = _range(world, _Span(name, folded.get(name, 0), end - 1), partition)
                        if early:
                            raise Violation(f"partition {partition}: tick {offset} came too early")
            folded[span.topic] = span.last + 1


def _commands_first(world: "World", partition: int, chunks: list[ChunkLogged]) -> None:
    """A log is folded after the commands that were acknowledged before it was sent."""
    folded = 0
    for span in (span for chunk in chunks for span in chunk.inputs):
        if span.topic == MEMBER_COMMANDS:
            folded = span.last + 1
        elif span.topic == CHALLENGE_LOGS:
            for offset in range(span.first, span.last + 1):
                if world.commands_before.get((partition, offset), 0) > folded:
                    raise Violation(f"partition {partition}: log {offset} came before its command")


class _Span(msgspec.Struct):
    topic: str
    first: int
    last: int


def _nothing_unknown(world: "World", partition: int) -> None:
    """What was acknowledged before a log was sent is known to it."""
    for entry in world.committed(DEAD_LETTERS, partition):
        letter = _LETTER.decode(entry.value or b"")
        source = (letter["topic"], letter["partition"], letter["offset"])
        if source in world.known or not letter["reason"].startswith("unknown_"):
            raise Violation(f"{source} is a dead letter: {letter['reason']}: {letter['message']}")
