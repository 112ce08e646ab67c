"""Amounts, ids, partitions and days against other implementations of the same."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo, available_timezones

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates.period import local_date, period_end, period_key
from schemas import ids
from schemas.amounts import LIMIT, SCALE, AmountError, amount_decimal, format_amount, parse_amount
from schemas.topics import partition_for

nanos = st.integers(-LIMIT + 1, LIMIT - 1)
moments = st.datetimes(
    datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)  # noqa: DTZ001
)  # fmt: skip
zones = st.sampled_from(sorted(available_timezones()))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(nanos)
def test_an_amount_is_read_back_as_it_was_written(amount: int) -> None:
    text = format_amount(amount)
    assert parse_amount(text) == amount
    assert amount_decimal(amount) == Decimal(text)
    assert Fraction(text) == Fraction(amount, SCALE)
    assert "e" not in text.lower()
    assert not text.endswith((".", ".0"))


@given(st.one_of(st.text("0123456789.eE+-", max_size=30), st.decimals().map(str), st.text()))
def test_a_text_is_an_amount_exactly_where_python_and_the_limits_say_so(text: str) -> None:
    try:
        amount = parse_amount(text)
    except AmountError:
        return
    assert Fraction(text) * SCALE == amount
    assert abs(amount) < LIMIT


@given(texts, texts)
def test_an_id_is_the_uuid5_of_its_name(project: str, external_id: str) -> None:
    namespace = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")
    expected = str(uuid.uuid5(namespace, f"{project}:member:{external_id}"))
    assert ids.member_id(project, external_id) == expected
    assert ids.is_uuid(expected)


@given(st.uuids().map(str), st.integers(1, 500))
def test_a_member_s_partition_is_the_one_that_kafka_chooses(member: str, partitions: int) -> None:
    assert partition_for(member, partitions) == (murmur2(member.encode()) & 0x7FFFFFFF) % partitions


@given(st.text(max_size=40), st.integers(1, 500))
def test_any_text_hashes_as_aiokafka_hashes_it(text: str, partitions: int) -> None:
    try:
        key = text.encode()
    except UnicodeEncodeError:
        return
    assert partition_for(text, partitions) == (murmur2(key) & 0x7FFFFFFF) % partitions


@given(zones, moments)
def test_a_day_is_the_wall_s(zone: str, moment: datetime) -> None:
    assert local_date(zone, moment) == moment.astimezone(ZoneInfo(zone)).date()


@given(st.sampled_from(["daily", "weekly", "monthly", "yearly"]), zones, moments)
def test_a_period_ends_after_its_moments_and_the_next_begins_there(
    period: str, zone: str, moment: datetime
) -> None:
    key = period_key(period, zone, moment)
    end = period_end(period, zone, key)
    if end is not None and 2011 < end.year < 9999:  # before, clocks went back across midnight
        assert moment < end
        assert period_key(period, zone, end) != key
        assert period_key(period, zone, end - timedelta(microseconds=1)) == key


@pytest.mark.parametrize("zone", ["America/St_Johns", "Pacific/Apia", "Africa/Monrovia"])
def test_days_are_right_around_odd_changes_of_the_clocks(zone: str) -> None:
    chance = random.Random(zone)
    for year, month in ((2010, 11), (2011, 12), (1972, 1), (2006, 10)):
        for _ in range(300):
            day, minute, second = (
                chance.randint(1, 30),
                chance.randint(0, 59),
                chance.randint(0, 59),
            )
            at = datetime(year, month, day, chance.randint(0, 5), minute, second, tzinfo=UTC)
            assert local_date(zone, at) == at.astimezone(ZoneInfo(zone)).date()
