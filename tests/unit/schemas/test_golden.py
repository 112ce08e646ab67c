"""The bytes that are published, as stored: a change of the wire format is seen here first.

Topics are kept for ever and read models are rebuilt from them, so what a golden file holds must be
readable for ever: a file is never changed, a new version of an event gets a new one.
``python -m tests.unit.schemas.test_golden`` writes those that are missing.
"""

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from processor.domain.fold import ChunkLogged
from schemas import ids, outputs
from schemas.dead_letter import DeadLetter
from schemas.event_types import (
    ACTIVITY_REVERTED,
    CHALLENGE_LOG_RECORDED,
    CHALLENGE_LOG_VOIDED,
    CHALLENGE_PROGRESS_CORRECTED,
    CHALLENGE_REOPENED,
    CLOCK_MOVED,
    EVENT_TYPES,
    EVENT_VOIDED,
    MEMBER_UPSERTED,
    POINTS_GRANTED,
    POINTS_REVERSED,
    REWARD_REVOKED,
    STREAK_REVERTED,
    TIER_CHANGED,
)
from schemas.topics import (
    CHUNK_LOG,
    CLOCK_EVENTS,
    DEAD_LETTERS,
    EVENT_RESULTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    TIER_EVENTS,
)
from tests.correction_spec import correct
from tests.event_spec import (
    clock_to,
    condition,
    event,
    event_of,
    purchase_of,
    redeem,
    streak_of,
    tick,
)
from tests.pathway_spec import activity, did, enrolled, pathway, pathway_command
from tests.points_spec import adjust, capture, hold, rolling, spend
from tests.spec import (
    ANN,
    MILESTONE,
    OUTPUT_TOPICS,
    PROJECT,
    Partition,
    ann,
    challenge,
    command,
    log,
    milestone,
    numbered,
    project_settings,
    raw_log,
)
from tests.tier_spec import assign, tier_set
from tests.void_spec import void_activity, void_event, void_log

GOLDEN = Path(__file__).parents[2] / "golden"

NAMES = (*EVENT_TYPES, "dead-letter", "chunk-log", "answer-201", "answer-409", "answer-400")


def published() -> dict[str, bytes]:
    """Fold one small history in which each kind of record is written."""
    partition = Partition()
    partition.define(
        challenge(timezone="Europe/Berlin", endsAt="2027-01-01T00:00:00Z"),
        milestone(Decimal("87.5")),
        milestone(200, numbered(12)),
    )
    member = {
        "externalId": "ann", "firstName": "Ann", "lastName": "Lee", "email": "ann@example.org",
        "phoneNumber": "+14155552671", "telephone": "555", "country": "DE", "city": "Köln",
        "groups": ["gold"], "timezone": "Europe/Berlin",
    }  # fmt: skip
    at = "2026-11-21T10:00:00.250Z"
    crossing = log("order-1", Decimal("100.5"), ownedBy=member, activityAt=at)
    reward = ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21")
    happened = partition.fold(
        crossing,
        crossing,
        command(
            "update-reward-log",
            rewardLogId=reward,
            userId="ann",
            couponCode="SAVE10",
            rewardIssuedAt="2026-11-21T12:00:00Z",
        ),
        raw_log('{"project":"acme","challengeId":7}').with_headers(("trace", b"\xff")),
        log("order-2"),
    )
    values = [o.value for topic in OUTPUT_TOPICS for o in happened.outputs(topic)]
    events = [v for v in values if v.startswith(b'{"specversion"')]
    found = {outputs.decode(event).type: event for event in events}
    found["dead-letter"] = happened.outputs(DEAD_LETTERS)[0].value
    found["chunk-log"] = happened.outputs(CHUNK_LOG)[0].value
    for answer in happened.effects.answers:
        status = msgspec.json.decode(answer.value)["status"]
        found[f"answer-{status}"] = answer.value
    found.pop("answer-200")
    return {**found, **_of_the_other_faces()}


