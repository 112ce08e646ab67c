"""Two worlds beside each other: what was recorded, and what it comes to by the definitions of now.

The first folds the inputs as they were folded. The second folds the same under what holds for
history, but for what the first refused, which stays refused, and but for earlier corrections, which
are no part of what happened.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw
from typing_extensions import override

from processor.domain.effects import Effects
from processor.domain.fold import Part
from processor.domain.inputs import Place, Refused, as_it_came, as_it_lay_first
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.recalculation.history import ForHistory, Recorded
from processor.simulation.figures import ROW_PREFIX, Entries
from processor.simulation.gathering import LEFT_OUT, Inputs, Piece, corrections_of
from processor.simulation.world import ScratchWorld, Store
from schemas import ids
from schemas.dead_letter import DeadLetter
from schemas.event_types import MILESTONE_REACHED
from schemas.ids import uuid_bytes
from schemas.topics import DEAD_LETTERS, FORWARDED, MILESTONE_EVENTS

_LETTER = msgspec.json.Decoder(DeadLetter)


class Crossing(msgspec.Struct, frozen=True, array_like=True):
    """When a milestone was reached, and with what value (the JSON of an amount)."""

    at: datetime
    value: Raw


CROSSING = msgspec.json.Decoder(Crossing)


def crossing_key(reward_log_id: str) -> bytes:
    """Return the key under which the second world keeps what reached a milestone, by the id of its
    reward."""
    return ROW_PREFIX + uuid_bytes(reward_log_id)


class _AsItWas(ScratchWorld):
    """The first world, which notes what it refuses."""

    letters: Sequence[DeadLetter] = ()

    @override
    def kept_of(self, effects: Effects) -> Entries:
        found = effects.outputs.get(DEAD_LETTERS, ())
        self.letters = [*self.letters, *(_LETTER.decode(each.value) for each in found)]
        return {}


class _ReachedData(msgspec.Struct, rename="camel", gc=False):
    owned_by_id: str
    milestone_id: str
    period_key: str
    value: Raw
    reached_at: datetime


class _ReachedOutput(msgspec.Struct, gc=False):
    type: str
    data: Raw


_OUTPUT = msgspec.json.Decoder(_ReachedOutput)
_REACHED = msgspec.json.Decoder(_ReachedData)


class _Recomputed(ScratchWorld):
    """The second world, which keeps when milestones were reached."""

    def __init__(
        self,
        place: Place,
        store: Store,
        definitions: ForHistory,
        project: str,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        super().__init__(place, store, definitions, keys=keys)
        self._project = project

    @override
    def kept_of(self, effects: Effects) -> Entries:
        kept = {}
        for each in effects.outputs.get(MILESTONE_EVENTS, ()):
            output = _OUTPUT.decode(each.value)
            if output.type == MILESTONE_REACHED.name:
                data = _REACHED.decode(output.data)
                reward_id = ids.reward_log_id(
                    self._project, data.milestone_id, data.owned_by_id, data.period_key
                )
                crossing = Crossing(data.reached_at, data.value)
                kept[crossing_key(reward_id)] = msgspec.json.encode(crossing)
        return kept


class Worlds:
    """Both worlds of one partition.

    Args:
        place: the partition, and how many there are.
        project: whose inputs are folded.
        definitions: what holds for history.
        recorded, recomputed: an empty store for each world.
        keys: open what is sealed in the inputs.
    """

    def __init__(
        self,
        place: Place,
        project: str,
        definitions: ForHistory,
        *,
        recorded: Store,
        recomputed: Store,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        self._place = place
        self.definitions = Recorded(definitions)
        """The definitions as they were: whoever reads what was recorded keeps them up to date."""
        self._first = _AsItWas(place, recorded, self.definitions, keys=keys)
        self._second = _Recomputed(place, recomputed, definitions, project, keys)

    def fold(self, piece: Piece) -> None:
        """Fold what was folded under one set of definitions."""
        self._first.letters = ()
        self._first.fold(piece.parts, piece.poisoned, version=piece.version)
        left_out = refused_of(self._place.partition, piece.parts, self._first.letters)
        left_out |= corrections_of(piece.parts)
        self._second.fold(piece.parts, {**piece.poisoned, **dict.fromkeys(left_out, LEFT_OUT)})


def refused_of(partition: int, parts: Iterable[Part], letters: Iterable[DeadLetter]) -> Inputs:
    """Return the inputs of a partition that became these dead letters."""
    here = {(each.topic, each.offset) for each in letters if each.partition == partition}
    away = {
        (each.topic, each.partition, each.offset) for each in letters if each.partition != partition
    }
    if not away:
        return here
    forwarded = _lay_first(partition, parts)
    return here | {(FORWARDED, forwarded[each]) for each in away if each in forwarded}


def _lay_first(partition: int, parts: Iterable[Part]) -> Mapping[tuple[str, int, int], int]:
    """Return the offsets of forwarded records, by where they lay first."""
    found = {}
    for topic, records in parts:
        for record in records if topic == FORWARDED else ():
            try:
                first = as_it_lay_first(as_it_came(topic, partition, record))
            except Refused:
                continue
            found[first.topic, first.partition, first.offset] = record.offset
    return found
