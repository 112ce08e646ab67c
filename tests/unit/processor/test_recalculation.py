"""What holds for history, where a cut ends it, and what is said of a milestone that came late."""

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from processor.domain.definitions import Definitions
from processor.domain.fold import Range
from processor.recalculation.correction import Correction
from processor.recalculation.folding import Folded, folding
from processor.recalculation.unchanged import DefinitionsChanged, require_unchanged
from processor.recalculation.wanted import NotRecalculable, UnknownChallenge, Wanted, put_on_top
from schemas import definitions as models
from schemas.settings import Settings
from tests.correction_spec import OTHER_RECALCULATION, RECALCULATION, cut
from tests.event_spec import event, event_of, streak_of, tick
from tests.properties.recalculated import Chunked, apply, command_of, recalculate
from tests.spec import (
    ANN,
    CHALLENGE,
    MILESTONE,
    NOW,
    OTHER_CHALLENGE,
    PROJECT,
    Defined,
    Sent,
    ann,
    challenge,
    command,
    log,
    milestone,
    upsert,
)
from tests.strategies import Segment
from tests.void_spec import void_log

DAY = "2026-11-21"
TEN = datetime.fromisoformat(f"{DAY}T10:00:00Z")


def corrected(*segments: Segment, until: str | None = None, **wanted: Any) -> list[Correction]:
    """What recalculating the challenge, as it is after these, corrects."""
    made = Chunked()
    for segment in segments:
        made.add(segment, at_once=100)
    known: dict[str, Any] = {"project": PROJECT, "challenge_id": CHALLENGE}
    return recalculate(made, Wanted(**known | wanted), until)


def corrected_after(made: Chunked, *segments: Segment) -> list[Correction]:
    """What recalculating the challenge corrects after these besides."""
    for segment in segments:
        made.add(segment, at_once=100)
    return recalculate(made, Wanted(project=PROJECT, challenge_id=CHALLENGE))


def fold(*records: Sent) -> Segment:
    """Records that are folded as one chunk."""
    return Segment([], list(records))


def define(*definitions: Defined) -> Segment:
    """Definitions that are put in force."""
    return Segment(list(definitions), [])


def test_a_milestone_that_came_late_is_given_when_it_would_have_been_reached() -> None:
    (found,) = corrected(
        define(challenge()),
        fold(ann, log("a", 60), log("b", 30)),
        define(milestone(50, points=7)),
    )
    (reached,) = found.reached
    assert (reached.milestone_id, reached.at, reached.value) == (MILESTONE, TEN, Decimal(60))
    assert not found.difference
    assert (found.points, found.rewards) == (7, 1)
    sent = msgspec.json.decode(found.command(RECALCULATION))
    assert sent["reached"] == [{"milestoneId": MILESTONE, "at": f"{DAY}T10:00:00Z", "value": 60}]
    assert sent["uniqueIdentifier"] == f"{RECALCULATION}:{CHALLENGE}:{DAY}"
    assert "completedAt" not in sent


def test_points_of_what_was_given_for_fewer_are_the_difference() -> None:
    (found,) = corrected(
        define(challenge(pointsOnCompletion=10), milestone(50, points=7)),
        fold(ann, log("a", 100)),
        define(challenge(pointsOnCompletion=25), milestone(50, points=9)),
    )
    sent = msgspec.json.decode(found.command(RECALCULATION))
    at = f"{DAY}T10:00:00Z"
    assert sent["points"] == [
        {"points": 2, "at": at, "milestoneId": MILESTONE},
        {"points": 15, "at": at},
    ]
    assert found.points == 17
    assert not found.completed
    assert not found.rewards


def test_a_cut_in_the_middle_of_a_chunk_ends_it_there() -> None:
    before = [define(challenge()), fold(ann, log("a", 60)), define(challenge(), milestone(50))]
    chunk = [log("b", -20), tick(NOW), cut(OTHER_RECALCULATION), cut(), log("c", 70)]
    again = fold(cut(), log("d", 1))
    (found,) = corrected(*before, fold(*chunk), again, until=RECALCULATION)
    assert found.before == 40
    assert corrected(*before, fold(*chunk), again) == []  # the log after it reached the milestone


def test_what_a_challenge_refused_stays_out_and_events_of_then_count() -> None:
    of_now = challenge(eventIds=["visit"], aggregationMethod="count", completionTargetValue=5)
    (found,) = corrected(
        define(event_of("visit")),
        fold(ann, log("a", 60), event("visit"), event("visit")),
        define(of_now),
        fold(log("b", 60)),
    )
    assert [found.before, found.after] == [Decimal(1), Decimal(3)]


