"""Writing entries into the members' points ledgers within a chunk."""

from copy import copy
from datetime import datetime

import msgspec

from processor.domain.aggregates import points as points_of
from processor.domain.aggregates import wallet as wallet_of
from processor.domain.aggregates.boost import LIMIT
from processor.domain.aggregates.period import period_key
from processor.domain.aggregates.points import (
    Balances,
    Entry,
    Granted,
    Purse,
    Took,
    Unearned,
)
from processor.domain.aggregates.tier import Earning
from processor.domain.aggregates.wallet import ENDLESS, Earned, Offer
from processor.domain.context import RecordContext
from processor.domain.definitions import Definitions
from processor.domain.handlers import looking
from processor.domain.handlers.lots import Lots
from processor.domain.handlers.voiding import Reversal, Voiding, amount
from processor.domain.rules import Wallet
from processor.domain.state_kinds import (
    BALANCES,
    EARNED,
    GRANTED,
    MEMBER,
    REWARD,
    UNEARNED,
    balances_key,
    earned_key,
    granted_key,
    member_key,
    reward_key,
    unearned_key,
)
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs
from schemas.event_types import (
    POINTS_EXPIRED,
    POINTS_GRANTED,
    POINTS_REDEEMED,
    POINTS_REVERSED,
    EventType,
)

CHALLENGE, MILESTONE = "challenge", "milestone"
"""Sources of entries: a challenge that was completed, a milestone that was reached."""
REMEMBERED = (CHALLENGE, MILESTONE)
"""Sources whose points are remembered in every group: nothing else says how many they were."""


class Said(msgspec.Struct, frozen=True, gc=False):
    """What is said of an entry besides its points; most of it by the command that made it."""

    user_id: str
    unique_identifier: str | None = None
    reason: str | None = None
    actor: str | None = None
    hold: outputs.Hold | None = None


