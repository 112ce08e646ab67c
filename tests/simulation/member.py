"""The group's consumer inside of a worker: aiokafka's own, without what talks to sockets.

Its positions, its seeks, its hand-out of records (``Fetcher.fetched_records``, ``FetchResult``) and
its assignments (``SubscriptionState``) are the real ones. The background fetch and the membership
are written anew, in the order of events that aiokafka has.
"""

import asyncio
import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CommitFailedError

from tests.simulation.broker import Entry
from tests.simulation.clients import hand_out
from tests.simulation.group import Group
from tests.simulation.wire import Wire

HEARTBEAT_SECONDS = (2.0, 0.5, 0.05)
"""When the next heartbeat tells of a rebalance: at the latest after the configured time."""
LONG_POLL_SECONDS = 0.5
"""So long does a fetch wait for records where nothing is there. The production's is shorter; what
comes meanwhile ends the wait, so only the number of steps differs."""


class Portion:
    """What a fetch brought of one partition, as aiokafka's ``PartitionRecords``."""

    def __init__(self, records: Sequence[Entry], first: int, reached: int) -> None:
        self._records = collections.deque(records)
        self._reached = reached
        self.next_fetch_offset = first

    def __iter__(self) -> Iterator[Entry]:
        return self

    def __next__(self) -> Entry:
        if not self._records:
            self.next_fetch_offset = self._reached  # markers and aborted records are passed
            raise StopIteration
        record = self._records.popleft()
        self.next_fetch_offset = record.offset + 1
        return record


class SimulatedFetcher(Fetcher):  # type: ignore[misc]
    """Fetches ahead of what is handed out, one request at a time, as from one broker."""

    def __init__(self, wire: Wire, subscriptions: SubscriptionState) -> None:
        # aiokafka's would begin to fetch through sockets.
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._subscriptions = subscriptions
        self._records: dict[TopicPartition, FetchResult] = collections.OrderedDict()
        self._fetch_waiters: set[asyncio.Future[None]] = set()
        self._wait_consume_future = None
        self._closed = False
        self._changed = wire.cluster.changes()
        subscriptions.register_fetch_waiters(self._fetch_waiters)

    def _notify(self, future: Any) -> None:
        super()._notify(future)
        self._changed.set()  # called as records are handed out, and after a seek

    def wake(self) -> None:
        """See whether there is anything to fetch."""
        self._changed.set()

    async def fetch(self) -> None:
        """Fetch what may be fetched, for ever."""
        while True:
            self._changed.clear()
            assignment = self._assignment()
            wanted = {tp: self._position(assignment, tp) for tp in self._fetchable(assignment)}
            if not await self._fetch(assignment, wanted):
                await self._wait()

    def _assignment(self) -> Any:
        subscription = self._subscriptions.subscription
        return None if subscription is None else subscription.assignment

    def _fetchable(self, assignment: Any) -> Iterable[TopicPartition]:
        if assignment is None:
            return []
        return [
            tp
            for tp in sorted(assignment.tps)
            if assignment.state_value(tp).has_valid_position and tp not in self._records
        ]

    def _position(self, assignment: Any, tp: TopicPartition) -> int:
        return int(assignment.state_value(tp).position)

    async def _fetch(self, assignment: Any, wanted: dict[TopicPartition, int]) -> bool:
        logs = self._wire.cluster.logs
        if all(logs[tp].stable <= position for tp, position in wanted.items()):
            return False  # the request waits at the broker
        fetched = await self._wire.call(
            lambda: {
                tp: (*hand_out(self._wire, tp, position, None), logs[tp].end)
                for tp, position in wanted.items()
            }
        )
        if not assignment.active:
            return True
        for tp, (records, reached, end) in fetched.items():
            state = assignment.state_value(tp)
            if not state.has_valid_position or state.position != wanted[tp]:
                continue  # it was sought meanwhile
            state.highwater = end
            if reached > wanted[tp]:
                portion: Any = Portion(records, wanted[tp], reached)
                self._records[tp] = FetchResult(
                    tp, assignment=assignment, partition_records=portion, backoff=0.0
                )
        for waiter in list(self._fetch_waiters):
            super()._notify(waiter)
        return True

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LONG_POLL_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            return


class GroupConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """The consumer of one member of the group."""

    def __init__(
        self, wire: Wire, group: Group, name: str, member: str, topics: Sequence[str]
    ) -> None:
        # aiokafka's would make a client with sockets.
        self._wire = wire
        self._group = group
        self._name = name
        self._member = member
        self._topics = topics
        self._closed = True  # or its finalizer complains
        self._subscription = SubscriptionState(loop=asyncio.get_running_loop())
        self._subscription.subscribe(set(topics))
        self._fetcher = SimulatedFetcher(wire, self._subscription)
        self._closed = False
        self._max_poll_records = 8_000
        self._request_timeout_ms = 40_000
        self._must_rejoin = False
        self._coordinator = SimpleNamespace(
            generation=-1,
            check_errors=lambda: None,
            _do_heartbeat=self._beat,
            _rejoin_needed_fut=SimpleNamespace(done=lambda: self._must_rejoin),
        )

    def __del__(self) -> None:
        """Nothing: there is nothing to close."""

    async def be_member(
        self, listener: Any, assigned: Callable[[Iterable[TopicPartition]], None]
    ) -> None:
        """Join, and again whenever it is asked for, for ever.

        ``assigned`` is told the partitions before the listener is, as an assignor would.
        """
        fetching = asyncio.create_task(self._fetcher.fetch())
        try:
            while True:
                self._subscription.begin_reassignment()
                await listener.on_partitions_revoked(self.assignment())
                await self._join(assigned)
                positions = asyncio.create_task(self._find_positions())
                await listener.on_partitions_assigned(self.assignment())
                await self._until_rebalance()
                positions.cancel()
        finally:
            fetching.cancel()

    async def _join(self, assigned: Callable[[Iterable[TopicPartition]], None]) -> None:
        generation = self._coordinator.generation
        joining = await self._wire.call(lambda: self._group.join(self._member, generation))
        self._coordinator.generation = await joining
        self._must_rejoin = False
        await self._wire.alive()
        partitions = sorted(self._group.partitions_of(self._member))
        places = {TopicPartition(topic, p) for topic in self._topics for p in partitions}
        assigned(places)
        self._subscription.assign_from_subscribed(places)
        self._fetcher.wake()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the group's offsets, as a member of this generation."""
        generation = self._coordinator.generation

        def commit() -> None:
            if self._group.heartbeat(self._member, generation) == "unknown":
                raise CommitFailedError
            for place, offset in offsets.items():
                self._wire.cluster.group_offsets[self._name, place] = offset

        await self._wire.call(commit)

    async def _find_positions(self) -> None:
        """Go on where the group committed, unless somebody sought before that was heard."""
        assignment = self._subscription.subscription.assignment
        committed = self._wire.cluster.group_offsets
        found = await self._wire.call(
            lambda: {tp: committed.get((self._name, tp), 0) for tp in assignment.tps}
        )
        for tp, offset in found.items():
            state = assignment.state_value(tp)
            if not state.has_valid_position:
                state.reset_to(offset)
        self._fetcher.wake()

    async def _until_rebalance(self) -> None:
        while True:
            await asyncio.sleep(self._wire.choices.one_of(HEARTBEAT_SECONDS))
            await self._beat()
            if self._must_rejoin:
                return

    async def _beat(self) -> bool:
        """Ask the coordinator whether this member may go on, and join anew where it may not."""
        heard = await self._wire.call(
            lambda: self._group.heartbeat(self._member, self._coordinator.generation)
        )
        if heard == "unknown":
            self._coordinator.generation = 0  # not -1: it is no static member that came back
        self._must_rejoin = self._must_rejoin or heard != "fine"
        return heard == "fine"