def _of_the_other_faces() -> dict[str, bytes]:
    """Fold another one, with events, points, streaks and pathways."""
    partition = Partition()
    partition.define(
        challenge(),
        purchase_of(conditions=condition("amount", "greater_than", 0), limit=10),
        streak_of(eventIds=["purchase"], targetLength=2),
        pathway(activity(), activity("b", "story", "complete", passScore=50)),
    )
    bought = event("purchase", "2026-11-21T10:00:00Z", metadata={"amount": 49.99}, ip="192.0.2.1")
    happened = partition.fold(
        ann,
        log("order-1", 1, activityAt="2026-11-20T10:00:00Z"),
        event("purchase", "2026-11-20T10:00:00Z", metadata={"amount": 1}, idempotencyKey="k"),
        bought,
        redeem(30),
        enrolled,
        did("1", id_="b", score=40),
        did("2"),
        pathway_command("unenrol"),
        tick("2026-11-24"),
    )
    events = [o.value for topic in OUTPUT_TOPICS for o in happened.outputs(topic)]
    found = {outputs.decode(value).type: value for value in events}
    shared = (MEMBER_UPSERTED.name, CHALLENGE_LOG_RECORDED.name)
    return {name: value for name, value in found.items() if name not in shared} | _of_spending()


def _of_spending() -> dict[str, bytes]:
    """Fold a third one, with points that are given by hand, held and spent."""
    happened = Partition().fold(
        ann,
        adjust(100, actor="jo", occurredAt="2026-11-20T10:00:00Z"),
        hold(30, until="2026-11-22T12:00:00Z", reason="cart"),
        capture(points=20),
        spend(50, reason="mug"),
        spend(50, "spend-2", reason="mug").with_headers(),
    )
    points = [output.value for output in happened.outputs(POINTS_EVENTS)]
    return {outputs.decode(value).type: value for value in points} | _of_a_wallet()


def _of_a_wallet() -> dict[str, bytes]:
    """Fold a fourth one, with points that wait, are told of, and lapse."""
    partition = Partition()
    partition.define(
        rolling(pendingFor="P1D", noticeDays=[2], timezone="Europe/Berlin"), event_of()
    )
    happened = partition.fold(
        ann,
        event(),
        tick("2026-11-22T12:00:00Z"),
        tick("2026-11-30T23:00:00Z"),
        tick("2026-12-02T23:00:00Z"),
    )
    points = [output.value for output in happened.outputs(POINTS_EVENTS)]
    found = {outputs.decode(value).type: value for value in points}
    return {
        name: value for name, value in found.items() if name != POINTS_GRANTED.name
    } | _of_tiers()


def _of_tiers() -> dict[str, bytes]:
    """Fold a fifth one, with a tier that is assigned."""
    partition = Partition()
    partition.define(tier_set(0, 100))
    happened = partition.fold(ann, assign("t1", until="2026-12-01T00:00:00Z"))
    tier = {TIER_CHANGED.name: happened.outputs(TIER_EVENTS)[0].value}
    return tier | _of_voids()


def _of_voids() -> dict[str, bytes]:
    """Fold a sixth one, in which what happened is voided."""
    partition = Partition()
    partition.define(event_of())
    happened = partition.fold(
        ann,
        event("visit", "2026-11-21T10:00:00Z", idempotencyKey="key-1"),
        spend(3),
        void_event(actor="jo", portion=Decimal("0.9")),
    )
    voided = (EVENT_VOIDED.name, POINTS_REVERSED.name)
    events = [o.value for topic in OUTPUT_TOPICS for o in happened.outputs(topic)]
    found = {outputs.decode(value).type: value for value in events}
    return {name: value for name, value in found.items() if name in voided} | _of_log_voids()


def _of_log_voids() -> dict[str, bytes]:
    """Fold a seventh one, in which a challenge falls short again and its reward is revoked."""
    partition = Partition()
    partition.define(challenge(), milestone(50))
    happened = partition.fold(
        ann,
        log("order-1", Decimal("100.5"), activityAt="2026-11-21T10:00:00.250Z"),
        void_log("order-1", actor="jo", portion=Decimal("0.9"), rewards="revoke"),
    )
    voided = (CHALLENGE_LOG_VOIDED.name, CHALLENGE_REOPENED.name, REWARD_REVOKED.name)
    events = [o.value for topic in OUTPUT_TOPICS for o in happened.outputs(topic)]
    found = {outputs.decode(value).type: value for value in events}
    return {name: value for name, value in found.items() if name in voided} | _of_reversals()


