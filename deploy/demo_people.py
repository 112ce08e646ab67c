"""Invented people, and what they do on a day: the same ones every time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from msgspec import Raw

from schemas.records import ChallengeLog, Owner

SPEND = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a01"
FREE_SHIPPING = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a11"
TEN_OFF = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a12"
VISITS = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a02"
STEPS = "0f4be1a7-6e0c-4a58-9f0d-1c5a9d1d7a03"

_FIRST_NAMES = (
    "Ada", "Amara", "Anton", "Beatriz", "Bruno", "Carla", "Chen", "Daria", "Diego", "Elif",
    "Emil", "Farah", "Finn", "Greta", "Hugo", "Ines", "Ivo", "Jana", "Jonas", "Kira", "Kofi",
    "Lena", "Liam", "Mara", "Mateo", "Mila", "Nadia", "Noah", "Olga", "Omar", "Paula", "Pedro",
    "Rania", "Rosa", "Samir", "Selma", "Tariq", "Tessa", "Uma", "Viktor", "Wanda", "Yara",
    "Yusuf", "Zoe",
)  # fmt: skip
_LAST_NAMES = (
    "Adler", "Baker", "Bauer", "Castro", "Costa", "Demir", "Dubois", "Eriksen", "Fischer",
    "Garcia", "Haas", "Horvat", "Ivanov", "Jansen", "Kaya", "Keller", "Kim", "Klein", "Larsen",
    "Lopez", "Marino", "Mensah", "Meyer", "Moreau", "Nagy", "Novak", "Okafor", "Olsen", "Park",
    "Patel", "Petrov", "Rossi", "Sanchez", "Schmidt", "Silva", "Smith", "Sousa", "Tanaka",
    "Vogel", "Weber", "Wong", "Yilmaz",
)  # fmt: skip
_CITIES = (
    ("Berlin", "DE"), ("Wien", "AT"), ("Zürich", "CH"), ("Lyon", "FR"), ("Porto", "PT"),
    ("Valencia", "ES"), ("Torino", "IT"), ("Utrecht", "NL"), ("Aarhus", "DK"), ("Leeds", "GB"),
)  # fmt: skip

YOU = Owner(external_id="you", first_name="Robin", groups=["gold"])
"""Whoever looks at the demo."""


def person(number: int) -> Owner:
    """Return the member `number` with its profile."""
    chance = Random(f"person {number}")  # noqa: S311  (nothing here is secret)
    first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
    city, country = chance.choice(_CITIES)
    return Owner(
        external_id=external_id(number),
        first_name=first,
        last_name=last,
        email=f"{first}.{last}.{number}@example.org".lower(),
        phone_number=f"+4915{chance.randrange(10**8, 10**9)}",
        city=city,
        country=country,
        groups=[chance.choice(("bronze", "silver", "gold"))],
    )


def external_id(number: int) -> str:
    """Return how the shop calls member `number`."""
    return f"user-{number:05d}"


def purchase(chance: Random, owner: Owner, at: datetime, name: str) -> ChallengeLog:
    """Return an order of 4 to some 200, most of them small."""
    cents = min(19_999, 400 + int(chance.expovariate(1 / 2800)))
    return ChallengeLog(
        challenge_id=SPEND,
        activity_id="made_a_purchase",
        owned_by=owner,
        activity_at=at,
        unique_identifier=f"order-{name}",
        activity_value=Raw(f"{cents // 100}.{cents % 100:02d}".encode()),
    )


def visit(owner: Owner, at: datetime, name: str) -> ChallengeLog:
    """Return a visit to the café."""
    return ChallengeLog(
        challenge_id=VISITS,
        activity_id="visited_cafe",
        owned_by=owner,
        activity_at=at,
        unique_identifier=f"visit-{name}",
    )


def walk(chance: Random, owner: Owner, at: datetime, name: str) -> ChallengeLog:
    """Return a walk of 300 to 14,000 steps."""
    steps = 300 + int(min(13_700, chance.expovariate(1 / 5200)))
    return ChallengeLog(
        challenge_id=STEPS,
        activity_id="walked",
        owned_by=owner,
        activity_at=at,
        unique_identifier=f"walk-{name}",
        activity_value=Raw(str(steps).encode()),
    )


def day(on: date, members: int) -> Iterator[ChallengeLog]:
    """Yield what `members` people did on a day; the same whenever it is asked for."""
    midnight = datetime.combine(on, time(), UTC)
    for number in range(members):
        chance = Random(f"{on} {number}")  # noqa: S311
        owner = person(number)
        name = f"{on:%Y%m%d}-{number}"

        def moment(chance: Random = chance) -> datetime:
            return midnight + timedelta(seconds=chance.randrange(6 * 3600, 22 * 3600))

        if chance.random() < 0.22:
            yield purchase(chance, owner, moment(), name)
        if chance.random() < (0.95 if number % 11 == 0 else 0.30):  # some are regulars
            yield visit(owner, moment(), name)
        for walked in range(chance.choice((0, 1, 2, 2)) + 3 * (number % 9 == 0)):
            yield walk(chance, owner, moment(), f"{name}-{walked}")
