"""What ``processor.transactions`` relies on inside aiokafka, held to the source it was written
against.

When one of these changes, read it again: whether a request may still be sent a second time where
its answer did not come, whether a closed connection fails what waits on it, and whether metadata
is refreshed when it is asked for. Run the tests of transactions, and only then take its new
fingerprint.
"""

from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol import types
from aiokafka.protocol.api import Request, RequestStruct
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.struct import Struct
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from tests.unit.processor.test_faust_contract import fingerprint

RELIED_UPON: list[tuple[Any, str]] = [
    (AIOKafkaClient.__init__, "edf3d022956032ba"),
    (AIOKafkaClient.bootstrap, "198943b004e55849"),
    (AIOKafkaClient.close, "02119d4d618ae493"),
    (AIOKafkaClient.ready, "79d9637f40fc070e"),
    (AIOKafkaClient.send, "246b277687d7b687"),
    (AIOKafkaClient.set_topics, "9f9b55d6d8997834"),
    (AIOKafkaClient.force_metadata_update, "cb7befef21c8f3f9"),
    (AIOKafkaClient._get_conn, "68ce5d8391719d33"),
    (AIOKafkaClient._metadata_update, "06dc51ed3e0d38b8"),
    (ClusterMetadata.leader_for_partition, "802f7e4f021d9682"),
    (AIOKafkaConnection.send, "5909ea32f4efca49"),
    (AIOKafkaConnection.close, "28f164aa1e4f0bbc"),
    (AIOKafkaConnection._handle_frame, "46a7d9b8cf7ca222"),
    (Request.__init_subclass__, "40acc474dc92252b"),
    (Request.prepare, "3a65d9fdefe34d3f"),
    (RequestStruct, "0c94b7d190186c2a"),
    (Struct, "21658b9171e510cd"),
    (ProduceRequest.build, "269edf27f5f5bd83"),
    (types.TaggedFields, "8dc7ecdf81af42ce"),
    (types.CompactArray, "3051bc618ade780c"),
    (_DefaultRecordBatchBuilderPy, "6f28721e91e237c2"),
]


@pytest.mark.parametrize(
    ("function", "known"), RELIED_UPON, ids=lambda x: getattr(x, "__qualname__", x)
)
def test_aiokafka_is_as_transactions_know_it(function: Any, known: str) -> None:
    assert fingerprint(function) == known, (
        f"{function.__qualname__} of aiokafka {version('aiokafka')} was not read"
    )