@pytest.mark.parametrize(
    ("then", "value"), [(challenge(status="paused"), 10), (challenge().deleted(), 10)]
)
def test_what_was_logged_while_a_challenge_was_not_live_stays_out(
    then: Defined, value: int
) -> None:
    of_now = challenge(activityIds=None, aggregationPeriod="monthly")
    (found,) = [
        each
        for each in corrected(
            define(challenge(eventIds=["visit"])),
            fold(ann, log("a", 10)),
            define(then),
            fold(log("b", 60)),
            define(of_now),
        )
        if each.period_key == "2026-11"
    ]
    assert found.after == value


def test_what_was_done_while_a_challenge_was_deleted_stays_out() -> None:
    counting = challenge(eventIds=["visit"], aggregationMethod="count")
    found = corrected(
        define(event_of("visit"), counting),
        fold(ann, event("visit")),
        define(counting.deleted()),
        fold(event("visit")),  # it is no log, so nothing refuses it
        define(counting.but(aggregationPeriod="monthly")),
    )
    assert [each.after for each in found] == [Decimal(1)]


def test_a_reward_that_was_taken_back_is_given_again_and_only_where_it_would_be() -> None:
    history = [
        define(challenge(), milestone(50, points=7)),
        fold(ann, log("a", 60), log("b", 20), void_log("a", rewards="revoke")),
    ]
    assert corrected(*history) == []
    (found,) = corrected(*history, define(milestone(10, points=9)))
    (reached,) = found.reached
    assert (reached.milestone_id, reached.granted, reached.points) == (MILESTONE, True, 9)
    assert corrected(*history, define(milestone(40, points=9))) == []


def test_what_was_taken_back_by_now_as_well_is_not_told() -> None:
    found = corrected(
        define(challenge(), milestone(50)),
        fold(ann, log("a", 60), void_log("a", rewards="revoke")),
        define(milestone(55)),
        mode="exact",
    )
    assert [each.not_given for each in found] == []


def test_only_exact_lowers_and_says_what_would_not_be_given() -> None:
    history = [
        define(challenge(), milestone(50)),
        fold(ann, log("a", 120)),
        define(challenge(completionTargetValue=200), milestone(150)),
    ]
    assert corrected(*history) == []
    (found,) = corrected(*history, mode="exact")
    assert (found.difference, found.falls_short, found.changes) == (Decimal(0), True, True)
    assert [each.milestone_id for each in found.not_given] == [MILESTONE]
    assert msgspec.json.decode(found.command(RECALCULATION))["reopens"]


LESS = challenge(aggregationMethod="count", completionTargetValue=300, pointsOnCompletion=5)
"""The same history comes to less by it than by a sum."""


def test_what_additive_keeps_meets_new_targets_and_is_listed() -> None:
    (found,) = corrected(
        define(challenge(completionTargetValue=1000), milestone(500)),
        fold(ann, log("a", 400), log("b", 50)),
        define(LESS, milestone(350, points=7)),
    )
    (reached,) = found.reached
    arrived = datetime.fromisoformat(NOW)
    assert (reached.milestone_id, reached.granted) == (MILESTONE, True)
    assert (reached.at, reached.value) == (arrived, Decimal(450))
    assert (found.completed, found.completed_at) == (True, arrived)
    assert (found.before, found.after) == (Decimal(450), Decimal(450))
    assert not found.difference
    assert (found.points, found.rewards) == (12, 1)


@pytest.mark.parametrize(
    "ends", [Segment([LESS.but(status="paused")], []), fold(command("delete-member", userId="ann"))]
)
def test_what_is_kept_of_who_does_not_live_meets_nothing(ends: Segment) -> None:
    known = [define(challenge(completionTargetValue=1000)), fold(ann, log("a", 450))]
    (found,) = corrected(*known, define(LESS, milestone(350)), ends)
    assert (found.completed, found.rewards, found.points) == (False, 0, 0)


def test_what_is_kept_of_a_period_that_a_challenge_has_no_more_meets_nothing() -> None:
    found = corrected(
        define(challenge(completionTargetValue=1000)),
        fold(ann, log("a", 450)),
        define(LESS.but(aggregationPeriod="monthly"), milestone(350)),
    )
    assert [(each.period_key, each.rewards) for each in found] == [("2026-11", 0)]


