"""What a definition may lead to is bounded, and what one record may: none stops a partition."""

from collections.abc import Callable, Iterable

import msgspec
import pytest

from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.challenge import Progress
from processor.domain.aggregates.pathway import Enrolment
from processor.domain.aggregates.points import Balances
from processor.domain.definitions import Definitions
from processor.domain.effects import MAX_INPUT_BYTES
from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from processor.domain.state_kinds import (
    balances_key,
    due_key,
    enrolment_key,
    member_key,
    progress_key,
)
from schemas.definitions import (
    DEFINITION_BYTES,
    MAX_CHALLENGES_FED,
    MAX_DEFINITION_BYTES,
    MAX_MILESTONES,
    MAX_STREAKS_FED,
    DefinitionError,
)
from schemas.instants import parse_instant
from schemas.topics import MAX_VALUE_BYTES
from tests.event_spec import event, event_of, streak_of, tick
from tests.pathway_spec import PATHWAY, activity, did, pathway
from tests.spec import (
    ANN,
    CHALLENGE,
    PROJECT,
    Defined,
    Happened,
    Partition,
    Sent,
    ann,
    challenge,
    given,
    log,
    milestone,
    numbered,
    progress,
    project_settings,
    recorded,
    refused,
    upserted,
)
from tests.void_spec import void_log

LONG = "\U0001f600" * 256
DAY = "2026-11-21"


def refused_definitions(definitions: Iterable[Defined]) -> list[list[tuple[str, str]]]:
    """Put definitions in force; return what is said of each that is refused."""
    found, in_force = [], Definitions()
    for each in definitions:
        try:
            in_force.apply(each.key, each.value, in_force.next_offset, 0)
        except DefinitionError as error:
            found.append(error.errors)
    return found


MANY: dict[str, tuple[int, str, Callable[[int], Defined]]] = {
    "milestones": (MAX_MILESTONES, "linkedSchemaRecordId", lambda n: milestone(n, numbered(n))),
    "challenges": (
        MAX_CHALLENGES_FED,
        "eventIds",
        lambda n: challenge(numbered(n), eventIds=["visit"]),
    ),
    "streaks": (MAX_STREAKS_FED, "eventIds", lambda n: streak_of(f"s{n}")),
}


@pytest.mark.parametrize("what", MANY)
def test_there_is_room_for_so_many_and_no_more(what: str) -> None:
    most, field, make = MANY[what]
    full = [make(n) for n in range(1, most + 1)]
    assert refused_definitions(full) == []
    [[(named, message)]] = refused_definitions([*full, make(most + 1)])
    assert named == field
    assert str(most) in message


@pytest.mark.parametrize("what", MANY)
def test_what_is_there_may_change_and_what_is_gone_leaves_room(what: str) -> None:
    most, _, make = MANY[what]
    full = [make(n) for n in range(1, most + 1)]
    changed = [make(1), make(2).deleted(), make(most + 1)]
    assert refused_definitions([*full, *changed]) == []


def test_a_milestone_that_moves_leaves_room() -> None:
    full = [milestone(n, numbered(n)) for n in range(1, MAX_MILESTONES + 1)]
    moved = full[0].but(linkedSchemaRecordId=numbered(999))
    assert refused_definitions([*full, moved, milestone(5, numbered(500))]) == []


def test_a_challenge_that_no_longer_names_an_event_leaves_room() -> None:
    full = [challenge(numbered(n), eventIds=["visit"]) for n in range(1, MAX_CHALLENGES_FED + 1)]
    other = full[0].but(eventIds=["other"])
    one_more = challenge(numbered(900), eventIds=["visit"])
    assert refused_definitions([*full, other, one_more]) == []


def test_an_event_feeds_challenges_in_the_order_in_which_they_were_first_written() -> None:
    later, earlier = numbered(8), numbered(9)
    world = given(event_of(), ann, challenge(earlier), challenge(later, eventIds=["visit"]))
    world.and_given(challenge(earlier, eventIds=["visit"]))
    happened = world.when(event())
    fed = [record["challengeId"] for record in happened.of("challenge_log.recorded")]
    assert fed == [earlier, later]


