"""Kafka Streams with at_least_once, its stores not cached."""

from tests.bench.peers.kafka_streams import Variant

_VARIANT = Variant("at_least_once", guarantee="at_least_once", cached=False)
PEER = _VARIANT.peer()

if __name__ == "__main__":
    _VARIANT.become()
