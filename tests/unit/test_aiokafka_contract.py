"""What ``schemas.kafka`` and the watch rely on inside aiokafka, held to the source they know.

aiokafka's private parts may change in any release. When one of these does, read it again, see
whether ``schemas.kafka`` and ``processor.membership`` still mean the same, run the tests of
membership, and only then take its new fingerprint.
"""

from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator, NoGroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.sender import Sender
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

from tests.unit.processor.test_faust_contract import fingerprint

RELIED_UPON: list[tuple[Any, str]] = [
    (GroupCoordinator.__init__, "9e729f077efc4f3a"),
    (GroupCoordinator._coordination_routine, "75273e127d4a4f5d"),
    (GroupCoordinator._GroupCoordinator__coordination_routine, "f814463c6b44a195"),
    (GroupCoordinator._push_error_to_user, "743ff515bd7e2e38"),
    (GroupCoordinator.ensure_active_group, "33c84c1a93012e81"),
    (GroupCoordinator._start_heartbeat_task, "358d0cfad997f2e6"),
    (GroupCoordinator._heartbeat_routine, "61d01028952239d0"),
    (GroupCoordinator._do_heartbeat, "dc1d6632aaa68e96"),
    (GroupCoordinator.start_commit_offsets_refresh_task, "09f8ca6fe7f3152b"),
    (NoGroupCoordinator.__init__, "c13d479da1df9806"),
    (Fetcher.__init__, "bf21ecb7e0f210b7"),
    (Fetcher._update_fetch_positions, "d7774d8241dc6a7e"),
    (Fetcher._fetch_requests_routine, "2a8ec5932644c9b0"),
    (Fetcher._proc_fetch_request, "59bf948fff47eed5"),
    (Fetcher._get_actions_per_node, "1dab2cf937d165d0"),
    (FetchRequest.__init__, "f31b6b74cc94dae4"),
    (FetchRequest.build, "952ef0f41192efc3"),
    (SubscriptionState.fetch_context, "ff2a654dca239cfe"),
    (SubscriptionState.fetcher_idle_time.fget, "45289bef04d7a4e3"),
    (Sender.start, "ef0a0cbbf1f69e7d"),
    (Sender._sender_routine, "2380dc5e333d9ebd"),
    (AIOKafkaClient._md_synchronizer, "e0421bffa9a7735a"),
    (AIOKafkaClient._metadata_update, "06dc51ed3e0d38b8"),
    (_DefaultRecordBatchPy._maybe_uncompress, "c9d0dc2bed50cc86"),
    (_MemoryRecordsPy._cache_next, "7bb73a2eabca4ee3"),
]


@pytest.mark.parametrize(
    ("function", "known"), RELIED_UPON, ids=lambda x: getattr(x, "__qualname__", x)
)
def test_aiokafka_is_as_its_watch_knows_it(function: Any, known: str) -> None:
    assert fingerprint(function) == known, (
        f"{function.__qualname__} of aiokafka {version('aiokafka')} was not read"
    )
