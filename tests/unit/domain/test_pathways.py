"""Pathways: enrolment, what each way of fulfilment needs, formulas, reviews, milestones."""

import pytest

from tests.pathway_spec import (
    DAY,
    PATHWAY,
    activity,
    completed,
    did,
    enrolled,
    measuring,
    on,
    pathway,
    pathway_command,
    progressed,
    shown,
)
from tests.spec import Fact, Given, Sent, ann, command, given, granted, milestone, reached, refused


@pytest.mark.parametrize(
    ("type_", "by"),
    [
        ("video", "view"),
        ("web activity", "visit"),
        ("event", "check-in"),
        ("classroom", "qr code"),
        ("confirmation", "honor"),
        ("connect pathway", "enrollment"),
    ],
)
def test_most_activities_are_done_at_the_first(type_: str, by: str) -> None:
    on(activity("a", type_, by)).when(did("1")).then(
        completed(progress=100, timestamp=DAY, **shown(type=by, state="completed", timestamp=DAY))
    )


def test_a_story_is_done_at_its_pass_score_and_keeps_the_best() -> None:
    story = activity("a", "story", "complete", passScore=50)
    on(story).when(did("1", score=40, progress=30), did("2", score=80), did("3", score=60)).then(
        progressed(30, state="in progress", **shown(story={"ID": "a", "name": "A", "score": 40})),
        completed(**shown(type="story", story={"ID": "a", "name": "A", "score": 80})),
        progressed(100, state="completed", **shown(story={"ID": "a", "name": "A", "score": 80})),
    )


def test_without_a_pass_score_a_story_is_done_at_any() -> None:
    on(activity("a", "story", "complete")).when(did("1")).then(completed())


@pytest.mark.parametrize(
    ("formula", "currents"),
    [
        ("sum", [30, 90, 100]),
        ("average", [30, 45, 33.333333333]),
        ("max", [30, 60, 60]),
        ("latest", [30, 60, 60]),
    ],
)
def test_a_data_activity_measures_by_its_formula(formula: str, currents: list[float]) -> None:
    happened = on(measuring(formula)).when(
        did("1", value=30),
        did("2", "2026-11-20T12:00:00Z", value=60),
        did("3", "2026-11-20T11:00:00Z", value=10),  # late
    )
    measured = [fact.data["fulfilment"]["data"]["current"] for fact in happened.facts]
    assert [float(value) for value in measured] == currents


def test_the_seeds_data_activity() -> None:
    data = {"category": "Current Score", "formula": "latest", "target": 159}
    on(activity("a", "data", "tracking", data=data)).when(did("1", value=500)).then(
        completed(
            **shown(
                type="data",
                state="completed",
                progress=100,
                data={"category": "Current Score", "current": 500, "target": 159},
                timestamp=DAY,
            )
        )
    )


def test_what_was_completed_stays_so_and_goes_on_being_measured() -> None:
    later = "2026-11-20T12:00:00Z"
    on(measuring("latest")).and_given(did("1", value=100)).when(did("2", later, value=1)).then(
        progressed(100, state="completed", timestamp=DAY, **shown(data={"current": 1}))
    )


def test_of_two_values_of_one_moment_the_greater_identifier_is_the_latest() -> None:
    on(measuring("latest")).when(did("b", value=1), did("a", value=2)).then(
        progressed(1), progressed(1, **shown(data={"current": 1}))
    )


def test_a_repeated_identifier_changes_nothing() -> None:
    happened = on(measuring("sum")).and_given(did("1", value=10)).when(did("1", value=10))
    happened.then()
    assert happened.effects.counts["duplicates"] == 1


def test_an_upload_waits_for_its_review() -> None:
    upload = did("1", upload={"url": "file"})
    approve = pathway_command("review-activity", activityId="a", approved=True)
    reject = pathway_command("review-activity", activityId="a", approved=False)
    on(activity("a", "confirmation", "upload & review")).and_given(upload).when(
        reject, approve, approve
    ).then(completed(**shown(type="upload & review", upload={"url": "file"})))


def test_a_review_needs_an_upload() -> None:
    review = pathway_command("review-activity", activityId="a", approved=True)
    on(activity("a", "confirmation", "upload & review")).when(review).then(
        refused("invalid", "activityId")
    )


def test_a_check_in_shows_where() -> None:
    place = {"eventID": "E1", "virtual": False, "guid": "G", "distance": 12}
    on(activity("a", "event", "check-in")).when(did("1", checkin=place)).then(
        completed(**shown(type="check-in", checkin=place))
    )


def test_what_is_done_before_the_enrolment_is_kept() -> None:
    first = milestone(1, linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY, points=5)
    before = given(ann, pathway(activity()), first).when(did("1"))
    before.then(completed(enrolled=False, pathwayCompleted=True))
    Given(before.partition).when(enrolled).then(
        Fact("member.enrolled", {"pathwayId": PATHWAY, "pathwayCompleted": True}),
        reached(linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY, value=1),
        granted(linkedSchemaSlug="pathway", periodKey="all"),
        Fact("points.granted", {"points": 5}),
    )


def test_milestones_count_required_activities_once() -> None:
    both = milestone(2, linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY)
    happened = (
        on(activity("a"), activity("b"), activity("c", required=False))
        .and_given(both, did("1", id_="a"), did("2", id_="c"))
        .when(did("3", id_="b"), did("4", id_="b"), pathway_command("unenrol"), enrolled)
    )
    assert len(happened.of("milestone.reached")) == 1
    assert [f["enrolled"] for f in happened.of("member.unenrolled")] == [False]


@pytest.mark.parametrize(
    ("sent", "reason", "field"),
    [
        (did("1", id_="x"), "unknown_activity", "activityId"),
        (command("enrol", pathwayId="x", userId="ann"), "unknown_pathway", "pathwayId"),
        (command("enrol", pathwayId=PATHWAY, userId="x"), "unknown_member", "userId"),
        (did("1", value="7"), "invalid", "fulfilment.value"),
        (did("1"), "invalid", "fulfilment.value"),
        (did("1", "2026-11-29T10:00:00Z", value=1), "invalid", "occurredAt"),
    ],
)
def test_what_is_refused(sent: Sent, reason: str, field: str) -> None:
    on(measuring("sum")).when(sent).then(refused(reason, field))
