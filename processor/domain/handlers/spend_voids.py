"""Voids of what took points: a redemption, a spend, or the capture of a hold."""

from typing import NamedTuple

from processor.domain.aggregates import points as points_of
from processor.domain.aggregates import void as void_of
from processor.domain.aggregates.points import Took
from processor.domain.aggregates.void import share
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers.ledger import Ledger
from processor.domain.handlers.voiding import Reversal, Voiding, not_voidable, unknown
from processor.domain.state_kinds import (
    MOVED,
    REDEMPTION,
    VOIDED,
    moved_key,
    redemption_key,
    voided_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids

_SOURCES = {"spend": ids.SPEND, "capture": ids.CAPTURE}


class Spent(NamedTuple):
    """What took points: the id of its entry of the ledger, the group, and from which lots; None
    where it does not say."""

    entry_id: str
    group: str
    took: Took | None


class SpendVoids:
    """Gives points back to the members of one chunk."""

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._entries = entries
        self._ledger = Ledger(definitions, entries)

    def __call__(self, context: RecordContext, voiding: Voiding) -> None:
        """Give back what a redemption, a spend or a capture took, or a portion of it.

        Raises:
            Refused: nothing was changed.
        """
        spent = self._spent(context, voiding)
        if spent is None:
            raise unknown(voiding)
        if spent.took is None:
            raise not_voidable()
        key = voided_key(spent.entry_id)
        before = self._entries.get(VOIDED, key) or void_of.initial()
        void_of.decide(before, voiding.portion)
        taken = sum(each.points for each in spent.took)
        done, until = (
            share(taken, portion) for portion in (before.portion, before.portion + voiding.portion)
        )
        after = void_of.evolve(before, voiding.portion, until - done)
        self._entries.set(VOIDED, key, after)
        voiding.voided_id, voiding.voided = spent.entry_id, after
        reversal = Reversal(
            entry_id=spent.entry_id, voided_id=spent.entry_id, voided_portion=after.portion
        )
        back = points_of.given_back(spent.took, done, until)
        self._ledger.give_back(context, voiding, reversal, spent.group, back)

    def _spent(self, context: RecordContext, voiding: Voiding) -> Spent | None:
        """Return what the command names; None where the member never did that."""
        key, what = voiding.command.of, voiding.command.what
        identifier = "" if key is None else key.unique_identifier or ""
        if what == "redemption":
            entry_id = ids.redemption_id(context.project, context.member_id, identifier)
            redeemed = self._entries.get(REDEMPTION, redemption_key(entry_id))
            if redeemed is None:
                return None
            return Spent(entry_id, points_of.group_of(redeemed), redeemed.took)
        source_id = ids.command_source(context.member_id, identifier)
        entry_id = ids.points_entry_id(context.project, _SOURCES[what], source_id)
        moved = self._entries.get(MOVED, moved_key(entry_id))
        if moved is None:
            return None
        return Spent(entry_id, moved.group, moved.took or None)
