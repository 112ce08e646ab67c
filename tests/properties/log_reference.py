"""The rules for challenge logs once more, in the plainest Python, from their text alone.

Events, points and streaks build on it: ``event_reference``.

It shares nothing with the fold: no decoder, no ids, no amounts, no periods. It is slow, keeps
everything in dictionaries, and is there to be read beside `schemas/README.md#challenge-logs`.
"""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

NS = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")

GONE = ("deleted", "forgotten")

Answer = tuple[int, dict[str, Any] | None]


Fact = tuple[int, str, dict[str, Any]]
"""The record that it came with, counted from 0; an output's type; and what it is about."""


class Refusal(Exception):
    """The record is refused, with this reason; ``said`` is what the answer says besides."""

    def __init__(self, reason: str, status: int | None = None, **said: Any) -> None:
        super().__init__(reason)
        self.status = status or (404 if reason.startswith("unknown_") else 400)
        self.said = said


class LogReference:
    """What the rules know of one project's members and challenge logs."""

    def __init__(self) -> None:
        self.definitions: dict[tuple[str, str], dict[str, Any]] = {}
        self.members: dict[str, dict[str, Any]] = {}
        self.progress: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.logs: dict[tuple[str, str, str], dict[str, Any]] = {}
        """What each log said, when, whether an event fed it, and the progress that it counted in,
        None where it did not."""
        self.first_answers: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.rewards: list[tuple[str, str, str]] = []
        self.completions: list[tuple[str, str, str]] = []
        self.refusals: Counter[str] = Counter()
        self.duplicates = 0
        self.facts: list[Fact] = []
        self.taken = 0
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        """When the record arrived that is being taken."""
        self.asked = True
        """Whether who sent it waits for its answer."""

    def define(self, key: bytes, value: bytes | None) -> None:
        """The last value of a key is in force, null deletes."""
        _, kind, id_ = key.decode().split("/", 2)
        if value is None:
            self.definitions.pop((kind, id_), None)
        else:
            self.definitions[kind, id_] = json.loads(value, parse_float=Decimal)

    def take(self, topic: str, value: bytes | None, arrived_millis: int) -> Answer:
        """Fold one record; return what answers it (for a log: the record)."""
        arrived = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=arrived_millis)
        self.now = arrived
        try:
            return self._dispatch(topic, self._read(value), arrived)
        except Refusal as refusal:
            if not refusal.said:
                self.refusals[str(refusal)] += 1
            elif not self.asked:  # too few points are no dead letter
                self._tell("points.refused", **refusal.said)
            return refusal.status, refusal.said or None
        finally:
            self.taken += 1

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if topic == "challenge-logs":
            return self._log(record, arrived)
        return self._command(record)

    def _tell(self, type_: str, **about: Any) -> None:
        self.facts.append((self.taken, type_, about))

    def _read(self, value: bytes | None) -> dict[str, Any]:
        try:
            record = json.loads(value or b"", parse_float=Decimal)
        except ValueError as error:
            raise Refusal("malformed") from error
        if not isinstance(record, dict) or record.get("project", "default") != "default":
            raise Refusal("invalid")
        return record

    # Members.

    def _command(self, command: dict[str, Any]) -> Answer:
        if command["type"] == "upsert-member":
            known = self._alive(member_id(command["externalId"]))
            self._upsert(command)
            return (200 if known else 201), None
        id_ = command.get("memberId") or member_id(command["userId"])
        if command["type"] == "forget-member" and id_ in self.members:
            self.duplicates += self.members[id_]["status"] == "forgotten"
            self.members[id_] = {"status": "forgotten"}
            return 200, None
        if not self._alive(id_):
            raise Refusal("unknown_member")
        if command["type"] == "delete-member":
            self.members[id_] = {"status": "deleted"}
        else:
            self.members[id_]["status"] = command["status"]
        return 200, None

    def _alive(self, id_: str) -> bool:
        return id_ in self.members and self.members[id_]["status"] not in GONE

    def _upsert(self, fields: dict[str, Any]) -> str:
        id_ = member_id(fields["externalId"])
        if not self._alive(id_):
            self.members[id_] = {"status": "live"}
        for name in ("firstName", "city", "groups", "timezone"):
            if name in fields:
                self.members[id_][name] = fields[name]
        own = {**self.members[id_].get("attributes", {}), **(fields.get("attributes") or {})}
        self.members[id_]["attributes"] = {n: v for n, v in own.items() if v is not None}
        return id_

    # Logs.

    def _log(self, log: dict[str, Any], arrived: datetime, *, fed: bool = False) -> Answer:
        challenge = self.definitions.get(("challenge", log["challengeId"]))
        if challenge is None:
            raise Refusal("unknown_challenge")
        at = datetime.fromisoformat(log["activityAt"]).astimezone(UTC)
        if at - arrived > timedelta(hours=24):
            raise Refusal("invalid")
        inline = log.get("ownedBy")
        member = member_id(inline["externalId"]) if inline else log["ownedById"]
        identity = (challenge["id"], member, log["uniqueIdentifier"])
        if identity in self.first_answers:
            self.duplicates += 1
            return 409, self.first_answers[identity]

        own = self.members.get(member, {}).get("timezone")
        if inline and "timezone" in inline:
            own = inline["timezone"]
        zone = self._zone_of(challenge, own)
        period = self._period_of(challenge, at, zone)
        key = (challenge["id"], member, period)
        progress = self.progress.get(key)
        method = (progress or challenge).get("aggregationMethod", "sum")
        if method == "sum" and log.get("activityValue") is None:
            raise Refusal("invalid")
        if inline:
            self._upsert(inline)
        elif not self._alive(member):
            raise Refusal("unknown_member")

        achieved: list[str] = []
        counts = self._counts(challenge, log, member, at)
        self.logs[identity] = {"progress": key if counts else None, "at": at, "fed": fed, **log}
        if counts:
            if progress is None:
                progress = self.progress[key] = _begun(challenge, method)
                progress["zone"], progress["first"] = zone, at
            achieved = self._count(progress, challenge, key, log, at)
        answer = {
            "challengeProgress": None if progress is None else _shown(progress, period),
            "achievedMilestone": achieved[-1] if achieved else None,
            "achievedMilestones": achieved,
            "nextMilestone": self._next(challenge, progress),
            "activityValue": log.get("activityValue"),
        }
        self.first_answers[identity] = answer
        self._tell(
            "challenge_log.recorded",
            challengeId=challenge["id"],
            ownedById=member,
            value=progress and max(progress["total"], Decimal(0)),
        )
        return 201, answer

    def _period_of(self, challenge: dict[str, Any], at: datetime, zone: str) -> str:
        local = at.astimezone(ZoneInfo(zone))
        names = {"daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m", "yearly": "%Y"}
        return local.strftime(names.get(challenge.get("aggregationPeriod", "daily"), "all"))

    def _zone_of(self, definition: dict[str, Any], own: str | None) -> str:
        """Its own, else the project's, else UTC; where that says member, the member's ``own``."""
        project = self.definitions.get(("project", "default"), {}).get("timezone") or "UTC"
        if not self._goes_by_member(definition):
            return str(definition.get("timezone") or project)
        return str(own or ("UTC" if project == "member" else project))

    def _goes_by_member(self, definition: dict[str, Any]) -> bool:
        project = self.definitions.get(("project", "default"), {}).get("timezone")
        return (definition.get("timezone") or project) == "member"

    def _counts(
        self, challenge: dict[str, Any], log: dict[str, Any], member: str, at: datetime
    ) -> bool:
        activities, starts, ends = (challenge.get(n) for n in ("activityIds", "startsAt", "endsAt"))
        feeding = challenge.get("eventIds") or []
        return (
            log.get("status", "live") == "live"
            and self.members[member]["status"] == "live"
            and challenge.get("status", "live") == "live"
            and (activities is None or log["activityId"] in [*activities, *feeding])
            and (starts is None or datetime.fromisoformat(starts) <= at)
            and (ends is None or at < datetime.fromisoformat(ends))
        )

    def _count(
        self,
        progress: dict[str, Any],
        challenge: dict[str, Any],
        key: tuple[str, str, str],
        log: dict[str, Any],
        at: datetime,
    ) -> list[str]:
        value = Decimal(1) if progress["aggregationMethod"] == "count" else log["activityValue"]
        with localcontext() as exact:
            exact.prec = 100
            progress["total"] += value
        progress["started"] = min(progress["started"] or at, at)
        return self._reach(progress, challenge, key, at)

    def _reach(
        self,
        progress: dict[str, Any],
        challenge: dict[str, Any],
        key: tuple[str, str, str],
        at: datetime,
    ) -> list[str]:
        """Complete a progress that has its target, and give the milestones that it is at."""
        target = challenge["completionTargetValue"]
        if progress["status"] != "completed" and progress["total"] >= target:
            progress["status"], progress["completed"] = "completed", at
            self.completions.append(key)
            self._tell("challenge.completed", **about(key), at=at)
            self._complete(progress, challenge, key, at)
        crossed = [
            milestone
            for milestone in self._milestones(challenge)
            if milestone["milestoneTargetValue"] <= progress["total"]
            and milestone["id"] not in progress["reached"]
        ]
        achieved = []
        for milestone in crossed:
            progress["reached"].append(milestone["id"])
            reward = (milestone["id"], key[1], key[2])
            if self._may_be_given(reward):
                self.rewards.append(reward)
                achieved.append(milestone["id"])
                self._tell("reward.granted", **about(reward, "milestoneId"))
                self._reward(reward, milestone, at, challenge)
        return achieved

    def _complete(
        self,
        progress: dict[str, Any],
        challenge: dict[str, Any],
        key: tuple[str, str, str],
        at: datetime,
    ) -> None:
        """Give what a completion gives."""

    def _may_be_given(self, reward: tuple[str, str, str]) -> bool:
        return reward not in self.rewards

    def _reward(
        self,
        reward: tuple[str, str, str],
        milestone: dict[str, Any],
        at: datetime,
        challenge: dict[str, Any] | None = None,
    ) -> None:
        """Give what a reward gives."""

    def _milestones(self, challenge: dict[str, Any]) -> list[dict[str, Any]]:
        mine = [
            fields
            for (kind, _), fields in self.definitions.items()
            if kind == "milestone"
            and fields["linkedSchemaRecordId"] == challenge["id"]
            and fields.get("status", "live") == "live"
        ]
        return sorted(mine, key=lambda m: (m["milestoneTargetValue"], m["id"]))

    def _next(self, challenge: dict[str, Any], progress: dict[str, Any] | None) -> str | None:
        reached = progress["reached"] if progress else []
        left = [m["id"] for m in self._milestones(challenge) if m["id"] not in reached]
        return left[0] if left else None


def member_id(external_id: str) -> str:
    """Return a member's id as any producer computes it."""
    return str(uuid.uuid5(NS, f"default:member:{external_id}"))


def about(key: tuple[str, str, str], what: str = "challengeId") -> dict[str, str]:
    """Return what an event says it is about: a challenge or milestone, a member, a period."""
    return {what: key[0], "ownedById": key[1], "periodKey": key[2]}


def _begun(challenge: dict[str, Any], method: str) -> dict[str, Any]:
    return {
        "challenge": challenge,
        "total": Decimal(0),
        "status": "in_progress",
        "aggregationMethod": method,
        "started": None,
        "completed": None,
        "reached": [],
    }


def _shown(progress: dict[str, Any], period: str) -> dict[str, Any]:
    return {
        "currentProgressValue": max(progress["total"], Decimal(0)),
        "challengeProgressStatus": progress["status"],
        "aggregationMethod": progress["aggregationMethod"],
        "periodKey": period,
        "challengeStartedAt": progress["started"],
        "challengeCompletedAt": progress["completed"],
    }
