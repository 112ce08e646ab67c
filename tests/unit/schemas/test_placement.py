"""A record's member gives its key and its partition."""

import pytest

from schemas import ids
from schemas.placement import PLACEABLE, Placement, Unplaceable
from schemas.topics import FORWARDED, INPUT_TOPICS, TICKS, partition_for

MEMBER = ids.member_id("default", "m-1")


def key(topic: str, value: bytes) -> bytes:
    return Placement(topic, 4).place(value).key


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        ("challenge-logs", b'{"ownedBy":{"externalId":"m-1"}}'),
        ("challenge-logs", b'{"ownedById":"%s"}' % MEMBER.upper().encode()),
        ("events", b'{"userId":"m-1"}'),
        ("events", b'{"userId":"m-1","metadata":{"userId":"m-2","x":[1,{"y":null}]}}'),
        ("activity-logs", b'{"userId":"m-1","other":[1,{"x":null}]}'),
        ("member-commands", b'{"type":"upsert-member","externalId":"m-1","userId":"other"}'),
        ("member-commands", b'{"type":"delete-member","userId":"m-1"}'),
        ("member-commands", b'{"type":"delete-member","memberId":"%s"}' % MEMBER.encode()),
    ],
)
def test_each_input_names_its_member_in_its_own_way(topic: str, value: bytes) -> None:
    place = Placement(topic, 4).place(value)
    assert place.key == MEMBER.encode()
    assert place.partition == partition_for(MEMBER, 4)


def test_the_project_of_the_value_counts_and_default_where_it_has_none() -> None:
    value = b'{"project":"p","userId":"m-1"}'
    assert key("events", value) == ids.member_id("p", "m-1").encode()
    for none in (b'{"userId":"m-1"}', b'{"project":null,"userId":"m-1"}'):
        assert key("events", none) == ids.member_id("default", "m-1").encode()


@pytest.mark.parametrize(
    "value",
    [
        b"", b"null", b"[]", b"{", b'{"userId":1}', b'{"userId":"a"} x', b'{"userId":null}', b"{}",
        b'{"userId":"a","x":NaN}', b'{"userId":"\xff"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_names_no_member_is_unplaceable(value: bytes) -> None:
    with pytest.raises(Unplaceable):
        Placement("events", 4).place(value)


def test_fields_of_another_input_name_nobody() -> None:
    with pytest.raises(Unplaceable, match="names no member"):
        Placement("challenge-logs", 4).place(b'{"userId":"m-1"}')


def test_what_workers_fold_of_producers_can_be_placed() -> None:
    assert set(PLACEABLE) == set(INPUT_TOPICS) - {FORWARDED, TICKS}
