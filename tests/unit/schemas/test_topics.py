"""The catalogue has the topics of `schemas/README.md#topics`, and no others."""

from schemas.topics import (
    INPUT_TOPICS,
    MEMBER_COMMANDS,
    TOPICS,
    Partitioning,
    changelog_topic,
    partition_for,
    topics_fault,
)

INPUTS = {
    "challenge-logs", "events", "activity-logs", "member-commands", "ticks", "forwarded",
    "chunk-log", "definitions", "dry-runs", "member-keys",
}  # fmt: skip
OUTPUTS = {
    "progress-events", "milestone-events", "reward-events", "points-events", "event-results",
    "streak-events", "pathway-events", "member-events", "tier-events", "clock-events",
    "dead-letters", "replies",
}  # fmt: skip

SHORT_LIVED = {"dry-runs", "replies"}


def test_the_catalogue_is_the_contract_s() -> None:
    assert set(TOPICS) == INPUTS | OUTPUTS
    assert all(topic.name == name and topic.purpose for name, topic in TOPICS.items())


def test_all_topics_but_definitions_have_a_partition_for_each_of_the_members() -> None:
    single = {n for n, t in TOPICS.items() if t.partitioning is Partitioning.SINGLE}
    assert single == {"definitions"}


def test_inputs_outputs_and_definitions_are_kept_for_ever_and_not_compacted() -> None:
    for name in TOPICS.keys() - SHORT_LIVED - {"member-keys", "member-events"}:
        assert TOPICS[name].config["retention.ms"] == "-1"
        assert TOPICS[name].config["cleanup.policy"] == "delete"


def test_questions_and_answers_are_kept_for_an_hour() -> None:
    for name in SHORT_LIVED:
        assert TOPICS[name].config["retention.ms"] == "3600000"
        assert TOPICS[name].config["segment.ms"] == "600000"
    assert "dry-runs" not in INPUT_TOPICS


def test_keys_of_members_are_compacted_soon_and_their_removal_is_to_be_found_for_a_day() -> None:
    config = TOPICS["member-keys"].config
    assert config["cleanup.policy"] == "compact"
    assert config["max.compaction.lag.ms"] == "3600000"
    assert config["delete.retention.ms"] == "86400000"
    assert "member-keys" not in INPUT_TOPICS


def test_members_keep_their_last_event_and_that_they_were_forgotten() -> None:
    config = TOPICS["member-events"].config
    assert config["cleanup.policy"] == "compact"
    a_century = 100 * 365 * 24 * 3600 * 1000
    assert int(config["delete.retention.ms"]) == a_century < 2**63 - 1 - 10 * a_century


def test_dead_letters_take_four_mebibytes() -> None:
    assert int(TOPICS["dead-letters"].config["max.message.bytes"]) > 4 * 1024 * 1024


def test_what_makes_members_known_is_folded_first() -> None:
    assert INPUT_TOPICS[0] == MEMBER_COMMANDS


def test_the_changelog_is_compacted() -> None:
    topic = changelog_topic("milestream")
    assert topic.name == "milestream-state-changelog"
    assert topic.config["cleanup.policy"] == "compact"


def test_partitions_are_those_of_java_s_own_hash() -> None:
    """Values of org.apache.kafka.common.utils.UtilsTest, made positive."""
    known = {
        "21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
        "a-little-bit-longer-string": -1486304829,
        "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
    }  # fmt: skip
    for text, java in known.items():
        assert partition_for(text, 1000) == (java & 0x7FFFFFFF) % 1000


def test_topics_that_are_right_have_no_fault() -> None:
    assert topics_fault({"a": 4, "b": 1}, {"b": 1, "a": 4, "more": 9}) is None


def test_every_missing_topic_is_named() -> None:
    fault = topics_fault({"b": 4, "a": 1, "c": 1}, {"c": 2})
    assert fault == "topics are missing: a, b; make them with `milestream topics create`"


def test_every_topic_with_another_number_of_partitions_is_named() -> None:
    fault = topics_fault({"a": 4, "b": 1, "c": 4}, {"a": 3, "b": 1, "c": 8})
    assert fault is not None
    assert fault.startswith("a has 3 partitions, not 4; c has 8 partitions, not 4. ")
    assert "MILESTREAM_PARTITIONS" in fault