def test_what_was_reopened_and_kept_its_points_is_given_more_of_them() -> None:
    history = [define(challenge(pointsOnCompletion=10)), fold(ann, log("a", 120))]
    made = Chunked()
    for segment in [*history, define(challenge(completionTargetValue=200)), fold(cut())]:
        made.add(segment, at_once=100)
    exact = Wanted(project=PROJECT, challenge_id=CHALLENGE, mode="exact")
    (lowered,) = recalculate(made, exact, RECALCULATION)
    made.add(fold(command_of(lowered, RECALCULATION, NOW)), at_once=100)
    (found,) = corrected_after(made, define(challenge(pointsOnCompletion=25)))
    assert (found.completed, found.points) == (True, 15)
    sent = msgspec.json.decode(found.command(OTHER_RECALCULATION))
    assert sent["points"] == [{"points": 15, "at": f"{DAY}T10:00:00Z"}]


def test_who_has_moved_since_is_given_the_zone_of_today_once() -> None:
    made = Chunked()
    for segment in [
        define(challenge()),
        fold(upsert(timezone="Europe/Berlin"), log("a", 10), upsert(timezone="Asia/Tokyo")),
        define(challenge(timezone="member")),
        fold(cut()),
    ]:
        made.add(segment, at_once=100)
    (found,) = corrected_after(made)
    assert found.changes
    made.add(fold(command_of(found, RECALCULATION, NOW)), at_once=100)
    assert corrected_after(made) == []


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        (challenge(pointsOnCompletion=9), challenge(), challenge(pointsOnCompletion=7)),
        (milestone(50, points=9), milestone(50), milestone(50, points=7)),
    ],
)
def test_what_gave_its_points_back_and_came_again_for_none_is_given_no_more(
    before: Defined, between: Defined, after: Defined
) -> None:
    found = corrected(
        define(challenge(), before),
        fold(ann, log("a", 120), void_log("a", rewards="revoke")),
        define(between),
        fold(log("b", 130)),
        define(after),
    )
    assert found == []


def test_what_was_reopened_is_given_the_points_that_it_would_have_kept() -> None:
    made = Chunked()
    for segment in [
        define(challenge()),
        fold(ann, log("a", 120), void_log("a", rewards="keep")),
        define(challenge(pointsOnCompletion=7)),
        fold(cut()),
    ]:
        made.add(segment, at_once=100)
    (found,) = corrected_after(made)
    assert (found.completed, found.points) == (False, 7)
    sent = command_of(found, RECALCULATION, NOW)
    made.add(fold(log("b", 130), sent), at_once=100)  # it gives none when it is completed again
    assert corrected_after(made) == []


def test_what_was_reached_is_not_listed_again_though_its_reward_was_taken_back() -> None:
    other = {"linkedSchemaRecordId": OTHER_CHALLENGE}
    found = corrected(
        define(challenge(), challenge(OTHER_CHALLENGE), milestone(50)),
        fold(ann, log("a", 60)),
        define(milestone(50, **other)),
        fold(log("b", 60, challengeId=OTHER_CHALLENGE)),
        define(milestone(50)),
        fold(void_log("a", rewards="revoke")),
        define(milestone(50, **other)),
        challenge_id=OTHER_CHALLENGE,
    )
    assert found == []


@pytest.mark.parametrize(("since", "periods"), [("2026-11-21", [DAY]), ("2026-11-22", [])])
def test_since_leaves_out_the_periods_that_were_over(since: str, periods: list[str]) -> None:
    history = [define(challenge()), fold(ann, log("a", 60)), define(milestone(50))]
    found = corrected(*history, since=datetime.fromisoformat(f"{since}T00:00:00Z"))
    assert [each.period_key for each in found] == periods


def test_members_are_corrected_in_order_however_many_there_are() -> None:
    owners = [{"externalId": f"user-{number}"} for number in range(600)]
    logs = [log("a", 60, ownedBy=owner) for owner in owners]
    found = corrected(define(challenge()), fold(*logs), define(milestone(50)))
    assert len(found) == len(owners)
    assert [each.member_id for each in found] == sorted(each.member_id for each in found)


def in_force(*definitions: Defined) -> Definitions:
    made = Definitions()
    apply(made, definitions)
    return made


def parsed(*defined: Defined) -> list[models.Definition]:
    return [models.parse(each.kind, dict(each.fields or {})) for each in defined]


def test_a_milestone_names_its_challenge_and_each_is_named_once() -> None:
    given = parsed(milestone(50), challenge(), challenge(OTHER_CHALLENGE))
    wanted = Wanted(project=PROJECT, definitions=given)
    assert put_on_top(wanted, in_force()) == [CHALLENGE, OTHER_CHALLENGE]


