"""How hard outputs are compressed: zstd's level 1, where aiokafka takes Kafka's default of 3.

Measured on chunks of challenge logs, 2 kB of outputs a log: level 1 takes 2.1 µs, level 3 takes
3.6, and leaves a tenth more. aiokafka has no setting for it.
"""

from functools import partial

from aiokafka.codec import zstd_encode
from aiokafka.record import default_records
from aiokafka.record._crecords import default_records as compiled_records

LEVEL = 1


def install() -> None:
    """Have every producer of this process compress at this level."""
    for module in (compiled_records, default_records):
        module.zstd_encode = partial(zstd_encode, level=LEVEL)
