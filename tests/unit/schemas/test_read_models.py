"""The catalogues of event types and read models agree with what is built from them."""

from pathlib import Path

import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from api.kafka.barrier import Barrier
from api.metrics import Metrics
from projections.catalogue import PROJECTIONS
from projections.projection import of_events
from schemas import outputs
from schemas.event_types import (
    CHALLENGE_COMPLETED,
    EVENT_TYPES,
    POINTS_EXPIRING,
    POINTS_REFUSED,
)
from schemas.read_models import READ_MODELS
from schemas.settings import Settings
from schemas.topics import OUTPUT_TOPICS


def test_every_read_model_is_projected_and_none_besides() -> None:
    assert PROJECTIONS.keys() == READ_MODELS.keys()


IN_NO_TABLE = {POINTS_REFUSED, POINTS_EXPIRING}
"""They change nothing, and are for those who listen."""


def test_every_event_type_is_taken_by_a_read_model() -> None:
    taken = set[object]().union(*(projection.types for projection in PROJECTIONS.values()))
    assert taken == set(EVENT_TYPES.values()) - IN_NO_TABLE


def test_every_event_type_goes_to_an_output_topic_and_has_data_of_a_known_kind() -> None:
    for name, event_type in EVENT_TYPES.items():
        assert event_type.name == name
        assert event_type.topic in OUTPUT_TOPICS
        assert event_type.data in outputs.Data.__args__


def test_a_read_model_takes_no_events_of_another_topic() -> None:
    with pytest.raises(ValueError, match="members is not made from progress-events"):
        of_events("members", events={CHALLENGE_COMPLETED: lambda _: ()}, columns=("a",), key=("a",))


async def test_a_read_that_waits_for_no_read_model_fails_loudly(tmp_path: Path) -> None:
    pool = AsyncConnectionPool[AsyncConnection]("", open=False)
    barrier = Barrier(Settings(data_dir=tmp_path), pool, Metrics())
    try:
        with pytest.raises(KeyError, match="no read model challenge_lags"):
            await barrier.wait(["challenge_lags"])
    finally:
        await barrier.stop()
