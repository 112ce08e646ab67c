"""`gm.getActionsLog`: what gave a user points, and what took them."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from fastapi import Response

from api.faces.game_mechanics.calls import Call
from api.faces.game_mechanics.errors import CallError, bad
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.presentation import Presentation
from api.queries import ledger as queries
from api.queries.ledger import Action, Position
from schemas.instants import EPOCH

GRANT, REDEEM = "grant", "redeem"

MAX_LIMIT = 1000
BATCH = 5000
"""How many entries are in memory when all are requested."""

MAX_SECONDS = 253_402_300_799
"""The last second of the year 9999."""
_MAX_SEQUENCE = 2**63 - 1
_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_END = Position(datetime.max.replace(tzinfo=UTC), _MAX_SEQUENCE, UUID(int=2**128 - 1))
CURSOR = "^(-?[0-9]{1,18})\\.([0-9]{1,19})\\.([0-9a-f]{32})$"
_CURSOR = re.compile(CURSOR.strip("^$"))
_MICROSECOND = timedelta(microseconds=1)


class LoggedAction(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An action as it is shown; what it does not have is left out."""

    time: str
    action_id: str = msgspec.field(name="actionID")
    points: int
    ip: str | None = None
    challenge_id: str = msgspec.field(name="challengeID")
    operation: str


@dataclass(frozen=True)
class Window:
    """The requested actions: before a position, none older than `since`, at most `limit`."""

    before: Position
    since: datetime
    limit: int | None


async def list_actions(call: Call, presentation: Presentation) -> Response:
    """Answer the actions of a user, the newest first: a page of them, or all."""
    window = window_of(call.parameters)
    size = BATCH if window.limit is None else window.limit
    async with call.member("points_ledger") as (connection, member_id):
        found = await queries.before(
            connection,
            call.project,
            member_id,
            window.before,
            since=window.since,
            limit=size + 1,
        )
    if len(found) <= size:
        return presentation.success({"actions": shown(found)})
    if window.limit is not None:
        page = found[:size]
        return presentation.success({"actions": shown(page), "next": cursor_of(page[-1].position)})
    return presentation.stream("actions", _all(call, member_id, window, found))


async def _all(
    call: Call, member_id: UUID, window: Window, found: list[Action]
) -> AsyncIterator[bytes]:
    """Yield the JSON of batches of actions, `found` first, until there are no more."""
    while found:
        yield msgspec.json.encode(shown(found))[1:-1]
        async with call.held.reads.connection() as connection:
            found = await queries.before(
                connection,
                call.project,
                member_id,
                found[-1].position,
                since=window.since,
                limit=BATCH,
            )


def window_of(parameters: Parameters) -> Window:
    """Return the window of actions that the parameters describe.

    Raises:
        CallError: a time, `limit` or `start` is bad, or `startTime` lies after `endTime`.
    """
    first = parameters.whole("startTime", 0, MAX_SECONDS)
    last = parameters.whole("endTime", 0, MAX_SECONDS)
    if first is not None and last is not None and first > last:
        raise bad("startTime", "must not be after endTime")
    before = _END
    if last is not None and last < MAX_SECONDS:
        # The whole second counts: actions are shown without fractions.
        before = Position(_moment(last + 1), -1, UUID(int=0))
    start = parameters.text("start")
    if start is not None:
        before = min(before, _position(start), key=_order)
    since = _BEGINNING if first is None else _moment(first)
    return Window(before, since, parameters.whole("limit", 1, MAX_LIMIT))


def _moment(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def _order(position: Position) -> tuple[datetime, int, UUID]:
    return position.occurred_at, position.sequence, position.id


def cursor_of(position: Position) -> str:
    """Return the text of a position, for `start`."""
    return f"{(position.occurred_at - EPOCH) // _MICROSECOND}.{position.sequence}.{position.id.hex}"


def _position(cursor: str) -> Position:
    match = _CURSOR.fullmatch(cursor)
    if match is None or int(match[2]) > _MAX_SEQUENCE:
        raise _no_cursor()
    try:
        moment = EPOCH + int(match[1]) * _MICROSECOND
    except OverflowError:
        raise _no_cursor() from None
    return Position(moment, int(match[2]), UUID(hex=match[3]))


def _no_cursor() -> CallError:
    return bad("start", "must be what an answer had as next")


def shown(actions: Sequence[Action]) -> list[LoggedAction]:
    """Return actions as they are shown."""
    return [
        LoggedAction(
            time=action.occurred_at.replace(microsecond=0, tzinfo=None).isoformat(" ") + "Z",
            action_id=action.action_id,
            points=int(action.points),
            ip=action.ip or None,
            challenge_id=action.challenge_group,
            operation=operation_of(action),
        )
        for action in actions
    ]


def operation_of(action: Action) -> str:
    """Return what an entry is on this face, which knows no more than grants and redemptions: the
    other kinds are one or the other by what they did."""
    if action.operation in (GRANT, REDEEM):
        return action.operation
    return REDEEM if action.points < 0 else GRANT