def of_bytes(definition: Defined, size: int) -> Defined:
    """Make a challenge's record so many bytes long."""
    described = definition.but(description="")
    return described.but(description="x" * (size - len(described.value or b"")))


SETTINGS = project_settings(limits={"definitionBytes": 1_000})
LEFT = 1_000 - len(SETTINGS.value or b"")
HALF = LEFT // 2
ONE, OTHER = of_bytes(challenge(numbered(1)), HALF), of_bytes(challenge(numbered(2)), LEFT - HALF)
FULL = [SETTINGS, ONE, OTHER]


def test_a_project_has_so_many_bytes_of_definitions_and_not_one_more() -> None:
    assert refused_definitions(FULL) == []
    [[(field, message)]] = refused_definitions(
        [SETTINGS, ONE, of_bytes(challenge(numbered(2)), LEFT - HALF + 1)]
    )
    assert field == ""
    assert "would have 1001 bytes" in message
    assert "may have 1000 (limits.definitionBytes)" in message
    [_] = refused_definitions([*FULL, event_of()])


@pytest.mark.parametrize(
    "then",
    [
        [of_bytes(ONE, HALF - 9), of_bytes(OTHER, LEFT - HALF + 9)],
        [ONE.deleted(), of_bytes(challenge(numbered(3)), HALF)],
        [ONE.but(name="Spens")],
        [challenge(project="acme"), event_of(project="globex")],
        [project_settings(limits={"definitionBytes": 1_500}), of_bytes(ONE, HALF + 400)],
        [project_settings(limits={"definitionBytes": 10}), ONE.but(name="Spens"), OTHER.deleted()],
    ],
    ids=("shorter", "gone", "as_long", "of_others", "raised", "lowered"),
)
def test_what_takes_no_more_bytes_than_there_are_may_change(then: list[Defined]) -> None:
    assert refused_definitions([*FULL, *then]) == []


def test_a_refused_definition_takes_no_bytes_and_leaves_what_was_in_force() -> None:
    in_force = Definitions()
    longer = of_bytes(ONE.but(name="Longer"), HALF + 1)
    for offset, each in enumerate(
        [*FULL, longer, OTHER.deleted(), longer, longer.deleted(), *FULL]
    ):
        try:
            in_force.apply(each.key, each.value, offset, 0)
        except DefinitionError:
            assert (offset, each) == (3, longer)
            kept = in_force.get(PROJECT, "challenge", numbered(1))
            assert kept is not None
            assert kept.size == HALF
    assert in_force.count(PROJECT, "challenge") == 2


def test_a_record_counts_as_long_as_it_is_whatever_it_says() -> None:
    padded = (challenge().value or b"") + b" " * (DEFINITION_BYTES - 1_000)
    in_force = Definitions()
    in_force.apply(challenge().key, padded, 0, 0)
    with pytest.raises(DefinitionError, match="definitionBytes"):
        in_force.apply(event_of().key, (event_of().value or b"") + b" " * 1_000, 1, 0)
    in_force.apply(challenge().key, challenge().value, 2, 0)
    in_force.apply(event_of().key, (event_of().value or b"") + b" " * 1_000, 3, 0)


def test_no_project_may_be_given_more_than_a_process_can_hold() -> None:
    [[(field, _)]] = refused_definitions(
        [project_settings(limits={"definitionBytes": MAX_DEFINITION_BYTES + 1})]
    )
    assert field == "limits.definitionBytes"


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (challenge(activityIds=[LONG] * 64), "activityIds"),
        (event_of(reward={"default": 1} | {f"{n}{LONG[:250]}": 1 for n in range(66)}), "reward"),
        (pathway(*(activity(str(n), name=LONG) for n in range(950))), "activities"),
    ],
)
def test_a_definition_that_is_too_large_is_refused_by_its_largest_field(
    definition: Defined, field: str
) -> None:
    [[(named, message)]] = refused_definitions([definition])
    assert named == field
    assert "at most" in message


