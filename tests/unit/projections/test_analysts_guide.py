"""The guide for analysts: what its programs make of voids, and whose months its queries have."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.guide_pictures import MAX_BYTES, PICTURES, PLACE, marks_in, rows_in, svg

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


def test_pictures_of_the_guide_are_drawn_from_rows_of_its_queries() -> None:
    shown = re.findall(r"!\[[^]]+\]\(pictures/([a-z-]+)\.svg\)", GUIDE)
    assert sorted(shown) == sorted(PICTURES)
    assert {path.stem for path in PLACE.iterdir()} == set(PICTURES)
    for name, picture in PICTURES.items():
        kept = (PLACE / f"{name}.svg").read_text("utf-8")
        assert len(kept.encode()) < MAX_BYTES
        rows = rows_in(kept)
        assert marks_in(kept) == len(rows) > 3
        # Its columns stand beneath the query, and the picture beneath those.
        below = GUIDE.partition(f"FROM {picture.view}")[2].partition("```text\n")[2]
        assert list(rows[0]) == re.split(r"[ |]+", below.partition("\n")[0].strip())
        assert below.partition("```\n")[2].lstrip().startswith("![")
        assert svg(name, rows) == svg(name, rows)
        assert marks_in(svg(name, rows)) == len(rows)
