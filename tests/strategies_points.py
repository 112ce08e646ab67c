"""Hypothesis strategies for histories of points: granted, spent, held, voided, and moved by time.

A clock goes on by hours or weeks, and what comes is late by as much; wallets change on the way.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.instants import format_instant, parse_instant
from tests.built_once import composite, sampled_from
from tests.event_spec import event, event_of, redeem, tick
from tests.points_spec import adjust, capture, hold, release, spend, wallet_of
from tests.spec import Defined, Sent, command, upsert
from tests.strategies import ZONES, Segment
from tests.void_spec import void_event, void_of

MEMBERS = ("ann", "ben")
GROUPS = ("_default", "spring")
OFTEN_ANN, OFTEN_DEFAULT = ("ann", "ann", *MEMBERS), ("_default", "_default", *GROUPS)
"""Of one purse more happens than of the others, so that more follows from it."""
STARTS = ("2026-10-20T21:30:00.250Z", "2026-12-29T10:00:00Z", "2027-02-26T23:30:00Z")
STEPS = (
    *(timedelta(0), timedelta(hours=1), timedelta(hours=13), timedelta(days=1)),
    *(timedelta(days=1), timedelta(days=3), timedelta(days=9), timedelta(days=31)),
)
BACK = (
    *(timedelta(0), timedelta(0), timedelta(hours=5), timedelta(days=1), timedelta(days=2)),
    *(timedelta(days=8), timedelta(days=40), timedelta(days=500), timedelta(hours=-20)),
)
AFTER = ("P2D", "P5D", "P1M", "PT36H", "P1DT6H", "P1W")
AMOUNTS = (1, 5, 5, 10, 20, 30, 70)
SMALL = AMOUNTS[:5]
LARGE = (*AMOUNTS[3:], 70)
LIMIT = (2, "weekly")
LIMITED = tuple(f"{group}-10" for group in GROUPS)
"""The events of which so many count in a week, by days in UTC."""
PORTIONS = (Decimal("0.5"), Decimal("0.333333333"), Decimal("0.2"), Decimal("0.000000001"))

EXPIRIES = st.one_of(
    st.just({"type": "none"}),
    st.builds(lambda after: {"type": "rolling", "after": after}, st.sampled_from(AFTER)),
    st.builds(lambda after: {"type": "rolling", "after": after}, st.sampled_from(AFTER)),
    st.builds(lambda after: {"type": "sliding", "after": after}, st.sampled_from(AFTER)),
    st.builds(lambda after: {"type": "sliding", "after": after}, st.sampled_from(AFTER)),
    st.builds(
        lambda dates, after: {"type": "calendar", "dates": dates} | after,
        st.sampled_from([["12-31"], ["01-01", "10-25", "03-01"], ["02-28", "11-15"]]),
        st.sampled_from([{}, {}, {"after": "P3D"}, {"after": "P1M"}, {"after": "PT30H"}]),
    ),
)
WALLETS: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"expiry": EXPIRIES},
    optional={
        "pendingFor": st.sampled_from(["P1D", "P3D", "PT5H", "P1M"]),
        "maxBalance": st.sampled_from([25, 60, 100]),
        "earnCap": st.builds(
            lambda points, period: {"points": points, "period": period},
            st.sampled_from([12, 40]),
            st.sampled_from(["daily", "weekly", "monthly", "yearly"]),
        ),
        "noticeDays": st.sampled_from([[1], [7, 1], [3, 2, 1]]),
        "timezone": st.sampled_from([*ZONES[1:], "member", "member"]),
    },
)
portions = st.one_of(st.none(), st.none(), st.sampled_from(PORTIONS))
HOMES = st.sampled_from([None, *ZONES[1:]])
"""The members' own time zones."""


def granting(points: int, group: str) -> Defined:
    """The definition of an event that gives points in a group."""
    id_ = f"{group}-{points}"
    limit: dict[str, Any] = {}
    if id_ in LIMITED:
        limit = {"limit": LIMIT[0], "limitPeriod": LIMIT[1]}
    return event_of(id_, reward={"default": points}, challengeGroup=group, **limit)


@composite
def points_histories(draw: st.DrawFn) -> list[Segment]:
    """A history of points: segments of definitions, and the records that come under them."""
    now = parse_instant(draw(sampled_from(STARTS)))
    definitions = [granting(points, group) for points in set(AMOUNTS) for group in GROUPS]
    known = [upsert(name, timezone=draw(HOMES)) for name in MEMBERS]
    history = [Segment(definitions, known)]
    history[0].records[:] = [sent.arriving(format_instant(now)) for sent in history[0].records]
    done: list[tuple[str, str, str]] = []
    for _ in range(draw(st.integers(1, 4))):
        changed = [wallet_of(g, **draw(WALLETS)) for g in GROUPS if draw(st.booleans())]
        if draw(st.integers(0, 9)) == 0:
            changed.append(wallet_of(draw(sampled_from(GROUPS))).deleted())
        records: list[Sent] = []
        for _ in range(draw(st.integers(1, 14))):
            now += draw(sampled_from(STEPS))
            records.append(draw(_records(now, done)))
        history.append(Segment(changed, records))
    return history


