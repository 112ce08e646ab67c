"""Who does something right now: a crowd that changes, and what a careless backend sends."""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
import orjson

from deploy import demo_course, demo_events, demo_people
from schemas import ids, records
from schemas.records import (
    ActivityLog,
    ChallengeLog,
    Enrol,
    Event,
    NaturalKey,
    Owner,
    ReviewActivity,
    SpendPoints,
    UpdateRewardLog,
    UpsertMember,
    Void,
)
from schemas.topics import CHALLENGE_LOGS, EVENTS

Command = SpendPoints | Void | Enrol | ReviewActivity | UpdateRewardLog
"""For a member that is there."""

Record = ChallengeLog | Event | ActivityLog | UpsertMember | Command

_RECENT = 200
_NEWCOMER_SHARE = 0.1
_AGAIN_SHARE = 0.02
_LATE_SHARE = 0.05
_SPEND_SHARE = 0.04
_REFUND_SHARE = 0.02
_COURSE_SHARE = 0.04
_ENROL_SHARE = 0.4
_SETTLED = 3000
"""What is sent back was bought so many acts ago, and so is a picture that is approved: a minute at
the demo's rate. By then it is folded, also while the history is. Commands do not wait for what lies
before them on other topics."""
_SHIPPING_FROM = 100
"""An order of so much gives free shipping, whatever was bought before."""
_COUPON_AFTER = 750
"""A reward's coupon is sent after so many acts, a quarter of a minute at the demo's rate."""
_GOODS = (("a coffee", 20), ("a tote bag", 60), ("a mug", 90), ("a voucher", 250))


def upsert(owner: Owner) -> UpsertMember:
    """Return the command that makes a person known, with its profile."""
    return UpsertMember(**msgspec.structs.asdict(owner))


class Crowd:
    """People who do something now: some thousand at a time, newcomers replacing the longest there.

    With the same people for ever, fifty records a second would soon be a year's shopping each.
    """

    def __init__(self, seed: int, members: int) -> None:
        self._chance = Random(seed)  # noqa: S311
        self._settled = seed + _SETTLED
        self._known = members
        self._people = deque(range(members), maxlen=members)
        self._next = seed
        self._recent: deque[ChallengeLog | Event] = deque(maxlen=_RECENT)
        self._bought: deque[tuple[int, Event]] = deque(maxlen=_SETTLED)
        self._shipped: deque[tuple[int, ChallengeLog]] = deque(maxlen=_SETTLED)
        self._uploads: deque[tuple[int, ActivityLog]] = deque(maxlen=_SETTLED)

    def act(self) -> Record:
        """Return what happens next: half of it are events; one in fifty comes a second time.

        A newcomer signs up first, for an event of somebody unknown is refused.
        """
        chance = self._chance
        self._next += 1
        if self._recent and chance.random() < _AGAIN_SHARE:
            return chance.choice(self._recent)
        if (coupon := self._coupon()) is not None:
            return coupon
        if chance.random() < _NEWCOMER_SHARE:
            self._people.append(self._next)
            return upsert(demo_people.person(self._next))
        if chance.random() < _COURSE_SHARE:
            return self._course()
        if chance.random() < _REFUND_SHARE and (refund := self._refund()) is not None:
            return refund
        owner = demo_people.person(self._people[chance.randrange(len(self._people))])
        if chance.random() < _SPEND_SHARE:
            return self._spend(owner)
        made = self._event(owner) if chance.random() < 0.5 else self._log(owner)
        self._recent.append(made)
        if isinstance(made, Event) and made.event_id == demo_events.PURCHASE:
            self._bought.append((self._next, made))
        if isinstance(made, ChallengeLog) and _ships_free(made):
            self._shipped.append((self._next, made))
        return made

    def _course(self) -> Record:
        """Approve a picture that is old enough; else let somebody enrol, or go on with the course.

        What a newcomer did there before enrolling shows once it is enrolled.
        """
        if self._uploads and self._uploads[0][0] <= self._next - _SETTLED:
            return demo_course.approve(self._uploads.popleft()[1])
        number = self._chance.choice([each for each in self._people if demo_course.takes_it(each)])
        user = demo_people.external_id(number)
        if number >= self._known and self._chance.random() < _ENROL_SHARE:
            return demo_course.enrol(user)
        at = datetime.now(UTC).replace(microsecond=0)
        done = demo_course.step(self._chance, user, at, str(self._next))
        if done.activity_id == demo_course.PHOTO:
            self._uploads.append((self._next, done))
        return done

    def _spend(self, owner: Owner) -> SpendPoints:
        """Spend points of the shop; some ask for more than they have, and get nothing."""
        what, price = self._chance.choice(_GOODS)
        return SpendPoints(
            user_id=owner.external_id,
            points=price,
            challenge_group=demo_events.GROUP,
            unique_identifier=f"spend-{self._next}",
            reason=what,
        )

    def _coupon(self) -> UpdateRewardLog | None:
        """Write down the coupon of a reward that was given a while ago; None where none is due."""
        if self._next < self._settled:
            return None
        if not self._shipped or self._shipped[0][0] > self._next - _COUPON_AFTER:
            return None
        number, order = self._shipped.popleft()
        assert order.owned_by is not None
        user_id, month = order.owned_by.external_id, f"{order.activity_at:%Y-%m}"
        member = ids.member_id(order.project, user_id)
        now = datetime.now(UTC).replace(microsecond=0)
        return UpdateRewardLog(
            user_id=user_id,
            reward_log_id=ids.reward_log_id(
                order.project, demo_people.FREE_SHIPPING, member, month
            ),
            coupon_code=f"SHIP-{number % 10**6:06d}",
            reward_issued_at=now,
            reward_expiry_at=now + timedelta(days=30),
        )

    def _refund(self) -> Void | None:
        """Void a purchase that was sent back, with what it gave; None where none is that old."""
        if not self._bought or self._bought[0][0] > self._next - _SETTLED:
            return None
        _, purchase = self._bought.popleft()
        return Void(
            what="event",
            user_id=purchase.user_id,
            of=NaturalKey(idempotency_key=purchase.idempotency_key),
            reason="sent back",
            rewards="revoke",
            unique_identifier=f"refund-{purchase.idempotency_key}",
        )

    def _log(self, owner: Owner) -> ChallengeLog:
        at, name = datetime.now(UTC).replace(microsecond=0), str(self._next)
        kind = self._chance.random()
        if kind < 0.25:
            return demo_people.purchase(self._chance, owner, at, name)
        if kind < 0.45:
            return demo_people.visit(owner, at, name)
        return demo_people.walk(self._chance, owner, at, name)

    def _event(self, owner: Owner) -> Event:
        """Make an event: most happen now, a few come late from a phone that was offline."""
        chance, name = self._chance, str(self._next)
        at = None
        if chance.random() < _LATE_SHARE:
            late = timedelta(minutes=chance.randrange(10, 3 * 24 * 60))
            at = datetime.now(UTC).replace(microsecond=0) - late
        kind = chance.random()
        if kind < 0.45:
            return demo_events.login(chance, owner, at, name)
        if kind < 0.85:
            return demo_events.purchase(chance, owner, at, name)
        return demo_events.review(chance, owner, at, name)


