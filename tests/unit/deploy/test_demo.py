"""The demo's definitions and people."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random

import msgspec
import pytest

from deploy import demo_course, demo_events, demo_people
from deploy.demo import HISTORY_DAYS, demo_documents, placed
from deploy.demo_course import COURSE, PHOTO
from deploy.demo_crowd import Crowd, Record, bad_record, upsert
from deploy.demo_events import LOGIN, PURCHASE, REVIEW
from deploy.demo_examples import FIRST_ORDER
from deploy.demo_people import SPEND, STEPS, VISITS, person
from schemas import records
from schemas.definitions import (
    Boost,
    Challenge,
    Definition,
    Event,
    Leaderboard,
    Milestone,
    Pathway,
    Streak,
    TierSet,
    Wallet,
    encode,
)
from schemas.durations import parse_duration
from schemas.settings import Settings
from tests import spec
from tests.spec import Defined, Partition, Sent

TODAY = date(2026, 11, 21)


def parsed() -> list[Definition]:
    return [document.definition for document in demo_documents()]


def metadata(event: records.Event) -> dict[str, object]:
    found: dict[str, object] = json.loads(bytes(event.metadata))
    return found


def test_the_definitions_are_valid_and_every_milestone_has_what_it_is_of() -> None:
    found = parsed()
    challenges = {d.id for d in found if isinstance(d, Challenge)}
    streaks = {d.id for d in found if isinstance(d, Streak)}
    pathways = {d.id for d in found if isinstance(d, Pathway)}
    assert {SPEND, VISITS, STEPS} < challenges
    linked = {d.linked_schema_record_id for d in found if isinstance(d, Milestone)}
    assert pathways == {COURSE}
    others = {challenge_without_milestone(found)}
    assert linked == (challenges | streaks | pathways) - others
    assert len({(d.kind, d.id) for d in found}) == len(found)


def challenge_without_milestone(found: list[Definition]) -> str:
    (critic,) = [d for d in found if isinstance(d, Challenge) and d.name == "Critic"]
    return critic.id


def test_there_is_one_of_everything_that_events_have() -> None:
    found = parsed()
    events = {d.id: d for d in found if isinstance(d, Event)}
    assert {e.id: e.type for e in events.values()} == {
        PURCHASE: "TRANSACTION", LOGIN: "FIXED", REVIEW: "CONDITIONAL",
    }  # fmt: skip
    assert events[PURCHASE].limit == 10
    assert events[PURCHASE].maximum_reward == 1000
    assert {s.period for s in found if isinstance(s, Streak)} == {"daily", "weekly"}
    fed = [d for d in found if isinstance(d, Challenge) and d.event_ids]
    assert {c.value_field for c in fed} == {"amount", None}
    assert all(c.points_on_completion for c in fed)
    named = {e for d in found if isinstance(d, Streak | Challenge) for e in d.event_ids or ()}
    assert named == set(events)
    assert len([d for d in found if isinstance(d, Leaderboard)]) == 2


def wallet() -> Wallet:
    [found] = [d for d in parsed() if isinstance(d, Wallet)]
    return found


def test_the_wallet_lapses_within_the_history_and_is_what_purchases_fill() -> None:
    after = parse_duration(wallet().expiry.after or "")
    assert after.days < HISTORY_DAYS
    filled = {d.challenge_group for d in parsed() if isinstance(d, Event) and d.id == PURCHASE}
    assert filled == {wallet().id}


def test_there_are_two_tiers_of_the_wallet_and_a_boost_that_acts_on_it() -> None:
    [tiers] = [d for d in parsed() if isinstance(d, TierSet)]
    [boost] = [d for d in parsed() if isinstance(d, Boost)]
    assert tiers.basis.wallet == wallet().id
    assert [tier.multiplier is not None for tier in tiers.tiers] == [True, True]
    assert (boost.event_ids, boost.wallets) == ([REVIEW], [wallet().id])


def test_a_purchase_that_is_sent_back_was_made_and_takes_its_points_back() -> None:
    crowd, partition = Crowd(5, 100), Partition(compared=False)
    for document in demo_documents():
        fields = json.loads(encode(document.definition))
        partition.define(Defined(document.definition.kind, document.definition.id, fields))
    partition.fold(*[sent(upsert(person(number))) for number in range(100)])
    happened = [partition.fold(*[sent(crowd.act()) for _ in range(10)]) for _ in range(450)]
    assert not [fact for each in happened for fact in each.of("refused")]
    assert len([fact for each in happened for fact in each.of("event.voided")]) > 20
    assert [fact for each in happened for fact in each.of("points.reversed")]
    issued = [fact for each in happened for fact in each.of("reward.updated")]
    assert issued
    assert all(fact["couponCode"].startswith("SHIP-") for fact in issued)
    assert [fact for each in happened for fact in each.of("member.enrolled")]
    assert [fact for each in happened for fact in each.of("activity.completed")]
    assert [fact for each in happened for fact in each.of("tier.changed")]
    granted = [fact for each in happened for fact in each.of("points.granted")]
    assert any(fact.get("boosts") for fact in granted)
    assert any(fact.get("tier") for fact in granted)


def test_some_walk_the_course_to_its_end_and_others_do_not() -> None:
    partition, members = Partition(compared=False), 150
    for document in demo_documents():
        fields = json.loads(encode(document.definition))
        partition.define(Defined(document.definition.kind, document.definition.id, fields))
    students = [person(number) for number in range(members) if demo_course.takes_it(number)]
    partition.fold(*[sent(upsert(owner)) for owner in students])
    partition.fold(*[sent(demo_course.enrol(owner.external_id)) for owner in students])
    days = [TODAY - timedelta(days=number) for number in range(HISTORY_DAYS, 0, -1)]
    logs = [log for day in days for log in demo_course.day(day, members)]
    happened = [partition.fold(*[sent(log) for log in logs])]
    uploads = {log.user_id: log for log in logs if log.activity_id == PHOTO}
    happened += [partition.fold(sent(demo_course.approve(log))) for log in uploads.values()]
    assert not [fact for each in happened for fact in each.of("refused")]
    done = Counter(
        fact["activityId"] for each in happened for fact in each.of("activity.completed")
    )
    (course,) = [d for d in parsed() if isinstance(d, Pathway)]
    assert set(done) == {activity.id for activity in course.activities}
    assert all(0 < done[each] < len(students) for each in (PHOTO, demo_course.TEST))
    reached = [fact for each in happened for fact in each.of("milestone.reached")]
    assert {fact["linkedSchemaRecordId"] for fact in reached} == {COURSE}
    assert len({fact["milestoneId"] for fact in reached}) == 2


def sent(record: Record) -> Sent:
    """A record as the demo sends it, now."""
    topic, _, _, value = placed(Settings(), record)
    return Sent(topic, value, timestamp=round(datetime.now(UTC).timestamp() * 1000), headers=())


def test_a_day_is_the_same_whenever_it_is_told() -> None:
    for day in (demo_people.day, demo_events.day, demo_course.day):
        assert list(day(TODAY, 50)) == list(day(TODAY, 50))
        assert list(day(TODAY, 50)) != list(day(date(2026, 11, 20), 50))


def test_what_happened_on_a_day_is_valid_and_happened_once() -> None:
    logs = list(demo_people.day(TODAY, 200))
    assert {log.challenge_id for log in logs} == {SPEND, VISITS, STEPS}
    assert len({log.unique_identifier for log in logs}) == len(logs)
    for log in logs:
        again = msgspec.json.decode(records.encode(log), type=records.ChallengeLog)
        assert again.activity_at.date() == TODAY
        assert (records.activity_nanos(again.activity_value) is None) == (
            log.challenge_id == VISITS
        )


def test_the_events_of_a_day_are_valid_and_happened_once() -> None:
    events = list(demo_events.day(TODAY, 300))
    assert {event.event_id for event in events} == {PURCHASE, LOGIN, REVIEW}
    assert len({event.idempotency_key for event in events}) == len(events)
    for event in events:
        again = msgspec.json.decode(records.encode(event), type=records.Event)
        assert again.occurred_at is not None
        assert again.occurred_at.date() == TODAY
    logins = Counter(event.user_id for event in events if event.event_id == LOGIN)
    assert set(logins.values()) == {1, 2}  # the second one is over the limit


def test_some_events_fail_their_conditions() -> None:
    chance, owner = Random(1), person(1)
    orders = [demo_events.purchase(chance, owner, None, str(n)) for n in range(400)]
    unpaid = [order for order in orders if metadata(order)["amount"] == 0]
    assert 0 < len(unpaid) < 50
    reviews = [metadata(demo_events.review(chance, owner, None, str(n))) for n in range(400)]
    thin = [review for review in reviews if review["length"] < 80 and "photos" not in review]  # type: ignore[operator]
    assert 60 < len(thin) < 200


def test_people_have_profiles_that_a_member_may_have() -> None:
    for number in range(200):
        records.check_profile(person(number))
    assert person(3) == person(3)
    command = msgspec.json.decode(records.encode(upsert(person(3))), type=records.MemberCommand)
    assert isinstance(command, records.UpsertMember)
    assert command.email == person(3).email


def test_the_crowd_signs_up_logs_and_sends_events_some_late_some_again() -> None:
    crowd = Crowd(5, 100)
    acts = [crowd.act() for _ in range(2000)]
    kinds = Counter(type(act) for act in acts)
    assert kinds[records.UpsertMember] > 100
    assert 20 < kinds[records.SpendPoints] < 200
    assert min(kinds[records.ActivityLog], kinds[records.Enrol]) > 5
    spends = [act for act in acts if isinstance(act, records.SpendPoints)]
    assert len({spend.unique_identifier for spend in spends}) == len(spends)
    assert {spend.challenge_group for spend in spends} == {wallet().id}
    assert min(kinds[records.Event], kinds[records.ChallengeLog]) > 700
    events = [act for act in acts if isinstance(act, records.Event)]
    keys = [event.idempotency_key for event in events]
    assert 0 < len(keys) - len(set(keys)) < 100
    late = [event.occurred_at for event in events if event.occurred_at is not None]
    assert 10 < len(late) < 200
    now = datetime.now(UTC)
    assert all(now - timedelta(days=4) < at < now for at in late)


def test_bad_records_are_bad_in_more_than_one_way() -> None:
    decoder = msgspec.json.Decoder(records.ChallengeLog)
    unknown, valueless, naive, cut_off = (bad("challenge-logs", number) for number in (0, 2, 4, 6))
    assert decoder.decode(unknown).challenge_id not in (SPEND, VISITS, STEPS)
    assert records.activity_nanos(decoder.decode(valueless).activity_value) is None
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(naive)
    with pytest.raises(msgspec.DecodeError):
        decoder.decode(cut_off)


def test_bad_events_are_bad_in_more_than_one_way() -> None:
    decoder = msgspec.json.Decoder(records.Event)
    undefined, by_nobody, empty = (decoder.decode(bad("events", number)) for number in (1, 3, 5))
    assert undefined.event_id not in (PURCHASE, LOGIN, REVIEW)
    assert by_nobody.user_id == "nobody"
    assert (empty.event_id, bytes(empty.metadata)) == (PURCHASE, b"")


def bad(topic: str, number: int) -> bytes:
    given, value = bad_record(number, 1)
    assert given == topic
    return value


def test_the_first_call_that_is_printed_gives_a_reward() -> None:
    partition = Partition()
    for document in demo_documents():
        fields = json.loads(encode(document.definition))
        partition.define(Defined(document.definition.kind, document.definition.id, fields))
    order = spec.log(
        "order-1",
        FIRST_ORDER,
        challengeId=SPEND,
        ownedBy={"externalId": demo_people.YOU.external_id},
        activityId="made_a_purchase",
    )
    ((status, answer),) = partition.fold(order).answers
    assert status == 201
    assert answer["achievedMilestone"]["name"] == "Free shipping"
    assert answer["achievedMilestoneRewardLog"]["milestoneId"] == answer["achievedMilestone"]["id"]
