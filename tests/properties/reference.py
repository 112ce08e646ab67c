"""All the rules once more, in the plainest Python: one naive reference beside the fold.

It is written from the text of `schemas/README.md` alone, keeps every record and every grant that
there ever was, and looks at all of them each time: members and challenge logs (`log_reference`);
events, streaks and ticks (`event_reference`); points (`points_reference`); voids
(`void_reference`); corrections by recalculations (`correction_reference`); and tiers
(`tier_reference`), which are judged here.
"""

from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.properties.correction_reference import CorrectionReference
from tests.properties.log_reference import Answer, Refusal, member_id
from tests.properties.points_reference import Due
from tests.properties.tier_reference import Standing


class Reference(CorrectionReference):
    """All that the rules know of one project."""

    def __init__(self, most_lots: int = 2000) -> None:
        super().__init__(most_lots)
        self.standings: dict[tuple[str, str], Standing] = {}
        """Of who was judged, by member and set."""
        self.assigned: set[tuple[str, str]] = set()

    @property
    def tiers(self) -> dict[tuple[str, str], str | None]:
        """The tiers of those who were judged, by member and set."""
        return {key: each.tier for key, each in self.standings.items() if each.judged}

    def _sets(self) -> dict[str, dict[str, Any]]:
        return {id_: each for (kind, id_), each in self.definitions.items() if kind == "tier-set"}

    def _dispatch(self, topic: str, record: dict[str, Any], arrived: datetime) -> Answer:
        earned, before = len(self.ledger.ever), self.balances
        if record.get("type") == "assign-tier":
            answer = self._assign(record, arrived)
        else:
            answer = super()._dispatch(topic, record, arrived)
        self._judge(earned, before, "earned")
        return answer

    def _standing(self, member: str, set_: str) -> Standing:
        """Return how a member stands in a set, and make it known where it was never judged."""
        standing = self.standings.get((member, set_))
        if standing is None:
            definition = self.definitions["tier-set", set_]
            standing = Standing(definition, "UTC")
            self.standings[member, set_] = standing
        standing.zone = self._zone_of({}, self.members[member].get("timezone"))
        return standing

    def _judge(self, earned: int, before: dict[tuple[str, str], int], why: str) -> None:
        """Judge everybody whose basis was moved: by what was earned since, or by what they have."""
        for set_, definition in self._sets().items():
            by_balance = definition["basis"]["type"] == "balance"
            for member in self.members:
                if by_balance:
                    self._judge_balance(member, set_, before, why)
                elif any(each[0] == member for each in self.ledger.ever[earned:]):
                    self._judge_earned(member, set_, earned, why)

    def _judge_balance(
        self, member: str, set_: str, before: dict[tuple[str, str], int], why: str
    ) -> None:
        was, has = self._held(member, set_, before), self._held(member, set_, self.balances)
        if was != has:
            standing = self._standing(member, set_)
            standing.balance = was
            standing.go_on(self.now)
            standing.balance = has
            standing.look(self.now, why)
            self._tell_moves(member, set_)

    def _held(self, member: str, set_: str, balances: dict[tuple[str, str], int]) -> int:
        wallet = self.definitions["tier-set", set_]["basis"].get("wallet")
        return sum(
            points
            for (whose, group), points in balances.items()
            if whose == member and wallet in (None, group)
        )

    def _judge_earned(self, member: str, set_: str, earned: int, why: str) -> None:
        new = self._earned(member, set_, earned)
        if not new:
            return
        standing = self._standing(member, set_)
        if standing.looked is None:
            self._begin(standing, member, set_, earned)
        standing.go_on(self.now)
        for points, at in new:
            standing.earn(points, at)
        standing.look(self.now, why)
        self._tell_moves(member, set_)

    def _earned(
        self, member: str, set_: str, first: int, last: int | None = None
    ) -> list[tuple[int, datetime]]:
        wallet = self.definitions["tier-set", set_]["basis"].get("wallet")
        return [
            (points, at)
            for whose, group, points, at in self.ledger.ever[first:last]
            if whose == member and wallet in (None, group)
        ]

    def _begin(self, standing: Standing, member: str, set_: str, until: int) -> None:
        """Have a standing know what counts of what was earned before it is judged first."""
        window = standing.definition.get("window", {"type": "lifetime"})
        standing.grants.clear()
        if standing.definition["basis"]["type"] == "earned" and window["type"] == "lifetime":
            for points, at in self._earned(member, set_, 0, until):
                standing.earn(points, at)
        if standing.definition["basis"]["type"] == "balance":
            standing.balance = self._held(member, set_, self.balances)

    def _tell_moves(self, member: str, set_: str) -> None:
        standing = self._standing(member, set_)
        for before, after, why, at in standing.moves:
            about = {"tierSetId": set_, "ownedById": member, "from": before, "to": after}
            self._tell("tier.changed", **about, reason=why, at=at)
        standing.moves.clear()

    def _tiers_that_act(self, group: str, member: str) -> dict[str, tuple[str, Fraction]]:
        found = {}
        for set_, definition in sorted(self._sets().items()):
            basis = definition["basis"].get("wallet")
            wallets = definition.get("wallets") or (None if basis is None else [basis])
            if wallets is not None and group not in wallets:
                continue
            if (member, set_) in self.standings:
                standing = self._standing(member, set_)
                standing.go_on(self.now)
                self._tell_moves(member, set_)
            else:
                standing = Standing(definition, "UTC")
            if standing.in_force is not None:
                found[set_] = (standing.in_force, standing.factor)
        return found

    def _assign(self, command: dict[str, Any], now: datetime) -> Answer:
        member, set_ = member_id(command["userId"]), command["tierSetId"]
        if not self._alive(member):
            raise Refusal("unknown_member")
        if (member, command["uniqueIdentifier"]) in self.assigned:
            self.duplicates += 1
            return 200, None
        if set_ not in self._sets():
            raise Refusal("unknown_tier_set")
        until = command.get("until") and datetime.fromisoformat(command["until"])
        if until and until <= now:
            raise Refusal("invalid")
        self.assigned.add((member, command["uniqueIdentifier"]))
        standing = self._standing(member, set_)
        if standing.looked is None:
            self._begin(standing, member, set_, len(self.ledger.ever))
        standing.go_on(now)
        standing.assign(command.get("tierId"), until, now)
        self._tell_moves(member, set_)
        return 200, None

    def tick(self, now: datetime) -> None:
        """Let happen what was due by ``now``; a tick is no record of a member's."""
        for member, set_ in self.standings:
            self._standing(member, set_).go_on(now)
            self._tell_moves(member, set_)
        super().tick(now)

    def _fall_due(self, due: Due, now: datetime) -> None:
        earned, before = len(self.ledger.ever), self.balances
        super()._fall_due(due, now)
        self._judge(earned, before, "window")
