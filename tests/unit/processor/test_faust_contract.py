"""What the chunk path relies on inside Faust, held to the source that it was written against.

Faust's private methods may change in any release. When one of these does, read it again, see
whether ``chunk_transport``, ``recovery``, ``state_table`` or ``group_topics`` still mean the same,
run the fault tests, and only then take its new fingerprint.
"""

import hashlib
import inspect
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.consumer import fetcher, group_coordinator, subscription_state
from faust._cython import streams as cython_streams
from faust.app.base import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.conductor import ConductorCompiler
from faust.transport.drivers import aiokafka as driver

RELIED_UPON: list[tuple[Any, str]] = [
    (consumer.Consumer.getmany, "4b168d84882a70d6"),
    (consumer.Consumer._wait_next_records, "6218e1969a636b3f"),
    (consumer.Consumer._new_offset, "1d2c7ea89a7ad4f1"),
    (consumer.Consumer._add_gap, "4df2573ded7c1c2c"),
    (consumer.Consumer._commit_offsets, "1a69799041188441"),
    (consumer.Consumer._commit_tps, "a20e230b05ae8b15"),
    (consumer.Consumer._drain_messages, "44a2500309e83c63"),
    (consumer.Consumer.perform_seek, "0e8c130ff4b0afd8"),
    (consumer.Consumer.wait_empty, "e4662fe24f094819"),
    (consumer.Consumer.ack, "5fcf41cf45153475"),
    (consumer.Consumer.on_partitions_revoked, "d04b7ae72c6fc206"),
    (consumer.Consumer._get_active_partitions, "b24897f3c7afdb5d"),
    (driver.AIOKafkaConsumerThread._create_worker_consumer, "c2701bfc3e6f6cad"),
    (driver.AIOKafkaConsumerThread._fetch_records, "39a2c6c79fc1455a"),
    (driver.AIOKafkaConsumerThread.seek_to_committed, "775ab0adc4b052ab"),
    (ConductorCompiler.build, "837cf521368c1ee4"),
    (Recovery._restart_recovery.fun, "6bd8a8558a2dffe4"),
    (Recovery.on_recovery_completed, "6ef567acf072e46d"),
    (Recovery._build_highwaters, "91b4cc0d3724ae7b"),
    (Recovery._build_offsets, "27eec86be06cb51f"),
    (Recovery._seek_offsets, "19598ca63d94d250"),
    (Recovery._wait, "ec7429b70176f8c6"),
    (Recovery._slurp_changelogs.fun, "7825c7e50f766d5a"),
    (Recovery.on_rebalance, "aa4d997a1795ceae"),
    (TableManager._update_channels, "88e3941facc934d6"),
    (TableManager.on_rebalance, "2d2c23a07bf54328"),
    (App._on_partitions_revoked, "d5c895bbe57dc73a"),
    (App._on_partitions_assigned, "de932b7927db85b3"),
    (fetcher.Fetcher.fetched_records, "be4348896b9b66af"),
    (fetcher.FetchResult.check_assignment, "b5340df67e3f330f"),
    (fetcher.FetchResult.getall, "3e717e30de5068d5"),
    (group_coordinator.CoordinatorGroupRebalance._on_join_leader, "c57a3e85197dcc20"),
    (group_coordinator.CoordinatorGroupRebalance.perform_group_join, "ff2c2109b2e9868d"),
    (group_coordinator.GroupCoordinator._do_rejoin_group, "3cb016c98a087a71"),
    (group_coordinator.GroupCoordinator._perform_assignment, "a5cf61fa97320199"),
    (subscription_state.Assignment, "ce6859542c70a3d4"),
]


def fingerprint(function: Any) -> str:
    """Return a short hash of a function's source."""
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("function", "known"), RELIED_UPON, ids=lambda x: getattr(x, "__qualname__", x)
)
def test_faust_is_as_the_chunk_path_knows_it(function: Any, known: str) -> None:
    assert fingerprint(function) == known, (
        f"{function.__qualname__} of Faust {version('faust-streaming')} or aiokafka was not read"
    )


def test_the_compiled_stream_iterator_is_there() -> None:
    """The pure-Python one acknowledges events of an old generation that it never handed out."""
    assert str(cython_streams.__file__).endswith(".so")
