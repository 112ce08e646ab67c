"""Where consumers are made: all of them, so that all read what anybody may have written."""

from typing import Any

from aiokafka import AIOKafkaConsumer

from schemas.kafka import fetch_sessions, group_topics, lenient_records, metadata_pace
from schemas.settings import Settings


def consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer, not started yet, that commits nothing, reads leniently, fetches with
    sessions, follows the leaders of its partitions, asks for them at a pace and shares no group out
    half known.

    ``options`` are aiokafka's; where the brokers are and the login come from the settings.

    Raises:
        SettingsError: a certificate or key file cannot be read.
    """
    lenient_records.install()
    fetch_sessions.install()
    group_topics.install()
    metadata_pace.install()
    return AIOKafkaConsumer(**settings.kafka_options(), enable_auto_commit=False, **options)
