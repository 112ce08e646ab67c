"""Hypothesis strategies for histories of events, with a clock that goes on and ticks in between.

As in ``strategies`` all is drawn from small pools. A history has a unit, a day, a week or a month,
in which its clock advances and its events are late, so that streaks grow, break and heal.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.instants import format_instant, parse_instant
from tests.built_once import composite, sampled_from
from tests.event_spec import all_of, any_of, condition, event, event_of, redeem, streak_of, tick
from tests.spec import Defined, Sent, challenge, command, milestone, project_settings, upsert
from tests.strategies import CHALLENGES, MEMBERS, MILESTONES, ZONES, Segment, profiles, seldom

EVENTS = ("buy", "visit", "quiz")
STREAKS = ("by-day", "by-week", "by-month")
BEGINNINGS = (
    "2026-10-23T21:30:00Z",  # clocks go back in Berlin on the 25th, in New York on November 1st
    "2026-12-26T23:00:00Z",  # the year ends in ISO week 53
    "2027-02-26T10:00:00Z",
    "2027-03-12T04:45:00Z",  # and go forward: New York on the 14th, Berlin on the 28th
)
UNITS = (timedelta(days=1), timedelta(days=1), timedelta(days=7), timedelta(days=30, hours=10))

GROUPS = ("default", "gold", "vip")
numbers: SearchStrategy[Any] = st.sampled_from(
    [0, 1, 3, 20, -4, Decimal("0.5"), Decimal("12.25"), Decimal("2.5"), Decimal("0.1")]
)
odd_values: SearchStrategy[Any] = st.sampled_from(
    ["", "3", "web", True, False, [], ["web", 3], [3, "gold"], {"a": 1}, Decimal("3.0")]
)
values = st.one_of(numbers, numbers, odd_values)
several_values = st.lists(values, min_size=1, max_size=3)
usergroups: SearchStrategy[Any] = st.one_of(
    st.sampled_from(["gold", "vip", "other", ["gold"], ["other", "vip", "gold"], ["default"]]),
    st.sampled_from([[], 7, [3, "gold"], ["vip", "default"]]),
)
metadata_of_events = st.fixed_dictionaries(
    {}, optional={"amount": values, "score": values, "source": values, "usergroup": usergroups}
)

OPERATORS = (
    *("equals", "not_equals", "greater_than", "greater_than_or_equals", "less_than"),
    *("less_than_or_equals", "contains", "exists", "not_exists"),
)


@composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    """One comparison, with any operator."""
    field = draw(
        sampled_from(["amount", "score", "source", "member.attributes.n", "member.groups"])
    )
    operator = draw(sampled_from([*OPERATORS, "in", "not_in"]))
    if operator in ("in", "not_in"):
        return condition(field, operator, draw(several_values))
    return condition(field, operator, draw(values))


conditions = st.recursive(
    comparisons(),
    lambda inner: st.builds(
        lambda group, children: group(*children),
        st.sampled_from([all_of, any_of]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=5,
)
easy_conditions = st.sampled_from(
    [
        condition("amount", "greater_than", 0),
        any_of(condition("amount", "not_exists"), condition("amount", "less_than", 20)),
        condition("member.groups", "contains", "gold"),
        condition("member.attributes.plan", "equals", "plus"),
        any_of(
            condition("member.city", "exists"), condition("member.attributes.n", "less_than", 2)
        ),
    ]
)
conditions_of_events = st.one_of(st.none(), st.none(), easy_conditions, conditions)
conditions_of_boosts = st.one_of(st.none(), st.none(), easy_conditions)
fields_of_metadata: SearchStrategy[Any] = st.sampled_from(
    [
        [{"key": "amount", "type": "number", "required": True}],
        [{"key": "amount", "type": "number"}, {"key": "source", "type": "string"}],
        [{"key": "usergroup", "type": "array", "required": False}],
    ]
)
rewards: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"default": st.sampled_from([5, 2, 1, 0, Decimal("2.5"), Decimal("0.1")])},
    optional={"gold": st.sampled_from([10, Decimal("1.5")]), "vip": st.sampled_from([0, 7])},
)
limits: SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {
            "limit": st.sampled_from([1, 1, 2, 3]),
            "limitPeriod": st.sampled_from(["daily", "weekly", "monthly", "unlimited"]),
        }
    ),
)

fed_by = st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True)
changes_of_members = st.one_of(profiles, profiles, st.just({"groups": ["vip", "gold"]}))


@composite
def event_definitions(draw: st.DrawFn, id_: str, limit: dict[str, Any]) -> Defined:
    """An event's definition; its limit is given, for what a changed period means is not said."""
    type_ = draw(sampled_from(["FIXED", "CONDITIONAL", "TRANSACTION"]))
    fields: dict[str, Any] = {
        "title": draw(sampled_from(["Was done", "Done 🎉"])),
        "type": type_,
        "reward": draw(rewards),
        "status": draw(seldom("ACTIVE", "INACTIVE")),
        "conditions": draw(conditions_of_events),
        "metadataFields": draw(fields_of_metadata) if draw(st.integers(0, 5)) == 5 else None,
        "requiresApiKey": draw(seldom(False, True)),
        "challengeGroup": draw(sampled_from(["_default", "spring"])),
        "maximumReward": draw(sampled_from([None, None, 15, 0, Decimal(30)])),
        **limit,
    }
    if type_ == "TRANSACTION":
        fields["rewardValueField"] = "amount"
    return event_of(id_, **fields)


