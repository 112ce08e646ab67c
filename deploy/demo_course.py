"""The demo's pathway, a course at the café: who takes it, and what they do there."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import NamedTuple

from msgspec import Raw

from deploy.demo_people import external_id
from schemas.records import ActivityLog, CheckIn, Enrol, Fulfilment, ReviewActivity, Upload

COURSE = "EV31-BARI-STA1"


class _Activity(NamedTuple):
    """An activity of the course, and how many of those enrolled do something at it on a day."""

    id: str
    share: float


TEST, CUPS, PHOTO = "EVPA-TEST-0005", "EVPA-CUPS-0004", "EVPA-PICT-0006"
_ROASTERY = "EVPA-ROAS-0003"
_ACTIVITIES: Sequence[_Activity] = (
    _Activity("EVPA-FILM-0001", 0.25),
    _Activity("EVPA-SURV-0002", 0.17),
    _Activity(_ROASTERY, 0.09),
    _Activity(CUPS, 0.3),
    _Activity(TEST, 0.08),
    _Activity(PHOTO, 0.06),
    _Activity("EVPA-PODC-0007", 0.03),
)


def takes_it(number: int) -> bool:
    """Tell whether member `number` is enrolled: every third is."""
    return number % 3 == 0


def enrol(user_id: str) -> Enrol:
    """Return the command that enrols somebody; a second one changes nothing."""
    return Enrol(pathway_id=COURSE, user_id=user_id)


def approve(upload: ActivityLog) -> ReviewActivity:
    """Return the command of who looked at a picture and likes it."""
    return ReviewActivity(
        pathway_id=COURSE, activity_id=upload.activity_id, user_id=upload.user_id, approved=True
    )


def step(chance: Random, user_id: str, at: datetime, name: str) -> ActivityLog:
    """Return something that somebody does on the course; the first activities come most often."""
    shares = [each.share for each in _ACTIVITIES]
    (activity,) = chance.choices(_ACTIVITIES, shares)
    return _done(chance, activity, user_id, at, name)


def day(on: date, members: int) -> Iterator[ActivityLog]:
    """Yield what those of `members` people who take the course did there on a day; the same
    whenever it is asked for. Every fourth of them is keen, and does twice as much."""
    midnight = datetime.combine(on, time(), UTC)
    for number in filter(takes_it, range(members)):
        chance = Random(f"course {on} {number}")  # noqa: S311  (nothing here is secret)
        keen = 2 if number % 4 == 0 else 1
        for activity in _ACTIVITIES:
            if chance.random() < keen * activity.share:
                at = midnight + timedelta(seconds=chance.randrange(6 * 3600, 22 * 3600))
                name = f"{on:%Y%m%d}-{number}-{activity.id}"
                yield _done(chance, activity, external_id(number), at, name)


def _done(
    chance: Random, activity: _Activity, user_id: str, at: datetime, name: str
) -> ActivityLog:
    return ActivityLog(
        pathway_id=COURSE,
        activity_id=activity.id,
        user_id=user_id,
        occurred_at=at,
        unique_identifier=f"course-{name}",
        fulfilment=_fulfilment(chance, activity.id, name),
    )


def _fulfilment(chance: Random, activity_id: str, name: str) -> Fulfilment:
    """Return what an activity asks for: a score of 40 to 100, some cups, a picture, a place."""
    if activity_id == TEST:
        return Fulfilment(score=_number(chance.randrange(40, 101)))
    if activity_id == CUPS:
        return Fulfilment(value=_number(chance.randrange(2, 7)))
    if activity_id == PHOTO:
        return Fulfilment(upload=Upload(url=f"https://example.org/latte-{name}.jpg"))
    if activity_id == _ROASTERY:
        return Fulfilment(checkin=CheckIn(distance=float(chance.randrange(5, 60))))
    return Fulfilment()


def _number(value: int) -> Raw:
    return Raw(b"%d" % value)
