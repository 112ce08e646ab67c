"""Events, points, streaks and ticks once more, from the rules in `schemas/README.md` alone.

Like ``log_reference``, on which it builds, it shares nothing with the fold and keeps everything:
every event ever logged, every slot of a limit. Points are in ``points_reference``.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.properties.condition_reference import holds, kind, metadata_are_valid
from tests.properties.log_reference import Answer, LogReference, Refusal, about, member_id
from tests.properties.points_reference import Done, Due, PointsReference, millis
from tests.properties.streak_reference import Streak, begins, name_of, number_of

PERIODS = {"daily": "daily", "weekly": "weekly", "monthly": "monthly"}
COMMANDS = tuple(f"{what}-points" for what in ("redeem", "spend", "hold", "adjust"))
COMMANDS = (*COMMANDS, "capture-hold", "release-hold")
"""Commands that move points."""
PROGRESS = "p"
"""What is due of a progress: after what is due of points, where it is due at one moment."""


@dataclass
class Event:
    """What an event with a key did, besides its points: the slot that it took, the logs that it
    fed, and the streaks' periods that it hit."""

    slot: tuple[str, str, str] | None = None
    fed: list[tuple[str, str, str]] = field(default_factory=list)
    hit: list[tuple[str, str, int]] = field(default_factory=list)


