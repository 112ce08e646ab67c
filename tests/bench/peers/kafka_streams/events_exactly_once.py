"""Kafka Streams with exactly_once_v2, its stores not cached, that folds events."""

from tests.bench.peers.kafka_streams import Variant

_VARIANT = Variant("events_exactly_once", guarantee="exactly_once_v2", cached=False, events=True)
PEER = _VARIANT.peer()

if __name__ == "__main__":
    _VARIANT.become()
