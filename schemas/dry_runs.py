"""Dry runs and traces over Kafka: their headers, and what a trace says.

``schemas/README.md#dry-runs-and-traces`` describes it to those who ask.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from schemas.topics import CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS

DRY_RUN = "milestream-dry-run"
"""Header of a record that is to be tried and not to count: ``true``, on ``dry-runs`` alone."""
TOPIC = "milestream-topic"
"""Header of such a record: the input topic that it would be sent to, without prefix."""
TRACE = "milestream-trace"
"""Header of a record whose answer is to say which rules were looked at: ``true``."""

TRIED = (CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS)
"""The input topics whose records can be tried."""

ANSWER_SECONDS = 5
"""A dry run that is older is passed over: whoever asked waits no longer."""

Headers = Iterable[tuple[str, bytes | None]]

_TRUE = b"true"


def headers_for(topic: str) -> list[tuple[str, bytes]]:
    """Return the headers of a dry run of a record of ``topic``."""
    return [(DRY_RUN, _TRUE), (TOPIC, topic.encode())]


TRACED = (TRACE, _TRUE)
"""The header that asks for a trace."""


def asks_for_trace(headers: Headers) -> bool:
    """Tell whether the answer to a record is to have a trace."""
    return TRACED in headers


Kind = Literal[
    "duplicate",
    "event",
    "limit",
    "cap",
    "boost",
    "tier",
    "challenge",
    "milestone",
    "streak",
]
Outcome = Literal[
    "met",
    "not_met",
    "within",
    "reached",
    "cut",
    "not_cut",
    "applied",
    "not_applied",
    "counted",
    "not_counted",
    "not_reached",
    "reached_before",
    "not_live",
    "advanced",
    "healed",
    "known",
]


LOG_NOT_LIVE: Final = "log_not_live"
CHALLENGE_NOT_LIVE: Final = "challenge_not_live"
MEMBER_NOT_LIVE: Final = "member_not_live"
ACTIVITY_NOT_LISTED: Final = "activity_not_listed"
OUTSIDE_DATES: Final = "outside_dates"
NO_VALUE: Final = "no_value"
"""Why a challenge did not count a log."""


class TraceComparison(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A comparison of a condition: what it wanted of a path, what it found (left out of what is the
    member's; null where there was nothing), and whether it holds."""

    path: str
    operator: str
    wanted: Any | UnsetType = UNSET
    found: Any | UnsetType = UNSET
    holds: bool


class TraceStep(msgspec.Struct, frozen=True, gc=False):
    """A rule that a record was held against, and what came of it.

    ``version`` is the offset of its definition. ``why`` says more of an outcome; ``before`` and
    ``after`` are the number that it is about: slots of a limit, points under a cap, a challenge's
    progress, a streak's length.
    """

    kind: Kind
    id: str | UnsetType = UNSET
    version: int | UnsetType = UNSET
    outcome: Outcome | UnsetType = UNSET
    why: str | UnsetType = UNSET
    conditions: list[TraceComparison] | UnsetType = UNSET
    before: msgspec.Raw | UnsetType = UNSET
    after: msgspec.Raw | UnsetType = UNSET
