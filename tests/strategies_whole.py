"""Hypothesis strategies for histories of everything that moves points, all at once.

Events feed challenges and a streak, and tiers and boosts multiply them; points are granted, spent,
held, captured, released, adjusted, redeemed, voided, and lapse; tiers are assigned, members paused
and rewards issued. All comes late, out of order and repeated, under definitions that change.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from schemas import ids
from schemas.instants import format_instant, parse_instant
from tests.built_once import composite, sampled_from
from tests.event_spec import event, event_of, streak_of, tick
from tests.points_spec import adjust, wallet_of
from tests.spec import (
    PROJECT,
    Defined,
    Sent,
    challenge,
    command,
    log,
    milestone,
    project_settings,
    upsert,
)
from tests.strategies import CHALLENGES, MILESTONES, ZONES, Segment, seldom
from tests.strategies_events import boosts
from tests.strategies_points import (
    BACK,
    GROUPS,
    HOMES,
    MEMBERS,
    OFTEN_ANN,
    OFTEN_DEFAULT,
    PORTIONS,
    STARTS,
    STEPS,
    WALLETS,
    moves,
)
from tests.strategies_tiers import SETS, tier_sets
from tests.tier_spec import assign
from tests.void_spec import void, void_event, void_of

EVENTS = ("buy", "visit")
STREAK = "by-day"
Known = list[tuple[str, str, str]]
"""What was sent that a void may name: what it is, its identifier, the member."""

groups = st.sampled_from(OFTEN_DEFAULT)
portions = st.one_of(st.none(), st.none(), st.sampled_from(PORTIONS))


@composite
def events_defined(draw: st.DrawFn) -> list[Defined]:
    """Two events: one whose points are what was paid, one of which few count."""
    paid = event_of(
        "buy",
        type="TRANSACTION",
        reward={"default": draw(sampled_from([1, 2, Decimal("0.5")]))},
        rewardValueField="amount",
        maximumReward=draw(sampled_from([None, 40])),
        challengeGroup=draw(groups),
    )
    limits: dict[str, Any] = {"limit": 2, "limitPeriod": "weekly"}
    limit = draw(sampled_from([{}, limits]))
    return [paid, event_of("visit", challengeGroup=draw(groups), **limit)]


@composite
def challenges_defined(draw: st.DrawFn, number: int) -> Defined:
    """A challenge that events feed, and that gives points."""
    return challenge(
        CHALLENGES[number],
        aggregationMethod=draw(sampled_from(["sum", "count"])),
        aggregationPeriod=draw(sampled_from(["daily", "monthly", "all_time"])),
        completionTargetValue=draw(sampled_from([2, 5, 20, 60])),
        eventIds=draw(sampled_from([["buy"], ["visit"], [*EVENTS]])),
        valueField=draw(sampled_from([None, "amount"])),
        pointsOnCompletion=draw(sampled_from([None, 7, 50])),
        challengeGroup=draw(groups),
    )


@composite
def milestones_defined(draw: st.DrawFn, number: int, of: str | None = None) -> Defined:
    """A milestone of a challenge or of the streak, some with points."""
    linked = of or draw(sampled_from([*CHALLENGES, STREAK]))
    return milestone(
        draw(sampled_from([1, 2, 3] if linked == STREAK else [1, 3, 10, 40])),
        MILESTONES[number],
        linkedSchemaSlug="streak" if linked == STREAK else "challenge",
        linkedSchemaRecordId=linked,
        points=draw(sampled_from([None, 3, 20])),
    )


@composite
def multiplying_sets(draw: st.DrawFn, id_: str) -> Defined:
    """A tier set whose tiers may multiply, of one wallet or of all."""
    made = draw(tier_sets(id_))
    fields = dict(made.fields or {})
    wallet = draw(sampled_from([None, None, *GROUPS]))
    if wallet is not None:
        fields["basis"] = {**fields["basis"], "wallet": wallet}
    by = draw(sampled_from([None, None, 2, Decimal("1.5"), Decimal("0.5")]))
    if by is not None:
        fields["tiers"] = [*fields["tiers"][:-1], {**fields["tiers"][-1], "multiplier": by}]
    scale = draw(sampled_from([1, 5]))
    fields["tiers"] = [{**tier, "threshold": tier["threshold"] * scale} for tier in fields["tiers"]]
    return Defined("tier-set", id_, fields)


@composite
def whole_histories(draw: st.DrawFn, length: int = 14) -> list[Segment]:
    """A history of everything: segments of definitions, and the records that come under them."""
    now = parse_instant(draw(sampled_from(STARTS)))
    definitions = [project_settings(timezone=draw(sampled_from([*ZONES, "member"])))]
    definitions += draw(events_defined())
    definitions += [draw(challenges_defined(number)) for number in range(2)]
    definitions.append(
        streak_of(STREAK, eventIds=["visit"], targetLength=2, freezes=draw(st.integers(0, 1)))
    )
    definitions += [draw(milestones_defined(number)) for number in range(3)]
    definitions += [wallet_of(group, **draw(WALLETS)) for group in GROUPS if draw(st.booleans())]
    definitions += [draw(multiplying_sets(id_)) for id_ in SETS if draw(st.integers(0, 2))]
    definitions += [draw(boosts(n, now)).but(eventIds=None) for n in range(draw(st.integers(0, 2)))]
    known = [upsert(name, timezone=draw(HOMES)) for name in MEMBERS]
    known += [
        adjust(draw(sampled_from([1, 40, 90])), f"first-{group}", challengeGroup=group)
        for group in GROUPS
    ]
    history = [Segment(definitions, [sent.arriving(format_instant(now)) for sent in known])]
    done: Known = []
    for number in range(draw(st.integers(1, 3))):
        changed = [] if not number else draw(changes(now))
        records: list[Sent] = []
        for _ in range(draw(st.integers(4, length))):
            now += draw(sampled_from(STEPS))
            records.append(draw(whole_records(now, done)).arriving(format_instant(now)))
        history.append(Segment(changed, records))
    return history


@composite
def changes(draw: st.DrawFn, now: datetime) -> list[Defined]:
    """What is defined otherwise from a moment on."""
    changed = [wallet_of(g, **draw(WALLETS)) for g in GROUPS if draw(st.booleans())]
    changed += draw(events_defined()) if draw(st.booleans()) else []
    changed += [draw(milestones_defined(2, CHALLENGES[0]))] if draw(st.booleans()) else []
    return changed + ([draw(boosts(2, now)).but(eventIds=None)] if draw(st.booleans()) else [])


@composite
def whole_records(draw: st.DrawFn, now: datetime, done: Known) -> Sent:
    """A record of any kind; ``done`` grows by what a later one may void."""
    kind = draw(sampled_from(KINDS))
    who = draw(sampled_from(OFTEN_ANN))
    own = format_instant(now - draw(sampled_from(BACK)))
    number = draw(st.integers(0, 9))
    match kind:
        case "tick":
            return tick(format_instant(now))
        case "event":
            key = draw(sampled_from([None, *(f"e{n}" for n in range(30))]))
            if key is not None:
                done.append(("event", key, who))
            amount = draw(sampled_from([1, 5, 12, 30, Decimal("7.5")]))
            metadata = {"amount": amount}
            id_ = draw(sampled_from(EVENTS))
            return event(id_, own, metadata=metadata, idempotencyKey=key, userId=who)
        case "log":
            of = draw(sampled_from(CHALLENGES))
            done.append((of, f"log-{number}", who))
            value = draw(sampled_from([3, 10, 40, -5, Decimal("0.1")]))
            member = ids.member_id(PROJECT, who)
            known = {"challengeId": of, "activityAt": own, "ownedById": member}
            return log(f"log-{number}", value, activityId="visit", **known)
        case "void":
            return draw(whole_voids(done))
        case "assign":
            tier, until = draw(sampled_from([None, "t0", "t1"])), None
            if draw(st.booleans()):
                until = format_instant(now + timedelta(days=40))
            of, more = draw(sampled_from(SETS)), {} if until is None else {"until": until}
            return assign(tier, f"a{number}", tierSetId=of, userId=who, **more)
        case "issue":
            period = draw(seldom("all", f"{now:%Y-%m}", f"{now:%Y-%m-%d}"))
            member = ids.member_id(PROJECT, who)
            reward = ids.reward_log_id(PROJECT, MILESTONES[number % 3], member, period)
            fields = {"rewardLogId": reward, "rewardIssuedAt": format_instant(now)}
            return command("update-reward-log", userId=who, **fields)
    return draw(moves(kind, now, done))


@composite
def whole_voids(draw: st.DrawFn, done: Known) -> Sent:
    """A void of something that may have been done, or of a portion of it."""
    known = [each for each in done if each[0] != "hold"]
    what, name, member = draw(st.sampled_from([("event", "e31", "ann"), *known]))
    portion = draw(portions)
    more: dict[str, Any] = {"userId": member, "rewards": draw(sampled_from(["keep", "revoke"]))}
    if portion is not None:
        more["portion"] = portion
    identifier = f"v{draw(st.integers(0, 60))}"
    if what in CHALLENGES:
        of = {"challengeId": what, "uniqueIdentifier": name}
        return void("challenge_log", identifier, of=of, **more)
    if what == "event":
        return void_event(name, identifier, **more)
    return void_of(what, name, identifier, **more)


KINDS = (
    *(["event"] * 12 + ["log"] * 2 + ["void"] * 7 + ["tick"] * 6),
    *("assign", "issue", "pause", "move"),
    *(["spend"] * 3 + ["hold"] * 3 + ["capture"] * 3 + ["release", "redeem"] + ["adjust"] * 2),
)
