"""What surrounds the records of a chunk: order, envelopes, chunk-log, what was folded before."""

from collections.abc import Sequence

import msgspec

from processor.domain.fold import FOLD_VERSION
from processor.domain.state_kinds import POSITION
from schemas import event_types, ids
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, MEMBER_COMMANDS
from tests.spec import (
    ANN,
    MILESTONE,
    OUTPUT_TOPICS,
    PROJECT,
    Happened,
    Partition,
    ann,
    challenge,
    command,
    given,
    log,
    milestone,
    progress,
    raw_log,
    recorded,
    upsert,
)

PERSONAL = {
    "firstName": "Zaphod",
    "lastName": "Beeblebrox",
    "email": "z@example.org",
    "phoneNumber": "+14155552671",
    "telephone": "555-0199",
    "country": "Betelgeuse",
    "city": "Arcturus",
    "groups": ["presidents"],
}


def everything() -> Happened:
    """Return a chunk in which something of each kind happened."""
    reward = ids.reward_log_id(PROJECT, MILESTONE, ANN, "2026-11-21")
    return given(challenge(), milestone(100)).when(
        log("a", 100, ownedBy={"externalId": "ann", **PERSONAL}),
        command("update-reward-log", rewardLogId=reward, userId="ann", couponCode="X"),
    )


def test_every_output_is_a_cloudevent_keyed_by_its_member() -> None:
    happened = everything()
    assert len(happened.envelopes) == 6
    for event in happened.envelopes:
        assert event["specversion"] == "1.0"
        assert event["source"] == "/milestream/default"
        assert event["subject"] == ANN
        assert event["datacontenttype"] == "application/json"
        assert ids.is_uuid(event["id"])
        assert event["type"].startswith("milestream.")
        assert event["type"].endswith(".v1")
    for topic in OUTPUT_TOPICS:
        assert {output.key for output in happened.outputs(topic)} <= {ANN.encode()}


def test_an_event_s_time_is_when_it_happened() -> None:
    times = {event["type"]: event["time"] for event in everything().envelopes}
    assert times == {
        event_types.MEMBER_UPSERTED.name: "2026-11-21T12:00:00Z",
        event_types.CHALLENGE_LOG_RECORDED.name: "2026-11-21T10:00:00Z",
        event_types.CHALLENGE_COMPLETED.name: "2026-11-21T10:00:00Z",
        event_types.MILESTONE_REACHED.name: "2026-11-21T10:00:00Z",
        event_types.REWARD_GRANTED.name: "2026-11-21T10:00:00Z",
        event_types.REWARD_UPDATED.name: "2026-11-21T12:00:00Z",
    }


def test_ids_say_what_happened_and_are_the_same_each_time() -> None:
    first = [event["id"] for event in everything().envelopes]
    assert first == [event["id"] for event in everything().envelopes]
    assert len(set(first)) == len(first)


def test_personal_fields_travel_in_member_events_only() -> None:
    happened = everything()
    for topic in OUTPUT_TOPICS:
        text = b"".join(output.value for output in happened.outputs(topic))
        for value in ("Zaphod", "Beeblebrox", "z@example.org", "4155552671", "555-0199",
                      "Betelgeuse", "Arcturus", "presidents"):  # fmt: skip
            assert (value.encode() in text) == (topic == "member-events")


def test_data_names_the_version_of_its_definition() -> None:
    happened = everything()
    versions = {fact.type: fact.data.get("definitionVersion") for fact in happened.facts}
    assert versions == {
        "member.upserted": None,
        "challenge_log.recorded": 0,
        "challenge.completed": 0,
        "milestone.reached": 1,
        "reward.granted": 1,
        "reward.updated": 1,
    }


