"""The routes of the events and analytics face. Their paths have no version: see `face`.

A user's id may hold slashes, so it is matched as a path; an event's may not.
"""

from fastapi import APIRouter, Request, Response

from api.auth.access import Caller
from api.faces.events import (
    boards,
    definitions,
    past,
    posting,
    privacy,
    spending,
    stats,
    streaks,
    tiers,
    users,
    voids,
    why_not,
)
from api.faces.events import openapi as described
from api.faces.events.access import Admin, Reader, Sender, require_own
from api.faces.events.spending import Mover
from api.http.moments import as_of
from api.http.routing import StrictRoute

router = APIRouter(tags=[described.TAG], route_class=StrictRoute)


@router.post("/event", summary="Log an event", openapi_extra=described.POST_EVENT)
async def post_event(request: Request, caller: Sender) -> Response:
    """Log what a user did: it can give points, and move challenges, streaks and leaderboards.

    A repetition with the same idempotency key is answered as the first time, and counts once.
    """
    return await posting.post(request, caller)


@router.get("/event", summary="List the events", openapi_extra=described.LIST_EVENTS)
async def list_events(request: Request, caller: Reader) -> Response:
    """Answer the project's events as they are defined; 204 where there are none."""
    return await definitions.list_(request, caller)


@router.get("/event/", include_in_schema=False)
async def unnamed_event(_caller: Reader) -> Response:
    """Answer 400: the event's id is missing."""
    raise definitions.unnamed()


@router.get("/event/{eventId}", summary="Get an event", openapi_extra=described.GET_EVENT)
async def get_event(request: Request, caller: Reader, eventId: str) -> Response:  # noqa: N803
    """Answer one event as it is defined."""
    return await definitions.get(request, caller, eventId)


@router.get("/analytics/streak", summary="Analyse a streak", openapi_extra=described.STREAK)
async def analyse_streak(request: Request, caller: Reader) -> Response:
    """Answer a streak's figures over all users; null where nobody has taken part."""
    return await streaks.analytics(request, caller)


@router.get("/stats/event", summary="Count events", openapi_extra=described.STATS)
async def count_events(request: Request, caller: Reader) -> Response:
    """Answer what all events, or one, came to in some days of the project's time zone."""
    return await stats.events(request, caller)


@router.get("/leaderboard", summary="Rank users by points", openapi_extra=described.LEADERBOARD)
async def rank_users(request: Request, caller: Reader) -> Response:
    """Answer the top of a leaderboard: of a month (this one by default), or of the last days."""
    return await boards.leaderboard(request, caller)


