"""Hypothesis strategies for histories: definitions as they change, and what members do.

Everything is drawn from small pools, so that logs meet: the same members, challenges, periods and
identifiers come up again and again, late, doubled, negative, paused and refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas import ids
from tests.built_once import composite, of_values, sampled_from
from tests.spec import (
    PROJECT,
    Defined,
    Sent,
    challenge,
    command,
    log,
    milestone,
    numbered,
    project_settings,
    raw_log,
    upsert,
)

MEMBERS = ("ann", "ben", "cyd")
CHALLENGES = (numbered(1), numbered(2))
MILESTONES = tuple(numbered(n) for n in range(11, 16))
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia")
MOMENTS = (
    "2026-11-21T10:00:00Z",
    "2026-11-21T10:00:00.000001Z",
    "2026-11-20T23:30:00Z",
    "2026-11-21T04:30:00Z",
    "2026-11-15T23:30:00+01:00",
    "2026-10-25T00:30:00Z",
    "2026-10-25T01:30:00Z",
    "2027-01-03T23:30:00-05:00",
    "2026-12-31T23:59:59.999999Z",
    "2027-01-05T00:00:00.000001Z",
)
ARRIVALS = ("2027-01-04T00:00:00Z", "2027-01-04T09:30:00.250Z", "2027-01-05T00:00:00Z")

amounts: SearchStrategy[Any] = st.one_of(
    st.sampled_from([5, 10, 2, 7, 40, 20]),
    st.sampled_from([5, 1, 0, -1, -3, -25]),
    st.sampled_from(["0.1", "0.2", "12.5", "-7.25", "0.000000001", "33.333333333"]).map(Decimal),
)
targets: SearchStrategy[Any] = st.sampled_from(
    [10, 20, 3, 2, 7, 40, 1, 60, Decimal("0.3"), Decimal("10.5")]
)


@of_values
def seldom(usual: Any, *others: Any) -> SearchStrategy[Any]:
    """The usual in nine of ten cases."""
    return st.integers(0, 9).flatmap(lambda n: st.sampled_from(others if n == 9 else (usual,)))


statuses = seldom("live", "paused", "draft")


@dataclass(frozen=True)
class Segment:
    """Definitions put in force, and the records that were folded under them."""

    definitions: list[Defined]
    records: list[Sent]


@composite
def challenges(draw: st.DrawFn, among: Sequence[str] = CHALLENGES) -> Defined:
    """One of two challenges, with all that can be said of it."""
    fields: dict[str, Any] = {
        "aggregationMethod": draw(sampled_from(["sum", "sum", "count"])),
        "aggregationPeriod": draw(
            sampled_from(["daily", "weekly", "monthly", "yearly", "all_time"])
        ),
        "completionTargetValue": draw(targets),
        "status": draw(statuses),
        "timezone": draw(sampled_from([None, "member", *ZONES])),
        "activityIds": draw(seldom(None, ["purchase"], ["purchase", "visit"])),
        "startsAt": draw(seldom(None, "2026-11-20T23:30:00Z")),
        "endsAt": draw(seldom(None, "2026-12-31T23:59:59.999999Z")),
    }
    return challenge(draw(sampled_from(among)), **fields)


@composite
def milestones(draw: st.DrawFn, among: Sequence[str] = MILESTONES) -> Defined:
    """One of five milestones of either challenge, or the null that deletes it."""
    made = milestone(
        draw(targets),
        draw(sampled_from(among)),
        linkedSchemaRecordId=draw(sampled_from(CHALLENGES)),
        status=draw(statuses),
    )
    return made.deleted() if draw(seldom(False, True)) else made


settings_of_projects = st.sampled_from([*ZONES, "member"]).map(
    lambda zone: project_settings(timezone=zone)
)
changes = st.one_of(challenges(), milestones(), milestones.another(), settings_of_projects)

profiles = st.fixed_dictionaries(
    {},
    optional={
        "firstName": st.sampled_from(["Ann", "Anna", None]),
        "city": st.sampled_from(["Bonn", "Köln", None]),
        "timezone": st.sampled_from([*ZONES[1:], None]),
        "groups": st.sampled_from([["gold"], ["gold", "early", "gold"], [], None]),
        "attributes": st.sampled_from(
            [{"plan": "plus"}, {"plan": None, "a.b": True}, {"a.b": ["x"], "n": 1.5}, {}, None]
        ),
    },
)


@composite
def owners(draw: st.DrawFn) -> dict[str, Any]:
    """A member by its id, or inline."""
    name = draw(sampled_from(MEMBERS))
    if draw(st.integers(0, 3)):
        return {"ownedById": ids.member_id(PROJECT, name)}
    return {"ownedBy": {"externalId": name, **draw(profiles)}}


@composite
def logs(draw: st.DrawFn) -> Sent:
    """A challenge log; most are good."""
    return log(
        f"log-{draw(st.integers(0, 9))}",
        draw(amounts) if draw(st.integers(0, 14)) else None,
        challengeId=draw(sampled_from(CHALLENGES)) if draw(st.integers(0, 19)) else numbered(99),
        activityAt=draw(sampled_from(MOMENTS)),
        activityId=draw(seldom("purchase", "visit", "walk")),
        status=draw(seldom(None, "live", "paused", "draft")),
        **draw(owners()),
    )


@composite
def commands(draw: st.DrawFn) -> Sent:
    """A command for a member."""
    name = draw(sampled_from(MEMBERS))
    match draw(sampled_from(["upsert", "status", "status", "delete"])):
        case "upsert":
            return upsert(name, **draw(profiles))
        case "status":
            to = draw(sampled_from(["live", "paused"]))
            return command("update-member-status", userId=name, status=to)
        case _:
            what = draw(sampled_from(["delete-member", "forget-member"]))
            return command(what, memberId=ids.member_id(PROJECT, name))


broken = st.sampled_from([None, "", "{", "[]", '{"project":"No"}']).map(raw_log)


@composite
def records(draw: st.DrawFn) -> Sent:
    """Mostly logs, some commands, a little rubbish; each with a time of arrival."""
    kind = draw(st.integers(0, 19))
    made = draw(broken if kind == 19 else commands() if kind > 16 else logs())
    return made.arriving(draw(sampled_from(ARRIVALS)))


@composite
def histories(draw: st.DrawFn, segments: int = 3, length: int = 16) -> list[Segment]:
    """Segments of records, each begun with changes of the definitions."""
    first = [draw(challenges([id_])) for id_ in CHALLENGES]
    first += [draw(milestones([id_])) for id_ in MILESTONES[:4]]
    known = [upsert(name).arriving(ARRIVALS[0]) for name in MEMBERS[:2]]
    begun = Segment(first, known + draw(st.lists(records(), min_size=6, max_size=length)))
    later = st.builds(Segment, st.lists(changes, max_size=3), st.lists(records(), max_size=length))
    return [begun, *draw(st.lists(later, max_size=segments - 1))]
