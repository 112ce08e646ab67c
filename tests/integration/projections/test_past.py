"""What was so at every place of the topics: the rows before it say what plain Python makes of the
outputs before it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from psycopg import AsyncConnection, sql

from api.queries import past
from projections.runner import Runner
from schemas import outputs
from schemas.event_types import (
    CHALLENGE_COMPLETED,
    CHALLENGE_FAILED,
    POINTS_EXPIRED,
    POINTS_HELD,
    POINTS_RELEASED,
    POINTS_SPENT,
    STREAK_ADVANCED,
    STREAK_BROKEN,
)
from schemas.instants import EPOCH, utc
from schemas.outputs import CloudEvent
from schemas.places import place
from schemas.settings import Settings
from schemas.topics import (
    MEMBER_EVENTS,
    POINTS_EVENTS,
    PROGRESS_EVENTS,
    STREAK_EVENTS,
    partition_for,
)
from tests.integration.projections.driving import caught_up, projecting, writing
from tests.unit.projections.events import (
    AT,
    PROJECT,
    hold_of,
    log_recorded,
    lot_of,
    member_of,
    member_upserted,
    points_activated,
    points_changed,
    points_moved,
    points_reserved,
    progressed,
    streak_changed,
)

MEMBERS = [member_of(number) for number in range(4)]
GROUPS = ("_default", "shop")


def history(seed: int) -> Iterator[list[CloudEvent]]:
    """Yield transactions of outputs; what they say of each other need not fit."""
    chance = random.Random(seed)
    for number in range(1, 121):
        yield [_anything(chance, number * 10 + each) for each in range(chance.randint(1, 4))]


def _anything(chance: random.Random, number: int) -> CloudEvent:
    who = chance.randrange(len(MEMBERS))
    member, sequence = MEMBERS[who], number // 20  # several outputs of one input
    balance, group = chance.randint(0, 99), chance.choice(GROUPS)
    names = chance.sample("abc", chance.randint(0, 2))
    lots = [lot_of(name, chance.randint(0, 3) * 10) for name in names]
    says: dict[str, Any] = {
        "challenge_group": group,
        "balance": balance,
        "held": chance.choice((0, 0, 5)),
        "pending": chance.choice((0, 0, 7)),
        "lots": lots if group == "shop" else [],
    }
    total: dict[str, Any] = {"total_balance": balance + chance.randint(0, 9)}
    reserved = {name: value for name, value in says.items() if name != "lots"}
    value = str(chance.randint(0, 99))
    length = {"current_length": chance.randint(0, 9), "longest_length": 9}
    return chance.choice(
        (
            lambda: member_upserted(who, sequence),  # as the first event of a member: version 1
            lambda: log_recorded(member, number, total=value, sequence=sequence),
            lambda: log_recorded(member, number, total=value, sequence=sequence),
            lambda: progressed(CHALLENGE_COMPLETED, member, value, sequence),
            lambda: progressed(CHALLENGE_FAILED, member, value, sequence),
            lambda: points_changed(member, number, 5, **says, **total),
            lambda: points_changed(member, number, 5, challenge_group="plain", **total),
            lambda: points_moved(POINTS_SPENT, member, number, -5, **says, **total),
            lambda: points_moved(POINTS_EXPIRED, member, number, -5, **says, **total),
            lambda: points_activated(member, number, 5, **says, **total),
            lambda: points_reserved(POINTS_HELD, member, number, hold_of(), **reserved),
            lambda: points_reserved(POINTS_RELEASED, member, number, hold_of(), **reserved),
            lambda: streak_changed(STREAK_ADVANCED, member, number, **length),
            lambda: streak_changed(
                STREAK_BROKEN, member, number, status="broken", active_until=None, **length
            ),
        )
    )()


@dataclass
class Naive:
    """What outputs say, one after the other."""

    known: set[str] = field(default_factory=set)
    progress: dict[str, tuple[Decimal, str]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    groups: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)
    lots: dict[tuple[str, str, str], tuple[int, Any, Any]] = field(default_factory=dict)
    streaks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def apply(self, topic: str, value: bytes) -> None:
        """Take the next output of a topic."""
        envelope = outputs.decode(value)
        data: dict[str, Any] = msgspec.json.decode(envelope.data)
        member = envelope.subject
        if topic == MEMBER_EVENTS:
            self.known.add(member)
        elif topic == PROGRESS_EVENTS:
            told = data.get("challengeProgress", data)
            status = told["challengeProgressStatus"]
            self.progress[member] = Decimal(str(told["currentProgressValue"])), status
        elif topic == STREAK_EVENTS:
            status = data["status"]
            self.streaks[member] = 0 if status == "broken" else data["currentLength"], status
        else:
            self._move(member, data["challengeGroup"], data)

    def _move(self, member: str, group: str, data: Mapping[str, Any]) -> None:
        held, pending = data.get("held", 0), data.get("pending", 0)
        self.groups[member, group] = data["balance"], held, pending
        if "totalBalance" in data:
            self.totals[member] = data["totalBalance"]
        for lot in data.get("lots", ()):
            of = lot["points"], lot["activatesAt"], lot["expiresAt"]
            self.lots[member, group, lot["id"]] = of

    def purses(self, member: str) -> tuple[int, dict[str, Any]]:
        """Return what `past.balances` should."""
        found = {}
        for (of, group), (balance, held, pending) in sorted(self.groups.items()):
            if of == member:
                lapses: dict[Any, int] = {}
                for (whose, where, _), (points, waits, at) in self.lots.items():
                    if (whose, where) == (member, group) and points and not waits and at:
                        lapses[at] = lapses.get(at, 0) + points
                found[group] = (balance, held, balance - held, pending, sorted(lapses.items()))
        return self.totals.get(member, 0), found


async def test_rows_before_a_place_say_what_the_outputs_before_it_do(settings: Settings) -> None:
    async with writing(settings) as writer, projecting(Runner(settings)):
        for transaction in history(14):
            await writer.commit(*transaction)
        await caught_up(settings)
    compared = 0
    async with await AsyncConnection.connect(settings.database_url) as connection:
        for topic in (MEMBER_EVENTS, PROGRESS_EVENTS, POINTS_EVENTS, STREAK_EVENTS):
            lying = await _lying(settings, topic)
            for partition, records in lying.items():
                naive = Naive()
                for offset, value in records:
                    await _compare(connection, settings, topic, place(partition, offset), naive)
                    naive.apply(topic, value)
                    compared += 1
                end = place(partition, records[-1][0] + 1 if records else 0)
                await _compare(connection, settings, topic, end, naive)
    assert compared > 250


async def _compare(
    connection: AsyncConnection, settings: Settings, topic: str, end: int, naive: Naive
) -> None:
    partition = end >> 48
    if topic == PROGRESS_EVENTS:
        ends = [place(n, 0) for n in range(settings.partitions)]
        ends[partition] = end
        assert await _progress(connection, ends) == naive.progress, end
        return
    for member in MEMBERS:
        if partition_for(member, settings.partitions) != partition:
            continue
        id_ = UUID(member)
        if topic == MEMBER_EVENTS:
            known = await past.known(connection, PROJECT, id_, end, datetime.now(UTC))
            assert (known is not None and known.by_then) == (member in naive.known), end
        elif topic == POINTS_EVENTS:
            total, purses = await past.balances(connection, PROJECT, id_, end, lapses=100)
            shown = {
                group: (
                    *(purse.balance, purse.held, purse.available, purse.pending),
                    [(_text(lapse.at), lapse.points) for lapse in purse.lapses],
                )
                for group, purse in purses.items()
            }
            assert (total, shown) == naive.purses(member), end
        elif topic == STREAK_EVENTS:
            rows = await past.streaks(connection, PROJECT, id_, end, EPOCH)
            shown_ = [(row["current_length"], row["status"]) for row in rows]
            assert shown_ == ([naive.streaks[member]] if member in naive.streaks else []), end
            later = await past.streaks(connection, PROJECT, id_, end, AT + timedelta(days=3))
            assert all(row["status"] == "broken" for row in later), "none lives for ever"


def _text(at: datetime) -> str:
    return msgspec.json.encode(utc(at)).decode().strip('"')


async def _progress(
    connection: AsyncConnection, ends: Sequence[int]
) -> dict[str, tuple[Decimal, str]]:
    query = sql.SQL(
        "SELECT member_id::text, current_progress_value, status FROM {} AS t WHERE project = %s"
    ).format(past.progress_table(ends))
    cursor = await connection.execute(query, [PROJECT])
    return {member: (value, status) for member, value, status in await cursor.fetchall()}


async def _lying(settings: Settings, topic: str) -> dict[int, list[tuple[int, bytes]]]:
    """Return the offset and value of each record of each partition."""
    found: dict[int, list[tuple[int, bytes]]] = {}
    async with AIOKafkaConsumer(
        **settings.kafka_options(), isolation_level="read_committed"
    ) as consumer:
        for partition in range(settings.partitions):
            place_ = TopicPartition(settings.topic(topic), partition)
            consumer.assign([place_])
            await consumer.seek_to_beginning(place_)
            end = (await consumer.end_offsets([place_]))[place_]
            records = found.setdefault(partition, [])
            while await consumer.position(place_) < end:
                fetched = await consumer.getmany(place_, timeout_ms=500)
                records += [(r.offset, r.value) for r in fetched.get(place_, ())]
    return found
