"""Hypothesis strategies for histories in which logs are voided, or visits: few things, that meet
many voids."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas import ids
from schemas.instants import format_instant
from tests.built_once import composite, sampled_from
from tests.event_spec import event, event_of, redeem, streak_milestone, streak_of, tick
from tests.spec import PROJECT, Defined, Sent, ann, challenge, command, log, milestone, upsert
from tests.strategies import CHALLENGES, MILESTONES, Segment, seldom
from tests.void_spec import void, void_event

MEMBERS = ("ann", "ben")
MOMENTS = ("2026-11-21T10:00:00Z", "2026-11-21T23:59:59.999999Z", "2026-11-22T09:30:00Z")
ARRIVALS = ("2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z", "2026-12-02T00:00:00Z")
PERIODS = ("all", "2026-11", "2026-11-21", "2026-11-22")

amounts: SearchStrategy[Any] = st.sampled_from(
    [5, 10, 20, 40, 7, 12, -3, -10, 0, Decimal("0.1"), Decimal("0.000000001"), Decimal("-7.25")]
)
portions: SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, None, 1]),
    st.sampled_from(["0.5", "0.5", "0.333333333", "0.000000001"]).map(Decimal),
)
targets: SearchStrategy[Any] = st.sampled_from(
    [3, 5, 10, 15, 20, 30, Decimal("0.2"), Decimal("9.9")]
)


@composite
def challenges(draw: st.DrawFn, id_: str | None = None) -> Defined:
    """One of two challenges, which may give points."""
    return challenge(
        id_ or draw(sampled_from(CHALLENGES)),
        aggregationMethod=draw(sampled_from(["sum", "sum", "sum", "count"])),
        aggregationPeriod=draw(sampled_from(["daily", "monthly", "all_time"])),
        completionTargetValue=draw(targets),
        pointsOnCompletion=draw(sampled_from([None, 7, 50])),
    )


@composite
def milestones(draw: st.DrawFn, id_: str | None = None) -> Defined:
    """One of three milestones of either challenge, or the null that deletes it."""
    made = milestone(
        draw(targets),
        id_ or draw(sampled_from(MILESTONES[:3])),
        linkedSchemaRecordId=draw(sampled_from(CHALLENGES)),
        points=draw(sampled_from([None, 3, 20])),
        status=draw(seldom("live", "paused")),
    )
    return made.deleted() if id_ is None and draw(seldom(False, True)) else made


Log = tuple[str, str, str]
"""A log's member by name, its challenge and its identifier."""

of_logs: SearchStrategy[Log] = st.tuples(
    seldom("ann", "ben"), seldom(*CHALLENGES), st.integers(0, 9).map(lambda n: f"log-{n}")
)


@composite
def logs(draw: st.DrawFn, of: Log) -> Sent:
    """A log of that name."""
    name, challenge_id, identifier = of
    return log(
        identifier,
        draw(amounts) if draw(st.integers(0, 14)) else None,
        challengeId=challenge_id,
        activityAt=draw(seldom(*MOMENTS)),
        status=draw(seldom(None, "draft")),
        ownedById=ids.member_id(PROJECT, name),
    )


@composite
def voids(draw: st.DrawFn, of: Log, number: int) -> Sent:
    """A void of such a log, by its id or its natural key; seldom by another member, or repeated."""
    name, challenge_id, identifier = of
    member = ids.member_id(PROJECT, name)
    how: dict[str, Any] = {"of": {"challengeId": challenge_id, "uniqueIdentifier": identifier}}
    if draw(st.booleans()):
        how = {"id": ids.challenge_log_id(PROJECT, challenge_id, member, identifier)}
    portion = draw(portions)
    return void(
        identifier=f"void-{draw(seldom(number, 0, 1))}",
        userId=draw(seldom(name, *MEMBERS)),
        rewards=draw(sampled_from(["keep", "revoke", "revoke"])),
        **how,
        **({} if portion is None else {"portion": portion}),
    )


