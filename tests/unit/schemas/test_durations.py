"""Durations are ISO 8601 in whole numbers (`schemas/README.md#definitions`)."""

import pytest

from schemas.durations import Duration, DurationError, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P12M", Duration(12, 0, 0, exact=False)),
        ("P14D", Duration(0, 14, 0, exact=False)),
        ("PT1H", Duration(0, 0, 3600, exact=True)),
        ("P1Y2M3W4DT5H6M7S", Duration(14, 25, 18367, exact=True)),
        ("P1DT0S", Duration(0, 1, 0, exact=True)),
        ("P100Y", Duration(1200, 0, 0, exact=False)),
    ],
)
def test_a_duration_is_read(text: str, duration: Duration) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "12M", "P1", "P1H", "PT1D", "P-1D", "P1.5D", "P1D ", "p1d", "P1M1Y"],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="must be an ISO 8601 duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P0D", "P0Y0M", "PT0H0S"])
def test_none_at_all_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="longer than 0"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P101Y", "P1201M", "P999999999D", "PT999999999H"])
def test_more_than_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(DurationError, match="100 years"):
        parse_duration(text)
