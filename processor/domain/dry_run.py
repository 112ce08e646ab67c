"""Folding one record for its answer alone: what it would lead to now, of which nothing is kept.

It is the fold of a chunk of one record, in Python, on what the store has. What differs: nothing is
parked, forwarded or made a dead letter, and the answer says that it was a dry run.
"""

from msgspec import structs

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import in_python
from processor.domain.fold import NO_POISON, ChunkFold, poison
from processor.domain.inputs import Input, Place, Read, Record, Refused, as_it_came
from processor.domain.member_keys import NO_KEYS, MemberKeys
from processor.domain.working_set import NOBODYS_FAULT, Load, Scan, WorkingSet
from schemas import dry_runs, replies
from schemas.dead_letter import Reason
from schemas.topics import DRY_RUNS

_NOWHERE = -1
"""The offset of what lies on no input: what takes its id from its place meets no other's."""
_OURS = (dry_runs.DRY_RUN, dry_runs.TOPIC)
_TRUE = b"true"


def fold_dry(
    place: Place,
    record: Record,
    definitions: Definitions,
    load: Load,
    scan: Scan,
    *,
    keys: MemberKeys = NO_KEYS,
) -> Effects:
    """Fold a record of ``dry-runs``; of the effects only ``answers`` and ``faults`` are to be used.

    There is no answer where the record names no topic to which one may go.
    """
    fold = _DryFold(place, definitions, WorkingSet(load, scan), in_python, NO_POISON, keys=keys)
    fold.run_alone(record)
    return fold.effects


class _DryFold(ChunkFold):
    """The folding of one dry run."""

    def run_alone(self, record: Record) -> None:
        """Fold a record as one of the topic that it names."""
        source = as_it_came(DRY_RUNS, self._place.partition, record)
        try:
            source = _as_it_would_lie(source)
            self._take(self._read_input(source))
        except Refused as refused:
            self._refuse(source, refused, None, None)
        except NOBODYS_FAULT:
            raise
        except Exception as error:  # noqa: BLE001  # it would be poison
            self.effects.faults.append(error)
            self._refuse(*poison(source, type(error).__name__), None, None)

    def _is_at_home(self, item: Read) -> bool:
        """Refuse a record that lies on another partition than its member."""
        if not self._lies_at_home(item.member_id):
            raise Refused(Reason.MISPLACED, "a dry run must lie on its member's partition")
        return True

    def _may_come_yet(self, item: Read, refused: Refused) -> bool:  # noqa: ARG002
        """Have no record wait for its member."""
        return False

    def _release(self, member_id: str) -> None:
        """Leave what waits for the member where it is: it answers nobody."""

    def _bury(
        self, source: Input, refused: Refused, member_id: str | None, project: str | None
    ) -> None:
        """Write no dead letter."""

    def _answer_json(self, source: Input, reply: replies.Reply) -> bytes:
        """Return an answer as it is sent: nothing was created."""
        status = 200 if reply.status == 201 else reply.status
        return super()._answer_json(source, replies.Reply(status, reply.body))

    def _with_trace(self, source: Input, reply: replies.Reply) -> replies.Reply:
        """Return an answer with its trace, and with the word that nothing came of it."""
        return replies.extended(super()._with_trace(source, reply), "dryRun", _TRUE)


def _as_it_would_lie(source: Input) -> Input:
    """Return a dry run as an input of the topic that it names.

    Raises:
        Refused: it does not say that it is one, or names no topic whose records can be tried.
    """
    named = dict(source.headers)
    if named.get(dry_runs.DRY_RUN) != _TRUE:
        raise Refused(Reason.INVALID, "must be true on this topic", dry_runs.DRY_RUN)
    topic = (named.get(dry_runs.TOPIC) or b"").decode(errors="replace")
    if topic not in dry_runs.TRIED:
        message = f"must be one of {', '.join(dry_runs.TRIED)}"
        raise Refused(Reason.INVALID, message, dry_runs.TOPIC)
    headers = [header for header in source.headers if header[0] not in _OURS]
    return structs.replace(source, topic=topic, offset=_NOWHERE, headers=headers)