def test_what_is_no_challenge_is_refused() -> None:
    with pytest.raises(NotRecalculable, match="visit"):
        put_on_top(Wanted(project=PROJECT, definitions=parsed(event_of("visit"))), in_force())
    of_streak = milestone(2, linkedSchemaSlug="streak", linkedSchemaRecordId=streak_of().id)
    with pytest.raises(NotRecalculable, match="of no challenge"):
        put_on_top(Wanted(project=PROJECT, definitions=parsed(of_streak)), in_force())
    with pytest.raises(UnknownChallenge):
        put_on_top(Wanted(project=PROJECT, challenge_id=CHALLENGE), in_force())
    with pytest.raises(models.DefinitionError, match="linkedSchemaRecordId"):
        put_on_top(Wanted(project=PROJECT, definitions=parsed(milestone(50))), in_force())


def test_a_correction_names_its_member() -> None:
    (found,) = corrected(define(challenge()), fold(ann, log("a", 60)), define(milestone(50)))
    assert found.member_id == ANN
    assert msgspec.json.decode(found.command(RECALCULATION))["memberId"] == ANN


def given(*defined: Defined) -> Wanted:
    """A recalculation with these definitions."""
    return Wanted(project=PROJECT, definitions=parsed(*defined))


HALF, ALL = milestone(50), milestone(100, "00000000-0000-4000-8000-0000000000a9")
ELSEWHERE = milestone(50, linkedSchemaRecordId=OTHER_CHALLENGE)
THERE = [challenge(), challenge(OTHER_CHALLENGE), HALF]


@pytest.mark.parametrize(
    "since",
    [
        [],
        [challenge(name="Other"), challenge()],  # it is again as it was
        [challenge(OTHER_CHALLENGE, name="Other")],
        [event_of("visit")],
        [milestone(70)],  # what is wanted is there: its writer was killed, and goes on
    ],
)
def test_what_a_report_does_not_look_at_may_change(since: list[Defined]) -> None:
    require_unchanged(given(milestone(70)), in_force(*THERE), in_force(*THERE, *since))


@pytest.mark.parametrize(
    ("since", "named"),
    [
        ([challenge(name="Other")], f"challenge {CHALLENGE}"),
        ([challenge(status="paused")], f"challenge {CHALLENGE}"),
        ([milestone(60)], f"milestone {MILESTONE}"),
        ([HALF.deleted()], f"milestone {MILESTONE}"),
        ([ELSEWHERE], f"milestone {MILESTONE}"),
        ([ALL], "milestone 00000000-0000-4000-8000-0000000000a9"),
        ([ALL, milestone(60)], f"milestone {MILESTONE}, milestone 0"),
    ],
)
def test_what_a_report_was_made_from_may_not_change(since: list[Defined], named: str) -> None:
    was, now = in_force(*THERE), in_force(*THERE, *since)
    for wanted in (given(milestone(70)), Wanted(project=PROJECT, challenge_id=CHALLENGE)):
        with pytest.raises(DefinitionsChanged, match=named):
            require_unchanged(wanted, was, now)


def test_what_is_put_in_another_place_may_not_change_there_either() -> None:
    moves = given(milestone(70, linkedSchemaRecordId=OTHER_CHALLENGE))
    with pytest.raises(DefinitionsChanged, match=f"milestone {MILESTONE}"):
        require_unchanged(moves, in_force(*THERE), in_force(*THERE, milestone(60)))
    with pytest.raises(DefinitionsChanged):  # it was nothing when it was reported
        require_unchanged(given(HALF), in_force(challenge()), in_force(challenge(), milestone(60)))


def test_corrections_are_folded_when_chunks_have_come_there() -> None:
    folded = Folded({0: 12, 1: 5})
    assert (folded.left, folded.done, folded.total) == ({0, 1}, 0, 0)
    folded.take(0, [Range("challenge-logs", 0, 90)])
    folded.take(0, [Range("challenge-logs", 91, 95), Range("member-commands", 3, 6)])
    assert (folded.left, folded.done, folded.total) == ({0, 1}, 4, 0)
    folded.take(1, [Range("member-commands", 1, 4)])
    assert (folded.left, folded.done, folded.total) == ({0}, 8, 13)
    folded.take(0, [Range("member-commands", 7, 10)])
    folded.take(0, [Range("member-commands", 11, 30)])
    assert (folded.left, folded.done, folded.total) == (set(), 13, 13)


async def test_where_nothing_was_sent_nothing_is_waited_for() -> None:
    nobody = Settings(kafka="127.0.0.1:1")
    assert [each async for each in folding(nobody, {0: 5}, {})] == []
