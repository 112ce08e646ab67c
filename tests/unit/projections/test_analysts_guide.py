"""The guide for analysts: what its programs make of voids, and whose months its queries have."""

import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

AMOUNT = pl.Decimal(38, 9)
GUIDE = (Path(__file__).parents[3] / "projections" / "analysts.md").read_text("utf-8")
DAY, AT = date(2026, 11, 26), datetime(2026, 11, 26, 12, tzinfo=UTC)
FILES: dict[str, tuple[dict[str, Any], list[tuple[Any, ...]]]] = {
    "event_log": (
        {"local_date": pl.Date, "event_id": pl.String, "points": AMOUNT, "voided_portion": AMOUNT},
        [
            (DAY, "buy", Decimal(5), Decimal("0.5")),  # 2.5 are voided: rounded together, 3
            (DAY, "buy", Decimal(10), Decimal(0)),
            (DAY, "buy", Decimal(100), Decimal(1)),
            (DAY, "login", Decimal(7), Decimal(1)),
        ],
    ),
    "members": ({"member_id": pl.String, "external_id": pl.String}, [("a", "ann"), ("b", "bob")]),
    "points_ledger": (
        {
            "member_id": pl.String,
            "operation": pl.String,
            "points": AMOUNT,
            "not_recovered": AMOUNT,
            "granted_at": pl.Datetime("us", "UTC"),
        },
        [
            ("a", "grant", Decimal(100), Decimal(0), None),
            ("a", "spend", Decimal(-60), Decimal(0), None),
            ("a", "reverse", Decimal(-40), Decimal(10), AT),  # of 50, 40 were there
            ("a", "reverse", Decimal(60), Decimal(0), None),  # the spend is given back
            ("b", "grant", Decimal(60), Decimal(0), None),
            ("b", "adjust", Decimal(900), Decimal(0), None),
        ],
    ),
}


def test_programs_count_what_was_not_voided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("files").mkdir()
    for name, (schema, rows) in FILES.items():
        pl.DataFrame(rows, schema, orient="row").write_parquet(f"files/{name}.parquet")
    made: dict[str, Any] = {}
    for program in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL):
        exec(program, made)  # noqa: S102
    assert made["by_day"].collect().rows() == [(DAY, "buy", 2, Decimal(12))]
    assert sorted(made["earned"].collect().rows()) == [("a", Decimal(50)), ("b", Decimal(60))]


def test_months_of_the_guide_are_utc() -> None:
    queries = "".join(re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL))
    months = re.findall(r"date_trunc\('month', (.*?)\)", queries)
    assert months
    assert all(month.endswith(" AT TIME ZONE 'UTC'") for month in months)


def tables_with_charts() -> list[list[dict[str, str]]]:
    """Return the rows that stand in the guide, of queries that draw something."""
    found = []
    for text in re.findall(r"```text\n([^`]*\| chart\n[^`]*)```", GUIDE):
        names, _, *rows = text.strip().splitlines()
        split = [[cell.strip() for cell in row.split("|")] for row in (names, *rows)]
        found.append([dict(zip(split[0], row, strict=True)) for row in split[1:]])
    return found


def test_charts_of_the_guide_are_those_of_its_figures() -> None:
    days, funnel = tables_with_charts()
    most = max(int(day["members"]) for day in days)
    for row, length in [
        *((day, Decimal(20) * int(day["members"]) / most) for day in days),
        *((step, 20 * Decimal(step["share"])) for step in funnel),
    ]:
        assert row["chart"] == "▇" * int(length.quantize(Decimal(1), ROUND_HALF_UP)), row
