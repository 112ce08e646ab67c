"""Kafka Streams with at_least_once, its stores cached."""

from tests.bench.peers.kafka_streams import Variant

_VARIANT = Variant("at_least_once_cached", guarantee="at_least_once", cached=True)
PEER = _VARIANT.peer()

if __name__ == "__main__":
    _VARIANT.become()
