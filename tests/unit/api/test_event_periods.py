"""The days that statistics and leaderboards are asked for."""

from datetime import UTC, date, datetime

import pytest

from api.faces.events.periods import Span, of_board, of_stats, today
from api.http.problems import Problem

DAY = date(2025, 8, 7)


@pytest.mark.parametrize(
    ("period", "first"),
    [
        ("1d", date(2025, 8, 7)),
        ("7d", date(2025, 8, 1)),
        ("30d", date(2025, 7, 9)),
        ("90d", date(2025, 5, 10)),
        ("current_month", date(2025, 8, 1)),
        ("ytd", date(2025, 1, 1)),
        ("all", None),
    ],
)
def test_a_period_ends_today(period: str, first: date | None) -> None:
    assert of_stats({"period": period}, DAY) == Span(period, first, DAY)


def test_seven_days_are_the_default() -> None:
    assert of_stats({}, DAY) == Span("7d", date(2025, 8, 1), DAY)


@pytest.mark.parametrize(
    ("month", "last"),
    [("2025-08", 31), ("2024-02", 29), ("2025-02", 28), ("2030-04", 30), ("0001-01", 31)],
)
def test_a_month_is_whole(month: str, last: int) -> None:
    year, number = map(int, month.split("-"))
    span = of_stats({"timeframe": "month", "month": month}, DAY)
    assert span == Span(month, date(year, number, 1), date(year, number, last), is_month=True)


def test_a_timeframe_without_a_month_leaves_it_to_the_period() -> None:
    assert of_stats({"timeframe": "month", "period": "1d"}, DAY) == Span("1d", DAY, DAY)


@pytest.mark.parametrize("given", [{}, {"timeframe": "week"}, {"timeframe": ""}])
def test_a_month_without_its_timeframe_is_not_looked_at(given: dict[str, str]) -> None:
    assert of_stats(given | {"month": "whenever"}, DAY).name == "7d"
    assert of_stats(given | {"period": "30d"}, DAY).name == "30d"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"period": "8d"}, "period"),
        ({"period": ""}, "period"),
        ({"period": "7D"}, "period"),
        ({"period": "8d", "timeframe": "month", "month": "2025-08"}, "period"),
        *(
            ({"timeframe": "month", "month": month}, "month")
            for month in (
                "2025-13", "2025-00", "2025-8", "2025", "", "0000-01", "2025-08-01", "٢٠٢٥-٠٨",
                "2025-08\n", "x" * 1000,
            )
        ),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_its_name(given: dict[str, str], named: str) -> None:
    with pytest.raises(Problem) as refused:
        of_stats(given, DAY)
    assert refused.value.status == 400
    assert refused.value.detail.startswith(f"{named}: ")
    assert len(refused.value.detail) < 200


def test_a_board_is_of_this_month_or_of_one_or_of_the_last_days() -> None:
    this_month = Span("2025-08", date(2025, 8, 1), date(2025, 8, 31), is_month=True)
    assert of_board({}, DAY) == this_month
    assert of_board({"month": "2025-08"}, DAY) == this_month
    assert of_board({"timeframe": "7d"}, DAY) == Span("7d", date(2025, 8, 1), DAY)
    assert of_board({"timeframe": "365d"}, DAY) == Span("365d", date(2024, 8, 8), DAY)


@pytest.mark.parametrize(
    "given",
    [
        {"timeframe": "month"}, {"timeframe": "90d"}, {"month": "2025-13"},
        {"month": "2025-08", "timeframe": "7d"},
    ],
)  # fmt: skip
def test_no_other_board_is_known(given: dict[str, str]) -> None:
    with pytest.raises(Problem):
        of_board(given, DAY)


def test_today_is_the_projects_day() -> None:
    late = datetime(2025, 8, 7, 22, 30, tzinfo=UTC)
    assert today("UTC", late) == DAY
    assert today("Europe/Berlin", late) == date(2025, 8, 8)
    assert today("Pacific/Pago_Pago", datetime(2025, 8, 8, 10, tzinfo=UTC)) == DAY