class Ledger:
    """The points of one chunk's members.

    A group that has no wallet, and never had one, is a balance; what comes and goes elsewhere goes
    through its lots.
    """

    def __init__(self, definitions: Definitions, entries: WorkingSet) -> None:
        self._definitions = definitions
        self._with_wallets = definitions.with_wallets
        self._entries = entries

    def balances(self, member_id: str) -> Balances:
        """Return what a member has."""
        return self._entries.get(BALANCES, balances_key(member_id)) or points_of.initial()

    def lots(self, context: RecordContext, group: str) -> Lots:
        """Return a member's points in a group, to be moved; ``keep`` keeps what became of them."""
        purse = self.balances(context.member_id).purse(group)
        wallet = self._wallet(context, group)
        return Lots(self._entries, context, group, purse, wallet)

    def keep(self, member_id: str, lots: Lots, *, earned: int = 0) -> Balances:
        """Keep what a member has in one group; return all that it has.

        ``earned`` is how many points more it has earned by now; below 0 where a grant is taken
        back.
        """
        before, group = self.balances(member_id), lots.group
        was, purse = before.purse(group), lots.purse
        more = purse.balance + purse.pending - was.balance - was.pending - earned
        if more:
            key = unearned_key(member_id)
            unearned = self._entries.get(UNEARNED, key) or Unearned()
            self._entries.set(UNEARNED, key, points_of.otherwise(unearned, group, more))
        after = points_of.replaced(before, group, copy(purse))
        self._entries.set(BALANCES, balances_key(member_id), after)
        return after

    def offer(self, context: RecordContext, group: str, points: int, at: datetime) -> Offer | None:
        """Return what the group's wallet leaves of points that are earned at a moment; None where
        nothing caps them."""
        if context.project not in self._with_wallets:
            return None
        wallet = self._wallet(context, group)
        if wallet is None or not wallet.caps:
            return None
        purse = self.balances(context.member_id).purse(group)
        offer = wallet_of.decide(wallet, purse, self._earned(context, wallet, at), points)
        if context.trace is not None:
            looking.at_caps(context.trace, wallet, points, offer)
        return offer

    def add(
        self, context: RecordContext, entry: Entry, offer: Offer | None = None
    ) -> outputs.PointsChanged:
        """Write an entry of points that are earned, and publish it; return it.

        ``offer`` is what the wallet leaves of them, where that was asked for before.
        """
        before = self.balances(context.member_id)
        purse = before.groups.get(entry.group, 0)
        if purse.__class__ is int and context.project not in self._with_wallets:
            return self._add(context, entry, before)
        wallet = self._definitions.wallet(context.project, entry.group)
        if wallet is None and not (isinstance(purse, Purse) and purse.told):
            return self._add(context, entry, before)
        if wallet is not None and offer is None and wallet.caps:
            offer = self.offer(context, entry.group, entry.points, entry.at)
        return self._grant(context, entry, offer)

    def redeem(self, context: RecordContext, entry: Entry) -> tuple[outputs.PointsChanged, Took]:
        """Take points as far as they are there and not held, and publish the entry in full; return
        it, and what was taken."""
        lots = self.lots(context, entry.group)
        took = lots.take(min(-entry.points, lots.purse.available))
        changed = lots.changed()
        data = _record(context, self._user_id(context), entry, self.keep(context.member_id, lots))
        data.lots = changed
        context.emit(POINTS_REDEEMED, data, at=entry.at)
        return data, took

    def move(
        self,
        context: RecordContext,
        event_type: EventType,
        entry: Entry,
        lots: Lots,
        said: Said,
    ) -> None:
        """Keep what a command, or time, made of a member's points, and publish its entry."""
        changed = lots.changed()
        after, purse = self.keep(context.member_id, lots), lots.purse
        data = outputs.PointsMoved(
            id=ids.points_entry_id(context.project, entry.source, entry.own_id),
            user_id=said.user_id,
            owned_by_id=context.member_id,
            action_id=entry.action_id,
            challenge_group=entry.group,
            points=entry.points,
            balance=purse.balance,
            total_balance=after.total,
            operation=entry.action_id,
            event_id=entry.event_id,
            user_group_id=entry.user_group,
            source_id=entry.source_id,
            ip=entry.ip,
            occurred_at=entry.at,
            created_at=context.recorded_at,
            definition_version=entry.version,
            held=purse.held,
            available=purse.available,
            pending=purse.pending,
            lots=changed,
            unique_identifier=said.unique_identifier,
            hold_identifier=None if said.hold is None else said.hold.hold_identifier,
            reason=said.reason,
            actor=said.actor,
            hold=said.hold,
        )
        context.emit(event_type, data, at=entry.at)

    def expire(
        self,
        context: RecordContext,
        user_id: str,
        lots: Lots,
        points: int,
        at: datetime,
    ) -> None:
        """Publish that points have lapsed, where some have."""
        if not points:
            return
        source_id = f"{context.member_id}:{lots.count_time_change()}:{lots.group}"
        entry = Entry(
            source=ids.EXPIRE,
            source_id=source_id,
            action_id=points_of.EXPIRE,
            points=-points,
            at=at,
            group=lots.group,
        )
        self.move(context, POINTS_EXPIRED, entry, lots, Said(user_id))

    def expire_late(self, context: RecordContext, user_id: str, lots: Lots) -> None:
        """Let lapse what came when its time was over, and publish that."""
        for points, at in lots.lapse_late():
            self.expire(context, user_id, lots, points, at)

    def reverse(
        self,
        context: RecordContext,
        voiding: Voiding,
        reversal: Reversal,
        granted: Granted,
        points: int,
    ) -> None:
        """Take points back that were granted, as far as they are there and not held, and publish
        that. All of them count as not earned."""
        lots = self.lots(context, granted.group)
        taken = lots.take_back(points, granted.lot)
        if points and self._definitions.has_tiers():
            at = granted.at or context.present
            self._entries.earned.append(Earning(granted.group, -points, at))
        self._reversed(
            context,
            voiding,
            reversal,
            lots,
            -taken,
            earned=-points,
            not_recovered=points - taken,
            granted_at=granted.at,
        )

    def give_back(
        self,
        context: RecordContext,
        voiding: Voiding,
        reversal: Reversal,
        group: str,
        took: Took,
    ) -> None:
        """Put points back that were taken, and publish that; what would have lapsed meanwhile
        lapses at once."""
        lots = self.lots(context, group)
        lots.give_back(took)
        points = sum(taken.points for taken in took)
        self._reversed(context, voiding, reversal, lots, points)
        self.expire_late(context, voiding.user_id, lots)

    def _reversed(
        self,
        context: RecordContext,
        voiding: Voiding,
        reversal: Reversal,
        lots: Lots,
        points: int,
        *,
        earned: int = 0,
        not_recovered: int = 0,
        granted_at: datetime | None = None,
    ) -> None:
        """Keep what a void made of a member's points, publish its entry, and have its answer say
        so."""
        voiding.reversed += abs(points)
        voiding.not_recovered += not_recovered
        source_id = ids.reversal_source(voiding.void_id, reversal.entry_id)
        changed, command = lots.changed(), voiding.command
        after, purse = self.keep(context.member_id, lots, earned=earned), lots.purse
        data = outputs.PointsReversed(
            id=ids.points_entry_id(context.project, ids.REVERSE, source_id),
            user_id=voiding.user_id,
            owned_by_id=context.member_id,
            action_id=points_of.REVERSE,
            challenge_group=lots.group,
            points=points,
            balance=purse.balance,
            total_balance=after.total,
            operation=points_of.REVERSE,
            event_id=reversal.event_id,
            user_group_id=reversal.user_group,
            source_id=source_id,
            ip=None,
            occurred_at=voiding.at,
            created_at=context.recorded_at,
            definition_version=-1,
            held=purse.held,
            available=purse.available,
            pending=purse.pending,
            lots=changed,
            not_recovered=not_recovered,
            granted_at=granted_at,
            reversed_entry_id=reversal.entry_id,
            what=command.what,
            voided_id=reversal.voided_id,
            void_id=voiding.void_id,
            unique_identifier=command.unique_identifier,
            reason=command.reason,
            actor=command.actor,
            portion=amount(voiding.portion),
            voided_portion=amount(reversal.voided_portion),
            voided_at=voiding.at,
        )
        context.emit(POINTS_REVERSED, data, at=voiding.at)

    def _add(self, context: RecordContext, entry: Entry, before: Balances) -> outputs.PointsChanged:
        """Add points to a balance."""
        after = before
        if entry.points:
            after = points_of.evolve(before, entry.group, entry.points)
            self._entries.set(BALANCES, balances_key(context.member_id), after)
        data = _record(context, self._user_id(context), entry, after)
        self._tell_tiers(entry)
        context.emit(POINTS_GRANTED, data, at=entry.at)
        if entry.source in REMEMBERED:
            self._remember(context, entry, ENDLESS)
        return data

    def _tell_tiers(self, entry: Entry) -> None:
        """Have tiers judged by what an entry gives, once the record is folded."""
        if entry.points and self._definitions.has_tiers():
            self._entries.earned.append(Earning(entry.group, entry.points, entry.at))

    def _grant(
        self, context: RecordContext, entry: Entry, offer: Offer | None
    ) -> outputs.PointsChanged:
        """Add points to their lot, as far as the wallet takes them."""
        if offer is not None:
            entry = msgspec.structs.replace(entry, points=offer.points)
        lots = self.lots(context, entry.group)
        lot = None
        if entry.points:
            lot = lots.grant(entry.points, entry.at)
            self._tell_tiers(entry)
            if lots.wallet is not None and lots.wallet.cap is not None:
                self._earn(context, lots.wallet, entry)
        changed, user_id = lots.changed(), self._user_id(context)
        after = self.keep(context.member_id, lots, earned=entry.points)
        data = _record(context, user_id, entry, after)
        data.lots = changed
        if offer is not None and offer.cut:
            data.cut, data.cut_by = data.cut + offer.cut, offer.cut_by
        context.emit(POINTS_GRANTED, data, at=entry.at)
        if lot is not None or entry.source in REMEMBERED:
            self._remember(context, entry, lot or ENDLESS)
        self.expire_late(context, user_id, lots)
        return data

    def granted(self, context: RecordContext, source: str, source_id: str) -> Granted | None:
        """Return what a source gave last; None where it gave nothing, or nobody remembers."""
        key = granted_key(ids.points_entry_id(context.project, source, source_id))
        return self._entries.get(GRANTED, key)

    def withdraw(self, context: RecordContext, source: str, source_id: str) -> Granted | None:
        """Note that what a source gave is taken back, which is the caller's to do; return it, None
        where there is nothing to take back."""
        granted = self.granted(context, source, source_id)
        if granted is None or granted.withdrawn:
            return None
        key = granted_key(ids.points_entry_id(context.project, source, source_id))
        self._entries.set(GRANTED, key, msgspec.structs.replace(granted, withdrawn=True))
        return granted

    def revoke(self, context: RecordContext, voiding: Voiding, source: str, source_id: str) -> None:
        """Take back the points that a source gave last, and was not made to give back yet."""
        granted = self.withdraw(context, source, source_id)
        if granted is not None and granted.points:
            own_id = points_of.own_id(source_id, granted.times - 1)
            entry_id = ids.points_entry_id(context.project, source, own_id)
            reversal = Reversal(
                entry_id=entry_id,
                voided_id=voiding.voided_id,
                voided_portion=voiding.voided.portion,
            )
            self.reverse(context, voiding, reversal, granted, granted.points)

    def _remember(self, context: RecordContext, entry: Entry, lot: str) -> None:
        """Keep what a source gave: its definition may be another when that is taken back."""
        key = granted_key(ids.points_entry_id(context.project, entry.source, entry.source_id))
        before = None if entry.recalculation_id is None else self._entries.get(GRANTED, key)
        if before is None and self._gave_unremembered(entry):
            return
        self._entries.set(GRANTED, key, points_of.remembered(before, entry, lot))

    def _gave_unremembered(self, entry: Entry) -> bool:
        """Tell whether a recalculation gives more where nobody remembers what was given: what is
        known in part cannot be taken back."""
        if entry.recalculation_id is None or entry.source != MILESTONE:
            return False
        reward = self._entries.get(REWARD, reward_key(entry.source_id))
        return reward is None or not reward.remembers

    def _wallet(self, context: RecordContext, group: str) -> Wallet | None:
        """Return a group's wallet, whose days are the member's where it goes by them."""
        wallet = self._definitions.wallet(context.project, group)
        if wallet is None or not wallet.by_member:
            return wallet
        member = self._entries.get(MEMBER, member_key(context.member_id))
        return wallet_of.of_member(wallet, None if member is None else member.timezone)

    def _earned(self, context: RecordContext, wallet: Wallet, at: datetime) -> int:
        """Return how many points the period of a moment gave, where the wallet caps them."""
        if wallet.cap is None:
            return 0
        earned = self._entries.get(EARNED, _earned_key(context, wallet, at))
        return 0 if earned is None else earned.points

    def _earn(self, context: RecordContext, wallet: Wallet, entry: Entry) -> None:
        earned = self._earned(context, wallet, entry.at) + entry.points
        self._entries.set(EARNED, _earned_key(context, wallet, entry.at), Earned(earned))

    def _user_id(self, context: RecordContext) -> str:
        member = self._entries.get(MEMBER, member_key(context.member_id))
        return "" if member is None else member.external_id


