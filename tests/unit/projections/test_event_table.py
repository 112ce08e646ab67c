"""A read model that holds what events say: columns and rows follow from their struct."""

from datetime import datetime

import msgspec
from msgspec import UNSET, Raw, UnsetType

from projections.event_table import event_table
from schemas import outputs
from schemas.event_types import EventType
from schemas.topics import MEMBER_EVENTS


class Said(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    owned_by_id: str
    said_at: datetime | None
    amount: Raw
    tone: str = "plain"
    tags: list[str] = msgspec.field(default_factory=list)
    extra: Raw | UnsetType = UNSET


TYPE = EventType("milestream.member.said.v1", MEMBER_EVENTS, Said, id_seed=None)
TABLE = event_table("members", (TYPE,), ("project", "id"), without=("tags",))


def event(data: bytes) -> outputs.Envelope:
    return outputs.Envelope(
        id="e",
        source=outputs.source_of("acme"),
        type=TYPE.name,
        subject="m",
        time=datetime.fromisoformat("2026-11-21T10:00:00Z"),
        sequence=outputs.sequence_text(7),
        data=Raw(data),
    )


def test_its_columns_are_the_project_the_fields_and_the_sequence() -> None:
    assert TABLE.columns == (
        "project", "id", "member_id", "said_at", "amount", "tone", "extra", "sequence",
    )  # fmt: skip


def test_times_and_numbers_stay_the_text_that_they_were() -> None:
    data = b'{"id":"i","ownedById":"m","saidAt":"2026-11-21T10:00:00Z","amount":1.50,"tone":"loud"}'
    (row,) = TABLE.rows(event(data))
    assert row == ("acme", "i", "m", "2026-11-21T10:00:00Z", "1.50", "loud", None, 7)


def test_an_event_that_was_written_before_a_field_was_there_has_its_default() -> None:
    (row,) = TABLE.rows(event(b'{"id":"i","ownedById":"m","saidAt":null,"amount":2}'))
    assert row == ("acme", "i", "m", None, "2", "plain", None, 7)


def test_json_that_an_event_may_leave_out_is_null_or_as_it_was() -> None:
    data = b'{"id":"i","ownedById":"m","saidAt":null,"amount":2,"extra":{"a.b":1.50}}'
    (row,) = TABLE.rows(event(data))
    assert row == ("acme", "i", "m", None, "2", "plain", '{"a.b":1.50}', 7)


class Shouted(msgspec.Struct, rename="camel", kw_only=True):
    id: str
    owned_by_id: str
    tone: str
    echoes: int | None = None


def test_a_field_that_not_all_of_its_events_have_has_its_default_there() -> None:
    shouted = EventType("milestream.member.shouted.v1", MEMBER_EVENTS, Shouted, id_seed=None)
    only = ("id", "tone", "echoes")
    table = event_table("members", (shouted, TYPE), ("project", "id"), only=only)
    rows = [*table.rows(event(b'{"id":"i","ownedById":"m","saidAt":null,"amount":2}'))]
    loud = msgspec.structs.replace(
        event(b'{"id":"j","ownedById":"m","tone":"loud","echoes":3}'), type=shouted.name
    )
    assert [*rows, *table.rows(loud)] == [
        ("acme", "i", "plain", None, 7),
        ("acme", "j", "loud", 3, 7),
    ]
