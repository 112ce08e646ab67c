"""Events, points, streaks and ticks once more, from the rules in `schemas/README.md` alone.

Like ``reference``, on which it builds, it shares nothing with the fold and keeps everything: every
event ever logged, every slot of a limit, every entry of the ledger.
"""

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from tests.properties.condition_reference import holds, kind, metadata_are_valid
from tests.properties.reference import Answer, Reference, Refusal, member_id
from tests.properties.streak_reference import Streak, begins, name_of, number_of

PERIODS = {"daily": "daily", "weekly": "weekly", "monthly": "monthly"}


class EventReference(Reference):
    """All that the rules know of one project, events included."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: Counter[tuple[str, str, str]] = Counter()
        """How many events of a member took a slot, by member, event and period."""
        self.keyed: dict[tuple[str, str], dict[str, Any]] = {}
        """The first answer to each idempotency key of a member."""
        self.balances: Counter[tuple[str, str]] = Counter()
        self.redeemed: set[tuple[str, str]] = set()
        self.streaks: dict[tuple[str, str], Streak] = {}
        self.logged: list[dict[str, Any]] = []

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if topic == "events":
            return self._event(record, arrived)
        return super()._dispatch(topic, record, arrived)

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
        points = unmultiplied = 0
        if live and met and not full:
            self.slots[slot] += 1
            unmultiplied = points_of(definition, group, metadata)
            base = unmultiplied, exact_points_of(definition, group, metadata)
            points = self._boosted(definition, metadata, base, member, at)
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
        self._log_event(data, member, at)
        if live and met:
            challenge_group = definition.get("challengeGroup", "_default")
            if points or unmultiplied:
                self._enter(member, event["eventId"], challenge_group, points, group)
            self._follow(event, member, at, arrived)
        return 200, answer

    def _boosted(
        self,
        definition: dict[str, Any],
        metadata: dict[str, Any],
        base: tuple[int, Fraction],
        member: str,
        at: datetime,
    ) -> int:
        """Multiply points by the boosts that act; given them, and what they are unrounded."""
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
        if not acting:
            return base[0]
        value = base[1]
        by: dict[str, list[dict[str, Any]]] = {"multiply": [], "add": [], "highest": []}
        for boost in acting:
            by[boost.get("stacking", "multiply")].append(boost)
        for boost in by["multiply"]:
            value = value + more(boost, value)
        value = value + sum(more(boost, value) for boost in by["add"])
        greatest = sorted(by["highest"], key=lambda boost: -Fraction(boost["multiplier"]))[:1]
        for boost in greatest:
            value = value + more(boost, value)
        return max(0, rounded(value))

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

    def _follow(self, event: dict[str, Any], member: str, at: datetime, arrived: datetime) -> None:
        for (kind_, _), challenge in list(self.definitions.items()):
            if kind_ == "challenge" and event["eventId"] in (challenge.get("eventIds") or []):
                self._feed(challenge, event, member, at, arrived)
        for (kind_, id_), streak in list(self.definitions.items()):
            if kind_ == "streak" and event["eventId"] in streak["eventIds"]:
                self._advance(id_, streak, member, at)

    def _feed(
        self,
        challenge: dict[str, Any],
        event: dict[str, Any],
        member: str,
        at: datetime,
        arrived: datetime,
    ) -> None:
        field = challenge.get("valueField")
        value = 1 if field is None else (event.get("metadata") or {}).get(field)
        if kind(value) != "number":
            if challenge.get("aggregationMethod", "sum") == "sum":
                return
            value = None
        log = {
            "challengeId": challenge["id"],
            "ownedById": member,
            "activityAt": at.isoformat(),
            "activityId": event["eventId"],
            "uniqueIdentifier": f"event {len(self.logged)}",
            "activityValue": value,
        }
        self._log(log, arrived)

    # Points.

    def _grant(
        self,
        kind: str,
        what: dict[str, Any],
        field: str,
        member: str,
        challenge: dict[str, Any] | None,
    ) -> None:
        group = (challenge or {}).get("challengeGroup", "_default")
        if what.get(field):
            self._enter(member, f"{kind}:{what['id']}", group, what[field], "default")

    def _enter(self, member: str, action: str, group: str, points: int, usergroup: str) -> None:
        """Write an entry of the ledger; balances never go below 0."""
        self.balances[member, group] = max(0, self.balances[member, group] + points)
        self._tell(
            "points.granted" if points >= 0 else "points.redeemed",
            ownedById=member,
            actionId=action,
            challengeGroup=group,
            points=points,
            userGroupId=usergroup,
        )

    def _command(self, command: dict[str, Any]) -> Answer:
        if command["type"] != "redeem-points":
            return super()._command(command)
        member = member_id(command["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        if (member, command["uniqueIdentifier"]) in self.redeemed:
            self.duplicates += 1
            return 200, None
        self.redeemed.add((member, command["uniqueIdentifier"]))
        group = command.get("challengeGroup", "_default")
        self._enter(member, "redeem", group, -command["points"], "default")
        return 200, None

    # Streaks.

    def _advance(self, id_: str, definition: dict[str, Any], member: str, at: datetime) -> None:
        zone = self._zone_of(definition, self.members[member].get("timezone"))
        moving = self._goes_by_member(definition)
        streak = self.streaks.setdefault((id_, member), Streak(definition, zone, moving))
        milestones = [
            fields
            for (kind_, _), fields in self.definitions.items()
            if kind_ == "milestone"
            and fields.get("linkedSchemaSlug") == "streak"
            and fields["linkedSchemaRecordId"] == id_
            and fields.get("status", "live") == "live"
        ]
        happened = streak.hit(at, milestones, zone)
        if happened is None:
            return
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
        for milestone in happened.milestones:
            self._tell("reward.granted", milestoneId=milestone, ownedById=member)
            given = self.definitions["milestone", milestone]
            self._grant("milestone", given, "points", member, None)

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
        for (challenge_id, member, _), progress in self.progress.items():
            challenge = self.definitions.get(("challenge", challenge_id), {"status": "deleted"})
            end = self.end_of(progress, challenge)
            if end is None or end > now or progress["status"] != "in_progress":
                continue
            if challenge.get("status", "live") == "live":
                progress["status"] = "failed"
                self._tell("challenge.failed", challengeId=challenge_id, ownedById=member, at=end)
        for (id_, member), streak in self.streaks.items():
            zone = self._zone_of(streak.definition, self.members[member].get("timezone"))
            gap = streak.tick(now, zone) if ("streak", id_) in self.definitions else None
            if gap is not None:
                self._tell_streak("broken", id_, member, streak, gap)
        self.taken += 1

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


def stats_of(logged: list[dict[str, Any]]) -> dict[str, Any]:
    """Count events by local day and hour, as ``/stats/event`` shows them: events, points, users."""
    days: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"events": 0, "points": 0, "users": set(), "hours": [0] * 24}
    )
    for event in logged:
        day = days[event["localDate"]]
        day["events"] += 1
        day["points"] += event["points"]
        day["users"].add(event["userId"])
        day["hours"][event["localHour"]] += 1
    return dict(days)
