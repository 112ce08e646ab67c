"""Voids of challenge logs once more, from `schemas/README.md#voids` alone.

A sum is added up anew from all logs that counted, each with what is left of it.
"""

import uuid
from collections import defaultdict
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from tests.properties.event_reference import EventReference
from tests.properties.reference import NS, Answer, Refusal, member_id

Key = tuple[str, str, str]
LEAST = Decimal("0.000000001")


class VoidReference(EventReference):
    """All that the rules know of one project, voids of challenge logs included."""

    def __init__(self) -> None:
        super().__init__()
        self.portions: dict[Key, Decimal] = defaultdict(Decimal)
        """What is voided of each log."""
        self.answered: dict[tuple[str, str], dict[str, Any]] = {}
        self.given: dict[Key, dict[str, Any]] = {}
        """Each reward by milestone, member and period: issued, revoked, its points, its giver."""
        self.completed_for: dict[Key, dict[str, Any]] = {}
        """What each completion gave: points, or that they were taken back."""

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if record.get("type") == "void":
            return self._void(record, arrived)
        if record.get("type") == "update-reward-log":
            return self._update_reward(record)
        return super()._dispatch(topic, record, arrived)

    # What is given.

    def _complete(self, progress: dict[str, Any], challenge: dict[str, Any], key: Key) -> None:
        before = self.completed_for.get(key)
        if progress.get("reopened") and (before is None or not before["withdrawn"]):
            return
        points = challenge.get("pointsOnCompletion") or 0
        if points:
            self.completed_for[key] = {"points": points, "withdrawn": False}
        super()._complete(progress, challenge, key)

    def _may_be_given(self, reward: Key) -> bool:
        return reward not in self.given or self.given[reward]["revoked"]

    def _reward(self, reward: Key, milestone: dict[str, Any], challenge: dict[str, Any]) -> None:
        self.given[reward] = {
            "issued": False,
            "revoked": False,
            "points": milestone.get("points") or 0,
            "challenge": challenge["id"],
        }
        super()._reward(reward, milestone, challenge)

    def _update_reward(self, command: dict[str, Any]) -> Answer:
        member = member_id(command["userId"])
        if member not in self.members:
            raise Refusal("unknown_member")
        for reward, each in self.given.items():
            if reward_id(reward) == command["rewardLogId"] and reward[1] == member:
                if each["revoked"]:
                    raise Refusal("reward_revoked", 409)
                each["issued"] = command["rewardIssuedAt"] is not None
                return 200, None
        raise Refusal("invalid")

    # Voids.

    def _void(self, command: dict[str, Any], arrived: datetime) -> Answer:
        member = member_id(command["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        own = (member, command["uniqueIdentifier"])
        if own in self.answered:
            self.duplicates += 1
            return 200, self.answered[own]
        identity = self._named(command, member)
        portion = Decimal(command.get("portion", 1))
        if self.portions[identity] + portion > 1:
            raise Refusal("over_voided", 409)
        self.portions[identity] += portion
        answer: dict[str, Any] = {
            "progress": [],
            "points": {"reversed": 0, "notRecovered": 0},
            "revoked": [],
            "notRevoked": [],
        }
        self.answered[own] = answer
        key = self.logs[identity]["progress"]
        change = Decimal(0) if key is None else self._add_up(key)
        self._tell("challenge_log.voided", challengeId=identity[0], ownedById=member, change=change)
        if key is not None and change:
            if change > 0:
                self._rise(key, self.logs[identity]["at"])
            else:
                self._fall(key, command, arrived, answer)
            progress = self.progress[key]
            answer["progress"].append(
                (max(progress["total"], Decimal(0)), progress["status"], progress["completed"])
            )
        return 200, answer

    def _named(self, command: dict[str, Any], member: str) -> Key:
        of = command.get("of") or {}
        for identity in self.logs:
            challenge, owner, identifier = identity
            named = f"default:challenge_log:{challenge}:{owner}:{identifier}"
            if owner == member and (
                str(uuid.uuid5(NS, named)) == command.get("id")
                or (challenge, identifier) == (of.get("challengeId"), of.get("uniqueIdentifier"))
            ):
                return identity
        raise Refusal("unknown_log")

    def _add_up(self, key: Key) -> Decimal:
        """Add a progress up anew; return what it changed by."""
        progress = self.progress[key]
        before = progress["total"]
        counting = progress["aggregationMethod"] == "count"
        with localcontext() as exact:
            exact.prec = 100
            progress["total"] = Decimal(0)
            for identity, log in self.logs.items():
                if log["progress"] != key:
                    continue
                portion = self.portions[identity]
                if counting:
                    progress["total"] += portion < 1
                else:
                    value = Decimal(log["activityValue"])
                    gone = (value * portion).quantize(LEAST, ROUND_HALF_UP)
                    progress["total"] += value - gone
            return Decimal(progress["total"] - before)

    def _rise(self, key: Key, at: datetime) -> None:
        """Reach what a log of that moment would."""
        challenge = self.definitions["challenge", key[0]]
        if self.members[key[1]]["status"] == "live":
            self._reach(self.progress[key], challenge, key, at)

    def _fall(
        self, key: Key, command: dict[str, Any], arrived: datetime, answer: dict[str, Any]
    ) -> None:
        """Open again what falls short, and take back what is not earned, where that is asked."""
        progress = self.progress[key]
        self._reopen(progress, self.definitions["challenge", key[0]], key, arrived)
        if command.get("rewards") == "revoke":
            self._revoke(progress, key, answer)

    def _reopen(
        self, progress: dict[str, Any], challenge: dict[str, Any], key: Key, arrived: datetime
    ) -> None:
        if progress["status"] != "completed":
            return
        if progress["total"] >= challenge["completionTargetValue"]:
            return
        end = self.end_of(progress, challenge)
        progress["status"] = "in_progress" if end is None or end > arrived else "failed"
        progress["completed"], progress["reopened"] = None, True
        self._tell(
            "challenge.reopened",
            challengeId=key[0],
            ownedById=key[1],
            status=progress["status"],
        )

    def _revoke(self, progress: dict[str, Any], key: Key, answer: dict[str, Any]) -> None:
        completion = self.completed_for.get(key)
        short = progress["status"] != "completed"
        if short and completion is not None and not completion["withdrawn"]:
            completion["withdrawn"] = True
            self._take_back(key[1], completion["points"], answer)
        for id_ in list(progress["reached"]):
            milestone = self.definitions.get(("milestone", id_))
            if milestone is None or milestone["milestoneTargetValue"] <= progress["total"]:
                continue
            reward = (id_, key[1], key[2])
            if self._is_reached_elsewhere(reward, key, milestone):
                progress["reached"].remove(id_)
            elif self.given[reward]["revoked"]:
                continue
            elif self.given[reward]["issued"]:
                answer["notRevoked"].append(reward_id(reward))
            else:
                progress["reached"].remove(id_)
                self.given[reward]["revoked"] = True
                answer["revoked"].append(reward_id(reward))
                self._tell("reward.revoked", milestoneId=id_, ownedById=key[1])
                if self.given[reward]["points"]:
                    self._take_back(key[1], self.given[reward]["points"], answer)

    def _is_reached_elsewhere(self, reward: Key, key: Key, milestone: dict[str, Any]) -> bool:
        others = {self.given[reward]["challenge"], milestone["linkedSchemaRecordId"]} - {key[0]}
        found = [self.progress.get((other, key[1], key[2])) for other in others]
        return any(each is not None and reward[0] in each["reached"] for each in found)

    def _take_back(self, member: str, points: int, answer: dict[str, Any]) -> None:
        taken = min(points, self.balances[member, "_default"])
        self.balances[member, "_default"] -= taken
        answer["points"]["reversed"] += taken
        answer["points"]["notRecovered"] += points - taken
        self._tell("points.reversed", ownedById=member, points=-taken, notRecovered=points - taken)

    # Ticks.

    def tick(self, now: datetime) -> None:
        """Fail what is over and short of the target in force; complete what is not short of it."""
        for key, progress in self.progress.items():
            challenge = self.definitions["challenge", key[0]]
            end = self.end_of(progress, challenge)
            if progress["status"] != "in_progress" or end is None or end > now:
                continue
            about = {"challengeId": key[0], "ownedById": key[1], "at": end}
            if progress["total"] < challenge["completionTargetValue"]:
                progress["status"] = "failed"
                self._tell("challenge.failed", **about)
            else:
                progress["status"], progress["completed"] = "completed", end
                self._tell("challenge.completed", **about)
                self._complete(progress, challenge, key)
        self.taken += 1


def reward_id(reward: Key) -> str:
    """Return a reward log's id, as any consumer computes it."""
    return str(uuid.uuid5(NS, f"default:reward_log:{':'.join(reward)}"))