def _ships_free(log: ChallengeLog) -> bool:
    return (
        log.challenge_id == demo_people.SPEND and float(bytes(log.activity_value)) >= _SHIPPING_FROM
    )


def bad_record(number: int, seed: int) -> tuple[str, bytes]:
    """Return a topic and a record for it that is refused; logs and events take turns."""
    if number % 2:
        return EVENTS, _bad_event(number // 2)
    return CHALLENGE_LOGS, _bad_log(number // 2, seed)


def _bad_log(number: int, seed: int) -> bytes:
    """Return a log of an unknown challenge, a sum without a value, with a time that has no offset,
    or cut off."""
    fields: dict[str, object] = {
        "challengeId": demo_people.SPEND,
        "ownedBy": {"externalId": demo_people.external_id(7)},
        "activityAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "activityId": "made_a_purchase",
        "uniqueIdentifier": f"bad-{seed}-{number}",
    }
    faults: Sequence[dict[str, object]] = (
        {"challengeId": "7e1f3b52-0000-4000-8000-000000000000", "activityValue": 12},
        {},
        {"activityAt": "2026-11-21T10:30:00", "activityValue": 12},
    )
    kind = number % (len(faults) + 1)
    if kind == len(faults):
        return orjson.dumps(fields)[:-20]
    return orjson.dumps({**fields, **faults[kind]})


def _bad_event(number: int) -> bytes:
    """Return an event that nobody defined, of somebody unknown, or without what it must say."""
    owner = demo_people.external_id(7)
    faults = (
        Event(event_id="purchase_complete", user_id=owner),
        Event(event_id=demo_events.LOGIN, user_id="nobody"),
        Event(event_id=demo_events.PURCHASE, user_id=owner),
    )
    return records.encode(faults[number % len(faults)])
