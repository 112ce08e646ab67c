"""Sealed fields are folded as plain ones are, and as absent where they do not open
(`schemas/README.md#sealed-fields`)."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from processor.reading import DryRunKeys
from schemas import sealing
from schemas.kafka.member_keys import PartitionKeys, database
from schemas.records import OwnedBy
from schemas.sealing import MemberKey
from schemas.topics import DEAD_LETTERS, MEMBER_EVENTS, partition_for
from tests.event_spec import event, event_of
from tests.spec import (
    ANN,
    Partition,
    Sent,
    ann,
    challenge,
    command,
    given,
    log,
    progress,
    recorded,
    refused,
    upsert,
    upserted,
)

MASTER = bytes(range(32))
KEY = MemberKey("key-1", bytes(32))
FIELDS: dict[str, Any] = {
    "firstName": "Ann",
    "lastName": None,
    "email": "ann@example.org",
    "phoneNumber": "+4915112345678",
    "country": "DE",
    "groups": ["gold", "gold", "new"],
    "timezone": "Asia/Tokyo",
    "attributes": {"size": 42, "tags": ["a"], "gone": None},
}


def text_of(key: MemberKey = KEY, member_id: str = ANN, **fields: Any) -> str:
    """Return the sealed text of fields."""
    given_ = msgspec.json.encode({"externalId": "ann", **(fields or FIELDS)})
    owner = msgspec.json.decode(given_, type=OwnedBy)
    text = sealing.sealed(member_id, owner, key)
    assert text is not None
    return text


def partition(*keys: MemberKey, member_id: str = ANN) -> Partition:
    """Return a partition that knows keys of Ann's."""
    known = PartitionKeys(database(), 0, MASTER)
    known.apply((member_id, key.id, sealing.wrapped(MASTER, member_id, key)) for key in keys)
    return Partition(keys=known)


def inline(text: str, identifier: str = "log-1") -> Sent:
    """A log whose member's fields are sealed."""
    return log(identifier, 5, ownedBy={"externalId": "ann", "sealed": text})


def plain_inline(identifier: str = "log-1") -> Sent:
    """The same log in plain."""
    return log(identifier, 5, ownedBy={"externalId": "ann", **FIELDS})


def test_a_sealed_member_leads_to_what_a_plain_one_does() -> None:
    plain = given().when(upsert(**FIELDS))
    sealed = given(partition=partition(KEY)).when(upsert(sealed=text_of()))
    assert sealed.outputs(MEMBER_EVENTS) == plain.outputs(MEMBER_EVENTS)
    assert sealed.effects.writes == plain.effects.writes
    assert sealed.answers == plain.answers


def test_a_sealed_inline_member_leads_to_what_a_plain_one_does() -> None:
    plain = given(challenge()).when(plain_inline())
    sealed = given(challenge(), partition=partition(KEY)).when(inline(text_of()))
    assert sealed.effects.outputs == plain.effects.outputs
    assert sealed.effects.writes == plain.effects.writes


def test_each_record_names_its_key_where_a_race_made_two() -> None:
    other = sealing.new_key()
    world = given(partition=partition(KEY, other)).and_given(
        upsert(sealed=text_of(KEY, city="Ulm"))
    )
    world.when(upsert(sealed=text_of(other, firstName="Ann"))).then(
        upserted(firstName="Ann", city="Ulm")
    )


def test_a_record_whose_key_is_gone_counts_without_the_fields() -> None:
    given(challenge(), partition=partition()).when(inline(text_of())).then(
        upserted(firstName=None, email=None, groups=[]), recorded(progress(5))
    )


def test_gone_fields_clear_nothing() -> None:
    world = given(upsert(**FIELDS), partition=partition())
    world.when(upsert(sealed=text_of(email=None))).then_nothing_happened()


@pytest.mark.parametrize(
    "text",
    [
        text_of(member_id="00000000-0000-5000-8000-000000000002"),
        text_of(KEY)[:40] + "AAAA" + text_of(KEY)[44:],
        f"1.{KEY.id}.AAAA",
        text_of(KEY, phoneNumber="0151"),
    ],
    ids=["another's", "changed", "too short", "no profile"],
)
def test_what_does_not_open_is_absent_and_no_dead_letter(text: str) -> None:
    given(partition=partition(KEY)).when(upsert(sealed=text)).then(upserted(firstName=None))


