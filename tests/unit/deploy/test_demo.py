"""The demo's definitions and people."""

from datetime import date

import msgspec
import pytest

from deploy.demo import _bad_record, demo_documents
from deploy.demo_people import SPEND, STEPS, VISITS, day, person
from schemas import records
from schemas.definitions import Challenge, Definition, Milestone

TODAY = date(2026, 11, 21)


def parsed() -> list[Definition]:
    return [document.definition for document in demo_documents()]


def test_the_definitions_are_valid_and_every_milestone_has_its_challenge() -> None:
    found = parsed()
    challenges = [d for d in found if isinstance(d, Challenge)]
    assert [c.id for c in challenges] == [SPEND, VISITS, STEPS]
    linked = {d.linked_schema_record_id for d in found if isinstance(d, Milestone)}
    assert linked == {SPEND, VISITS, STEPS}
    assert len({d.id for d in found}) == len(found)


def test_a_day_is_the_same_whenever_it_is_told() -> None:
    assert list(day(TODAY, 50)) == list(day(TODAY, 50))
    assert list(day(TODAY, 50)) != list(day(date(2026, 11, 20), 50))


def test_what_happened_on_a_day_is_valid_and_happened_once() -> None:
    logs = list(day(TODAY, 200))
    assert {log.challenge_id for log in logs} == {SPEND, VISITS, STEPS}
    assert len({log.unique_identifier for log in logs}) == len(logs)
    for log in logs:
        again = msgspec.json.decode(records.encode(log), type=records.ChallengeLog)
        assert again.activity_at.date() == TODAY
        assert (records.activity_nanos(again.activity_value) is None) == (
            log.challenge_id == VISITS
        )


def test_people_have_profiles_that_a_member_may_have() -> None:
    for number in range(200):
        records.check_profile(person(number))
    assert person(3) == person(3)


def test_bad_records_are_bad_in_more_than_one_way() -> None:
    decoder = msgspec.json.Decoder(records.ChallengeLog)
    unknown, valueless, naive, cut_off = (_bad_record(number, 1) for number in range(4))
    assert decoder.decode(unknown).challenge_id not in (SPEND, VISITS, STEPS)
    assert records.activity_nanos(decoder.decode(valueless).activity_value) is None
    with pytest.raises(msgspec.ValidationError):
        decoder.decode(naive)
    with pytest.raises(msgspec.DecodeError):
        decoder.decode(cut_off)
