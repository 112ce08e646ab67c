"""Writing a chunk, once: one Kafka transaction, by a producer that belongs to the partition.

The transactional id is application + partition, so a new owner of the partition fences the old one
(InitProducerId), whatever the consumer group thinks of either. This fence must stand before the
changelog's end is read.

``producer``   a chunk's effects as records, and the partitions that this worker has
``batches``    records as Kafka's record batches, which ``packing`` fills
``writer``     a transaction's requests, what their answers mean, and what may be sent again
``brokers``    who leads a partition and who coordinates a producer
``requests``   the layouts of requests that aiokafka does not have
"""

from processor.transactions.errors import Fenced, Overdue, RecordTooLarge, Superseded
from processor.transactions.producer import PartitionProducer, Producers, always

__all__ = [
    "Fenced",
    "Overdue",
    "PartitionProducer",
    "Producers",
    "RecordTooLarge",
    "Superseded",
    "always",
]
