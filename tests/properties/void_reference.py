"""Voids once more, from `schemas/README.md#voids` alone.

A sum is added up anew from all logs that counted, each with what is left of it.
"""

import uuid
from collections import defaultdict
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

from tests.properties.event_reference import EventReference
from tests.properties.log_reference import NS, Answer, Refusal, about, member_id
from tests.properties.streak_reference import name_of

Key = tuple[str, str, str]
LEAST = Decimal("0.000000001")


class VoidReference(EventReference):
    """What the rules know of one project, voids included."""

    def __init__(self, most_lots: int = 2000) -> None:
        super().__init__(most_lots)
        self.portions: dict[Key, Decimal] = defaultdict(Decimal)
        """What is voided of each log."""
        self.answered: dict[tuple[str, str], dict[str, Any]] = {}
        self.given: dict[Key, dict[str, Any]] = {}
        """Each reward by milestone, member and period: issued, revoked, who gave it."""
        self.withdrawn: set[Key] = set()
        """The completions whose points were taken back."""
        self.granted_again = 0
        """How many rewards were granted that had been revoked."""

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if record.get("type") == "void":
            return self._void(record)
        if record.get("type") == "update-reward-log":
            return self._update_reward(record)
        return super()._dispatch(topic, record, arrived)

    # What is given.

    def _complete(
        self, progress: dict[str, Any], challenge: dict[str, Any], key: Key, at: datetime
    ) -> None:
        if progress.get("reopened") and key not in self.withdrawn:
            return
        if challenge.get("pointsOnCompletion"):
            self.withdrawn.discard(key)
        super()._complete(progress, challenge, key, at)

    def _may_be_given(self, reward: Key) -> bool:
        return reward not in self.given or self.given[reward]["revoked"]

    def _reward(
        self,
        reward: Key,
        milestone: dict[str, Any],
        at: datetime,
        challenge: dict[str, Any] | None = None,
    ) -> None:
        self.granted_again += reward in self.given
        by = None if challenge is None else challenge["id"]
        self.given[reward] = {"issued": False, "revoked": False, "challenge": by}
        super()._reward(reward, milestone, at, challenge)

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

    def _void(self, command: dict[str, Any]) -> Answer:
        member = member_id(command["userId"])
        if not self._alive(member):
            raise Refusal("unknown_member")
        own = (member, command["uniqueIdentifier"])
        if own in self.answered:
            self.duplicates += 1
            return 200, self.answered[own]
        answer: dict[str, Any] = {
            "progress": [],
            "points": {"reversed": 0, "notRecovered": 0},
            "revoked": [],
            "notRevoked": [],
        }
        if command["what"] == "challenge_log":
            identity = self._named(command, member)
            if self.logs[identity]["fed"]:
                raise Refusal("belongs_to_event", 409)
            self._void_log(identity, command, answer)
        else:
            self._void_points(command, member, answer)
        self.answered[own] = answer
        return 200, answer

    def _void_log(self, identity: Key, command: dict[str, Any], answer: dict[str, Any]) -> None:
        portion = Decimal(command.get("portion", 1))
        if self.portions[identity] + portion > 1:
            raise Refusal("over_voided", 409)
        self.portions[identity] += portion
        log = self.logs[identity]
        key = log["progress"]
        change = Decimal(0) if key is None else self._add_up(key)
        self._tell(
            "challenge_log.voided", challengeId=identity[0], ownedById=identity[1], change=change
        )
        if key is not None and change:
            if change > 0:
                self._rise(key, log["at"])
            else:
                self._fall(key, command, answer)
            progress = self.progress[key]
            answer["progress"].append(
                (max(progress["total"], Decimal(0)), progress["status"], progress["completed"])
            )

    def _void_points(self, command: dict[str, Any], member: str, answer: dict[str, Any]) -> None:
        """Void an event, or what took points."""
        (name,) = command["of"].values()
        done = self.ledger.done.get((member, command["what"], name))
        if done is None:
            raise Refusal("unknown_log")
        portion = Fraction(str(command.get("portion", 1)))
        if command["what"] != "event":
            answer["points"] = self.ledger.give_back(member, done, portion, self.now)
            return
        answer["points"] = self.ledger.take_back(member, done, portion, self.now)
        event = self.events[member, name]
        self._tell("event.voided", ownedById=member, pointsVoided=done.points_voided)
        for identity in event.fed:
            self._void_log(identity, command, answer)
        if done.voided < 1:
            return
        if event.slot is not None:
            self.slots[event.slot] -= 1
        for hit in event.hit:
            self._take_hit(hit, command, answer)

    def _take_hit(
        self,
        hit: tuple[str, str, int],
        command: dict[str, Any],
        answer: dict[str, Any],
    ) -> None:
        """Take a hit of a streak back where nothing else hit that period."""
        self.hits[hit] -= 1
        id_, member, number = hit
        if self.hits[hit] or ("streak", id_) not in self.definitions:
            return
        streak = self.streaks[id_, member]
        zone = self._zone_of(streak.definition, self.members[member].get("timezone"))
        milestones = self._milestones_of_streak(id_)
        revoke = command.get("rewards") == "revoke"
        lost = streak.take_back(number, milestones, self.now, zone, revoke=revoke)
        over = not streak.hits or streak.is_broken()
        self._tell_streak(
            "reverted",
            id_,
            member,
            streak,
            number,
            longestLength=streak.longest,
            currentLength=0 if over else streak.runs[-1].length,
        )
        for milestone, at in lost:
            self._revoke_one((milestone, member, name_of(streak.period, at)), answer)

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
        challenge = self.definitions.get(("challenge", key[0]), {"status": "deleted"})
        live = challenge.get("status", "live") == "live"
        if live and self.members[key[1]]["status"] == "live":
            self._reach(self.progress[key], challenge, key, at)

    def _fall(self, key: Key, command: dict[str, Any], answer: dict[str, Any]) -> None:
        """Open again what falls short, and take back what is not earned, where that is asked."""
        progress = self.progress[key]
        challenge = self.definitions.get(("challenge", key[0]))
        if challenge is not None:  # without one there is no target to fall short of
            self._reopen(progress, challenge, key)
        if command.get("rewards") == "revoke":
            self._revoke(progress, key, answer)

    def _reopen(self, progress: dict[str, Any], challenge: dict[str, Any], key: Key) -> None:
        if progress["status"] != "completed":
            return
        if progress["total"] >= challenge["completionTargetValue"]:
            return
        end = self.end_of(progress, challenge)
        progress["status"] = "in_progress" if end is None or end > self.now else "failed"
        progress["completed"], progress["reopened"] = None, True
        self._tell("challenge.reopened", **about(key), status=progress["status"])

    def _revoke(self, progress: dict[str, Any], key: Key, answer: dict[str, Any]) -> None:
        given = (key[1], "challenge", f"{key[0]}:{key[2]}") in self.ledger.done
        fell = progress.get("reopened") and progress["status"] != "completed"
        if fell and given and key not in self.withdrawn:
            self.withdrawn.add(key)
            self._take_back("challenge", key, answer)
        for id_ in list(progress["reached"]):
            milestone = self.definitions.get(("milestone", id_))
            if milestone is None or milestone["milestoneTargetValue"] <= progress["total"]:
                continue
            reward = (id_, key[1], key[2])
            gone = self._is_reached_elsewhere(reward, key, milestone)
            if gone or self._revoke_one(reward, answer):
                progress["reached"].remove(id_)

    def _revoke_one(self, reward: Key, answer: dict[str, Any]) -> bool:
        """Revoke a reward that is not issued, with its points; return whether it was."""
        if self.given[reward]["revoked"]:
            return False
        if self.given[reward]["issued"]:
            answer["notRevoked"].append(reward_id(reward))
            return False
        self.given[reward]["revoked"] = True
        answer["revoked"].append(reward_id(reward))
        self._tell("reward.revoked", **about(reward, "milestoneId"))
        self._take_back("milestone", reward, answer)
        return True

    def _is_reached_elsewhere(self, reward: Key, key: Key, milestone: dict[str, Any]) -> bool:
        others = {self.given[reward]["challenge"], milestone["linkedSchemaRecordId"]} - {key[0]}
        found = [self.progress.get((other, key[1], key[2])) for other in others]
        return any(each is not None and reward[0] in each["reached"] for each in found)

    def _take_back(self, what: str, key: Key, answer: dict[str, Any]) -> None:
        """Take back the points that a completion or a milestone gave last."""
        done = self.ledger.done.get((key[1], what, f"{key[0]}:{key[2]}"))
        if done is not None and done.points and not done.voided:
            for name, points in self.ledger.take_back(key[1], done, Fraction(1), self.now).items():
                answer["points"][name] += points


def reward_id(reward: Key) -> str:
    """Return a reward log's id, as any consumer computes it."""
    return str(uuid.uuid5(NS, f"default:reward_log:{':'.join(reward)}"))
