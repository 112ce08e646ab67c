"""Voids of events and of activity logs fold alike, however their history is cut."""

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.instants import format_instant
from tests.event_spec import event, event_of, streak_milestone, streak_of, tick
from tests.pathway_spec import PATHWAY, did, enrolled, measuring, pathway
from tests.properties.test_folding import cut, fold_whole, written
from tests.spec import Happened, Partition, Sent, ann, challenge, milestone
from tests.strategies import MILESTONES, Segment
from tests.void_spec import void_activity, void_event

FIRST = datetime.fromisoformat("2026-11-02T12:00:00+00:00")
DEFINITIONS = [
    event_of(limit=2, limitPeriod="daily"),
    streak_of(targetLength=2, freezes=1),
    streak_milestone(2, id_=MILESTONES[0], points=10),
    challenge(eventIds=["visit"], completionTargetValue=2, aggregationPeriod="all_time"),
    milestone(2, MILESTONES[1], points=7),
    pathway(measuring("max", 50)),
    milestone(1, MILESTONES[2], linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY),
]

acts = st.tuples(
    st.sampled_from(["visit", "visit", "did", "did", "unvisit", "undo", "tick"]),
    st.integers(0, 5),
    st.booleans(),
)


def records(history: list[tuple[str, int, bool]]) -> list[Sent]:
    """Return what was sent, an hour after each other; ``number`` is a day, a value, or which."""
    now, sent = FIRST + timedelta(days=6), [ann, enrolled]
    visits = dones = 0
    for place, (what, number, flag) in enumerate(history):
        now += timedelta(hours=1)
        rewards = "revoke" if flag else "keep"
        if what == "visit":
            at = format_instant(FIRST + timedelta(days=number))
            key = {} if flag and number > 3 else {"idempotencyKey": f"visit {visits}"}
            record = event("visit", at, **key)
            visits += 1
        elif what == "did":
            record = did(f"done {dones}", value=10 * number)
            dones += 1
        elif what == "unvisit":
            record = void_event(f"visit {number}", f"void {place}", rewards=rewards)
        elif what == "undo":
            record = void_activity(f"done {number}", f"void {place}", rewards=rewards)
        else:
            record = tick(format_instant(now))
        sent.append(record.arriving(format_instant(now)))
    return sent


@given(st.lists(acts, max_size=40), st.data())
def test_voids_fold_alike_in_any_chunks(
    history: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    sent = records(history)
    whole, parts = Partition(), Partition()
    at_once = fold_whole([Segment(DEFINITIONS, sent)], whole)
    parts.define(*DEFINITIONS)
    in_parts: list[Happened] = [parts.fold(*run) for run in cut(sent, data)]
    assert written(in_parts) == written(at_once)
    assert parts.entries == whole.entries
    envelopes = [event for happened in in_parts for event in happened.envelopes]
    assert len({each["id"] for each in envelopes}) == len(envelopes)
    for entry in [each["data"] for each in envelopes if each["type"].startswith("milestream.poi")]:
        assert entry["balance"] >= 0
