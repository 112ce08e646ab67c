"""Topics that were made are waited for until each broker knows them: the next client asks any."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from deploy.topics_create import TopicsError, _wait_until_known, catalogue
from schemas.settings import Settings

SETTINGS = Settings.of({"partitions": 2})


def led(partitions: int | None = None) -> list[dict[str, Any]]:
    """Return what a broker says that knows every topic, with so many partitions."""
    return [
        {
            "error_code": 0,
            "topic": name,
            "partitions": [
                {"error_code": 0, "leader": 1}
                for _ in range(partitions or topic.partition_count(SETTINGS.partitions))
            ],
        }
        for name, topic in catalogue(SETTINGS).items()
    ]


def unknown() -> list[dict[str, Any]]:
    """Return what a broker says that does not know the topics yet."""
    return [{"error_code": 3, "topic": name, "partitions": []} for name in catalogue(SETTINGS)]


class Cluster:
    """An admin client of brokers that say one thing after the other."""

    def __init__(self, *answers: Sequence[list[dict[str, Any]]]) -> None:
        self.left = list(answers)

    async def describe_topics_everywhere(self, _: list[str]) -> Sequence[list[dict[str, Any]]]:
        return self.left.pop(0)


def test_a_broker_that_lags_is_waited_for() -> None:
    cluster: Any = Cluster([led(), unknown(), led()], [led(), led(), led()])
    asyncio.run(_wait_until_known(cluster, SETTINGS))
    assert not cluster.left


def test_what_somebody_else_made_with_another_count_is_refused() -> None:
    cluster: Any = Cluster([led(7), led(7)])
    with pytest.raises(TopicsError, match="has 7 partitions"):
        asyncio.run(_wait_until_known(cluster, SETTINGS))
