"""A correction: what one progress has, what it is to have, and what is to be given for it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
from msgspec import Raw

from schemas import ids
from schemas.records import ABSENT, CorrectProgress, MorePoints, ReachedMilestone, encode


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A milestone that is to be given; or that was (not ``granted`` now), for fewer points.

    ``points`` are those that it is to give now, before caps. ``at`` and ``value`` are the moment
    and the progress with which it is reached.
    """

    milestone_id: str
    reward_log_id: str
    at: datetime
    value: Decimal
    points: int
    granted: bool


class NotGiven(msgspec.Struct, frozen=True, kw_only=True):
    """A reward that was given and would not be: it stays."""

    reward_log_id: str
    milestone_id: str


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one member's progress in one period of a challenge.

    ``before`` and ``after`` are the values that are shown, ``difference`` that of the exact sums.
    ``completed`` tells whether it is completed by this, ``completed_at`` when (there as well where
    it was completed before, for fewer points), ``completion_adds`` that its points come on top of
    what it gave before, ``falls_short`` that it is completed and is not to
    be, ``reopens`` that it is not to be, completed or not. ``apart`` is what the fold had kept
    apart. ``changes`` tells whether there is anything to be done, or only ``not_given`` to be told.
    """

    project: str
    member_id: str
    challenge_id: str
    period_key: str
    before: Decimal
    after: Decimal
    difference: Decimal
    started_at: datetime | None
    completed: bool
    completed_at: datetime | None
    completion_points: int
    completion_adds: bool
    reopens: bool
    falls_short: bool
    exact: bool
    apart: Decimal
    reached: Sequence[Reached]
    not_given: Sequence[NotGiven]
    changes: bool

    @property
    def points(self) -> int:
        """All points that it gives, before caps."""
        return self.completion_points + sum(each.points for each in self.reached)

    @property
    def rewards(self) -> int:
        """How many rewards it grants."""
        return sum(each.granted for each in self.reached)

    def command(self, recalculation_id: str) -> bytes:
        """Return the record that brings the progress there, as it goes onto ``member-commands``."""
        command = CorrectProgress(
            project=self.project,
            member_id=self.member_id,
            unique_identifier=ids.correction_identifier(
                recalculation_id, self.challenge_id, self.period_key
            ),
            recalculation_id=recalculation_id,
            challenge_id=self.challenge_id,
            period_key=self.period_key,
            difference=_json(self.difference),
            exact=self.exact,
            apart=_json(self.apart) if self.apart else ABSENT,
            started_at=self.started_at,
            completed_at=self.completed_at if self.completed else None,
            reopens=self.reopens,
            reached=[
                ReachedMilestone(
                    milestone_id=each.milestone_id, at=each.at, value=_json(each.value)
                )
                for each in self.reached
                if each.granted
            ],
            points=self._more_points(),
        )
        return encode(command)

    def _more_points(self) -> list[MorePoints]:
        """Return the points of what was given before for fewer."""
        more = [
            MorePoints(points=each.points, at=each.at, milestone_id=each.milestone_id)
            for each in self.reached
            if not each.granted
        ]
        if self.completion_points and self.completion_adds and self.completed_at is not None:
            more.append(MorePoints(points=self.completion_points, at=self.completed_at))
        return more


def _json(value: Decimal) -> Raw:
    return Raw(f"{value:f}".encode())