@pytest.mark.parametrize("keys", [(), (KEY,)])
def test_what_has_no_form_of_sealed_fields_is_invalid_with_any_key(keys: Any) -> None:
    given(partition=partition(*keys)).when(upsert(sealed="1.x")).then(refused("invalid", "sealed"))
    both = upsert(sealed=text_of(), city="Ulm")
    given(partition=partition(*keys)).when(both).then(refused("invalid", "city"))
    bad = log(value=5, ownedBy={"externalId": "ann", "sealed": ""})
    given(challenge(), partition=partition(*keys)).when(bad).then(
        refused("invalid", "ownedBy.sealed")
    )


def test_rules_look_at_what_was_opened() -> None:
    gold = {"field": "member.groups", "operator": "contains", "value": "gold"}
    world = given(
        event_of(type="CONDITIONAL", conditions=gold),
        upsert(sealed=text_of(groups=["gold"])),
        partition=partition(KEY),
    )
    assert world.when(event()).of("event.logged")[0]["conditionReached"]


def test_dead_letters_and_forwarded_records_stay_sealed() -> None:
    text = text_of()
    unknown = given(partition=partition(KEY)).when(inline(text))
    (letter,) = unknown.outputs(DEAD_LETTERS)
    value = b64decode(msgspec.json.decode(letter.value)["value"])
    assert text.encode() in value
    assert b"ann@example.org" not in value

    elsewhere = partition(KEY)
    elsewhere.partitions = 4
    elsewhere.number = (partition_for(ANN, 4) + 1) % 4
    (forward,) = given(partition=elsewhere).when(upsert(sealed=text)).forwards
    assert text.encode() in (forward.value or b"")


def test_what_waits_for_its_member_waits_sealed() -> None:
    text = text_of(city="Ulm")
    waiting = upsert(sealed=text, mustExist=True).with_headers()
    world = given(waiting, partition=partition(KEY))
    assert not any(b"Ulm" in entry for entry in world.partition.entries.values())
    world.when(ann.with_headers()).then(upserted(), upserted(city="Ulm"))


def test_a_dry_run_opens_what_the_master_key_sealed_and_nothing_else() -> None:
    world = given(challenge(), ann).partition
    world.keys = DryRunKeys(MASTER)
    own = sealing.dry_run_key(MASTER, ANN)
    for key, attributes in ((own, {"size": 42}), (KEY, None)):
        effects = world.try_out(inline(text_of(key, attributes={"size": 42})))
        assert not effects.faults
        upserts = [
            msgspec.json.decode(output.value)["data"]
            for output in effects.outputs.get(MEMBER_EVENTS, ())
        ]
        assert [each.get("attributes") for each in upserts] == ([attributes] if attributes else [])


def test_a_text_that_was_sealed_for_a_dry_run_opens_in_no_input() -> None:
    text = text_of(sealing.dry_run_key(MASTER, ANN))
    given(partition=partition(KEY)).when(upsert(sealed=text)).then(upserted(firstName=None))


def test_other_commands_are_not_touched() -> None:
    given(ann, partition=partition(KEY)).when(
        command("update-member-status", userId="ann", status="paused")
    ).then(upserted(status="paused"))


def test_what_lies_behind_a_forgetting_in_its_chunk_does_not_open() -> None:
    """The keys are removed with what is written of the chunk: a replay would not have them."""
    forget, back = command("forget-member", userId="ann"), upsert(sealed=text_of())
    happened = given(upsert(sealed=text_of()), partition=partition(KEY)).when(forget, back)
    (last,) = happened.of("member.upserted")
    assert (last["firstName"], last["email"], last["version"]) == (None, None, 3)
    before = given(partition=partition(KEY)).when(back, forget)
    assert before.of("member.upserted")[0]["firstName"] == "Ann"


def test_what_is_sealed_under_a_key_behind_a_forgetting_opens() -> None:
    """Whoever comes back while its forgetting is still to be folded keeps its new names."""
    new = MemberKey("key-2", bytes(32))
    world = partition()
    world.keys = known = PartitionKeys(database(), 0, MASTER)
    known.apply((ANN, k.id, sealing.wrapped(MASTER, ANN, k), n) for n, k in enumerate((KEY, new)))
    forget = command("forget-member", userId="ann", keysBefore=1)
    late = upsert(sealed=text_of(KEY, city="Ulm"))
    back = upsert(sealed=text_of(new, firstName="New"))
    happened = given(upsert(sealed=text_of()), partition=world).when(forget, late, back)
    assert happened.effects.forgotten == {ANN: 1}
    last = happened.of("member.upserted")[-1]
    assert (last["firstName"], last["city"], last["email"]) == ("New", None, None)