def test_a_pathway_may_be_larger_than_others() -> None:
    activities = (activity(str(n), name=LONG) for n in range(400))
    assert refused_definitions([pathway(*activities)]) == []


# What one record may lead to.


def feeding(count: int) -> list[Defined]:
    """Challenges that an event feeds and completes, each with a record that is nearly as large as
    it may be, and a milestone."""
    text = "\x01" * 1024
    return [
        definition
        for n in range(1, count + 1)
        for definition in (
            challenge(
                numbered(n),
                eventIds=["visit"],
                activityIds=["y" * 250] * 200,
                completionTargetValue=1,
            ),
            milestone(1, numbered(1000 + n), linkedSchemaRecordId=numbered(n), description=text),
        )
    ]


def test_an_event_that_leads_to_more_than_a_transaction_holds_changes_nothing() -> None:
    world = given(event_of(), ann, *feeding(MAX_CHALLENGES_FED))
    happened = world.when(event(idempotencyKey="a"))
    happened.then(refused("too_large"))
    happened.answering((413, {"code": "too_large"}))
    assert set(happened.effects.writes) == {b"o"}
    assert happened.effects.size < MAX_INPUT_BYTES
    fewer = world.and_given(*(definition.deleted() for definition in feeding(100)))
    assert len(fewer.when(event(idempotencyKey="a")).of("milestone.reached")) == 100


@pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
def test_a_log_may_reach_all_milestones_that_a_challenge_may_have(fast_path: MakeFastPath) -> None:
    text = "\x01" * 1024
    steps = [
        milestone(n, numbered(n + 100), name="\x01" * 256, description=text)
        for n in range(1, MAX_MILESTONES + 1)
    ]
    large = challenge(activityIds=["purchase", *["y" * 250] * 240])
    partition = Partition(fast_path=fast_path)
    happened = given(large, *steps, ann, partition=partition).when(log("a", 500).with_headers())
    assert len(happened.of("reward.granted")) == MAX_MILESTONES
    assert len(happened.outputs("progress-events")[0].value) < MAX_VALUE_BYTES


def encoded(entry: msgspec.Struct) -> bytes:
    return msgspec.json.encode(entry)


Fill = Callable[[list[str]], bytes]


def at_the_brim(fill: Fill) -> bytes:
    """Return the largest entry of a kind that the changelog takes; ``fill`` makes one of names."""
    item = len(fill(["a" * 36, "b" * 36])) - len(fill(["a" * 36]))
    count = (MAX_VALUE_BYTES - len(fill([]))) // item - 2
    names = [numbered(n) for n in range(count)]
    left = MAX_VALUE_BYTES - len(fill(names)) - (item - 36)
    entry = fill([*names, "p" * left])
    assert len(entry) == MAX_VALUE_BYTES
    return entry


def progress_of(names: list[str]) -> bytes:
    at = parse_instant("2026-11-21T09:00:00Z")
    reached = tuple(names)
    return encoded(
        Progress(1, "in_progress", "sum", "daily", "UTC", at, None, None, at, at, reached)
    )


def balances_of(names: list[str]) -> bytes:
    return encoded(Balances(dict.fromkeys(names, 1)))


def enrolment_of(names: list[str]) -> bytes:
    return encoded(Enrolment(enrolled=True, completed=tuple(names)))


BRIMMING: dict[str, tuple[bytes, Fill, list[Defined], Sent]] = {
    "progress": (
        progress_key(ANN, CHALLENGE, DAY),
        progress_of,
        [challenge(), milestone(5, numbered(999_999_999))],
        log("a", 5),
    ),
    "balances": (
        balances_key(ANN),
        balances_of,
        [event_of(challengeGroup="z" * 200)],
        event(idempotencyKey="a"),
    ),
    "enrolment": (
        enrolment_key(ANN, PATHWAY),
        enrolment_of,
        [pathway(activity("x" * 80))],
        did("1", id_="x" * 80),
    ),
}


