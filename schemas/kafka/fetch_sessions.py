"""Fetching with sessions (KIP-227): a broker is told what changed since the last fetch, and says
only what has something new.

aiokafka names every partition in each fetch, and is told of each in every answer. With many
partitions and few records that is most of what a record costs reader and broker. Who makes a
consumer by ``schemas.kafka.consumers`` has sessions, on brokers that know them.

A broker answers the requests of a connection in turn. So a fetch that leaves out a partition, which
has records that nobody took yet, ends soon: what was left out can be asked for only then. A fetch
of everything may wait for long.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from typing_extensions import override

from schemas.kafka.leadership import is_refused, send_and_mind

SINCE_VERSION = 7
"""The version of a fetch that has sessions."""
LEADER_EPOCH_VERSION = 9
RACK_VERSION = 11

PARTIAL_WAIT_MS = 20
"""How long a broker may hold a fetch that leaves partitions out."""
LEFT_OUT_SECONDS = 5.0
"""A partition that was left out for so long has moved away, or nobody hurries to read it."""
REFUSED_SECONDS = 0.1
"""The pause after a fetch of which the broker serves nothing: aiokafka asks again at once."""

_NO_SESSION, _FIRST_EPOCH, _LAST_EPOCH = 0, 0, 2**31 - 1

_Place = tuple[str, int]
_Wanted = tuple[int, int]
"""The offset of the next record, and how many bytes of them."""

_SESSIONS = "_milestream_fetch_sessions"


def install() -> None:
    """Have every client of this process fetch with sessions, and follow leaders."""
    AIOKafkaClient.send = _send


def heard(consumer: AIOKafkaConsumer) -> float:
    """Return when, by ``time.monotonic``, a broker last served a fetch of this consumer; minus
    infinity where none has."""
    sessions: dict[Any, FetchSession] = getattr(consumer._client, _SESSIONS, {})
    return max((session.heard for session in sessions.values()), default=-math.inf)


async def _send(client: Any, node_id: Any, request: Any, **options: Any) -> Any:
    if type(request) is not FetchRequest:
        return await send_and_mind(client, node_id, request, **options)
    sessions: dict[Any, FetchSession] = client.__dict__.setdefault(_SESSIONS, {})
    session = sessions.setdefault(node_id, FetchSession())
    try:
        answer = await send_and_mind(client, node_id, _InSession(session, request), **options)
    except BaseException:
        session.begin_anew()  # whether the broker took the request is unknown
        raise
    session.answered(answer)
    if is_refused(answer) and not _is_served(answer):
        await asyncio.sleep(REFUSED_SECONDS)
    return answer


class FetchSession:
    """What one broker was asked for last."""

    def __init__(self) -> None:
        self._id = _NO_SESSION
        self._epoch = _FIRST_EPOCH
        self._known: dict[_Place, _Wanted] = {}
        self._left_out: dict[_Place, float] = {}
        """When partitions were left out of a fetch that were in the one before."""
        self.heard = -math.inf
        """When the broker last served a fetch."""

    def next(
        self, wanted: Mapping[_Place, _Wanted]
    ) -> tuple[int, int, Mapping[_Place, _Wanted], Sequence[_Place]]:
        """Return a request's session and epoch, the partitions that are new or are read on from
        elsewhere, and those to forget."""
        known, self._known = self._known, dict(wanted)
        if self._epoch == _FIRST_EPOCH:
            return self._id, _FIRST_EPOCH, wanted, ()
        changed = {place: want for place, want in wanted.items() if known.get(place) != want}
        forgotten = [place for place in known if place not in wanted]
        return self._id, self._epoch, changed, forgotten

    def answered(self, answer: Any) -> None:
        """Take note of an answer; one that knows no such session begins another."""
        if _is_served(answer):
            self.heard = time.monotonic()
        if answer.API_VERSION < SINCE_VERSION:
            return
        if answer.error_code or answer.session_id == _NO_SESSION:
            self.begin_anew()
            return
        self._id = answer.session_id
        self._epoch = self._epoch % _LAST_EPOCH + 1

    def begin_anew(self) -> None:
        """Name all partitions in the next request; the broker then forgets this session."""
        self._epoch = _FIRST_EPOCH
        self._known = {}

    def is_partial(self, wanted: Mapping[_Place, _Wanted], now: float) -> bool:
        """Tell whether a fetch leaves partitions out that a recent one had; asked before
        ``next``."""
        self._left_out = {
            place: since
            for place, since in self._left_out.items()
            if place not in wanted and now - since < LEFT_OUT_SECONDS
        }
        for place in self._known:
            if place not in wanted:
                self._left_out.setdefault(place, now)
        return bool(self._left_out)


def _is_served(answer: Any) -> bool:
    """Tell whether a broker serves any of what it was asked; what has nothing new is not named."""
    codes = [code for _, partitions in answer.topics for _, code, *_ in partitions]
    return not (codes and all(codes)) and not getattr(answer, "error_code", 0)


class _InSession(FetchRequest):  # type: ignore[misc]  # aiokafka has no types
    """A fetch as the next one of a session."""

    _max_wait_ms: int

    def __init__(self, session: FetchSession, whole: Any) -> None:
        super().__init__(
            whole._max_wait_ms,
            whole._min_bytes,
            whole._max_bytes,
            whole._isolation_level,
            whole._topics,
            whole._rack_id,
        )
        self._session = session

    @override
    def build(self, request_struct_class: Any) -> Any:
        version = request_struct_class.API_VERSION
        wanted = {
            (topic, number): (offset, most)
            for topic, partitions in self._topics
            for number, offset, most in partitions
        }
        if self._session.is_partial(wanted, time.monotonic()):
            self._max_wait_ms = min(self._max_wait_ms, PARTIAL_WAIT_MS)
        if version < SINCE_VERSION:
            return super().build(request_struct_class)
        id_, epoch, changed, forgotten = self._session.next(wanted)
        topics: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        leader_epoch = (-1,) if version >= LEADER_EPOCH_VERSION else ()
        for (topic, number), (offset, most) in changed.items():
            topics[topic].append((number, *leader_epoch, offset, -1, most))
        left: dict[str, list[int]] = defaultdict(list)
        for topic, number in forgotten:
            left[topic].append(number)
        rack = (self._rack_id,) if version >= RACK_VERSION else ()
        return request_struct_class(
            -1,
            self._max_wait_ms,
            self._min_bytes,
            self._max_bytes,
            self._isolation_level,
            id_,
            epoch,
            list(topics.items()),
            list(left.items()),
            *rack,
        )