@router.get("/user/{id:path}/rank", summary="A user's ranks", openapi_extra=described.RANK)
async def rank_user(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a user's points and rank of the last 7, 30 and 365 days, and who stands beside."""
    return await boards.rank(request, _own(caller, id), id)


@router.get("/user/{id:path}/points", summary="A user's points", openapi_extra=described.POINTS)
async def user_points(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a user's balances, now or as they were."""
    _own(caller, id)
    moment = as_of(request)
    if moment is None:
        return await users.points(request, caller, id)
    return await past.points(request, caller, id, moment)


@router.get(
    "/user/{id:path}/challenge", summary="A user's challenges", openapi_extra=described.CHALLENGE
)
async def user_challenges(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer the challenges that run now, with the user's progress in their present period."""
    return await users.challenges(request, _own(caller, id), id)


@router.get("/user/{id:path}/streak", summary="A user's streaks", openapi_extra=described.STREAKS)
async def user_streaks(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer the streaks that a user takes or took part in, now or as they were."""
    _own(caller, id)
    moment = as_of(request)
    if moment is None:
        return await streaks.of_user(request, caller, id)
    return await past.streaks(request, caller, id, moment)


@router.get(
    "/user/{id:path}/why-not",
    summary="Why a milestone is not reached",
    openapi_extra=described.WHY_NOT,
)
async def why_not_reached(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer how far a user is from a milestone, and which of its logs are nothing to it, and why.

    With `uniqueIdentifier` that log alone is answered: one that counts does so once, and its
    repeats are duplicates.
    """
    return await why_not.of_user(request, _own(caller, id), id)


@router.post("/user/{id:path}/spend", summary="Spend points", openapi_extra=described.SPEND)
async def spend_points(request: Request, caller: Mover, id: str) -> Response:  # noqa: A002
    """Take points from what is available, all of them or none.

    A repetition with the same `uniqueIdentifier` takes none and is answered as the first time; so
    it is with the other calls that move points.
    """
    return await spending.spend(request, caller, id)


@router.post("/user/{id:path}/hold", summary="Hold points", openapi_extra=described.HOLD)
async def hold_points(request: Request, caller: Mover, id: str) -> Response:  # noqa: A002
    """Reserve points, all of them or none, until they are captured, released, or lapse."""
    return await spending.hold(request, caller, id)


@router.post(
    "/user/{id:path}/hold/{holdIdentifier:path}/capture",
    summary="Capture a hold",
    openapi_extra=described.CAPTURE,
)
async def capture_hold(request: Request, caller: Mover) -> Response:
    """Spend what a hold reserves, or a part of it; the rest is released."""
    return await spending.capture(request, caller)


@router.post(
    "/user/{id:path}/hold/{holdIdentifier:path}/release",
    summary="Release a hold",
    openapi_extra=described.RELEASE,
)
async def release_hold(request: Request, caller: Mover) -> Response:
    """Give back what a hold reserves."""
    return await spending.release(request, caller)


@router.post("/user/{id:path}/adjust", summary="Adjust points", openapi_extra=described.ADJUST)
async def adjust_points(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Give points by hand, or take them where they are below 0, all of them or none."""
    return await spending.adjust(request, caller, id)


@router.post("/event/{id}/void", summary="Void an event", openapi_extra=described.VOID_EVENT)
async def void_event(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Take an event back, or a part of it, by its log's id: its points and what it fed.

    A repetition with the same `uniqueIdentifier` is answered as the first time, and acts once.
    """
    return await voids.event(request, caller, id)


@router.post(
    "/user/{id:path}/void", summary="Void by natural key", openapi_extra=described.VOID_OF_USER
)
async def void_of_user(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Take back something of a user's, or a part of it: named by what its sender named it.

    A repetition with the same `uniqueIdentifier` is answered as the first time, and acts once.
    """
    return await voids.of_user(request, caller, id)


@router.get("/user/{id:path}/tier", summary="A user's tiers", openapi_extra=described.TIERS)
async def user_tiers(request: Request, caller: Reader, id: str) -> Response:  # noqa: A002
    """Answer a user's tier in each set, what it is judged by, and what the next one takes; now, or
    as it was."""
    _own(caller, id)
    moment = as_of(request)
    if moment is None:
        return await tiers.of_user(request, caller, id)
    return await past.tiers(request, caller, id, moment)


@router.post("/user/{id:path}/tier", summary="Assign a tier", openapi_extra=described.ASSIGN_TIER)
async def assign_tier(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Assign a user a tier until a moment, or until that is ended (`tierId` null).

    A repetition with the same `uniqueIdentifier` is answered as the first time, and acts once.
    """
    return await tiers.assign(request, caller, id)


@router.get("/user/{id:path}/export", summary="Export a user", openapi_extra=described.EXPORT)
async def export_user(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Answer all that is held of a user: the profile, and every row that is about it."""
    return await privacy.export(request, caller, id)


@router.post("/user/{id:path}/forget", summary="Forget a user", openapi_extra=described.FORGET)
async def forget_user(request: Request, caller: Admin, id: str) -> Response:  # noqa: A002
    """Forget who a user is: its id, what it did and what it has stay, and name nobody.

    A repetition is answered as the first time. Who comes back begins without names.
    """
    return await privacy.forget(request, caller, id)


def _own(caller: Caller, user_id: str) -> Caller:
    """Return the caller where it may ask about this user; see `require_own`."""
    require_own(caller, user_id)
    return caller
