"""Progress that is corrected is what it would be in a world in which the definitions had always
been as they are.

The corrections are found in the plainest way: that other world is folded up to the cut, and what
differs there is said.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given

from processor.domain.aggregates.challenge import COMPLETED, Progress
from processor.domain.retelling.progress import (
    Corrected,
    Crossing,
    exact_nanos,
    retell,
    up_to_reward,
)
from processor.domain.state_kinds import (
    APART,
    BALANCES,
    GRANTED,
    PROGRESS,
    REWARD,
    apart_key,
    balances_key,
    granted_key,
)
from schemas import ids
from schemas.amounts import format_amount
from schemas.ids import uuid_text
from schemas.instants import format_instant
from tests.correction_spec import RECALCULATION, correct, cut
from tests.event_spec import tick
from tests.properties.explained import History, Tables, judge
from tests.spec import CHALLENGE, PROJECT, Happened, Partition, Sent
from tests.strategies_corrections import (
    CORRECTED,
    END,
    MEMBERS,
    SINCE,
    Changed,
    changed_histories,
)


class World:
    """A partition, and the milestones that were reached on it."""

    def __init__(self) -> None:
        self.history = History()
        self.partition = Partition(definitions=self.history, compared=False)
        self.happened: list[Happened] = []
        self.reached: dict[tuple[str, str, str], Mapping[str, Any]] = {}

    def fold(self, records: Iterable[Sent]) -> None:
        for record in records:
            self.happened.append(self.partition.fold(record))
            for fact in self.happened[-1].of("milestone.reached"):
                self.reached[fact["ownedById"], fact["milestoneId"], fact["periodKey"]] = fact

    def progress(self) -> dict[tuple[str, str], Progress]:
        """All progress by member and period."""
        return {
            (uuid_text(key[1:17]), key[33:].decode()): PROGRESS.decode(entry)
            for key, entry in self.partition.entries.items()
            if key.startswith(PROGRESS.prefix)
        }

    def apart(self, key: tuple[str, str]) -> int:
        place = next(
            each
            for each in self.partition.entries
            if each.startswith(PROGRESS.prefix)
            and (uuid_text(each[1:17]), each[33:].decode()) == key
        )
        entry = self.partition.entries.get(apart_key(place))
        return 0 if entry is None else APART.decode(entry).nanos

    def gave(self, source: str, source_id: str) -> int:
        """How many points a completion or a milestone gave."""
        key = granted_key(ids.points_entry_id(PROJECT, source, source_id))
        entry = self.partition.entries.get(key)
        return 0 if entry is None else GRANTED.decode(entry).points

    def rewards(self) -> set[str]:
        """The keys of all rewards."""
        return {key.hex() for key in self.partition.entries if key.startswith(REWARD.prefix)}

    def balances(self) -> list[int]:
        found = [
            self.partition.entries.get(balances_key(ids.member_id(PROJECT, name)))
            for name in MEMBERS
        ]
        return [0 if entry is None else BALANCES.decode(entry).total for entry in found]


def corrections(was: World, now: World, *, exact: bool) -> list[Sent]:
    """Return what brings one world to the other."""
    recorded, recomputed = was.progress(), now.progress()
    return [
        _correction(was, now, key, recorded.get(key), recomputed.get(key), exact=exact)
        for key in sorted({*recorded, *recomputed})
    ]


def _correction(
    was: World,
    now: World,
    key: tuple[str, str],
    before: Progress | None,
    after: Progress | None,
    *,
    exact: bool,
) -> Sent:
    member, period = key
    difference = (0 if after is None else after.total) - (0 if before is None else before.total)
    fields: dict[str, Any] = {"difference": _number(difference)}
    if exact:
        fields["exact"] = True
    if before is not None:
        fields["apart"] = _number(was.apart(key))
    if after is not None:
        fields["startedAt"] = format_instant(after.started_at)
    if after is not None and after.status == COMPLETED:
        assert after.completed_at is not None
        fields["completedAt"] = format_instant(after.completed_at)
    elif exact:
        fields["reopens"] = True
    fields["reached"] = [
        {"milestoneId": id_, "at": fact["reachedAt"], "value": fact["value"]}
        for id_ in (after.reached if after else ())
        if id_ not in (before.reached if before else ())
        for fact in [now.reached[member, id_, period]]
    ]
    fields["points"] = _more(was, now, key, before, after)
    sent = correct(period_key=period, userId=None, memberId=member, **fields)
    return sent.arriving(CORRECTED)


def _more(
    was: World,
    now: World,
    key: tuple[str, str],
    before: Progress | None,
    after: Progress | None,
) -> list[dict[str, Any]]:
    """Return what was given before for fewer points."""
    if before is None or after is None:
        return []
    member, period = key
    found: list[dict[str, Any]] = []
    if before.status == after.status == COMPLETED:
        id_ = ids.progress_id(PROJECT, CHALLENGE, member, period)
        found.append({"points": now.gave("challenge", id_) - was.gave("challenge", id_)})
    for milestone_id in before.reached:
        if milestone_id in after.reached:
            id_ = ids.reward_log_id(PROJECT, milestone_id, member, period)
            points = now.gave("milestone", id_) - was.gave("milestone", id_)
            found.append({"points": points, "milestoneId": milestone_id})
    return [each | {"at": SINCE} for each in found if each["points"] > 0]


def _number(nanos: int) -> Any:
    return msgspec.Raw(format_amount(nanos).encode())


def fold_both(history: Changed, *, exact: bool) -> tuple[World, World]:
    """Return the world that was corrected, and the one in which nothing had to be."""
    was, now = World(), World()
    was.partition.define(*history.were)
    now.partition.define(*history.are)
    for world in (was, now):
        world.fold(history.before)
    was.partition.define(*history.are)
    for world in (was, now):
        world.fold(history.between)
    was.fold([cut(RECALCULATION, at=SINCE)])
    found = corrections(was, now, exact=exact)
    for world in (was, now):
        world.fold(history.since)
    was.fold(found)
    kept = dict(was.partition.entries)
    was.fold(found)  # a repeat changes nothing
    assert {k: v for k, v in was.partition.entries.items() if k != b"o"} == {
        k: v for k, v in kept.items() if k != b"o"
    }
    for world in (was, now):
        world.fold([*history.after, tick(END)])
    return was, now


def shape(progress: Progress) -> Any:
    """Return what is to be equal of a progress."""
    return (
        progress.total,
        progress.status,
        progress.method,
        progress.period,
        progress.timezone,
        progress.started_at,
    )


def explain(world: World) -> None:
    """See that each progress, told again, comes to what is shown of it; and that what gave each
    reward is among what moved its progress."""
    tables = Tables(world.happened)
    voids, logs = tables.voids(), tables.logs()
    reached = {row["id"]: row for row in tables.rows("milestones_reached")}
    for row in tables.rows("challenge_progress"):
        judging = judge(tables, world.history, row["member_id"])
        counted = [
            log
            for _, _, log in logs
            if log.progress_id == row["id"] and judging.uncounted_because(log) is None
        ]
        steps = retell(counted, voids, tables.corrections(row["id"]))
        assert steps[-1].after == exact_nanos(Decimal(row["current_progress_value"]))
        for reward in tables.rows("reward_logs"):
            key = (row["member_id"], row["period_key"])
            if (reward["member_id"], reward["period_key"]) == key:
                id_ = ids.milestone_reached_id(PROJECT, reward["milestone_id"], *key)
                fact = reached[id_]
                at = datetime.fromisoformat(fact["reached_at"])
                crossing = Crossing(at, Decimal(fact["value"]))
                told = up_to_reward(
                    steps, reward["id"], reward["sequence"], fact["sequence"], crossing
                )
                by = told[-1]
                assert by.of.sequence == fact["sequence"]
                if isinstance(by.of, Corrected) and not by.added and len(told) < len(steps):
                    assert told[-2].after == exact_nanos(crossing.value)


@given(changed_histories(rising=True))
def test_what_rises_by_a_recalculation_is_as_if_it_had_always_been_so(history: Changed) -> None:
    for exact in (True, False):
        was, now = fold_both(history, exact=exact)
        expected = now.progress()
        found = was.progress()
        assert {k: shape(each) for k, each in found.items()} == {
            k: shape(each) for k, each in expected.items()
        }
        assert {k: set(each.reached) for k, each in found.items()} == {
            k: set(each.reached) for k, each in expected.items()
        }
        assert was.rewards() == now.rewards()
        assert was.balances() == now.balances()


@given(changed_histories(rising=False))
def test_what_is_exact_has_the_values_of_a_world_in_which_it_had_always_been_so(
    history: Changed,
) -> None:
    was, now = fold_both(history, exact=True)
    found = was.progress()
    for key, expected in now.progress().items():
        assert shape(found[key]) == shape(expected)
        assert set(found.pop(key).reached) >= set(expected.reached)
    assert not any(each.total for each in found.values())  # periods of a kind that it has no more
    assert was.rewards() >= now.rewards()
    explain(was)


@given(changed_histories(rising=False))
def test_what_is_not_exact_takes_nothing(history: Changed) -> None:
    was, now = fold_both(history, exact=False)
    found = was.progress()
    for key, expected in now.progress().items():
        assert found[key].total >= expected.total
        assert found[key].status == expected.status or found[key].status == COMPLETED
        assert set(found[key].reached) >= set(expected.reached)
    assert was.rewards() >= now.rewards()
