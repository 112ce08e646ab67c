"""The words of ``spec`` for events, points, streaks and ticks."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas import topics
from tests.spec import CHALLENGE, PROJECT, Defined, Fact, Sent, command, milestone, millis

STREAK = "daily-visit"

_JSON = msgspec.json.Encoder(decimal_format="number")

# What is given.


def event_of(id_: str = "visit", *, project: str = PROJECT, **fields: Any) -> Defined:
    """An event's definition: 5 points each time."""
    known = {"id": id_, "title": f"A {id_}", "reward": {"default": 5}}
    return Defined("event", id_, known | fields, project)


def purchase_of(**fields: Any) -> Defined:
    """The definition of ``purchase``: two points for each of ``amount``."""
    known = {"type": "TRANSACTION", "reward": {"default": 2}, "rewardValueField": "amount"}
    return event_of("purchase", **(known | fields))


def condition(field: str, operator: str, value: Any = None) -> dict[str, Any]:
    """One comparison."""
    return {"field": field, "operator": operator, "value": value}


def all_of(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """A group of which every one must hold."""
    return {"type": "AND", "conditions": list(conditions)}


def any_of(*conditions: Mapping[str, Any]) -> dict[str, Any]:
    """A group of which one must hold."""
    return {"type": "OR", "conditions": list(conditions)}


def streak_of(id_: str = STREAK, **fields: Any) -> Defined:
    """A streak's definition: five days with a visit."""
    known = {"id": id_, "eventIds": ["visit"], "targetLength": 5}
    return Defined("streak", id_, known | fields)


def streak_milestone(target: int, **fields: Any) -> Defined:
    """A milestone of ``STREAK``."""
    linked = {"linkedSchemaSlug": "streak", "linkedSchemaRecordId": STREAK}
    return milestone(target, **(linked | fields))


def event(id_: str = "visit", at: str | None = None, /, **fields: Any) -> Sent:
    """An event of Ann's at a time, or when its record arrives; a field that is None is left out."""
    known = {"eventId": id_, "userId": "ann", "occurredAt": at} | fields
    given_ = {name: value for name, value in known.items() if value is not None}
    return Sent(topics.EVENTS, _JSON.encode(given_))


def raw_event(text: str | bytes) -> Sent:
    """A record on ``events`` with exactly this value."""
    return Sent(topics.EVENTS, text.encode() if isinstance(text, str) else text)


def visit(at: str, **fields: Any) -> Sent:
    """A visit of Ann's that arrives when it happens; a day alone means its noon, in UTC."""
    when = at if "T" in at else f"{at}T12:00:00Z"
    return event("visit", when, **fields).arriving(when)


def tick(at: str, **ends: int) -> Sent:
    """A tick at a time (a day alone: its midnight, in UTC), to be folded after ``ends``."""
    when = at if "T" in at else f"{at}T00:00:00Z"
    value = _JSON.encode({"ends": ends})
    return Sent(topics.TICKS, value, timestamp=millis(when), headers=())


def clock_to(at: str, project: str = PROJECT) -> Sent:
    """The control record that moves a project's clock to a time (a day alone: its midnight)."""
    when = at if "T" in at else f"{at}T00:00:00Z"
    value = _JSON.encode({"project": project, "now": when})
    return Sent(topics.TICKS, value, headers=())


def redeem(points: int, identifier: str = "redeem-1", **fields: Any) -> Sent:
    """The command that redeems points of Ann's."""
    known = {"userId": "ann", "points": points, "uniqueIdentifier": identifier}
    return command("redeem-points", **(known | fields))


# What is expected.


def logged(points: int = 5, **fields: Any) -> Fact:
    """``event.logged``."""
    return Fact("event.logged", {"points": points, **fields})


def earned(points: int = 5, **fields: Any) -> Fact:
    """``points.granted``."""
    return Fact("points.granted", {"points": points, **fields})


def redeemed(points: int, **fields: Any) -> Fact:
    """``points.redeemed``; ``points`` as they stand in the log, below 0."""
    return Fact("points.redeemed", {"points": points, **fields})


def advanced(length: int, **fields: Any) -> Fact:
    """``streak.advanced``, with the length of the latest run."""
    return Fact("streak.advanced", {"currentLength": length, **fields})


def broken(first_missed: str, **fields: Any) -> Fact:
    """``streak.broken``, with the first missed period."""
    return Fact("streak.broken", {"periodKey": first_missed, **fields})


def streak_completed(**fields: Any) -> Fact:
    """``streak.completed``."""
    return Fact("streak.completed", fields)


def moved(now: str, **fields: Any) -> Fact:
    """``clock.moved``."""
    when = now if "T" in now else f"{now}T00:00:00Z"
    return Fact("clock.moved", {"now": when, **fields})


def failed(**fields: Any) -> Fact:
    """``challenge.failed``."""
    return Fact("challenge.failed", {"challengeId": CHALLENGE, **fields})
