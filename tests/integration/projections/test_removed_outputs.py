"""Outputs that were removed before they were projected are missed loudly, and stop nobody."""

import logging

import pytest

from projections.metrics import Metrics
from projections.rebuild import rebuild
from projections.runner import Runner
from schemas.settings import Settings
from schemas.topics import MEMBER_EVENTS
from tests.integration.projections.driving import caught_up, projecting, table, writing
from tests.integration.removing import remove_before
from tests.unit.projections.events import member_upserted


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of removed records."""
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    return [message for message in errors if "LOST" in message]


async def test_a_projector_says_what_was_removed_while_it_was_away_and_goes_on(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)
    topic = settings.topic(MEMBER_EVENTS)
    everywhere = {(MEMBER_EVENTS, number): -1 for number in range(settings.partitions)}
    metrics = Metrics()
    async with writing(settings) as writer:
        for number in range(2, 9):
            await writer.commit(member_upserted(number, number))
        begins = await remove_before(settings, everywhere)
        caplog.clear()
        async with projecting(Runner(settings, metrics=metrics)):
            await writer.commit(member_upserted(9, 9))
            await caught_up(settings)
    assert len(table(settings, "members")) == 2
    counted = metrics.registry.get_sample_value(
        "milestream_projector_records_removed_total", {"topic": topic}
    )
    assert counted == sum(begins.values()) - 2  # member 1 and the marker behind it
    assert lost(caplog)
    assert all(topic in message for message in lost(caplog))


async def test_a_rebuild_says_what_its_topics_do_not_have_any_more(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(member_upserted(1, 1))
        await caught_up(settings)
    everywhere = {(MEMBER_EVENTS, number): -1 for number in range(settings.partitions)}
    await remove_before(settings, everywhere)
    caplog.clear()
    await rebuild(settings, "members", lambda _done, _total: None)
    assert table(settings, "members") == []
    (said,) = lost(caplog)
    assert "member-events" in said