def _earned_key(context: RecordContext, wallet: Wallet, at: datetime) -> bytes:
    period = period_key(wallet.cap_period, wallet.timezone, at)
    return earned_key(context.member_id, wallet.group, period)


def _record(
    context: RecordContext, user_id: str, entry: Entry, after: Balances
) -> outputs.PointsChanged:
    purse = after.groups.get(entry.group, 0)
    if isinstance(purse, int):
        balance, held, pending = purse, 0, 0
    else:
        balance, held, pending = purse.balance, purse.held, purse.pending
    data = outputs.PointsChanged(
        id=ids.points_entry_id(context.project, entry.source, entry.own_id),
        user_id=user_id,
        owned_by_id=context.member_id,
        action_id=entry.action_id,
        challenge_group=entry.group,
        points=entry.points,
        balance=balance,
        total_balance=after.total,
        operation=points_of.REDEEM if entry.points < 0 else points_of.GRANT,
        event_id=entry.event_id,
        user_group_id=entry.user_group,
        source_id=entry.source_id,
        ip=entry.ip,
        occurred_at=entry.at,
        created_at=context.recorded_at,
        definition_version=entry.version,
        held=held,
        pending=pending,
    )
    multiplied = entry.multiplied
    if multiplied is not None:
        data.base, data.bonus = multiplied.base, entry.points - multiplied.base
        data.boosts, data.tier = list(multiplied.boosts), multiplied.tiers_json()
        if multiplied.cut:
            data.cut, data.cut_by = multiplied.cut, LIMIT
    return data
