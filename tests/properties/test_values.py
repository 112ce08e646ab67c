"""Amounts, ids, partitions and days against other implementations of the same."""

import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from processor.domain.aggregates import wallet as wallet_of
from processor.domain.aggregates.period import QUARTER, local_date, period_end, period_key
from processor.domain.rules import Wallet
from schemas import ids
from schemas.amounts import LIMIT, SCALE, AmountError, amount_decimal, format_amount, parse_amount
from schemas.durations import parse_duration
from schemas.instants import EPOCH
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


CLOCKS_CHANGE = (
    *("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00"),
    *("2011-12-30T10:00", "1987-10-25T02:30", "2006-10-29T02:30", "2026-04-04T15:00"),
)
"""Moments (UTC) about which clocks are changed somewhere, across midnight or a whole day."""
lives = st.sampled_from(
    ["P1D", "P10D", "P1M", "P12M", "PT90M", "PT12H", "P1DT6H", "P1MT1H", "P364DT0S", "P7DT23H"]
)


@st.composite
def moments_of_clocks(draw: st.DrawFn) -> datetime:
    """A moment near one at which clocks are changed, or some time before."""
    changed = datetime.fromisoformat(f"{draw(st.sampled_from(CLOCKS_CHANGE))}Z")
    before = timedelta(days=draw(st.sampled_from([0, 0, 1, 2, 8, 10, 28, 31, 364, 365])))
    return changed - before + timedelta(microseconds=draw(st.integers(-(10**11), 10**11)))


@given(
    st.one_of(zones, st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia"])),
    moments_of_clocks(),
    lives,
    st.sampled_from(["rolling", "calendar"]),
)
def test_what_a_wallet_says_of_both_ends_of_a_quarter_it_says_of_all_between(
    zone: str, moment: datetime, after: str, expiry: str
) -> None:
    duration, dates = parse_duration(after), ((3, 29), (10, 25), (12, 31))
    none: dict[str, Any] = {"maximum": None, "cap": None, "cap_period": "all_time", "notices": ()}
    wallet = Wallet("g", expiry, duration, dates, duration, timezone=zone, version=0, **none)
    for rule in (wallet_of.start, wallet_of.expiry):
        steady = wallet_of.steady(wallet, rule, (moment - EPOCH) // QUARTER)
        if steady is not None:
            assert rule(wallet, moment) == (steady.day, steady.at or moment + steady.later)
