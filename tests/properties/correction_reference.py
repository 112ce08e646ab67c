"""Corrections by recalculations once more, from `schemas/README.md#recalculations` alone.

A correction moves what the logs add up to, for good.
"""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

from tests.properties.log_reference import Answer, Refusal, about, member_id
from tests.properties.void_reference import Key, VoidReference


class CorrectionReference(VoidReference):
    """What the rules know of one project, corrections included; their challenges keep method,
    period and zone."""

    def __init__(self, most_lots: int = 2000) -> None:
        super().__init__(most_lots)
        self.moved_by: dict[Key, Decimal] = defaultdict(Decimal)
        """What corrections moved each progress by."""
        self.corrections: set[tuple[str, str]] = set()

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        if record.get("type") == "correct-progress":
            return self._correct(record)
        return super()._dispatch(topic, record, arrived)

    def _add_up(self, key: Key) -> Decimal:
        before = self.progress[key]["total"]
        super()._add_up(key)
        with localcontext() as exact:
            exact.prec = 100
            self.progress[key]["total"] += self.moved_by[key]
            return Decimal(self.progress[key]["total"] - before)

    def _correct(self, command: dict[str, Any]) -> Answer:
        member = member_id(command["userId"])
        if member not in self.members:
            raise Refusal("unknown_member")
        if (member, command["uniqueIdentifier"]) in self.corrections:
            self.duplicates += 1
            return 200, None
        challenge = self.definitions.get(("challenge", command["challengeId"]))
        if challenge is None:
            raise Refusal("unknown_challenge")
        self.corrections.add((member, command["uniqueIdentifier"]))
        key = (challenge["id"], member, command["periodKey"])
        started = _time(command["startedAt"])
        if key not in self.progress:
            self._begin_progress(key, challenge, started)
        progress = self.progress[key]
        progress["started"] = min(progress["started"], started)
        self._move(progress, key, command)
        lives = self._lives(challenge, member)
        self._found_completed(progress, challenge, key, command, lives=lives)
        self._found_reached(progress, challenge, key, command, lives=lives)
        if command.get("reopens"):
            self._reopen(progress, challenge, key)
        end = self.end_of(progress, challenge)
        if progress["status"] == "failed" and (end is None or end > self.now):
            progress["status"] = "in_progress"
        for more in command.get("points", []):
            self._give_more(key, challenge, more)
        return 200, None

    def _lives(self, challenge: dict[str, Any], member: str) -> bool:
        live = challenge.get("status", "live") == "live"
        return bool(live and self.members[member]["status"] == "live")

    def _begin_progress(self, key: Key, challenge: dict[str, Any], started: datetime) -> None:
        self.progress[key] = {
            "challenge": challenge,
            "total": Decimal(0),
            "status": "in_progress",
            "aggregationMethod": challenge.get("aggregationMethod", "sum"),
            "started": started,
            "first": started,
            "zone": self._zone_of(challenge, self.members[key[1]].get("timezone")),
            "completed": None,
            "reached": [],
        }

    def _move(self, progress: dict[str, Any], key: Key, command: dict[str, Any]) -> None:
        change = Decimal(command["difference"])
        if not command.get("exact"):
            change = max(change, Decimal(0))
        with localcontext() as exact:
            exact.prec = 100
            self.moved_by[key] += change
            progress["total"] += change
        shown = max(progress["total"], Decimal(0))
        self._tell("challenge_progress.corrected", **about(key), difference=change, value=shown)

    def _found_completed(
        self,
        progress: dict[str, Any],
        challenge: dict[str, Any],
        key: Key,
        command: dict[str, Any],
        *,
        lives: bool,
    ) -> None:
        if progress["status"] == "completed":
            return
        at = None
        if "completedAt" in command:
            at = _time(command["completedAt"])
        elif lives and progress["total"] >= challenge["completionTargetValue"]:
            at = self.now
        if at is not None:
            progress["status"], progress["completed"] = "completed", at
            self.completions.append(key)
            self._tell("challenge.completed", **about(key), at=at)
            self._complete(progress, challenge, key, at)

    def _found_reached(
        self,
        progress: dict[str, Any],
        challenge: dict[str, Any],
        key: Key,
        command: dict[str, Any],
        *,
        lives: bool,
    ) -> None:
        listed = {each["milestoneId"]: _time(each["at"]) for each in command.get("reached", [])}
        live = [each["id"] for each in self._milestones(challenge)]
        mine = [
            each
            for (kind, _), each in self.definitions.items()
            if kind == "milestone" and each["linkedSchemaRecordId"] == challenge["id"]
        ]
        for milestone in sorted(mine, key=lambda m: (m["milestoneTargetValue"], m["id"])):
            id_, has = milestone["id"], progress["total"] >= milestone["milestoneTargetValue"]
            on_top = lives and id_ in live and has
            if id_ in progress["reached"] or not (id_ in listed or on_top):
                continue
            progress["reached"].append(id_)
            reward = (id_, key[1], key[2])
            if self._may_be_given(reward):
                self.rewards.append(reward)
                self._tell("reward.granted", **about(reward, "milestoneId"))
                self._reward(reward, milestone, listed.get(id_, self.now), challenge)

    def _give_more(self, key: Key, challenge: dict[str, Any], more: dict[str, Any]) -> None:
        """Give more points for a completion or a milestone, but where those were taken back."""
        what, of = "challenge", key
        if "milestoneId" in more:
            what, of = "milestone", (more["milestoneId"], key[1], key[2])
        reward = self.given.get(of)
        if of in self.withdrawn or (reward is not None and reward["revoked"]):
            return
        name = (key[1], what, f"{of[0]}:{of[2]}")
        first = self.ledger.done.get(name)
        group = (challenge.get("challengeGroup") or "_default") if first is None else first.group
        said = {"actionId": f"{what}:{of[0]}", "userGroupId": "default"}
        given = self.ledger.grant(
            key[1], group, more["points"], _time(more["at"]), self.now, **said
        )
        if first is not None:
            first.points += given.points
        elif what == "challenge" or reward is not None:
            self.ledger.done[name] = given


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