class EventReference(LogReference):
    """What the rules know of one project, events and points included."""

    def __init__(self, most_lots: int = 2000) -> None:
        super().__init__()
        self.ledger = PointsReference(self._tell, self._zone_of_wallet, most_lots)
        self.slots: Counter[tuple[str, str, str]] = Counter()
        """How many events of a member took a slot, by member, event and period."""
        self.keyed: dict[tuple[str, str], dict[str, Any]] = {}
        """The first answer to each idempotency key of a member."""
        self.events: dict[tuple[str, str], Event] = {}
        """What each event with an idempotency key did, by member and key."""
        self.hits: Counter[tuple[str, str, int]] = Counter()
        """How many events hit a period of a streak: streak, member and number."""
        self.streaks: dict[tuple[str, str], Streak] = {}
        self.logged: list[dict[str, Any]] = []

    @property
    def balances(self) -> dict[tuple[str, str], int]:
        """What members have, by member and group."""
        return {key: purse.balance for key, purse in self.ledger.purses.items()}

    def define(self, key: bytes, value: bytes | None) -> None:
        """The last value of a key is in force, null deletes."""
        super().define(key, value)
        self.ledger.wallets = {
            id_: wallet for (kind, id_), wallet in self.definitions.items() if kind == "wallet"
        }

    def _zone_of_wallet(self, wallet: dict[str, Any], member: str) -> str:
        return self._zone_of(wallet, self.members[member].get("timezone"))

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if topic == "events":
            return self._event(record, arrived)
        if record.get("type") in COMMANDS:
            return self._move_points(record, arrived)
        return super()._dispatch(topic, record, arrived)

    def _move_points(self, command: dict[str, Any], arrived: datetime) -> Answer:
        member = member_id(command["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        repeats, paused = self.ledger.repeats, self.members[member]["status"] != "live"
        answer = self.ledger.command(command, member, arrived, paused=paused)
        self.duplicates += self.ledger.repeats - repeats
        return 200, answer

    # Events.

    def _event(self, event: dict[str, Any], arrived: datetime) -> Answer:
        definition = self._definition_for(event)
        at = datetime.fromisoformat(event["occurredAt"]) if event.get("occurredAt") else arrived
        if at - arrived > timedelta(hours=24):
            raise Refusal("invalid")
        member = member_id(event["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        metadata = event.get("metadata") or {}
        if not metadata_are_valid(definition.get("metadataFields"), metadata):
            raise Refusal("invalid")
        key = (member, event.get("idempotencyKey") or "")
        if key in self.keyed:
            self.duplicates += 1
            return 200, self.keyed[key]

        live = self.members[member]["status"] == "live"
        slot = (
            member,
            event["eventId"],
            self._limit_period(definition, at, self.members[member].get("timezone")),
        )
        met = holds(definition.get("conditions"), metadata, self.members[member])
        full = definition.get("limit") is not None and self.slots[slot] >= definition["limit"]
        group = self._group(event, definition, member)
        done, points = Event(), 0
        if live and met and not full:
            self.slots[slot] += 1
            done.slot = slot
            points = self._earn(event, definition, group, member, at)
        data = {
            "userId": event["userId"],
            "eventId": event["eventId"],
            "points": points,
            "type": definition.get("type", "FIXED"),
            "title": definition["title"],
            "limit": definition.get("limit"),
            "maximumReward": definition.get("maximumReward"),
            "metadata": metadata,
            "conditionReached": met,
            "limitReached": full,
            "userGroupId": group,
        }
        message = "Event Limit erreicht" if full else "Event erfolgreich geloggt"
        answer = {"statusCode": 200, "message": message, "data": data}
        if event.get("idempotencyKey"):
            self.keyed[key] = answer
            self.events[key] = done
            if (member, "event", key[1]) not in self.ledger.done:
                given = Done(definition.get("challengeGroup", "_default"), 0, None, at)
                self.ledger.done[member, "event", key[1]] = given
        self._log_event(data, member, at)
        if live and met:
            self._follow(event, member, at, arrived, done)
        return 200, answer

    def _earn(
        self,
        event: dict[str, Any],
        definition: dict[str, Any],
        usergroup: str,
        member: str,
        at: datetime,
    ) -> int:
        """Give the points of an event that counts; return how many."""
        metadata = event.get("metadata") or {}
        group = definition.get("challengeGroup", "_default")
        base = points_of(definition, usergroup, metadata)
        exact = exact_points_of(definition, usergroup, metadata)
        points, said = self._multiplied(definition, metadata, (base, exact), member, at)
        if not points and not base:
            return 0
        given = self.ledger.grant(
            member,
            group,
            points,
            at,
            self.now,
            actionId=definition["id"],
            userGroupId=usergroup,
            **said,
        )
        if event.get("idempotencyKey"):
            self.ledger.done[member, "event", event["idempotencyKey"]] = given
        return given.points

    def _tiers_that_act(
        self,
        group: str,  # noqa: ARG002  # tiers are judged by who knows them
        member: str,  # noqa: ARG002
    ) -> dict[str, tuple[str, Fraction]]:
        """Return the member's tier in each set that acts on a group, and what it multiplies by."""
        return {}

    def _multiplied(
        self,
        definition: dict[str, Any],
        metadata: dict[str, Any],
        base: tuple[int, Fraction],
        member: str,
        at: datetime,
    ) -> tuple[int, dict[str, Any]]:
        """Multiply points, given as they are and unrounded, by tiers and boosts that act; return
        the points, and what is said of that."""
        tiers = self._tiers_that_act(definition.get("challengeGroup", "_default"), member)
        acting = sorted(
            (
                boost
                for (kind_, _), boost in self.definitions.items()
                if kind_ == "boost"
                and boost.get("status", "live") == "live"
                and datetime.fromisoformat(boost["startsAt"]) <= at
                and (boost.get("endsAt") is None or at < datetime.fromisoformat(boost["endsAt"]))
                and (boost.get("eventIds") is None or definition["id"] in boost["eventIds"])
                and definition.get("challengeGroup", "_default")
                in (boost.get("wallets") or [definition.get("challengeGroup", "_default")])
                and holds(boost.get("conditions"), metadata, self.members[member])
            ),
            key=lambda boost: str(boost["id"]),
        )
        if not acting and not tiers:
            return base[0], {}
        value = base[1]
        for _, factor in tiers.values():
            value = value * factor
        by: dict[str, list[dict[str, Any]]] = {"multiply": [], "add": [], "highest": []}
        for boost in acting:
            by[boost.get("stacking", "multiply")].append(boost)
        for boost in by["multiply"]:
            value = value + more(boost, value)
        value = value + sum(more(boost, value) for boost in by["add"])
        last = value
        greatest = sorted(
            by["highest"], key=lambda boost: (-Fraction(boost["multiplier"]), -more(boost, last))
        )[:1]
        for boost in greatest:
            value = value + more(boost, value)
        acted = [boost["id"] for boost in (*by["multiply"], *by["add"], *greatest)]
        named = {set_: tier for set_, (tier, _) in tiers.items()} or None
        return max(0, rounded(value)), {"base": base[0], "boosts": acted, "tier": named}

    def _definition_for(self, event: dict[str, Any]) -> dict[str, Any]:
        definition = self.definitions.get(("event", event["eventId"]))
        if definition is None:
            raise Refusal("unknown_event")
        if definition.get("status", "ACTIVE") != "ACTIVE":
            raise Refusal("inactive")
        if definition.get("requiresApiKey") and event.get("withApiKey") is False:
            raise Refusal("invalid", 403)
        return definition

    def _limit_period(self, definition: dict[str, Any], at: datetime, own: str | None) -> str:
        period = definition.get("limitPeriod", "unlimited")
        if period == "unlimited":
            return "for life"
        return name_of(period, number_of(period, self._zone_of({}, own), at))

    def _group(self, event: dict[str, Any], definition: dict[str, Any], member: str) -> str:
        named = (event.get("metadata") or {}).get("usergroup")
        groups = [named] if isinstance(named, str) else named if isinstance(named, list) else []
        own = self.members[member].get("groups") or []
        for group in groups:
            rewarded = isinstance(group, str) and group in definition["reward"]
            if rewarded and (group in own or not event.get("byEndUser")):
                return str(group)
        return "default"

    def _log_event(self, data: dict[str, Any], member: str, at: datetime) -> None:
        local = at.astimezone(ZoneInfo(self._zone_of({}, None)))
        fact = data | {"localDate": local.date().isoformat(), "localHour": local.hour}
        self.logged.append(fact)
        self._tell("event.logged", ownedById=member, **fact)

    # What follows from an event that met its conditions.

    def _follow(
        self, event: dict[str, Any], member: str, at: datetime, arrived: datetime, done: Event
    ) -> None:
        for (kind_, _), challenge in list(self.definitions.items()):
            if kind_ == "challenge" and event["eventId"] in (challenge.get("eventIds") or []):
                done.fed += self._feed(challenge, event, member, at, arrived)
        for (kind_, id_), streak in list(self.definitions.items()):
            if kind_ == "streak" and event["eventId"] in streak["eventIds"]:
                done.hit.append(self._advance(id_, streak, member, at))

    def _feed(
        self,
        challenge: dict[str, Any],
        event: dict[str, Any],
        member: str,
        at: datetime,
        arrived: datetime,
    ) -> list[tuple[str, str, str]]:
        """Log an event to a challenge; return the log, if there is one."""
        field = challenge.get("valueField")
        value = 1 if field is None else (event.get("metadata") or {}).get(field)
        if kind(value) != "number":
            if challenge.get("aggregationMethod", "sum") == "sum":
                return []
            value = None
        log = {
            "challengeId": challenge["id"],
            "ownedById": member,
            "activityAt": at.isoformat(),
            "activityId": event["eventId"],
            "uniqueIdentifier": f"event {len(self.logged)}",
            "activityValue": value,
        }
        try:
            self._log(log, arrived, fed=True)
        except Refusal:  # a progress that began as a sum, and no value
            return []
        return [(challenge["id"], member, str(log["uniqueIdentifier"]))]

    # Points.

    def _complete(
        self,
        progress: dict[str, Any],  # noqa: ARG002  # what it was before may matter
        challenge: dict[str, Any],
        key: tuple[str, str, str],
        at: datetime,
    ) -> None:
        points, group = challenge.get("pointsOnCompletion"), challenge.get("challengeGroup")
        if points:
            self._grant("challenge", key, points, group, at)

    def _reward(
        self,
        reward: tuple[str, str, str],
        milestone: dict[str, Any],
        at: datetime,
        challenge: dict[str, Any] | None = None,
    ) -> None:
        if milestone.get("points"):
            group = (challenge or {}).get("challengeGroup")
            self._grant("milestone", reward, milestone["points"], group, at)

    def _grant(
        self, what: str, key: tuple[str, str, str], points: int, group: str | None, at: datetime
    ) -> None:
        """Give the points of a completion or of a milestone: its id, the member, the period."""
        said = {"actionId": f"{what}:{key[0]}", "userGroupId": "default"}
        given = self.ledger.grant(key[1], group or "_default", points, at, self.now, **said)
        self.ledger.done[key[1], what, f"{key[0]}:{key[2]}"] = given

    # Streaks.

    def _advance(
        self, id_: str, definition: dict[str, Any], member: str, at: datetime
    ) -> tuple[str, str, int]:
        """Hit a streak's period; return which."""
        zone = self._zone_of(definition, self.members[member].get("timezone"))
        moving = self._goes_by_member(definition)
        streak = self.streaks.setdefault((id_, member), Streak(definition, zone, moving))
        happened = streak.hit(at, self._milestones_of_streak(id_), zone)
        hit = (id_, member, number_of(streak.period, zone if moving else streak.zone, at))
        self.hits[hit] += 1
        if happened is None:
            return hit
        for gap in happened.broken:
            self._tell_streak("broken", id_, member, streak, gap)
        self._tell_streak(
            "advanced",
            id_,
            member,
            streak,
            number_of(streak.period, streak.zone, at),
            runLength=happened.run.length,
            healed=happened.healed,
            longestLength=streak.longest,
        )
        for _ in range(happened.completed):
            self._tell("streak.completed", streakId=id_, ownedById=member)
        for milestone, number in happened.rewards:
            reward = (milestone, member, name_of(streak.period, number))
            self._tell("reward.granted", **about(reward, "milestoneId"))
            self._reward(reward, self.definitions["milestone", milestone], at)
        return hit

    def _milestones_of_streak(self, id_: str) -> list[dict[str, Any]]:
        mine = [
            fields
            for (kind_, _), fields in self.definitions.items()
            if kind_ == "milestone"
            and fields.get("linkedSchemaSlug") == "streak"
            and fields["linkedSchemaRecordId"] == id_
            and fields.get("status", "live") == "live"
        ]
        return sorted(mine, key=lambda each: (each["milestoneTargetValue"], each["id"]))

    def _tell_streak(
        self, what: str, id_: str, member: str, streak: Streak, number: int, **more: Any
    ) -> None:
        self._tell(
            f"streak.{what}",
            streakId=id_,
            ownedById=member,
            periodKey=name_of(streak.period, number),
            **more,
        )

    # Ticks.

    def tick(self, now: datetime) -> None:
        """Let happen what was due by ``now``; a tick is no record of a member's."""
        self.now = now
        dues = [*self.ledger.dues(now), *self._over(now)]
        for due in sorted(dues, key=lambda due: (*due[:3], due[3][:3])):
            self._fall_due(due, now)
        for (id_, member), streak in self.streaks.items():
            zone = self._zone_of(streak.definition, self.members[member].get("timezone"))
            gap = streak.tick(now, zone) if ("streak", id_) in self.definitions else None
            if gap is not None:
                self._tell_streak("broken", id_, member, streak, gap)
        self.taken += 1

    def _over(self, now: datetime) -> list[Due]:
        """Return the progress that is over by now, and neither completed nor failed."""
        found: list[Due] = []
        for (challenge_id, member, period), progress in self.progress.items():
            challenge = self.definitions.get(("challenge", challenge_id), {"status": "deleted"})
            end = self.end_of(progress, challenge)
            if end is None or end > now or progress["status"] != "in_progress":
                continue
            if challenge.get("status", "live") == "live":
                found.append((millis(end), PROGRESS, member, (challenge_id, period, end)))
        return found

    def _fall_due(self, due: Due, now: datetime) -> None:
        if due[1] != PROGRESS:
            self.ledger.fall_due(due, now)
            return
        _, _, member, (challenge_id, period, end) = due
        key = (challenge_id, member, period)
        progress, challenge = self.progress[key], self.definitions["challenge", challenge_id]
        if progress["total"] < challenge["completionTargetValue"]:
            progress["status"] = "failed"
            self._tell("challenge.failed", **about(key), at=end)
        else:  # the target was lowered
            progress["status"], progress["completed"] = "completed", end
            self._tell("challenge.completed", **about(key), at=end)
            self._complete(progress, challenge, key, end)

    def end_of(self, progress: dict[str, Any], challenge: dict[str, Any]) -> datetime | None:
        """Return the end of a progress's period, or the challenge's own where that is earlier."""
        ends = [datetime.fromisoformat(challenge["endsAt"])] if challenge.get("endsAt") else []
        period = progress["challenge"].get("aggregationPeriod", "daily")
        if period in PERIODS:
            number = number_of(period, progress["zone"], progress["first"])
            ends.append(begins(period, number + 1, progress["zone"]))
        elif period == "yearly":
            month = number_of("monthly", progress["zone"], progress["first"])
            ends.append(begins("monthly", (month // 12 + 1) * 12, progress["zone"]))
        return min(ends, default=None)


def points_of(definition: dict[str, Any], group: str, metadata: dict[str, Any]) -> int:
    """Return the points of an event that met its conditions and is within its limit."""
    reward = Fraction(definition["reward"][group])
    if definition.get("type", "FIXED") != "TRANSACTION":
        return max(0, rounded(reward))
    value: Any = metadata.get(definition["rewardValueField"])
    if kind(value) != "number":
        return 0
    points = max(0, rounded(Fraction(value) * reward))
    most = definition.get("maximumReward")
    return points if most is None else min(points, math.floor(most))


def exact_points_of(definition: dict[str, Any], group: str, metadata: dict[str, Any]) -> Fraction:
    """Return the points before they are rounded."""
    value = Fraction(definition["reward"][group])
    if definition.get("type", "FIXED") == "TRANSACTION":
        amount: Any = metadata.get(definition["rewardValueField"])
        value *= Fraction(amount) if kind(amount) == "number" else 0
        if definition.get("maximumReward") is not None:
            value = min(value, Fraction(math.floor(definition["maximumReward"])))
    return max(Fraction(0), value)


def more(boost: dict[str, Any], value: Fraction) -> Fraction:
    """Return what a boost adds to a value."""
    bonus = (Fraction(boost["multiplier"]) - 1) * value
    return bonus if boost.get("maxBonus") is None else min(bonus, Fraction(boost["maxBonus"]))


def rounded(value: Fraction) -> int:
    """Round half up."""
    return math.floor(value + Fraction(1, 2))
