"""The bytes of requests that aiokafka does not have, by Kafka's own message definitions."""

import io

import pytest

from processor.transactions.requests import (
    ApiVersions,
    ApiVersionsResponseV3,
    Commit,
    CommitAndRenew,
    EndTxnResponseV5,
    InitProducerId,
    InitProducerIdResponseV4,
    ProduceInTransaction,
    ProduceResponseV12,
)

VERSIONS = {0: (3, 13), 18: (0, 4), 22: (0, 5), 26: (0, 5)}
ID = b"\x04app"
"""A compact string: its length and one, then itself."""
PRODUCER = (7).to_bytes(8, "big") + (3).to_bytes(2, "big")


def test_a_producer_takes_its_id() -> None:
    request = InitProducerId("app", 10_000)
    assert request.prepare(VERSIONS).encode() == (
        ID + (10_000).to_bytes(4, "big") + b"\xff" * 8 + b"\xff" * 2 + b"\0"
    )
    assert request.prepare({22: (0, 1)}).encode() == b"\0\x03app" + (10_000).to_bytes(4, "big")
    answer = InitProducerIdResponseV4.decode(bytes(4) + bytes(2) + PRODUCER + b"\0")
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (0, 7, 3)


def test_a_transaction_ends() -> None:
    assert CommitAndRenew("app", 7, 3).prepare(VERSIONS).encode() == ID + PRODUCER + b"\x01\0"
    assert Commit("app", 7, 3).prepare(VERSIONS).encode() == b"\0\x03app" + PRODUCER + b"\x01"
    answer = EndTxnResponseV5.decode(bytes(4) + b"\0\x33" + PRODUCER + b"\0")
    assert (answer.error_code, answer.producer_id, answer.producer_epoch) == (51, 7, 3)


def test_batches_are_written_in_a_transaction() -> None:
    request = ProduceInTransaction("app", 10_000, {"a": {0: b"xy", 3: b"z"}, "b": {1: b""}})
    assert request.prepare(VERSIONS).encode() == (
        ID + b"\xff\xff" + (10_000).to_bytes(4, "big")
        + b"\x03"
        + b"\x02a" + b"\x03" + bytes(4) + b"\x03xy\0" + b"\0\0\0\x03" + b"\x02z\0" + b"\0"
        + b"\x02b" + b"\x02" + b"\0\0\0\x01" + b"\x01\0" + b"\0"
        + b"\0"
    )  # fmt: skip


def test_an_answer_says_what_became_of_each_partition() -> None:
    fine = bytes(4) + b"\0\0" + (17).to_bytes(8, "big") + b"\xff" * 16 + b"\x01" + b"\0" + b"\0"
    large = b"\0\0\0\x01" + b"\0\x0a" + b"\xff" * 24 + b"\x02" + bytes(4) + b"\x04big\0" + b"\0\0"
    text = b"\x02" + b"\x02a" + b"\x03" + fine + large + b"\0" + bytes(4) + b"\0"
    ((topic, partitions, _),) = ProduceResponseV12.decode(text).topics
    assert topic == "a"
    assert [(partition, code, offset) for partition, code, offset, *_ in partitions] == [
        (0, 0, 17),
        (1, 10, -1),
    ]


def _versions(features: bytes) -> ApiVersionsResponseV3:
    apis = b"\x02" + b"\0\0" + b"\0\x03" + b"\0\x0d" + b"\0"
    tags = b"\x02" + b"\x01" + b"\x08" + bytes(8) + b"\x02" + bytes([len(features)]) + features
    told: ApiVersionsResponseV3 = ApiVersionsResponseV3.decode(
        b"\0\0" + apis + bytes(4) + (tags if features else b"\0")
    )
    return told


@pytest.mark.parametrize(
    ("features", "version"),
    [
        (b"\x02" + b"\x14transaction.version" + b"\0\x02" + b"\0\x02" + b"\0", 2),
        (
            b"\x03" + b"\x0egroup.version" + b"\0\x01\0\x01\0"
            + b"\x14transaction.version" + b"\0\x01\0\x01\0",
            1,
        ),
        (b"\x02" + b"\x0egroup.version" + b"\0\x01\0\x01\0", 0),
        (b"", 0),
    ],
    ids=["2", "1", "not said", "no features"],
)  # fmt: skip
def test_a_cluster_says_which_transactions_it_has(features: bytes, version: int) -> None:
    told = _versions(features)
    assert told.finalized("transaction.version") == version
    assert (told.newest(0), told.newest(26)) == (13, -1)


def test_any_broker_can_be_asked_what_it_can_do() -> None:
    request = ApiVersions().prepare(VERSIONS)
    assert request.encode() == b"\x0bmilestream\x021\0"
    header = request.parse_response_header(io.BytesIO(b"\0\0\0\x09\0\0"))
    assert header.correlation_id == 9