@composite
def boosts(draw: st.DrawFn, number: int, beginning: datetime) -> Defined:
    """A boost, with all that can be said of it."""
    starts = beginning - timedelta(days=draw(sampled_from([1, 30, 400])))
    fields: dict[str, Any] = {
        "name": "More",
        "multiplier": draw(sampled_from([2, 3, Decimal("1.5"), Decimal("0.5"), Decimal("0.1")])),
        "startsAt": format_instant(starts),
        "endsAt": draw(
            st.sampled_from([None, None, format_instant(beginning + timedelta(days=3))])
        ),
        "eventIds": draw(sampled_from([None, None, ["buy"], ["visit", "quiz"]])),
        "wallets": draw(sampled_from([None, None, ["spring"], ["_default", "spring"]])),
        "conditions": draw(conditions_of_boosts),
        "stacking": draw(sampled_from(["multiply", "add", "highest"])),
        "maxBonus": draw(sampled_from([None, None, 0, 3, Decimal("0.5")])),
        "status": draw(seldom("live", "paused", "draft")),
    }
    return Defined("boost", f"boost-{number}", {"id": f"boost-{number}", **fields})


@composite
def fed_challenges(draw: st.DrawFn, number: int, beginning: datetime) -> Defined:
    """A challenge that events feed."""
    ends = beginning + timedelta(days=draw(sampled_from([2, 9, 40])))
    fields: dict[str, Any] = {
        "aggregationMethod": draw(sampled_from(["sum", "count"])),
        "aggregationPeriod": draw(
            sampled_from(["daily", "weekly", "monthly", "yearly", "all_time"])
        ),
        "completionTargetValue": draw(sampled_from([1, 2, 3, 10, 25])),
        "timezone": draw(sampled_from([None, "member", *ZONES])),
        "eventIds": draw(fed_by),
        "valueField": draw(sampled_from([None, "amount"])),
        "activityIds": draw(seldom(None, ["visit"])),
        "pointsOnCompletion": draw(sampled_from([None, 50])),
        "challengeGroup": draw(sampled_from(["_default", "spring"])),
        "endsAt": draw(seldom(None, format_instant(ends))),
    }
    return challenge(CHALLENGES[number], **fields)


@composite
def streak_definitions(draw: st.DrawFn, id_: str, period: str) -> Defined:
    """A streak's definition."""
    return streak_of(
        id_,
        eventIds=draw(sampled_from([["visit"], ["visit", "buy"], ["quiz"], [*EVENTS]])),
        period=period,
        targetLength=draw(st.integers(1, 4)),
        timezone=draw(sampled_from([None, "member", *ZONES])),
        freezes=draw(sampled_from([0, 0, 1, 2])),
    )


@composite
def linked_milestones(draw: st.DrawFn, number: int) -> Defined:
    """A milestone of a challenge or a streak, some with points."""
    of_challenge = draw(st.booleans())
    return milestone(
        draw(sampled_from([1, 2, 3] if of_challenge else [1, 2, 3, 4])),
        MILESTONES[number],
        linkedSchemaSlug="challenge" if of_challenge else "streak",
        linkedSchemaRecordId=draw(sampled_from(CHALLENGES if of_challenge else STREAKS)),
        points=draw(sampled_from([None, 100])),
        status=draw(seldom("live", "paused")),
    )


@composite
def events(draw: st.DrawFn, now: datetime, unit: timedelta) -> Sent:
    """An event, most of them good: now, late, or a little ahead."""
    late = draw(sampled_from([None, 0, 0, 0, 0, 1, 2, 5, 0.5, -1]))
    if late == -1:
        at = now + timedelta(hours=draw(sampled_from([1, 23])))
    else:
        at = now - (late or 0) * unit
    fields: dict[str, Any] = {
        "userId": draw(sampled_from(["ann", "ann", *MEMBERS, *MEMBERS, "nobody"])),
        "metadata": draw(metadata_of_events) if draw(st.integers(0, 5)) else None,
        "idempotencyKey": draw(sampled_from([None] * 6 + ["k1", "k2", "k3"])),
        "withApiKey": draw(seldom(None, False)),
        "byEndUser": draw(seldom(None, True)),
    }
    id_ = draw(sampled_from([*EVENTS * 6, "unknown"]))
    return event(id_, None if late is None else format_instant(at), **fields)


