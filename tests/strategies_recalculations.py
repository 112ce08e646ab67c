"""Hypothesis strategies for recalculations: histories, and what is changed after them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests import strategies, strategies_events, strategies_voids, strategies_whole
from tests.spec import Defined, challenge, milestone, numbered, upsert
from tests.strategies import CHALLENGES, MILESTONES, Segment, seldom

NEW_CHALLENGE = numbered(3)
NEW_MILESTONE = numbered(21)
targets: SearchStrategy[Any] = st.sampled_from([1, 2, 3, 5, 10, 20, 40, 60])


class Asked(NamedTuple):
    """A history, and what is recalculated after it: definitions, or a challenge as it is."""

    history: list[Segment]
    changed: Sequence[Defined]
    challenge_id: str | None


@st.composite
def dense_histories(draw: st.DrawFn) -> list[Segment]:
    """Logs and voids of a challenge that is paused, deleted and changed all the time, as are its
    milestones."""
    first = [draw(strategies_voids.challenges(id_)) for id_ in CHALLENGES]
    known = [upsert(name).arriving(strategies_voids.ARRIVALS[0]) for name in ("ann", "ben")]
    logged: list[strategies_voids.Log] = []
    history = [Segment(first, known + draw(strategies_voids.records(logged, 4, 10)))]
    for _ in range(draw(st.integers(2, 5))):
        changed = draw(st.lists(turns(), min_size=1, max_size=3))
        history.append(Segment(changed, draw(strategies_voids.records(logged, 2, 8))))
    return history


@st.composite
def turns(draw: st.DrawFn) -> Defined:
    """A challenge or one of its milestones, as it is from then on."""
    status = draw(st.sampled_from(["live", "live", "paused"]))
    if draw(st.booleans()):
        made = draw(strategies_voids.challenges(CHALLENGES[0])).but(status=status)
        return made.deleted() if draw(seldom(False, True)) else made
    made = draw(strategies_voids.milestones(draw(st.sampled_from(MILESTONES[:3]))))
    return made.but(status=status, linkedSchemaRecordId=CHALLENGES[0])


def asked() -> SearchStrategy[Asked]:
    """A history of logs, of voids, of events or of everything, and something changed after it."""
    return _asked(
        st.one_of(
            strategies.histories(),
            strategies_voids.void_histories(),
            strategies_events.event_histories(),
            strategies_whole.whole_histories(),
            dense_histories(),
            dense_histories(),
        )
    )


def without_caps() -> SearchStrategy[Asked]:
    """A history in which no wallet cuts points, and something changed after it."""
    histories = st.one_of(strategies_events.event_histories(), dense_histories(), dense_histories())
    return _asked(histories)


@st.composite
def _asked(draw: st.DrawFn, histories: SearchStrategy[list[Segment]]) -> Asked:
    history = draw(histories)
    defined = {each.id: each for segment in history for each in segment.definitions}
    if defined[CHALLENGES[0]].fields is None:
        history.append(Segment([challenge(CHALLENGES[0])], []))
    if not draw(st.integers(0, 4)):
        return Asked(history, (), CHALLENGES[0])
    changed = draw(st.lists(changes(_events_in(history)), min_size=1, max_size=3))
    by_id = {each.id: each for each in changed}
    if NEW_CHALLENGE not in by_id and any(_is_new(each) for each in by_id.values()):
        by_id[NEW_CHALLENGE] = challenge(NEW_CHALLENGE, eventIds=_events_in(history) or None)
    return Asked(history, sorted(by_id.values(), key=lambda each: each.kind), None)


def _is_new(each: Defined) -> bool:
    return (each.fields or {}).get("linkedSchemaRecordId") == NEW_CHALLENGE


def _events_in(history: Sequence[Segment]) -> list[str]:
    defined = (each for segment in history for each in segment.definitions)
    return sorted({each.id for each in defined if each.kind == "event"})


@st.composite
def changes(draw: st.DrawFn, events: list[str]) -> Defined:
    """A challenge as it is to be, or a milestone of one: changed, or new."""
    of = draw(st.sampled_from([CHALLENGES[0]] * 3 + [NEW_CHALLENGE]))
    if draw(st.booleans()):
        return milestone(
            draw(targets),
            draw(st.sampled_from([NEW_MILESTONE, *MILESTONES[:2]])),
            linkedSchemaRecordId=of,
            points=draw(st.sampled_from([None, 5, 30])),
            status=draw(seldom("live", "paused")),
        )
    return challenge(
        of,
        aggregationMethod=draw(st.sampled_from(["sum", "count"])),
        aggregationPeriod=draw(st.sampled_from(["daily", "weekly", "monthly", "all_time"])),
        completionTargetValue=draw(targets),
        timezone=draw(st.sampled_from([None, "member", "Europe/Berlin"])),
        eventIds=draw(st.one_of(st.none(), st.just(events or None))),
        valueField=draw(st.sampled_from([None, "amount"])),
        activityIds=draw(seldom(None, ["visit"])),
        pointsOnCompletion=draw(st.sampled_from([None, 7, 80])),
        status=draw(seldom("live", "draft")),
    )
