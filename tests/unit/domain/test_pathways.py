"""Pathways: enrolment, what each way of fulfilment needs, formulas, reviews, milestones."""

from typing import Any

import msgspec
import pytest

from schemas import topics
from tests.spec import (
    Defined,
    Fact,
    Given,
    Sent,
    ann,
    command,
    given,
    granted,
    milestone,
    reached,
    refused,
)

PATHWAY = "EV67-ZCNS-56AD"
DAY = "2026-11-20T10:00:00Z"


def pathway(*activities: dict[str, Any]) -> Defined:
    """A pathway with these activities."""
    return Defined("pathway", PATHWAY, {"id": PATHWAY, "name": "A way", "activities": activities})


def activity(
    id_: str = "a", type_: str = "video", by: str = "view", **fields: Any
) -> dict[str, Any]:
    """One activity of a pathway."""
    return {"id": id_, "name": id_.upper(), "type": type_, "fulfilmentType": by} | fields


def measuring(formula: str, target: float = 100) -> dict[str, Any]:
    """An activity that measures a score."""
    data = {"category": "Score", "formula": formula, "target": target}
    return activity("a", "data", "tracking", data=data)


def did(identifier: str, at: str = DAY, id_: str = "a", **fulfilment: Any) -> Sent:
    """Something that Ann did at an activity."""
    log = {
        "pathwayId": PATHWAY,
        "activityId": id_,
        "userId": "ann",
        "occurredAt": at,
        "uniqueIdentifier": identifier,
        "fulfilment": fulfilment,
    }
    return Sent(topics.ACTIVITY_LOGS, msgspec.json.encode(log))


def pathway_command(type_: str, **fields: Any) -> Sent:
    """A command about Ann in the pathway."""
    return command(type_, pathwayId=PATHWAY, userId="ann", **fields)


enrolled = pathway_command("enrol")


def on(*activities: dict[str, Any]) -> Given:
    """Ann, enrolled in a pathway with these activities."""
    return given(ann, pathway(*activities), enrolled)


def completed(**fields: Any) -> Fact:
    """``activity.completed``."""
    return Fact("activity.completed", {"state": "completed", "complete": True, **fields})


def progressed(progress: int, **fields: Any) -> Fact:
    """``activity.progressed``."""
    return Fact("activity.progressed", {"progress": progress, **fields})


def shown(**fields: Any) -> dict[str, Any]:
    """The fulfilment within a record."""
    return {"fulfilment": fields}


@pytest.mark.parametrize(
    ("type_", "by"),
    [
        ("video", "view"),
        ("web activity", "visit"),
        ("web activity", "tracking"),
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
