"""The records of recalculations, for tests."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from schemas import ids, topics
from schemas.records import Cut, Tick, encode
from tests.spec import CHALLENGE, MILESTONE, NOW, PROJECT, Fact, Sent, command, millis, numbered

RECALCULATION = numbered(901)
OTHER_RECALCULATION = numbered(902)
DAY = "2026-11-21"
AT = "2026-11-21T09:00:00Z"


def cut(recalculation: str = RECALCULATION, project: str = PROJECT, at: str = NOW) -> Sent:
    """A recalculation's cut on ``ticks``."""
    tick = Tick(project=project, cut=Cut(recalculation_id=recalculation))
    return Sent(topics.TICKS, encode(tick), timestamp=millis(at), headers=())


def correct(
    difference: Any = 0,
    recalculation: str = RECALCULATION,
    period_key: str = DAY,
    challenge_id: str = CHALLENGE,
    **fields: Any,
) -> Sent:
    """A correction of Ann's progress."""
    known = {
        "userId": "ann",
        "recalculationId": recalculation,
        "challengeId": challenge_id,
        "periodKey": period_key,
        "difference": difference,
        "uniqueIdentifier": ids.correction_identifier(recalculation, challenge_id, period_key),
    }
    return command("correct-progress", **known | fields)


def crossing(value: Any, milestone_id: str = MILESTONE, at: str = AT) -> dict[str, Any]:
    """A milestone that a recalculation found to be reached."""
    return {"milestoneId": milestone_id, "at": at, "value": value}


def more(points: int, milestone_id: str | None = None, at: str = AT) -> dict[str, Any]:
    """Points that a completion, or a milestone, should have given besides."""
    named = {} if milestone_id is None else {"milestoneId": milestone_id}
    return {"points": points, "at": at, **named}


def corrected(
    before: Any,
    after: Any,
    status: str = "in_progress",
    now: Mapping[str, Any] = MappingProxyType({}),
    **fields: Any,
) -> Fact:
    """``challenge_progress.corrected``, with the values before (None: no progress) and after, and
    what else is of the progress ``now``."""
    was = None if before is None else {"currentProgressValue": before}
    shown = {"currentProgressValue": after, "challengeProgressStatus": status, **now}
    return Fact("challenge_progress.corrected", {"before": was, "after": shown, **fields})
