"""Numbering a producer's records as Kafka does: after 2^31 - 1 comes 0.

aiokafka goes on at -2^31, which a broker refuses: two days at full load, for one producer and
partition.
"""

from typing import Any

from aiokafka.producer.transaction_manager import TransactionManager

_NUMBERS = 2**31


def install() -> None:
    """Have every producer of this process number its records so."""
    TransactionManager.increment_sequence_number = _increment


def _increment(manager: Any, place: Any, records: int) -> None:
    numbers = manager._sequence_numbers
    numbers[place] = (numbers[place] + records) % _NUMBERS