@composite
def commands(draw: st.DrawFn) -> Sent:
    """A command for a member, or a redemption of points."""
    name = draw(sampled_from(MEMBERS))
    match draw(sampled_from(["upsert", "status", "redeem", "redeem"])):
        case "upsert":
            changed = draw(changes_of_members)
            return upsert(name, **changed)
        case "status":
            to = draw(sampled_from(["live", "paused"]))
            return command("update-member-status", userId=name, status=to)
        case _:
            number = draw(st.integers(1, 4))
            fields = {"challengeGroup": draw(sampled_from([None, "spring"]))}
            given = {name: value for name, value in fields.items() if value is not None}
            points = draw(sampled_from([1, 7, 40, 500]))
            return redeem(points, f"redeem-{number}", userId=name, **given)


@composite
def records(draw: st.DrawFn, beginning: datetime, unit: timedelta, length: int) -> list[Sent]:
    """Events, commands and ticks, each arriving when the clock says; the last are ticks."""
    now = beginning
    made: list[Sent] = []
    for _ in range(draw(st.integers(6, length))):
        now += draw(sampled_from([0, 0, 0, 0, 0, 0.1, 0.25, 1, 1, 2])) * unit
        at = format_instant(now)
        which = draw(st.integers(0, 13))
        if which < 10:
            made.append(draw(events(now, unit)).arriving(at))
        else:
            made.append(tick(at) if which < 12 else draw(commands()).arriving(at))
    return made


@composite
def streak_histories(draw: st.DrawFn, length: int = 25) -> list[Segment]:
    """One member's visits and one streak, as dense as it takes for runs to merge and to fall
    apart."""
    beginning = parse_instant(draw(sampled_from(BEGINNINGS)))
    unit = draw(sampled_from(UNITS))
    period = {1: "daily", 7: "weekly"}.get(unit.days, "monthly")
    streak = draw(streak_definitions(STREAKS[0], period)).but(eventIds=["visit"])
    given = [event_of(), streak.but(freezes=draw(st.integers(0, 3)))]
    given += [draw(linked_milestones(number)) for number in range(3)]
    linked = [d.but(linkedSchemaSlug="streak", linkedSchemaRecordId=streak.id) for d in given[2:]]
    now, made = beginning, [upsert("ann").arriving(format_instant(beginning))]
    for _ in range(draw(st.integers(6, length))):
        now += draw(sampled_from([0, 0, 0, 0.5, 1, 1, 2])) * unit
        at = format_instant(now)
        if draw(st.integers(0, 5)):
            late = draw(sampled_from([0, 0, 1, 2, 3, 4, 5, 6, 8, 11]))
            made.append(event("visit", format_instant(now - late * unit)).arriving(at))
        elif draw(st.integers(0, 3)):
            made.append(tick(at))
        else:
            made.append(upsert("ann", timezone=draw(sampled_from(ZONES))).arriving(at))
    cut = draw(st.integers(0, len(made)))
    return [Segment([*given[:2], *linked[:2]], made[:cut]), Segment(linked[2:], made[cut:])]


@composite
def event_histories(draw: st.DrawFn, length: int = 40) -> list[Segment]:
    """Segments of records, the first begun with all definitions, the others with some changes."""
    beginning = parse_instant(draw(sampled_from(BEGINNINGS)))
    unit = draw(sampled_from(UNITS))
    limit = {id_: draw(limits) for id_ in EVENTS}
    definitions = [project_settings(timezone=draw(sampled_from([*ZONES, "member"])))]
    definitions += [draw(event_definitions(id_, limit[id_])).but(status="ACTIVE") for id_ in EVENTS]
    definitions += [draw(fed_challenges(number, beginning)) for number in range(2)]
    definitions += [
        draw(streak_definitions(id_, period))
        for id_, period in zip(STREAKS, ("daily", "weekly", "monthly"), strict=True)
    ]
    definitions += [draw(linked_milestones(number)) for number in range(4)]
    definitions += [draw(boosts(n, beginning)) for n in range(draw(st.integers(0, 4)))]
    at = format_instant(beginning)
    known = [upsert(name, groups=["gold"]).arriving(at) for name in MEMBERS]
    all_records = draw(records(beginning, unit, length))
    cut = draw(st.integers(0, len(all_records)))
    changed = draw(sampled_from(EVENTS))
    changes = [draw(event_definitions(changed, limit[changed])), draw(linked_milestones(4))]
    return [Segment(definitions, known + all_records[:cut]), Segment(changes, all_records[cut:])]
