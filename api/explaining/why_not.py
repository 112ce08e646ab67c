"""Why a user has not reached a milestone: how far it is, and which logs are nothing to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from fastapi import Request

from api.auth.access import Caller
from api.explaining import progress
from api.explaining.answers import Uncounted, WhyNot, amount, number
from api.explaining.explaining import Asking, asking
from api.explaining.progress import Facts
from api.explaining.versions import compiled
from api.http.problems import Problem, clipped, invalid, not_found
from api.queries import explanations as queries
from api.queries.operations import snapshot
from processor.domain.aggregates import member as member_of
from processor.domain.aggregates.period import ALL_TIME, period_end, period_key
from processor.domain.retelling.progress import Judge, Logged, exact_nanos
from processor.domain.rules import Challenge
from schemas import definitions as models
from schemas import ids
from schemas.amounts import nanos_of
from schemas.definition_set import DefinitionSet

MOST_UNCOUNTED = 1_000
"""Logs that are shown, the newest."""

DUPLICATE = "duplicate"

READ_MODELS = (
    *("members", "member_history", "challenge_logs", "challenge_progress", "event_log", "voids"),
    *("milestones_reached", "reward_logs"),
)

_PERIODS = ("daily", "weekly", "monthly", "yearly")


class Question(NamedTuple):
    """What is asked: of which milestone, in which period (None: the present one), and of which log
    alone."""

    milestone_id: str
    period_key: str | None
    unique_identifier: str | None


async def answer(request: Request, caller: Caller, user_id: str, question: Question) -> WhyNot:
    """Answer how far a user is from a milestone, and which logs are nothing to it.

    Raises:
        Problem: 400, the milestone is no challenge's, or there is no such period; 404; 410, or 503.
    """
    member_id = UUID(ids.member_id(caller.project, user_id))
    async with asking(request, caller) as asked:
        definitions = await asked.held.definitions.current()
        present = await asked.held.clocks.present(definitions, caller.project)
        milestone, rule = _defined(definitions, caller, question)
        await asked.caught_up(READ_MODELS)
        async with asked.held.reads.connection() as connection, snapshot(connection):
            zone = await queries.zone_of(connection, caller.project, member_id)
            if zone is None:
                detail = f"The user {clipped(user_id)!r} could not be found in the project."
                raise Problem(404, detail)
            key = _period(rule, zone, question.period_key, present)
            state = await queries.standing(
                connection,
                caller.project,
                member_id,
                challenge_id=UUID(rule.id),
                milestone_id=UUID(milestone.id),
                period_key=key,
            )
            facts = await progress.facts(connection, caller.project, member_id, UUID(rule.id))
            named = question.unique_identifier
            of_one = None
            if named is not None:
                of_one = await progress.facts(
                    connection, caller.project, member_id, UUID(rule.id), unique_identifier=named
                )
        judge = await progress.judge(facts, asked.versions)
        target = nanos_of(milestone.milestone_target_value)
        value = exact_nanos(state["value"])
        if of_one is not None:
            nothing = _named(of_one, await progress.judge(of_one, asked.versions), key)
        else:
            nothing = _nothing(facts, judge, key)[-MOST_UNCOUNTED:]
        return WhyNot(
            milestone_id=milestone.id,
            period_key=key,
            reached=state["reached"],
            target=amount(target),
            value=amount(value),
            missing=amount(max(target - value, 0)),
            counted=sum(judge.why_not(log, key) is None for log in facts.logs),
            not_counted=await _placed(asked, str(member_id), nothing, named=of_one is not None),
        )


def _defined(
    definitions: DefinitionSet, caller: Caller, question: Question
) -> tuple[models.Milestone, Challenge]:
    """Return the milestone, and the challenge that it is of, as they are now."""
    stored = definitions.get(caller.project, models.Milestone.kind, question.milestone_id.lower())
    if stored is None:
        raise not_found("milestone", question.milestone_id)
    milestone = cast("models.Milestone", stored.definition)
    if milestone.linked_schema_slug != "challenge":
        raise invalid("milestoneId", f"is of a {milestone.linked_schema_slug}, not of a challenge")
    linked = milestone.linked_schema_record_id
    challenge = definitions.get(caller.project, models.Challenge.kind, linked)
    if challenge is None:
        raise not_found("challenge", linked)
    return milestone, compiled(definitions, challenge)


def _period(rule: Challenge, zone: str, named: str | None, present: datetime) -> str:
    """Return the period that is asked about; one of another length is one of before.

    Raises:
        Problem: 400, there is no such period.
    """
    if named is None:
        return period_key(rule.period, member_of.zone(rule, zone or None), present)
    if named != ALL_TIME and not any(_is_key(each, named) for each in _PERIODS):
        raise invalid("periodKey", "is no period: 2026-11-21, 2026-W47, 2026-11, 2026 or all")
    return named


def _is_key(period: str, named: str) -> bool:
    """Tell whether a text is the key of a period, in its one spelling."""
    end = period_end(period, "UTC", named)
    return end is not None and period_key(period, "UTC", end - timedelta(microseconds=1)) == named


def _nothing(facts: Facts, judge: Judge, key: str) -> list[tuple[Logged, str]]:
    """Return the logs that are nothing to a period, the oldest first, and why."""
    logs = sorted(facts.logs, key=lambda log: log.sequence)
    judged = ((log, judge.why_not(log, key)) for log in logs)
    return [(log, why) for log, why in judged if why is not None]


def _named(facts: Facts, judge: Judge, key: str) -> list[tuple[Logged, str]]:
    """Return of a log that is named why it is nothing; of one that counts, each repeat is."""
    return [(log, judge.why_not(log, key) or DUPLICATE) for log in facts.logs]


async def _placed(
    asked: Asking, member_id: str, nothing: Sequence[tuple[Logged, str]], *, named: bool
) -> list[Uncounted]:
    """Return logs with their places. Those that retention took are left out; see ``Places.find``
    for one that is named."""
    places = asked.places(member_id)
    find = places.find if named else places.find_left
    found = await find(progress.wanted(log for log, _ in nothing))
    return [
        Uncounted(
            topic=place.topic,
            partition=place.partition,
            offset=place.offset,
            time=log.activity_at,
            value=number(log.activity_value),
            why=why,
        )
        for (log, why), place in zip(nothing, found, strict=True)
        if place is not None
    ]
