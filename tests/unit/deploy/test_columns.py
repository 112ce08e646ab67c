"""CSV rows as JSON objects."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.importing.columns import Columns, FileColumns, HeaderError, RowError, field_names
from schemas.json_limits import MAX_DEPTH


def encoded(header: str, *cells: str) -> bytes:
    return Columns(header.split(",")).encode(cells)


def test_dots_nest() -> None:
    value = encoded("challengeId,ownedBy.externalId,ownedBy.city", "c", "m", "Wien")
    assert json.loads(value) == {"challengeId": "c", "ownedBy": {"externalId": "m", "city": "Wien"}}


def test_an_empty_cell_is_absent_and_so_is_the_object_it_would_make() -> None:
    assert (
        encoded("ownedById,ownedBy.externalId,activityValue", "x", "", "") == b'{"ownedById":"x"}'
    )


@pytest.mark.parametrize("text", ["0.1", "12345678901234567890.123456789", "1e3", "-0", "1.50"])
def test_a_number_keeps_its_own_text(text: str) -> None:
    assert encoded("activityValue", text) == b'{"activityValue":%s}' % text.encode()


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9))
def test_a_number_means_the_same_to_the_last_digit(number: Decimal) -> None:
    value = encoded("activityValue", f"{number:f}")
    assert json.loads(value, parse_float=Decimal, parse_int=Decimal) == {"activityValue": number}


@pytest.mark.parametrize("text", ["1,5", ".5", "5.", "007", "NaN", "Infinity", "0x1F", "1_000"])
def test_what_is_no_json_number_is_refused_where_a_number_belongs(text: str) -> None:
    with pytest.raises(RowError, match="activityValue"):
        encoded("activityValue", text)


def test_every_field_that_is_a_number_or_a_flag_is_read_as_one() -> None:
    header = "type,portion,points,ifVersion,mustExist,onlyNew,approved"
    assert encoded(header, "void", "0.50", "-7", "3", "true", "false", "true") == (
        b'{"type":"void","portion":0.50,"points":-7,"ifVersion":3,'
        b'"mustExist":true,"onlyNew":false,"approved":true}'
    )
    with pytest.raises(RowError, match="portion: 'half' is not a number"):
        encoded("portion", "half")


def test_text_that_looks_like_a_number_stays_text() -> None:
    assert encoded("uniqueIdentifier,userId", "00127", "1e5") == (
        b'{"uniqueIdentifier":"00127","userId":"1e5"}'
    )


def test_lists_are_json_or_separated_by_semicolons() -> None:
    assert encoded("ownedBy.groups", "gold; north") == b'{"ownedBy":{"groups":["gold","north"]}}'
    assert encoded("groups", '["a;b"]') == b'{"groups":["a;b"]}'
    with pytest.raises(RowError, match="list"):
        encoded("groups", "[1]")


def test_metadata_takes_the_type_that_its_cell_spells() -> None:
    header = "metadata.amount,metadata.new,metadata.tags,metadata.shop,metadata.odd"
    value = encoded(header, "1.10", "true", '["a"]', "Graz", "{no")
    assert value == (
        b'{"metadata":{"amount":1.10,"new":true,"tags":["a"],"shop":"Graz","odd":"{no"}}'
    )


def test_metadata_may_stand_in_one_cell_as_an_object_with_its_own_numbers() -> None:
    value = encoded("eventId,metadata", "purchase", '{"amount": 1.10, "tags": ["a"]}')
    assert value == b'{"eventId":"purchase","metadata":{"amount": 1.10, "tags": ["a"]}}'
    for cell in ("[1]", "7", "{no", "text"):
        with pytest.raises(RowError, match=r"metadata: .* is not a JSON object"):
            encoded("metadata", cell)


def test_what_follows_attributes_is_one_name_dots_included() -> None:
    header = "externalId,attributes.plan,attributes.a.b,ownedBy.attributes.age"
    assert encoded(header, "ann", "plus", "true", "7") == (
        b'{"externalId":"ann","attributes":{"plan":"plus","a.b":true},'
        b'"ownedBy":{"attributes":{"age":7}}}'
    )
    assert encoded("attributes", '{"a.b": 1}') == b'{"attributes":{"a.b": 1}}'


def test_a_flag_is_true_or_false() -> None:
    assert encoded("approved", "true") == b'{"approved":true}'
    with pytest.raises(RowError, match="approved"):
        encoded("approved", "yes")


def test_a_row_has_as_many_cells_as_the_header() -> None:
    with pytest.raises(RowError, match="3 cells, the header has 2"):
        encoded("a,b", "1", "2", "3")


@pytest.mark.parametrize(
    "header",
    ["a,,b", "a,b,a", "ownedBy,ownedBy.externalId", "a.b.c,d,a.b", "a.,b", "a." * MAX_DEPTH + "a"],
)
def test_a_header_that_names_no_object_is_refused(header: str) -> None:
    with pytest.raises(HeaderError):
        Columns(header.split(","))


def test_a_column_may_be_kept_as_text() -> None:
    columns = FileColumns("events", frozenset({"metadata.sku"})).of(
        ["userId", "metadata.sku", "metadata.n"]
    )
    assert columns.encode(["a", "007", "7"]) == b'{"userId":"a","metadata":{"sku":"007","n":7}}'
    assert columns.encode(["a", "1e5", ""]) == b'{"userId":"a","metadata":{"sku":"1e5"}}'
    with pytest.raises(HeaderError, match=r"no column 'metadata\.size'"):
        FileColumns("events", frozenset({"metadata.size"})).of(["userId"])


@pytest.mark.parametrize(
    ("topic", "name", "field"),
    [
        ("challenge-logs", "challenge_id", "challengeId"),
        ("challenge-logs", "Activity At", "activityAt"),
        ("challenge-logs", "owned_by.external_id", "ownedBy.externalId"),
        ("events", "UserID", "userId"),
        ("activity-logs", "fulfilment.checkin.eventId", "fulfilment.checkin.eventID"),
        ("member-commands", "phone-number", "phoneNumber"),
    ],
)
def test_a_column_that_spells_a_field_in_another_way_is_refused(
    topic: str, name: str, field: str
) -> None:
    with pytest.raises(HeaderError, match=f"'{name}' is not a field; it is spelled '{field}'"):
        FileColumns(topic).of([name])


def test_a_column_that_is_no_field_is_left_to_the_record() -> None:
    columns = FileColumns("events").of(["userId", "campaign", "metadata.user_id"])
    assert columns.encode(["a", "c", "b"]) == (
        b'{"userId":"a","campaign":"c","metadata":{"user_id":"b"}}'
    )


def test_the_fields_of_a_topic_are_those_of_its_records() -> None:
    assert {"ownedBy.externalId", "activityValue", "status"} <= field_names("challenge-logs")
    assert {"type", "externalId", "rewardLogId", "points"} <= field_names("member-commands")


def test_opening_balances_come_as_a_table() -> None:
    header = ["type", "userId", "points", "uniqueIdentifier", "reason", "occurredAt", "expiresAt"]
    row = ["adjust-points", "00127", "-5", "opening-00127", "moved", "2024-03-01T00:00:00Z", ""]
    value = FileColumns("member-commands").of(header).encode(row)
    assert msgspec.json.decode(value) == {
        "type": "adjust-points",
        "userId": "00127",
        "points": -5,
        "uniqueIdentifier": "opening-00127",
        "reason": "moved",
        "occurredAt": "2024-03-01T00:00:00Z",
    }
