"""A world: one set of definitions, and what inputs come to under it, in a scratch store."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol

import msgspec
from typing_extensions import override

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.member import Member
from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fold import FOLD_VERSION, Part, Poison, fold_chunk
from processor.domain.inputs import Place
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.domain.state_kinds import MEMBER
from processor.simulation.figures import Adding, Calendar, Entries, Figures
from processor.simulation.scratch import scratch_directory
from processor.store import PartitionStore, StateStore
from schemas.instants import EPOCH

_NO_POISON: Poison = {}


class Store(Protocol):
    """What a world needs of a store: a partition's on disk has it."""

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries; None where there is none."""
        ...

    def scan(self, first: bytes, last: bytes, limit: int) -> Sequence[bytes]:
        """Return the keys in [first, last), in order, at most ``limit``."""
        ...

    def apply(self, entries: Mapping[bytes, bytes | None], next_offset: int) -> None:
        """Write entries; None deletes."""
        ...


class ScratchWorld:
    """Folds the chunks of one partition under ``definitions``, as they are at each chunk.

    Args:
        place: the partition, and how many there are.
        store: an empty store, which nobody else has.
        known: an entry that every member has who is in no input, None where unknown members stay
            unknown.
        keys: open what is sealed in the inputs.
    """

    def __init__(
        self,
        place: Place,
        store: Store,
        definitions: Definitions,
        *,
        known: bytes | None = None,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        self._place = place
        self._store = store
        self._definitions = definitions
        self._known = known
        self._keys = keys
        self._changes = 0

    def begin_clock(self, project: str, since: datetime | None) -> None:
        """Have a project's test clock stand at a moment until it is moved: what nobody wrote at any
        time has none itself."""
        if since is not None:
            self._definitions.clocks[project] = since

    def fold(
        self,
        parts: Sequence[Part],
        poisoned: Poison = _NO_POISON,
        *,
        version: int = FOLD_VERSION,
    ) -> bool:
        """Fold one chunk as that ``version`` of the fold did, in as many pieces as it takes; return
        whether more is due than a tick in it could do."""
        more_due = False
        while True:
            effects = fold_chunk(
                self._place,
                parts,
                self._definitions,
                self.load,
                self._store.scan,
                poisoned=poisoned,
                version=version,
                keys=self._keys,
            )
            if not effects.writes:
                return more_due
            more_due = effects.more_due
            self._changes += 1
            kept = self.kept_of(effects)
            self._store.apply({**effects.writes, **kept}, self._changes)
            if effects.complete:
                return more_due

    def kept_of(self, effects: Effects) -> Entries:  # noqa: ARG002
        """Return the entries to keep of what a chunk led to, beside those that it writes: their
        keys begin as those of no kind of state do."""
        return {}

    def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Read entries of the store."""
        found = self._store.load(keys)
        if self._known is None:
            return found
        return [
            self._known if entry is None and key.startswith(MEMBER.prefix) else entry
            for key, entry in zip(keys, found, strict=True)
        ]


class World(ScratchWorld):
    """A world whose outputs are added up.

    Args:
        figures: where what comes of it is added up.
        calendar: tells the months.
        place, store, definitions, known, keys: see ``ScratchWorld``.
    """

    def __init__(
        self,
        place: Place,
        store: Store,
        definitions: Definitions,
        figures: Figures,
        calendar: Calendar,
        *,
        known: bytes | None = None,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        super().__init__(place, store, definitions, known=known, keys=keys)
        self._adding = Adding(figures, calendar, self.load)

    @override
    def kept_of(self, effects: Effects) -> Entries:
        return self._adding.add(effects)


def known_member(project: str) -> bytes:
    """Return the entry of a live member of whom nothing is known."""
    member: Member = msgspec.structs.replace(member_of.initial(project, "", EPOCH), version=1)
    return msgspec.json.encode(member)


@contextmanager
def scratch_stores(partition: int) -> Iterator[tuple[PartitionStore, PartitionStore]]:
    """Give two empty stores on disk, deleted afterwards: for the definitions that are tried, and
    for those in force."""
    with scratch_directory() as directory:
        states = [StateStore(directory / name) for name in ("tried", "in-force")]
        tried, in_force = (each.open(partition) for each in states)
        try:
            yield tried, in_force
        finally:
            for each in states:
                each.close_all_but(())
