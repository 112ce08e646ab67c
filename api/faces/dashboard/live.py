"""What happens now: flow, latency, lag, and the newest milestones and rewards."""

from collections.abc import Hashable
from functools import partial

from fastapi import Request, Response

from api import resources
from api.auth.access import Caller
from api.faces.dashboard.answers import NEWEST, Reader, answer_of, exactly, page_router, refusals
from api.http.responses import encoded
from api.queries.dashboard import live as queries
from api.resources import Resources

router = page_router()

FLOW_SECONDS = 10
DEAD_LETTER_SECONDS = 60


@router.get("/dashboard/data", summary="What the live page shows", openapi_extra=refusals())
async def data(request: Request, caller: Reader) -> Response:
    """Answer flow, latency, lag, and the newest milestones and rewards of the caller's project.

    All who look are given the same answer within a second. `replies` counts those of all projects
    by the seconds that they took at most, since the processes started. `askAgainSeconds` is when to
    ask again: later, the more look.
    """
    held = resources.of(request)
    held.viewing_pace.came(_viewer(request, caller))
    shown = partial(_shown, held, caller.project)
    return answer_of(await held.shared_answers.get(caller.project, shown))


def _viewer(request: Request, caller: Caller) -> Hashable:
    """Return who looks: a key may be typed into many browsers, and a session is one browser's."""
    host = request.client.host if request.client else None
    return caller.session or caller.key, host


async def _shown(held: Resources, project: str) -> bytes:
    async with held.reads.connection() as connection:
        logs, events = await queries.flow(connection, project, FLOW_SECONDS)
        dead = await queries.dead_letters_per_second(connection, project, DEAD_LETTER_SECONDS)
        age = await queries.newest_age(connection, project) if logs or events else None
        milestones = await queries.newest_milestones(connection, project, NEWEST)
        rewards = await queries.newest_rewards(connection, project, NEWEST)
    replies = [[bound, count] for bound, count in held.metrics.reply_buckets().items()]
    shown = {
        "project": project,
        "askAgainSeconds": round(held.viewing_pace.seconds(), 1),
        "logsPerSecond": logs,
        "eventsPerSecond": events,
        "deadLettersPerSecond": dead,
        "newestAge": age,
        "replies": [[None if bound == float("inf") else bound, count] for bound, count in replies],
        "lag": {"records": held.lag.records, "seconds": round(held.lag.seconds, 1)},
        "withoutWorker": len(held.ticks.still()),
        "milestones": milestones,
        "rewards": rewards,
    }
    return encoded(exactly(shown))
