"""One void while it is folded: what the command wants, and what came of it so far."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import msgspec
from msgspec import Raw

from processor.domain.aggregates import void as void_of
from processor.domain.aggregates.event import DEFAULT_USER_GROUP
from processor.domain.aggregates.void import Voided
from processor.domain.context import RecordContext
from processor.domain.inputs import Refused
from schemas import outputs
from schemas.amounts import format_amount
from schemas.dead_letter import Reason
from schemas.records import Void


@dataclass(slots=True, kw_only=True)
class Voiding:
    """One command on its way, handed to whatever it moves back.

    ``portion`` is in nanos. ``user_id`` is the member's external id. What follows ``voided`` is
    what the answer will say: whoever moves something back adds to it.
    """

    command: Void
    void_id: str
    user_id: str
    portion: int
    at: datetime
    voided_id: str = ""
    """That of what the command names, once it is found."""
    voided: Voided = field(default_factory=void_of.initial)
    """All that is voided of it, this time included, once that is decided."""
    progress: list[outputs.ProgressRecord] = field(default_factory=list)
    """One entry for each challenge that moved."""
    reversed: int = 0
    not_recovered: int = 0
    """Points, of all entries of the ledger together."""
    revoked: list[outputs.RewardReference] = field(default_factory=list)
    not_revoked: list[outputs.RewardReference] = field(default_factory=list)

    @property
    def revokes(self) -> bool:
        """Whether rewards are taken back that are not issued and not earned any more."""
        return self.command.rewards == "revoke"


class Reversal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the ledger whose points a void moves back, and what was voided for that: its id,
    and all portions of it by now, in nanos."""

    entry_id: str
    voided_id: str
    voided_portion: int
    event_id: str | None = None
    user_group: str = DEFAULT_USER_GROUP


class VoidOf(Protocol):
    """Voids things of one kind."""

    def __call__(self, context: RecordContext, voiding: Voiding) -> None:
        """Void what the command names, and say in ``voiding`` what came of it.

        It looks the thing up by ``voiding.command``'s ``id`` or ``of`` (which of them are given was
        checked), keeps ``VOIDED`` of it, sets ``voiding.voided_id`` and ``voiding.voided``, moves
        back what it did, and publishes that.

        Raises:
            Refused: unknown (``unknown_log``), ``belongs_to_event``, ``not_voidable``,
                ``over_voided``, in this order; what was changed is taken back.
        """
        ...


def not_voidable(
    message: str = "it was recorded before voids, and does not say what it did",
) -> Refused:
    """Return the refusal of what does not say what it did."""
    return Refused(Reason.NOT_VOIDABLE, message)


def unknown(voiding: Voiding) -> Refused:
    """Return the refusal of what the member does not have."""
    field = "of" if voiding.command.id is None else "id"
    return Refused(Reason.UNKNOWN_LOG, f"no such {voiding.command.what} of this member", field)


def amount(nanos: int) -> Raw:
    """Return an amount's, or a portion's, JSON."""
    return Raw(format_amount(nanos).encode())
