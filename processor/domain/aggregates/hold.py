"""A hold: points of a member that are reserved until they are captured, released, or lapse. State,
initial, evolve, decide.
"""

from datetime import datetime, timedelta

import msgspec

from processor.domain.inputs import Refused
from processor.domain.rules import DEFAULT_GROUP
from schemas import outputs
from schemas.dead_letter import Reason
from schemas.records import CaptureHold, HoldPoints, ReleaseHold

OPEN, CAPTURED, RELEASED, LAPSED = "open", "captured", "released", "lapsed"

MAX_OPEN = 1_000
"""Holds of a member, in all groups."""
USUAL = timedelta(days=7)
LONGEST = timedelta(days=366)


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One hold. ``balance`` and ``held`` are what its first answer said of the group."""

    identifier: str
    group: str
    points: int
    until: datetime
    opened_at: datetime
    balance: int
    held: int
    status: str = OPEN
    captured: int = 0
    closed_at: datetime | None = None


def until_of(command: HoldPoints, at: datetime) -> datetime:
    """Return when a hold that is made at ``at`` lapses.

    Raises:
        Refused: that is past, or too far ahead.
    """
    until = command.until or at + USUAL
    if until <= at:
        raise Refused(Reason.INVALID, "must be after the record's timestamp", "until")
    if until > at + LONGEST:
        raise Refused(Reason.INVALID, f"may lie at most {LONGEST.days} days ahead", "until")
    return until


def initial(command: HoldPoints, until: datetime, at: datetime, balance: int, held: int) -> Hold:
    """Return a hold as it is made; ``balance`` and ``held`` are the group's with it."""
    group = command.challenge_group or DEFAULT_GROUP
    return Hold(command.unique_identifier, group, command.points, until, at, balance, held)


def evolve(before: Hold, status: str, captured: int, at: datetime) -> Hold:
    """Return a hold that was closed, with so many points of it spent."""
    return msgspec.structs.replace(before, status=status, captured=captured, closed_at=at)


def decide(hold: Hold | None, command: CaptureHold | ReleaseHold) -> int:
    """Return how many points of a hold a command spends.

    Raises:
        Refused: there is no such hold, it is closed, or has fewer points.
    """
    if hold is None:
        raise Refused(Reason.UNKNOWN_HOLD, "no such hold", "holdIdentifier")
    if command.challenge_group not in (None, hold.group):
        raise Refused(Reason.INVALID, "is not the hold's", "challengeGroup")
    if hold.status != OPEN:
        raise Refused(Reason.HOLD_CLOSED, f"the hold was {hold.status}", "holdIdentifier")
    if isinstance(command, ReleaseHold):
        return 0
    points = hold.points if command.points is None else command.points
    if points > hold.points:
        raise Refused(Reason.INVALID, f"must be at most {hold.points}, as were held", "points")
    return points


def record(hold: Hold) -> outputs.Hold:
    """Return a hold as it is published."""
    return outputs.Hold(
        hold_identifier=hold.identifier,
        challenge_group=hold.group,
        points=hold.points,
        captured=hold.captured,
        status=hold.status,
        until=hold.until,
        opened_at=hold.opened_at,
        closed_at=hold.closed_at,
    )
