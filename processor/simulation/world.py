"""A world: one set of definitions, and what inputs come to under it, in a scratch store."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.member import Member
from processor.domain.definitions import Definitions
from processor.domain.fold import FOLD_VERSION, Part, Poison, fold_chunk
from processor.domain.inputs import Place
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.domain.state_kinds import MEMBER
from processor.simulation.figures import Adding, Calendar, Figures
from processor.store import PartitionStore, StateStore
from schemas.instants import EPOCH

_NO_POISON: Poison = {}


class World:
    """Folds the chunks of one partition under ``definitions``, as they are at each chunk.

    Args:
        place: the partition, and how many there are.
        store: an empty store, which nobody else has.
        figures: where what comes of it is added up.
        known: an entry that every member has who is in no input, None where unknown members stay
            unknown.
        keys: open what is sealed in the inputs.
    """

    def __init__(
        self,
        place: Place,
        store: PartitionStore,
        definitions: Definitions,
        figures: Figures,
        calendar: Calendar,
        *,
        known: bytes | None = None,
        keys: MemberKeys = NO_KEYS,
    ) -> None:
        self._place = place
        self._store = store
        self._definitions = definitions
        self._known = known
        self._keys = keys
        self._adding = Adding(figures, calendar, self._load)
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
                self._load,
                self._store.scan,
                poisoned=poisoned,
                version=version,
                keys=self._keys,
            )
            if not effects.writes:
                return more_due
            more_due = effects.more_due
            self._changes += 1
            kept = self._adding.add(effects)
            self._store.apply({**effects.writes, **kept}, self._changes)
            if effects.complete:
                return more_due

    def _load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        found = self._store.load(keys)
        if self._known is None:
            return found
        return [
            self._known if entry is None and key.startswith(MEMBER.prefix) else entry
            for key, entry in zip(keys, found, strict=True)
        ]


def known_member(project: str) -> bytes:
    """Return the entry of a live member of whom nothing is known."""
    member: Member = msgspec.structs.replace(member_of.initial(project, "", EPOCH), version=1)
    return msgspec.json.encode(member)


@contextmanager
def scratch_stores(partition: int) -> Iterator[tuple[PartitionStore, PartitionStore]]:
    """Give two empty stores on disk, deleted afterwards: for the definitions that are tried, and
    for those in force."""
    with tempfile.TemporaryDirectory(prefix="milestream-simulate-") as directory:
        states = [StateStore(Path(directory) / name) for name in ("tried", "in-force")]
        tried, in_force = (each.open(partition) for each in states)
        try:
            yield tried, in_force
        finally:
            for each in states:
                each.close_all_but(())
