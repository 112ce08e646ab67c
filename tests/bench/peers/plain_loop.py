"""The limit: no framework, a loop over fetches, RocksDB, and one transaction a fetch.

It knows nothing of rebalances, recovery, definitions, bad input or replies. What a Python process
could do at most, if it did nothing else.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rocksdict import Options, Rdict, WriteBatch

from schemas.amounts import format_amount, parse_amount
from schemas.kafka.batches import Batches
from schemas.settings import Settings
from schemas.topics import CHALLENGE_LOGS
from tests.bench.peers import CHANGELOG, MILESTONES, OUTPUTS, Peer, output_padding

PEER = Peer(
    name="plain aiokafka loop (the limit)",
    guarantee="exactly once",
    command=("-m", "tests.bench.peers.plain_loop"),
)


class _Owner(msgspec.Struct, rename="camel"):
    external_id: str


class _Log(msgspec.Struct, rename="camel"):
    challenge_id: str
    owned_by: _Owner
    activity_at: str
    activity_id: str
    unique_identifier: str
    activity_value: msgspec.Raw


class _Output(msgspec.Struct):
    id: str
    member: str
    progress: str
    reached: list[int]
    padding: str


_DECODE = msgspec.json.Decoder(_Log).decode
_ENCODE = msgspec.json.Encoder().encode
_PADDING = output_padding()
_TARGETS = {name: target * 10**9 for name, target in MILESTONES.items()}


async def main(settings: Settings) -> None:
    """Fold what is there and what comes, until killed."""
    topic = settings.topic(CHALLENGE_LOGS)
    stores = [
        Rdict(str(Path(os.environ["BENCH_DIR"]) / f"plain-{p}"), options=Options(raw_mode=True))
        for p in range(settings.partitions)
    ]
    consumer = AIOKafkaConsumer(
        **settings.kafka_options(),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        **settings.kafka_options(),
        transactional_id=f"{settings.topic_prefix}plain-loop",
        compression_type="zstd",
        max_batch_size=900_000,
        max_request_size=4 << 20,
        retry_backoff_ms=10,
    )
    async with consumer, producer:
        consumer.assign([TopicPartition(topic, p) for p in range(settings.partitions)])
        done = 0
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=4000)
            for partition, records in fetched.items():
                await _fold(settings, producer, stores[partition.partition], partition, records)
                done += len(records)
            print(done, flush=True)


async def _fold(
    settings: Settings,
    producer: AIOKafkaProducer,
    store: Any,
    partition: TopicPartition,
    records: Sequence[Any],
) -> None:
    logs = [_DECODE(record.value) for record in records]
    sums = [
        record.key + log.challenge_id.encode() for record, log in zip(records, logs, strict=True)
    ]
    seen = [key + log.unique_identifier.encode() for key, log in zip(sums, logs, strict=True)]
    keys = [*dict.fromkeys(sums), *dict.fromkeys(seen)]
    state: dict[bytes, bytes | None] = dict(zip(keys, store.get(keys), strict=True))
    written: dict[bytes, bytes] = {}
    batches, number = Batches(producer), partition.partition
    output = settings.topic(OUTPUTS)
    for record, log, key, identity in zip(records, logs, sums, seen, strict=True):
        if state[identity] is not None:
            continue
        before = int(state[key] or 0)
        total = before + parse_amount(bytes(log.activity_value).decode())
        state[identity] = written[identity] = b"1"
        state[key] = written[key] = b"%d" % total
        reached = [name for name, target in _TARGETS.items() if before < target <= total]
        made = _Output(
            identity.decode(), record.key.decode(), format_amount(total), reached, _PADDING
        )
        batches.add(output, number, record.key, _ENCODE(made))
    changelog = settings.topic(CHANGELOG)
    for key, value in written.items():
        batches.add(changelog, number, key, value)
    async with producer.transaction():
        await batches.send()
        await producer.send_offsets_to_transaction(
            {partition: records[-1].offset + 1}, f"{settings.topic_prefix}plain-loop"
        )
    batch = WriteBatch(raw_mode=True)
    for key, value in written.items():
        batch.put(key, value)
    store.write(batch)


if __name__ == "__main__":
    asyncio.run(main(Settings.from_env(local_stack=False)))
