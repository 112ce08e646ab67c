"""The pictures of the guide for analysts, drawn from the rows that its own queries return.

`MILESTREAM_TEST_PICTURES=write` makes the test of the views write them beside the guide. The rows
stand in each file, so that a test can tell what it was drawn from, by whatever version of the
library.
"""

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import matplotlib as mpl
import psycopg
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PLACE = Path(__file__).parents[1] / "projections" / "pictures"
MAX_BYTES = 60_000

Row = Mapping[str, Any]
Rows = Sequence[Row]

_BLUE, _ORANGE, _GREY, _LIGHT = "#2454c7", "#b8511b", "#5b6472", "#e4e7ec"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "milestream",  # the same ids each time
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 10,
    "axes.edgecolor": _LIGHT,
    "axes.labelcolor": _GREY,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "text.color": "#1b2330",
    "xtick.color": _GREY,
    "ytick.color": _GREY,
}
_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"


class Picture(NamedTuple):
    """What is drawn of which view, whose query in the guide is the first that names it."""

    view: str
    title: str
    draw: Callable[[Axes, Rows], None]


def rows_of(connection: psycopg.Connection[Any], guide: str, view: str) -> list[dict[str, Any]]:
    """Return what the guide's query of a view returns, as JSON has it."""
    queries = re.findall(r"```sql\n(.*?)```", guide, re.DOTALL)
    query: str = next(query for query in queries if f"FROM {view}" in query)
    cursor = connection.execute(query.encode())
    assert cursor.description is not None
    names = [each.name for each in cursor.description]
    found = [dict(zip(names, row, strict=True)) for row in cursor]
    plain: list[dict[str, Any]] = json.loads(json.dumps(found, default=str))
    return plain


def svg(name: str, rows: Rows) -> str:
    """Return a picture of rows, which stand in it too."""
    picture = PICTURES[name]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.set_title(picture.title)
        picture.draw(axes, rows)
        written = io.StringIO()
        table = [list(rows[0]), *(list(row.values()) for row in rows)]
        said = json.dumps(table, separators=(",", ":"))
        about = {"Title": picture.title, "Description": said, "Date": None}
        figure.savefig(written, format="svg", metadata=about, facecolor="white")
    return written.getvalue()


def rows_in(text: str) -> Rows:
    """Return the rows that a picture was drawn from."""
    described = ET.fromstring(text).find(f".//{_DESCRIPTION}")  # noqa: S314  (our own)
    assert described is not None
    assert described.text is not None
    names, *rows = json.loads(described.text)
    return [dict(zip(names, row, strict=True)) for row in rows]


def marks_in(text: str) -> int:
    """Return how many marks of a picture stand for something that a row says."""
    return len(re.findall(r'<g id="mark-', text))


def _daily(axes: Axes, rows: Rows) -> None:
    days = rows[::-1]
    places = range(len(days))
    lines = (("members_30d", "in 30 days", _GREY), ("members_7d", "in 7 days", _ORANGE))
    for name, label, colour in lines:
        axes.plot(places, [day[name] for day in days], color=colour, label=label, linewidth=2)
    bars = axes.bar(places, [day["members"] for day in days], color=_BLUE, label="on the day")
    _mark(bars)
    shown = [place for place in places if days[place]["day"].endswith("-01")]
    axes.set_xticks(shown, [days[place]["day"] for place in shown])
    axes.set_ylabel("members")
    axes.legend(frameon=False, loc="upper left", ncols=3)
    axes.set_ylim(top=1.2 * max(day["members_30d"] for day in days))


def _cohorts(axes: Axes, rows: Rows) -> None:
    cohorts = sorted({row["cohort"] for row in rows})
    for number, row in enumerate(rows):
        share, place = float(row["share"]), cohorts.index(row["cohort"])
        (cell,) = axes.barh(place, 1, left=row["later"] - 0.5, height=1, color=_BLUE, alpha=share)
        cell.set_gid(f"mark-{number}")
        colour = "white" if share > 0.5 else "#1b2330"
        said: dict[str, Any] = {"color": colour, "fontsize": 7, "ha": "center", "va": "center"}
        axes.text(row["later"], place, f"{100 * share:.0f}", **said)
    axes.set_yticks(range(len(cohorts)), [f"week of {cohort}" for cohort in cohorts])
    axes.set_xlabel("weeks later; % of the members who came first in that week")
    axes.set_xlim(-0.5, max(row["later"] for row in rows) + 0.5)
    axes.invert_yaxis()


def _funnel(axes: Axes, rows: Rows) -> None:
    names = [row["milestone_name"] or row["kind"] for row in rows]
    labels = [f"{name} ({row['target']})" for name, row in zip(names, rows, strict=True)]
    bars = axes.barh(labels, [row["members"] for row in rows], color=_BLUE, height=0.6)
    _mark(bars)
    axes.bar_label(bars, [f"{row['members']} · {100 * float(row['share']):.0f}%" for row in rows],
                   padding=4)  # fmt: skip
    axes.set_xlabel("members")
    axes.set_xlim(right=1.2 * max(row["members"] for row in rows))
    axes.invert_yaxis()


def _costs(axes: Axes, rows: Rows) -> None:
    months = sorted({row["month"] for row in rows})
    milestones = sorted({row["milestone_name"] for row in rows})
    for number, row in enumerate(rows):
        which = milestones.index(row["milestone_name"])
        place = months.index(row["month"]) + 0.4 * which - 0.2
        bars = axes.bar(place, float(row["points"]), width=0.36, color=(_BLUE, _ORANGE)[which % 2])
        bars[0].set_gid(f"mark-{number}")
        axes.bar_label(bars, [row["points"]], padding=2)
    for which, milestone in enumerate(milestones):
        axes.bar(0, 0, color=(_BLUE, _ORANGE)[which % 2], label=milestone)
    axes.set_xticks(range(len(months)), [month[:7] for month in months])
    axes.set_ylabel("points")
    axes.legend(frameon=False, loc="upper left", ncols=2)
    axes.set_ylim(top=1.25 * max(float(row["points"]) for row in rows))


def _mark(bars: Sequence[Any]) -> None:
    for number, bar in enumerate(bars):
        bar.set_gid(f"mark-{number}")


PICTURES: Mapping[str, Picture] = {
    "daily-actives": Picture("daily_actives", "Active members", _daily),
    "retention": Picture("retention_by_cohort", "Who came again", _cohorts),
    "funnel": Picture("progress_funnel", "How far a month's members got", _funnel),
    "cost-per-reward": Picture("cost_per_reward", "What a month's rewards cost", _costs),
}
