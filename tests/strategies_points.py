"""Hypothesis strategies for histories of points: granted, spent, held, and moved by time.

A clock goes on by hours or weeks, and what comes is late by as much; wallets change on the way.
"""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from schemas.instants import format_instant, parse_instant
from tests.event_spec import event, event_of, redeem, tick
from tests.points_spec import adjust, capture, hold, release, spend, wallet_of
from tests.spec import Defined, Sent, command, upsert
from tests.strategies import Segment

MEMBERS = ("ann", "ben")
GROUPS = ("_default", "spring")
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

EXPIRIES = st.one_of(
    st.just({"type": "none"}),
    st.builds(lambda after: {"type": "rolling", "after": after}, st.sampled_from(AFTER)),
    st.builds(lambda after: {"type": "rolling", "after": after}, st.sampled_from(AFTER)),
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
        "timezone": st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Apia"]),
    },
)


def granting(points: int, group: str) -> Defined:
    """The definition of an event that gives points in a group."""
    return event_of(f"{group}-{points}", reward={"default": points}, challengeGroup=group)


@st.composite
def points_histories(draw: st.DrawFn) -> list[Segment]:
    """A history of points: segments of definitions, and the records that come under them."""
    now = parse_instant(draw(st.sampled_from(STARTS)))
    definitions = [granting(points, group) for points in set(AMOUNTS) for group in GROUPS]
    history = [Segment(definitions, [upsert(name) for name in MEMBERS])]
    history[0].records[:] = [sent.arriving(format_instant(now)) for sent in history[0].records]
    for _ in range(draw(st.integers(1, 4))):
        changed = [wallet_of(g, **draw(WALLETS)) for g in GROUPS if draw(st.booleans())]
        if draw(st.integers(0, 9)) == 0:
            changed.append(wallet_of(draw(st.sampled_from(GROUPS))).deleted())
        records: list[Sent] = []
        for _ in range(draw(st.integers(1, 14))):
            now += draw(st.sampled_from(STEPS))
            records.append(draw(_records(now)))
        history.append(Segment(changed, records))
    return history


@st.composite
def _records(draw: st.DrawFn, now: datetime) -> Sent:
    at = format_instant(now)
    kind = draw(st.sampled_from(KINDS))
    if kind == "tick":
        return tick(at)
    who = {"userId": draw(st.sampled_from(MEMBERS))}
    group = draw(st.sampled_from(GROUPS))
    points = draw(st.sampled_from(AMOUNTS))
    own = format_instant(now - draw(st.sampled_from(BACK)))
    number = draw(st.integers(0, 12))
    in_group: dict[str, Any] = {} if group == "_default" else {"challengeGroup": group}
    in_group |= who
    match kind:
        case "grant":
            return event(f"{group}-{points}", own, **who).arriving(at)
        case "spend":
            return spend(points, f"s{number}", **in_group).arriving(at)
        case "hold":
            until = format_instant(now + draw(st.sampled_from([s for s in STEPS if s])))
            more = draw(st.sampled_from([{}, {"until": until}]))
            return hold(points, f"h{number}", **in_group, **more).arriving(at)
        case "capture":
            some = draw(st.sampled_from([{}, {"points": points}]))
            return capture(f"h{number}", f"c{draw(st.integers(0, 30))}", **who, **some).arriving(at)
        case "release":
            return release(f"h{number}", f"r{draw(st.integers(0, 30))}", **who).arriving(at)
        case "redeem":
            return redeem(points, f"q{number}", **in_group).arriving(at)
        case "pause":
            status = draw(st.sampled_from(["live", "live", "paused"]))
            return command("update-member-status", status=status, **who).arriving(at)
    sign = draw(st.sampled_from([1, 1, -1]))
    more = draw(st.sampled_from([{}, {"occurredAt": own}]))
    if sign > 0 and draw(st.booleans()):
        more = more | {"expiresAt": format_instant(now + draw(st.sampled_from(STEPS)))}
    return adjust(sign * points, f"a{number}", **in_group, **more).arriving(at)


KINDS = (
    *(["grant"] * 8 + ["spend"] * 3 + ["hold"] * 4 + ["capture"] * 2 + ["release"] * 2),
    *(["redeem"] + ["adjust"] * 2 + ["pause"] + ["tick"] * 7),
)
