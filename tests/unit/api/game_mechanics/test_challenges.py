"""Which challenges there are, and what is shown of a user in them."""

from decimal import Decimal
from typing import Any

import msgspec

from api.faces.game_mechanics.challenge_status import achievements, challenges
from api.queries.standings import Points, Ranks
from processor.domain.definitions import Definitions
from schemas import definitions as models

NOW = 1_763_700_000_000


def defined() -> Definitions:
    definitions = Definitions()
    given: list[tuple[str, str, dict[str, Any]]] = [
        ("acme", "event", {"eventId": "e", "title": "E", "reward": {"default": 1}}),
        (
            "acme",
            "event",
            {"eventId": "r", "title": "R", "reward": {"default": 1}, "challengeGroup": "books"},
        ),
        ("acme", "wallet", {"id": "vip", "name": "VIP"}),
        (
            "other",
            "event",
            {
                "eventId": "o",
                "title": "O",
                "reward": {"default": 1},
                "challengeGroup": "theirs",
            },
        ),
    ]
    for offset, (project, kind, fields) in enumerate(given):
        value = models.encode(models.parse(kind, fields))
        key = models.definition_key(project, kind, str(fields.get("eventId", "vip")))
        definitions.apply(key.encode(), value, offset, NOW)
    return definitions


def test_challenges_are_those_of_definitions_and_of_balances() -> None:
    assert challenges(defined(), "acme", ["old"]) == ["_default", "books", "old", "vip"]
    assert challenges(defined(), "nobody", []) == ["_default"]


def test_a_rank_is_shown_only_with_points() -> None:
    points = [Points("_default", Decimal(20), Decimal(0)), Points("books", Decimal(0), Decimal(5))]
    ranks = [Ranks("_default", 2, 9), Ranks("books", 8, 1)]
    assert msgspec.json.encode(achievements(["_default", "books", "new"], points, ranks)) == (
        b'[{"challengeID":"_default","pointsTotal":20,"points7Days":0,"rank":2},'
        b'{"challengeID":"books","pointsTotal":0,"points7Days":5,"rank7Days":1},'
        b'{"challengeID":"new","pointsTotal":0,"points7Days":0}]'
    )
