"""An input that could not be folded, for whatever reason: isolated, told, and passed over."""

import msgspec
import pytest

from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from processor.domain.fold import ChunkLogged
from processor.domain.inputs import Input, origin_header
from schemas.topics import CHALLENGE_LOGS, CHUNK_LOG, FORWARDED, TICKS
from tests.spec import (
    Happened,
    Partition,
    Sent,
    ann,
    challenge,
    given,
    log,
    progress,
    raw_log,
    recorded,
    refused,
)

POISON = {(CHALLENGE_LOGS, 1): "ZeroDivisionError"}


def world(fast_path: MakeFastPath = in_python) -> Partition:
    partition = Partition(fast_path=fast_path)
    given(challenge(), ann, partition=partition)
    return partition


def chunk_log(happened: Happened) -> ChunkLogged:
    [logged] = happened.outputs(CHUNK_LOG)
    return msgspec.json.decode(logged.value, type=ChunkLogged)


@pytest.mark.parametrize("fast_path", [in_python, COMPILED or in_python])
def test_the_records_around_it_are_folded(fast_path: MakeFastPath) -> None:
    silent = [log(name, 5).with_headers() for name in "abc"]
    happened = world(fast_path).fold(*silent, poisoned=POISON)
    happened.then(
        recorded(progress(5), uniqueIdentifier="a"),
        recorded(progress(10), uniqueIdentifier="c"),
        refused(
            "poison",
            message="could not be folded: ZeroDivisionError",
            topic=CHALLENGE_LOGS,
            offset=1,
            project="default",
            bytes=silent[1].value,
        ),
    )
    assert happened.counts["dead_letter:poison"] == 1
    assert happened.counts["folded"] == 3


def test_who_asked_is_answered_without_the_error_s_name() -> None:
    happened = world().fold(log("a", 5), log("b", 5), poisoned=POISON)
    assert happened.answers[1] == (
        500,
        {"code": "poison", "message": "the record could not be processed"},
    )


def test_its_identifier_stays_free() -> None:
    happened = world().fold(log("a", 5), log("b", 5), poisoned=POISON)
    happened.and_when(log("b", 5)).then(recorded(progress(10)))


def test_a_record_of_no_shape_at_all_can_be_poison() -> None:
    poisoned = {(CHALLENGE_LOGS, 0): "RecursionError"}
    world().fold(raw_log(b"\xff\xfe{"), poisoned=poisoned).then(refused("poison", project=None))


def test_a_tick_can_be_poison() -> None:
    tick = Sent(TICKS, b'{"ends":{}}').with_headers()
    world().fold(tick, poisoned={(TICKS, 0): "KeyError"}).then(refused("poison", topic=TICKS))


def test_a_forwarded_record_is_told_from_where_it_lay_first() -> None:
    partition = world()
    lay = Input(CHALLENGE_LOGS, 3, 17, 1_700_000_000_000, None, b"", (), False)
    origin = origin_header(lay)
    sent = Sent(FORWARDED, log("a", 5).value).with_headers(("trace", b"1"), origin)
    partition.fold(sent, poisoned={(FORWARDED, 0): "KeyError"}).then(
        refused("poison", topic=CHALLENGE_LOGS, partition=3, offset=17)
    )


def test_a_forwarded_record_without_origin_is_told_from_where_it_lies() -> None:
    sent = Sent(FORWARDED, log("a", 5).value).with_headers()
    world().fold(sent, poisoned={(FORWARDED, 0): "KeyError"}).then(
        refused("poison", topic=FORWARDED, partition=0, offset=0)
    )


def test_the_chunk_log_tells_enough_to_fold_the_same_again() -> None:
    records = [log("a", 5), log("b", 5), log("c", 5)]
    first = world().fold(*records, poisoned=POISON | {(CHALLENGE_LOGS, 99): "of another chunk"})
    logged = chunk_log(first)
    assert logged.errors() == POISON
    again = world().fold(*records, poisoned=logged.errors())
    assert again.effects.outputs == first.effects.outputs
    assert again.effects.writes == first.effects.writes


def test_a_chunk_without_poison_says_nothing_of_it() -> None:
    happened = world().fold(log("a", 5))
    assert b"poisoned" not in happened.outputs(CHUNK_LOG)[0].value