@composite
def _records(draw: st.DrawFn, now: datetime, done: list[tuple[str, str, str]]) -> Sent:
    """A record; ``done`` has what was sent that a void or a capture may name: what it is, the
    identifier, the member."""
    at = format_instant(now)
    kind = draw(sampled_from(KINDS))
    if kind == "tick":
        return tick(at)
    if kind == "void":
        return draw(_voids(done)).arriving(at)
    if kind != "grant":
        return draw(moves(kind, now, done)).arriving(at)
    who = {"userId": draw(sampled_from(OFTEN_ANN))}
    group, points = draw(sampled_from(OFTEN_DEFAULT)), draw(sampled_from(LARGE))
    own = format_instant(now - draw(sampled_from(BACK)))
    key = draw(sampled_from([None, *(f"e{n}" for n in range(20))]))
    if key is not None:
        done.append(("event", key, who["userId"]))
    return event(f"{group}-{points}", own, idempotencyKey=key, **who).arriving(at)


@composite
def moves(draw: st.DrawFn, kind: str, now: datetime, done: list[tuple[str, str, str]]) -> Sent:
    """A command of a kind that moves points, or a member to another time zone, or pauses it; see
    ``_records``."""
    who = {"userId": draw(sampled_from(OFTEN_ANN))}
    group = draw(sampled_from(OFTEN_DEFAULT))
    points = draw(sampled_from(SMALL if kind == "spend" else AMOUNTS))
    own = format_instant(now - draw(sampled_from(BACK)))
    number = draw(st.integers(0, 12))
    in_group: dict[str, Any] = {} if group == "_default" else {"challengeGroup": group}
    in_group |= who
    match kind:
        case "spend":
            done.append(("spend", f"s{number}", who["userId"]))
            return spend(points, f"s{number}", **in_group)
        case "hold":
            done.append(("hold", f"h{number}", who["userId"]))
            until = format_instant(now + draw(st.sampled_from([s for s in STEPS if s])))
            more = draw(sampled_from([{}, {"until": until}]))
            points = draw(sampled_from(SMALL))
            return hold(points, f"h{number}", **in_group, **more)
        case "capture":
            some = draw(sampled_from([{}, {"points": points}]))
            known = [(name, member) for what, name, member in done if what == "hold"]
            held, member = draw(st.sampled_from([(f"h{number}", who["userId"]), *known[-3:]]))
            identifier = f"c{draw(st.integers(0, 30))}"
            done.append(("capture", identifier, member))
            return capture(held, identifier, userId=member, **some)
        case "release":
            return release(f"h{number}", f"r{draw(st.integers(0, 30))}", **who)
        case "redeem":
            done.append(("redemption", f"q{number}", who["userId"]))
            return redeem(points, f"q{number}", **in_group)
        case "move":
            return upsert(who["userId"], timezone=draw(HOMES))
        case "pause":
            status = draw(sampled_from(["live", "live", "paused"]))
            return command("update-member-status", status=status, **who)
    sign = draw(sampled_from([1, 1, -1]))
    more = draw(sampled_from([{}, {"occurredAt": own}]))
    if sign > 0 and draw(st.booleans()):
        more = more | {"expiresAt": format_instant(now + draw(sampled_from(STEPS)))}
    return adjust(sign * points, f"a{number}", **in_group, **more)


@composite
def _voids(draw: st.DrawFn, done: list[tuple[str, str, str]]) -> Sent:
    """A void of something that may have been done, or of a portion of it."""
    known = [each for each in done if each[0] != "hold"]
    what, name, member = draw(st.sampled_from([("event", "e21", "ann"), *known]))
    identifier = f"v{draw(st.integers(0, 60))}"
    portion = draw(portions)
    more: dict[str, Any] = {"userId": member} | ({} if portion is None else {"portion": portion})
    if what == "event":
        return void_event(name, identifier, **more)
    return void_of(what, name, identifier, **more)


KINDS = (
    *(["grant"] * 10 + ["spend"] * 4 + ["hold"] * 4 + ["capture"] * 4 + ["release"] * 2),
    *(["redeem"] + ["adjust"] * 2 + ["pause", "move"] + ["tick"] * 7 + ["void"] * 6),
)
