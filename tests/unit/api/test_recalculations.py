"""What may be recalculated, what the same request is, and the rows of a correction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from api.http.problems import Problem
from api.queries.dashboard.recalculations import changes
from api.queries.recalculations import Change
from api.recalculating.asking import (
    MAX_DEFINITIONS,
    Asked,
    definitions_of,
    documents,
    from_documents,
    running,
)
from api.recalculating.process import code_of
from api.recalculating.run import changes_of
from processor.recalculation import (
    Correction,
    NotGiven,
    NotRecalculable,
    Reached,
    UnknownChallenge,
)
from schemas import definitions as models
from schemas.definition_set import DefinitionSet
from schemas.definitions import DefinitionError

CHALLENGE = "00000000-0000-4000-8000-0000000000c1"
OTHER = "00000000-0000-4000-8000-0000000000c2"
MILESTONE = "00000000-0000-4000-8000-0000000000a1"
MEMBER = "00000000-0000-4000-8000-0000000000e1"
REWARD = "00000000-0000-4000-8000-0000000000f1"
PROJECT = "shop"


def challenge(id_: str = CHALLENGE, **fields: Any) -> models.Definition:
    """Return a challenge."""
    return models.parse(
        "challenge", {"id": id_, "name": "Spend", "completionTargetValue": 100, **fields}
    )


def milestone(linked: str = CHALLENGE, id_: str = MILESTONE, **fields: Any) -> models.Definition:
    """Return a milestone."""
    return models.parse(
        "milestone",
        {
            "id": id_,
            "name": "Half",
            "milestoneTargetValue": Decimal("0.5"),
            "linkedSchemaRecordId": linked,
            **fields,
        },
    )


def in_force(*definitions: models.Definition, project: str = PROJECT) -> DefinitionSet:
    """Return definitions that are in force."""
    found = DefinitionSet()
    for offset, each in enumerate(definitions):
        key = models.definition_key(project, each.kind, each.id).encode()
        found.apply(key, models.encode(each), offset, 0)
    return found


def asked(*definitions: models.Definition, **fields: Any) -> Asked:
    """Return what is asked for."""
    return Asked(project=PROJECT, definitions=definitions, **fields)


def test_definitions_are_recalculated_as_they_are_given() -> None:
    given = [challenge(), milestone()]
    assert definitions_of(asked(*given), in_force()) == tuple(given)
    assert definitions_of(asked(milestone()), in_force(challenge())) == (milestone(),)


def test_a_challenge_is_recalculated_with_its_milestones() -> None:
    of_streak = milestone("daily", OTHER, linkedSchemaSlug="streak")
    there = in_force(challenge(), milestone(), challenge(OTHER), of_streak)
    found = definitions_of(asked(challenge_id=CHALLENGE), there)
    assert list(found) == [challenge(), milestone()]


ONE = models.parse("project", {"id": PROJECT, "limits": {"definitionsPerKind": 1}})
SMALL = models.parse("project", {"id": PROJECT, "limits": {"definitionBytes": 800}})
VISIT = models.parse("event", {"id": "visit", "title": "Visit", "reward": {"default": 1}})


@pytest.mark.parametrize(
    ("given", "there", "status", "code", "field"),
    [
        (asked(), [], 400, "invalid", "definitions"),
        (asked(challenge(), challenge_id=CHALLENGE), [], 400, "invalid", "definitions"),
        (asked(challenge(), challenge()), [], 400, "invalid", "definitions.0.id"),
        (asked(challenge_id=OTHER), [challenge()], 404, "not_found", None),
        (asked(milestone(OTHER)), [challenge()], 400, "invalid",
         "definitions.0.linkedSchemaRecordId"),
        (asked(challenge(), milestone("daily", linkedSchemaSlug="streak")), [], 400,
         "not_recalculable", "definitions.1.kind"),
        (asked(VISIT), [], 400, "not_recalculable", "definitions.0.kind"),
        (asked(*[challenge()] * (MAX_DEFINITIONS + 1)), [], 400, "invalid", "definitions"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    given: Asked,
    there: Sequence[models.Definition],
    status: int,
    code: str,
    field: str | None,
) -> None:
    with pytest.raises(Problem) as refused:
        definitions_of(given, in_force(*there))
    assert (refused.value.status, refused.value.code) == (status, code)
    assert [name for name, _ in refused.value.errors] == ([] if field is None else [field])


def test_more_than_the_project_may_have_is_refused() -> None:
    limits = models.parse("project", {"id": PROJECT, "limits": {"definitionsPerKind": 1}})
    there = in_force(limits, challenge())
    assert definitions_of(asked(challenge(name="New")), there)
    with pytest.raises(Problem) as refused:
        definitions_of(asked(challenge(OTHER)), there)
    assert refused.value.code == "too_many_definitions"


FULL = [milestone(id_=f"00000000-0000-4000-8000-{n:012d}") for n in range(models.MAX_MILESTONES)]


@pytest.mark.parametrize(
    ("given", "there", "code", "field"),
    [
        # Each fits, and all of them do not.
        ([milestone(), milestone(id_=REWARD)], [challenge(), *FULL[1:]], "invalid",
         "definitions.1.linkedSchemaRecordId"),
        ([challenge(OTHER, name="x" * 200)], [SMALL, challenge()], "too_many_definition_bytes",
         "definitions.0"),
        ([challenge(), challenge(OTHER)], [ONE], "too_many_definitions", "definitions.1.id"),
    ],
)  # fmt: skip
def test_what_would_not_fit_together_is_refused_with_its_field(
    given: Sequence[models.Definition],
    there: Sequence[models.Definition],
    code: str,
    field: str,
) -> None:
    with pytest.raises(Problem) as refused:
        definitions_of(asked(*given), in_force(*there))
    assert refused.value.code == code
    assert [name for name, _ in refused.value.errors] == [field]


def test_what_fits_no_more_when_it_runs_is_no_fault_of_ours() -> None:
    for error in (DefinitionError([("", "no")]), UnknownChallenge(OTHER), NotRecalculable("no")):
        assert code_of(error) == "not_taken"
    assert code_of(ZeroDivisionError()) == "internal"


def test_the_challenge_of_another_project_is_not_there() -> None:
    with pytest.raises(Problem) as refused:
        definitions_of(asked(challenge_id=CHALLENGE), in_force(challenge(), project="other"))
    assert refused.value.status == 404


SINCE = datetime(2026, 11, 1, tzinfo=UTC)
FIRST = asked(challenge(), milestone(), since=SINCE, apply=True, max_points=5)


def test_the_same_request_is_known_however_it_is_spelled() -> None:
    elsewhere = SINCE.astimezone(timezone(timedelta(hours=2)))
    again = replace(
        FIRST, definitions=[milestone(), challenge()], since=elsewhere, actor="somebody"
    )
    assert again.key() == FIRST.key()


@pytest.mark.parametrize(
    "change",
    [
        {"project": "other"},
        {"definitions": [challenge()]},
        {"definitions": [], "challenge_id": CHALLENGE},
        {"since": None},
        {"mode": "exact"},
        {"apply": False},
        {"max_points": 6},
        {"max_rewards": 5, "max_points": None},
    ],
)
def test_another_request_is_another_one(change: dict[str, Any]) -> None:
    assert replace(FIRST, **change).key() != FIRST.key()


def test_documents_give_the_definitions_exactly() -> None:
    given = [
        challenge(completionTargetValue=Decimal("12345678901234567890.123456789")),
        milestone(),
    ]
    assert from_documents(documents(PROJECT, given)) == given


def test_the_refusal_of_a_second_one_names_the_first() -> None:
    problem = running(UUID(REWARD), "shop")
    assert (problem.status, problem.code) == (409, "recalculation_running")
    assert problem.more == {"id": REWARD}
    assert f"--cancel {REWARD} --project shop" in problem.detail


AT = datetime(2026, 11, 3, tzinfo=UTC)


def correction(**fields: Any) -> Correction:
    """Return a correction that raises a progress from 40 to 60."""
    return Correction(
        **{
            "project": PROJECT, "member_id": MEMBER, "challenge_id": CHALLENGE,
            "period_key": "2026-11", "before": Decimal(40), "after": Decimal(60),
            "difference": Decimal(20), "completed": False, "completed_at": None,
            "completion_points": 0, "completion_adds": False, "reached": (), "not_given": (),
            "changes": True, "started_at": None, "reopens": False,
            "falls_short": False, "exact": False, "apart": Decimal(0), **fields,
        }
    )  # fmt: skip


def reached(points: int, *, granted: bool) -> Reached:
    """Return a milestone that is reached with 55."""
    return Reached(
        milestone_id=MILESTONE, reward_log_id=REWARD, at=AT, value=Decimal(55), points=points,
        granted=granted,
    )  # fmt: skip


def changed(kind: str, id_: str, after: int, points: int = 0, reward: str | None = None) -> Change:
    """Return a row."""
    return Change(kind, id_, MEMBER, "2026-11", Decimal(40), Decimal(after), points, reward)


PROGRESS = changed("challenge", CHALLENGE, 60)


@pytest.mark.parametrize(
    ("given", "rows"),
    [
        (correction(), [PROGRESS]),
        (correction(completed=True, completed_at=AT, completion_points=7),
         [PROGRESS, changed("completion", CHALLENGE, 60, 7)]),
        (correction(completed_at=AT, completion_points=3),
         [PROGRESS, changed("points", CHALLENGE, 60, 3)]),
        (correction(reopens=True, falls_short=True),
         [PROGRESS, changed("reopened", CHALLENGE, 60)]),
        (correction(reached=[reached(5, granted=True)]),
         [PROGRESS, changed("milestone", MILESTONE, 55, 5, REWARD)]),
        (correction(reached=[reached(2, granted=False)]),
         [PROGRESS, changed("points", MILESTONE, 55, 2, REWARD)]),
        (correction(changes=False,
                 not_given=[NotGiven(reward_log_id=REWARD, milestone_id=MILESTONE)]),
         [changed("not_given", MILESTONE, 60, 0, REWARD)]),
    ],
)  # fmt: skip
def test_a_correction_has_a_row_for_each_thing_that_changes(
    given: Correction, rows: list[Change]
) -> None:
    assert changes_of(given) == rows


async def test_pages_of_one_that_runs_sum_nothing_up() -> None:
    nothing: Any = None  # what reads nothing needs no database
    running_one = {"id": UUID(CHALLENGE), "status": "running"}
    assert await changes(nothing, PROJECT, running_one, 100) == {"sums": [], "changes": []}