def test_sequence_is_the_place_of_the_input_in_line_refused_ones_included() -> None:
    world = given(challenge())
    world.when(ann, raw_log("{"))
    happened = world.when(log("a", 5), raw_log("{"), log("b", 5), log("b", 5), log("c", 5))
    sequences = [event["sequence"] for event in happened.envelopes]
    assert sequences == [f"{n:020d}" for n in (2, 4, 6)]


def test_all_that_one_input_led_to_has_its_sequence() -> None:
    by_sequence = {event["sequence"] for event in everything().envelopes[:-1]}
    assert len(by_sequence) == 2


def test_a_chunk_is_logged_with_what_it_took() -> None:
    world = given(ann, challenge(), milestone(50))
    happened = world.when(upsert("ben"), log("a", 5), raw_log("{"), log("a", 5))
    [chunk] = happened.outputs(CHUNK_LOG)
    assert chunk.key is None
    assert msgspec.json.decode(chunk.value) == {
        "partition": 0,
        "sequence": 1,
        "count": 4,
        "inputs": [
            {"topic": MEMBER_COMMANDS, "first": 1, "last": 1},
            {"topic": CHALLENGE_LOGS, "first": 0, "last": 2},
        ],
        "definitions": 2,
        "fold": FOLD_VERSION,
    }
    assert happened.counts["folded"] == 4


def test_offsets_may_have_gaps() -> None:
    world = given(ann, challenge())
    first, second = world.partition.placed(log("a", 1), log("b", 1))
    far = log("c", 1)
    world.when(first, type(far)(far.topic, far.value, offset=40)).then(
        recorded(progress(1)), recorded(progress(2))
    )
    world.when(second).then_nothing_happened()


def test_an_empty_chunk_leads_to_nothing() -> None:
    happened = given(ann).when()
    assert not happened.effects.outputs
    assert not happened.effects.writes


def test_what_was_folded_before_is_passed_over() -> None:
    world = given(ann, challenge(), milestone(50))
    records = world.partition.placed(log("a", 60), log("b", 1), raw_log("{"))
    world.when(*records)
    again = world.when(*records)
    assert not again.effects.outputs
    assert not again.effects.writes
    assert not again.effects.answers
    assert again.counts == {"skipped": 3}


def test_a_chunk_that_was_folded_in_part_goes_on_where_it_was() -> None:
    world = given(ann, challenge())
    first, second = world.partition.placed(log("a", 1), log("b", 1))
    world.when(first)
    rest = world.when(first, second)
    rest.then(recorded(progress(2)))
    assert rest.counts["skipped"] == 1
    [chunk] = rest.outputs(CHUNK_LOG)
    assert msgspec.json.decode(chunk.value)["inputs"] == [
        {"topic": CHALLENGE_LOGS, "first": 1, "last": 1}
    ]


def test_the_position_is_written_with_the_entries() -> None:
    world = given(ann, challenge(), log("a", 1), log("b", 1))
    assert msgspec.json.decode(world.partition.entries[POSITION]) == {
        "sequence": 3,
        "offsets": {MEMBER_COMMANDS: 1, CHALLENGE_LOGS: 2},
    }


def test_refused_and_duplicate_records_write_no_entry_but_the_position() -> None:
    world = given(ann, challenge(), log("a", 1))
    for record in (log("a", 1), raw_log("{"), log("b"), log("c", 1, challengeId="x")):
        assert set(world.when(record).effects.writes) == {POSITION}


def test_a_command_in_the_same_chunk_makes_its_member_known() -> None:
    given(challenge()).when(ann, log("a", 5)).then(*given().when(ann).facts, recorded(progress(5)))


def test_the_store_is_asked_once_for_a_chunk_of_logs() -> None:
    asked: list[int] = []

    class Counting(Partition):
        def load(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
            asked.append(len(keys))
            return super().load(keys)

    world = given(ann, challenge(), partition=Counting(compared=False))
    asked.clear()
    world.when(*[log(f"log-{n}", 1) for n in range(20)])
    assert len(asked) == 2, "the position, and all entries"