def brimming(kind: str, fast_path: MakeFastPath = in_python) -> tuple[Happened, bytes]:
    """Fold a record whose entry is as large as it may be already."""
    key, fill, definitions, record = BRIMMING[kind]
    partition = Partition(fast_path=fast_path)
    world = given(*definitions, ann, partition=partition)
    partition.entries[key] = at_the_brim(fill)
    return world.when(record), key


@pytest.mark.parametrize("kind", BRIMMING)
def test_a_record_that_makes_an_entry_too_large_changes_nothing(kind: str) -> None:
    happened, key = brimming(kind)
    before = happened.partition.entries[key]
    happened.then(refused("too_large")).answering((413, {"code": "too_large"}))
    assert set(happened.effects.writes) == {b"o"}
    assert happened.partition.entries[key] == before
    happened.and_when(Sent("member-commands", b'{"type":"upsert-member","externalId":"ben"}')).then(
        upserted("ben")
    )


@pytest.mark.parametrize("module", ["effects", "fold"], ids=["event", "answer"])
def test_a_record_or_answer_that_its_topic_does_not_take_changes_nothing(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Definitions are bounded so that hardly anything leads to one; whatever does is refused."""
    partition = Partition(fast_path=in_python, compared=False)  # compiled code knows no other bound
    world = given(challenge(), ann, partition=partition)
    monkeypatch.setattr(f"processor.domain.{module}.MAX_VALUE_BYTES", 1_000)
    happened = world.when(log("a", 5))
    happened.then(refused("too_large")).answering((413, {"code": "too_large"}))
    assert set(happened.effects.writes) == {b"o"}


def test_compiled_code_leaves_a_large_progress_to_python() -> None:
    key, fill, definitions, record = BRIMMING["progress"]
    found = []
    for fast_path in (in_python, COMPILED or in_python):
        partition = Partition(fast_path=fast_path)
        world = given(*definitions, ann, partition=partition)
        partition.entries[key] = at_the_brim(fill)
        found.append(world.when(record.with_headers()).effects)
    assert found[0] == found[1]
    assert found[0].counts["dead_letter:too_large"] == 1


def test_a_refusal_takes_back_the_inline_member_too() -> None:
    key, fill, definitions, _ = BRIMMING["progress"]
    world = given(*definitions)
    world.partition.entries[key] = at_the_brim(fill)
    own = log("a", 5, ownedBy={"externalId": "ann", "city": "Ulm"})
    happened = world.when(own, log("b", 1, challengeId=CHALLENGE))
    happened.then(refused("too_large"), refused("unknown_member"))
    assert member_key(ANN) not in happened.partition.entries


def test_a_due_that_cannot_be_done_does_not_come_again() -> None:
    key, fill, definitions, _ = BRIMMING["progress"]
    world = given(*definitions, ann)
    world.partition.entries[key] = at_the_brim(fill)
    due = due_key(parse_instant("2026-11-22T00:00:00Z"), key)
    world.partition.entries[due] = b"[]"
    happened = world.when(tick("2026-11-23"))
    happened.then()
    assert happened.counts["dues_refused"] == 1
    assert due not in happened.partition.entries
    assert member_of.LIVE in happened.partition.entries[member_key(ANN)].decode()


def test_a_record_after_one_that_is_too_large_in_a_chunk_is_folded_as_ever() -> None:
    _, _, definitions, record = BRIMMING["balances"]
    world = given(*definitions, challenge(), ann)
    key, fill, *_ = BRIMMING["balances"]
    world.partition.entries[key] = at_the_brim(fill)
    world.when(log("a", 5), record, log("b", 5)).then(
        recorded(progress(5)), refused("too_large"), recorded(progress(10))
    )


def test_a_first_answer_that_the_changelog_does_not_take_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A void answers with all rewards that it revoked, or did not, and with all that it moved."""
    world = given(challenge(), ann, log("log-1", 5))
    monkeypatch.setattr("processor.domain.working_set.MAX_VALUE_BYTES", 500)
    happened = world.when(void_log())
    happened.then(refused("too_large")).answering((413, {"code": "too_large"}))
    assert set(happened.effects.writes) == {b"o"}