@composite
def others(draw: st.DrawFn) -> Sent:
    """A reward issued, points redeemed, a member paused or deleted."""
    name = draw(seldom(*MEMBERS))
    match draw(st.integers(0, 7)):
        case 0:
            to = draw(sampled_from(["live", "paused"]))
            return command("update-member-status", userId=name, status=to)
        case 1:
            return draw(sampled_from([upsert(name), command("delete-member", userId=name)]))
        case 2 | 3:
            return redeem(draw(st.integers(1, 12)), f"r{draw(st.integers(0, 9))}", userId=name)
        case _:
            id_, period = draw(sampled_from(MILESTONES[:3])), draw(seldom(*PERIODS))
            reward = ids.reward_log_id(PROJECT, id_, ids.member_id(PROJECT, name), period)
            at = draw(sampled_from([ARRIVALS[0], None]))
            fields = {"rewardLogId": reward, "rewardIssuedAt": at}
            return command("update-reward-log", userId=name, **fields)


@composite
def records(draw: st.DrawFn, logged: list[Log], least: int, most: int) -> list[Sent]:
    """Logs, and voids of those that were ``logged``; a few others, and ticks. Each has a time of
    arrival."""
    made: list[Sent] = []
    for number in range(draw(st.integers(least, most))):
        arrival, kind = draw(seldom(*ARRIVALS)), draw(st.integers(0, 19))
        if kind == 19:
            made.append(tick(draw(sampled_from(ARRIVALS))))
            continue
        if kind > 16:
            each = draw(others())
        elif kind > 8 and logged:
            each = draw(voids(draw(st.sampled_from(logged)), len(logged) * 100 + number))
        else:
            logged.append(draw(of_logs))
            each = draw(logs(logged[-1]))
        made.append(each.arriving(arrival))
    return made


changes = st.one_of(challenges(), milestones(), milestones.another())


@composite
def void_histories(draw: st.DrawFn) -> list[Segment]:
    """Segments of logs and voids, each begun with changes of the definitions."""
    first = [draw(challenges(id_)) for id_ in CHALLENGES]
    first += [draw(milestones(id_)) for id_ in MILESTONES[:3]]
    known = [upsert(name).arriving(ARRIVALS[0]) for name in MEMBERS]
    logged: list[Log] = []
    history = [Segment(first, known + draw(records(logged, 12, 24)))]
    for _ in range(draw(st.integers(0, 2))):
        changed = draw(st.lists(changes, max_size=3))
        history.append(Segment(changed, draw(records(logged, 2, 12))))
    return history


FIRST_NOON = datetime.fromisoformat("2026-10-01T12:00:00+02:00")
visits = st.tuples(st.just("visit"), st.integers(0, 7), st.booleans())
"""On which day, with a key or without."""
voids_of_visits = st.tuples(st.just("void"), st.integers(0, 25), st.booleans())
"""Of which visit, with its rewards or without."""
silences = st.tuples(st.just("tick"), st.integers(0, 3), st.just(False))
acts = st.one_of(visits, visits, visits, voids_of_visits, voids_of_visits, silences)


@composite
def visit_histories(draw: st.DrawFn) -> list[Segment]:
    """One member's visits, day by day and late, and voids of them; a streak with milestones."""
    target, freezes = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    targets = sorted(draw(st.lists(st.integers(1, 5), max_size=3, unique=True)))
    definitions = [
        event_of(reward={"default": 0}),
        streak_of(targetLength=target, freezes=freezes, timezone="Europe/Berlin"),
        *(streak_milestone(n, id_=MILESTONES[i], points=10) for i, n in enumerate(targets)),
    ]
    now, made = FIRST_NOON, [ann.arriving(format_instant(FIRST_NOON))]
    for number, (what, value, flag) in enumerate(draw(st.lists(acts, max_size=30))):
        if what == "visit":
            moment = FIRST_NOON + timedelta(days=value)
            now = max(now, moment)
            key = {"idempotencyKey": f"visit {number}"} if flag else {}
            sent = event("visit", format_instant(moment), **key)
        elif what == "void":
            rewards = "revoke" if flag else "keep"
            sent = void_event(f"visit {value}", f"void {number}", rewards=rewards)
        else:
            now += timedelta(days=value)
            sent = tick(format_instant(now))
        made.append(sent.arriving(format_instant(now)))
    return [Segment(definitions, made)]
