"""Hypothesis strategies for histories in the middle of which a challenge and its milestones
change."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas import ids
from tests.built_once import composite, sampled_from
from tests.event_spec import tick
from tests.spec import (
    CHALLENGE,
    PROJECT,
    Defined,
    Sent,
    challenge,
    log,
    milestone,
    numbered,
    upsert,
)
from tests.strategies import seldom
from tests.void_spec import void

MEMBERS = ("ann", "ben")
MILESTONES = tuple(numbered(n) for n in range(11, 14))
ACTIVITIES = ("a", "b")
MOMENTS = ("2026-11-20T10:00:00Z", "2026-11-21T10:00:00Z", "2026-11-21T11:30:00Z")
BEFORE, BETWEEN, SINCE = "2026-11-21T12:00:00Z", "2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"
CORRECTED, AFTER, END = "2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z", "2027-01-02T00:00:00Z"

positive: SearchStrategy[Any] = st.sampled_from([5, 10, 20, 40, 7, Decimal("0.1"), Decimal("9.75")])
amounts: SearchStrategy[Any] = st.one_of(
    positive, positive, st.sampled_from([-3, -10, Decimal(-7)])
)
targets: SearchStrategy[int] = st.sampled_from([3, 5, 10, 15, 20, 30, 60])


@dataclass(frozen=True)
class Changed:
    """Definitions as they were and as they become, and the records of each stretch: before that,
    from there to the cut, from there to the corrections, and after them."""

    were: list[Defined]
    are: list[Defined]
    before: list[Sent]
    between: list[Sent]
    since: list[Sent]
    after: list[Sent]


periods: SearchStrategy[str] = st.sampled_from(["daily", "weekly", "monthly", "all_time"])


@composite
def _challenges(draw: st.DrawFn, period: str | None = None) -> Defined:
    """A challenge; mostly with such a period where one is named."""
    return challenge(
        aggregationMethod=draw(sampled_from(["sum", "count"])),
        aggregationPeriod=draw(periods) if period is None or draw(seldom(False, True)) else period,
        completionTargetValue=draw(targets),
        activityIds=draw(sampled_from([None, ["a"], ["a", "b"]])),
        pointsOnCompletion=draw(sampled_from([None, 7, 50])),
        timezone=draw(seldom("UTC", "Europe/Berlin")),
    )


@composite
def _milestones(draw: st.DrawFn, id_: str) -> Defined:
    points = draw(sampled_from([None, 3, 20]))
    return milestone(draw(targets), id_, points=points)


def _lower(draw: st.DrawFn, most: int) -> int:
    return draw(sampled_from([n for n in (3, 5, 10, 15, 20, 30, 60) if n <= most]))


def _more(draw: st.DrawFn, least: int | None) -> int:
    return (least or 0) + draw(sampled_from([0, 0, 1, 30]))


@composite
def _risen(draw: st.DrawFn, was: Defined) -> Defined:
    """The definition as it may become so that nobody has less by it."""
    fields = was.fields or {}
    if was.kind == "milestone":
        target = _lower(draw, fields["milestoneTargetValue"])
        return was.but(milestoneTargetValue=target, points=_more(draw, fields["points"]))
    return was.but(
        completionTargetValue=_lower(draw, fields["completionTargetValue"]),
        activityIds=draw(sampled_from([None, ["a", "b"], fields["activityIds"]]))
        if fields["activityIds"] == ["a"]
        else fields["activityIds"],
        pointsOnCompletion=_more(draw, fields["pointsOnCompletion"]),
    )


@composite
def _logs(draw: st.DrawFn, number: int, of: SearchStrategy[Any], arrival: str) -> Sent:
    return log(
        f"log-{number}",
        draw(of),
        activityAt=draw(sampled_from(MOMENTS)),
        activityId=draw(sampled_from(ACTIVITIES)),
        ownedById=ids.member_id(PROJECT, draw(seldom(*MEMBERS))),
    ).arriving(arrival)


@composite
def _stretches(
    draw: st.DrawFn, first: int, of: SearchStrategy[Any], arrival: str, voids: range
) -> list[Sent]:
    """Logs, numbered from ``first``, and voids of some that have such numbers."""
    made: list[Sent] = []
    for number in range(first, first + draw(st.integers(0, 8))):
        made.append(draw(_logs(number, of, arrival)))
        voided = draw(st.integers(0, 3 * len(voids))) if voids else len(voids)
        if voided < len(voids) and voids[voided] <= number:
            made.append(_void(draw, voids[voided], number, arrival))
    return made


def _void(draw: st.DrawFn, voided: int, number: int, arrival: str) -> Sent:
    key = {"challengeId": CHALLENGE, "uniqueIdentifier": f"log-{voided}"}
    portion = draw(sampled_from([1, 1, Decimal("0.5")]))
    name = draw(seldom(*MEMBERS))
    sent = void("challenge_log", f"void-{number}", of=key, userId=name, portion=portion)
    return sent.arriving(arrival)


@composite
def changed_histories(draw: st.DrawFn, *, rising: bool) -> Changed:
    """A history in the middle of which definitions change: so that nobody has less by it where it
    is ``rising``, else in any way. Nothing takes back what live logs had reached since the cut."""
    were = [draw(_challenges()), *(draw(_milestones(id_)) for id_ in MILESTONES[:2])]
    if rising:
        are = [draw(_risen(each)) for each in were]
    else:
        period = (were[0].fields or {})["aggregationPeriod"]
        are = [draw(_challenges(period)), *(draw(_milestones(each.id)) for each in were[1:])]
    are.append(draw(_milestones(MILESTONES[2])))
    of = positive if rising else amounts
    none = range(0)
    known = [upsert(name).arriving(BEFORE) for name in MEMBERS]
    time_passes = [tick("2026-11-22T00:30:00Z")] if draw(st.booleans()) else []
    return Changed(
        were=were,
        are=are,
        before=known + draw(_stretches(0, of, BEFORE, none if rising else range(10))),
        between=time_passes + draw(_stretches(20, of, BETWEEN, none if rising else range(25))),
        since=draw(_stretches(40, positive, SINCE, none)),
        after=draw(_stretches(60, of, AFTER, none if rising else range(20, 65))),
    )
