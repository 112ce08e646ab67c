"""Outputs that were removed before they were projected are missed loudly, and stop nobody."""

import logging

import pytest

from projections.metrics import Metrics
from projections.rebuild import rebuild
from projections.runner import Runner
from schemas.settings import Settings
from schemas.topics import MILESTONE_EVENTS
from tests.integration.projections.driving import caught_up, projecting, table, writing
from tests.integration.removing import remove_before
from tests.unit.projections.events import member_of, milestone_reached


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of removed records."""
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    return [message for message in errors if "LOST" in message]


async def test_a_projector_says_what_was_removed_while_it_was_away_and_goes_on(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        await writer.commit(milestone_reached(member_of(1), "5", 1))
        await caught_up(settings)
    topic = settings.topic(MILESTONE_EVENTS)
    everywhere = {(MILESTONE_EVENTS, number): -1 for number in range(settings.partitions)}
    metrics = Metrics()
    async with writing(settings) as writer:
        for number in range(2, 9):
            await writer.commit(milestone_reached(member_of(number), "5", number))
        begins = await remove_before(settings, everywhere)
        caplog.clear()
        async with projecting(Runner(settings, metrics=metrics)):
            await writer.commit(milestone_reached(member_of(9), "5", 9))
            await caught_up(settings)
    assert len(table(settings, "milestones_reached")) == 2
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
        await writer.commit(milestone_reached(member_of(1), "5", 1))
        await caught_up(settings)
    everywhere = {(MILESTONE_EVENTS, number): -1 for number in range(settings.partitions)}
    await remove_before(settings, everywhere)
    caplog.clear()
    await rebuild(settings, "milestones_reached", lambda _done, _total: None)
    assert table(settings, "milestones_reached") == []
    (said,) = lost(caplog)
    assert "milestone-events" in said
