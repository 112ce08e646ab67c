"""What invented people do in the shop's app, as events: on a day that is past, or right now."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

import msgspec
from msgspec import Raw

from deploy.demo_people import person
from schemas.records import Event, OwnedBy

PURCHASE, LOGIN, REVIEW = "purchase_completed", "login", "review_written"

GROUP = "shop"
"""The challenge group of what purchases and reviews give."""

_SOURCES = ("web", "web", "app", "app", "app", "store")


def purchase(chance: Random, owner: OwnedBy, at: datetime | None, name: str) -> Event:
    """Return an order of 4 to some 300; one in 25 is paid with a voucher, and gives nothing."""
    cents = 0 if chance.random() < 0.04 else min(29_999, 400 + int(chance.expovariate(1 / 3500)))
    groups = owner.groups if isinstance(owner.groups, list) else []
    metadata = {
        "amount": Raw(f"{cents // 100}.{cents % 100:02d}".encode()),
        "currency": "EUR",
        "usergroup": [*groups, "default"],
        "source": chance.choice(_SOURCES),
    }
    return _event(PURCHASE, owner, at, name, metadata)


def login(chance: Random, owner: OwnedBy, at: datetime | None, name: str) -> Event:
    """Return a login: the second one of a day is over the limit."""
    return _event(LOGIN, owner, at, name, {"source": chance.choice(_SOURCES)})


def review(chance: Random, owner: OwnedBy, at: datetime | None, name: str) -> Event:
    """Return a review; three in ten are short and without a photo, which is not enough."""
    short = chance.random() < 0.4
    metadata: dict[str, Any] = {
        "stars": chance.choice((1, 2, 3, 4, 4, 5, 5, 5)),
        "length": chance.randrange(5, 80) if short else chance.randrange(80, 900),
        "usergroup": owner.groups,
    }
    if chance.random() < 0.25:
        metadata["photos"] = [f"photo-{name}.jpg"]
    return _event(REVIEW, owner, at, name, metadata)


def _event(
    event_id: str, owner: OwnedBy, at: datetime | None, name: str, metadata: Mapping[str, Any]
) -> Event:
    return Event(
        event_id=event_id,
        user_id=owner.external_id,
        metadata=Raw(msgspec.json.encode(metadata)),
        occurred_at=at,
        idempotency_key=f"{event_id}-{name}",
    )


def day(on: date, members: int) -> Iterator[Event]:
    """Yield what `members` people did on a day; the same whenever it is asked for."""
    midnight = datetime.combine(on, time(), UTC)
    for number in range(members):
        chance = Random(f"events {on} {number}")  # noqa: S311  (nothing here is secret)
        owner = person(number)
        name = f"{on:%Y%m%d}-{number}"

        def moment(chance: Random = chance) -> datetime:
            return midnight + timedelta(seconds=chance.randrange(6 * 3600, 22 * 3600))

        for again in range(_logins(chance, number)):
            yield login(chance, owner, moment(), f"{name}-{again}")
        if chance.random() < 0.12:
            yield purchase(chance, owner, moment(), name)
        if chance.random() < 0.04:
            yield review(chance, owner, moment(), name)


def _logins(chance: Random, number: int) -> int:
    """Return how often someone logs in on a day: every fourth hardly leaves a day out."""
    if chance.random() > (0.93 if number % 4 == 0 else 0.25):
        return 0
    return 2 if chance.random() < 0.1 else 1
