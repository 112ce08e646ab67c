"""Kafka Streams with exactly_once_v2, its stores cached."""

from tests.bench.peers.kafka_streams import Variant

_VARIANT = Variant("exactly_once_cached", guarantee="exactly_once_v2", cached=True)
PEER = _VARIANT.peer()

if __name__ == "__main__":
    _VARIANT.become()