def _of_reversals() -> dict[str, bytes]:
    """Fold an eighth one, in which a streak and an activity go back."""
    partition = Partition()
    partition.define(event_of(), streak_of(), pathway(activity()))
    happened = partition.fold(
        ann,
        event("visit", "2026-11-21T10:00:00Z", idempotencyKey="key-1"),
        void_event(actor="jo"),
        enrolled,
        did("1"),
        void_activity("1", "void-2", actor="jo"),
    )
    voided = (STREAK_REVERTED.name, ACTIVITY_REVERTED.name)
    events = [o.value for topic in OUTPUT_TOPICS for o in happened.outputs(topic)]
    found = {outputs.decode(value).type: value for value in events}
    return {name: value for name, value in found.items() if name in voided} | _of_a_clock()


def _of_a_clock() -> dict[str, bytes]:
    """Fold a ninth one, whose clock is moved by hand."""
    partition = Partition()
    partition.define(project_settings(clock="manual"))
    happened = partition.fold(clock_to("2026-12-24"))
    clock = {CLOCK_MOVED.name: happened.outputs(CLOCK_EVENTS)[0].value}
    return clock | _of_a_correction()


def _of_a_correction() -> dict[str, bytes]:
    """Fold a tenth one, in which a progress is corrected."""
    partition = Partition()
    partition.define(challenge())
    recorded = log("order-1", Decimal("60.5"), activityAt="2026-11-21T10:00:00.250Z")
    happened = partition.fold(ann, recorded, correct(Decimal("-7.25"), exact=True))
    corrected = happened.outputs(PROGRESS_EVENTS)[-1].value
    return {CHALLENGE_PROGRESS_CORRECTED.name: corrected} | _of_a_forgotten_member()


def _of_a_forgotten_member() -> dict[str, bytes]:
    """Fold an eleventh one, whose member is forgotten."""
    happened = Partition().fold(ann, command("forget-member", userId="ann"))
    events = [*happened.outputs(EVENT_RESULTS), *happened.outputs(POINTS_EVENTS)]
    return {outputs.decode(output.value).type: output.value for output in events}


def file_of(name: str) -> Path:
    """Return where the bytes of one kind are stored."""
    return GOLDEN / f"{name}.json"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_today_is_what_is_stored(name: str) -> None:
    assert published()[name] == file_of(name).read_bytes()


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_every_event_that_was_ever_written_can_be_read(name: str) -> None:
    stored = file_of(name).read_bytes()
    envelope = outputs.decode(stored)
    data = msgspec.json.decode(envelope.data, type=EVENT_TYPES[name].data)
    assert msgspec.json.decode(outputs.encode(data)) == msgspec.json.decode(envelope.data)
    subject = "default" if name == CLOCK_MOVED.name else ANN  # a clock is a project's
    assert (envelope.type, envelope.project, envelope.subject) == (name, "default", subject)


def test_a_chunk_of_before_there_were_versions_is_of_the_first_one_and_written_as_it_was() -> None:
    stored = file_of("chunk-log-of-fold-0").read_bytes()
    chunk = msgspec.json.decode(stored, type=ChunkLogged)
    assert chunk.fold == 0
    assert msgspec.json.encode(chunk) == stored


def test_a_stored_dead_letter_gives_the_original_back() -> None:
    letter = msgspec.json.decode(file_of("dead-letter").read_bytes(), type=DeadLetter)
    assert letter.original_value() == b'{"project":"acme","challengeId":7}'
    assert letter.original_headers() == [("trace", b"\xff")]
    assert letter.original_key() is None


def test_every_event_type_has_a_golden_file() -> None:
    assert set(published()) == set(NAMES)
    assert {path.stem for path in GOLDEN.glob("*.json")} >= set(NAMES)


if __name__ == "__main__":
    for each, stored_bytes in published().items():
        if not file_of(each).exists():
            file_of(each).write_bytes(stored_bytes)
