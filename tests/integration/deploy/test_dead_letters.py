"""Dead letters: listed, and sent back once."""

import json
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from api.dead_letters import redriven
from api.dead_letters.redriven import Filter
from api.dead_letters.redriving import (
    Bounds,
    RedriveOutcome,
    TooManyChosen,
    redrive,
    redrive_chosen,
)
from api.kafka.record_reader import RecordReader
from schemas import ids
from schemas.dead_letter import ATTEMPTS, DeadLetter, Reason, base64_text, headers_json, key_text
from schemas.instants import from_millis
from schemas.kafka.positions import read_positions
from schemas.settings import Settings
from schemas.topics import DEAD_LETTERS, DEFINITIONS, MIB, partition_for, positions_topic
from tests.integration.deploy.conftest import (
    Run,
    committed,
    high_watermarks,
    polling,
    send,
    send_all,
)
from tests.integration.removing import remove_before
from tests.odd_headers import NoText, poison, send_odd

AT = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
CHALLENGE = "7f9c4a52-3d0e-4b51-9d57-0a6f5a0c1e01"
VALUE = b'{"ownedBy":{"externalId":"m-1"}}'
HOME = partition_for(ids.member_id("default", "m-1"), 4)


def letter(
    reason: Reason = Reason.UNKNOWN_CHALLENGE,
    *,
    value: bytes | None = VALUE,
    key: bytes | None = b"\xff\x00",
    offset: int = 0,
    project: str | None = "default",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    attempts: int = 1,
    message: str = "no such challenge",
    topic: str = "challenge-logs",
    at: datetime = AT,
    partition: int = 1,
) -> tuple[int, None, bytes]:
    """A dead letter as a record to send, on partition 1, of a record on partition 2."""
    text, encoding = key_text(key)
    content = DeadLetter(
        reason=reason, message=message, project=project, topic=topic, partition=2,
        offset=offset, key=text, key_encoding=encoding, value=base64_text(value),
        headers=headers_json(headers), attempts=attempts, at=at,
    )  # fmt: skip
    return partition, None, msgspec.json.encode(content)


async def test_the_original_goes_back_with_key_headers_time_and_attempts(
    topics: Settings, run: Run
) -> None:
    headers: tuple[tuple[str, bytes | None], ...] = (
        ("a", b"\x00\xff"),
        (ATTEMPTS, b"2"),
        ("kafka_replyTopic", b"replies"),
        ("kafka_correlationId", b"\x00" * 16),
        ("b", None),
    )
    await send(topics, "dead-letters", [letter(headers=headers, attempts=3)])
    done = run("dead-letters", "redrive")
    assert (done.returncode, done.stdout) == (
        0, "1 unknown_challenge sent back to challenge-logs\n",
    )  # fmt: skip
    (record,) = await committed(topics, "challenge-logs")
    assert (record.key, record.value, record.partition) == (b"\xff\x00", VALUE, HOME)
    assert record.timestamp == AT.timestamp() * 1000
    assert record.headers == (("a", b"\x00\xff"), ("b", None), (ATTEMPTS, b"3"))


async def test_an_event_goes_back_to_the_partition_of_its_user(topics: Settings, run: Run) -> None:
    value = b'{"project":"acme","eventId":"login","userId":"joe","metadata":{"userId":"other"}}'
    unknown = {"value": value, "project": "acme", "topic": "events"}
    letters = [letter(Reason.UNKNOWN_EVENT, **unknown), letter(Reason.UNKNOWN_MEMBER, **unknown)]  # type: ignore[arg-type]
    await send(topics, "dead-letters", letters)
    done = run("dead-letters", "redrive", "--project", "acme")
    assert sorted(done.stdout.splitlines()) == [
        "1 unknown_event sent back to events", "1 unknown_member sent back to events",
    ]  # fmt: skip
    home = partition_for(ids.member_id("acme", "joe"), 4)
    records = await committed(topics, "events")
    assert [(r.partition, r.value, r.timestamp) for r in records] == [
        (home, value, AT.timestamp() * 1000)
    ] * 2
    assert await committed(topics, "challenge-logs") == []


async def test_what_names_no_member_goes_back_to_its_partition(topics: Settings, run: Run) -> None:
    await send(topics, "dead-letters", [letter(Reason.MALFORMED, value=b"{", key=None)])
    assert run("dead-letters", "redrive").returncode == 0
    (record,) = await committed(topics, "challenge-logs")
    assert (record.partition, record.key, record.value) == (2, None, b"{")


async def test_a_second_run_sends_nothing_and_a_new_letter_goes(topics: Settings, run: Run) -> None:
    await send(topics, "dead-letters", [letter(), letter()])
    run("dead-letters", "redrive")
    again = run("dead-letters", "redrive")
    assert (again.returncode, again.stdout) == (0, "nothing to send back\n")
    assert len(await committed(topics, "challenge-logs")) == 2
    await send(topics, "dead-letters", [letter(attempts=2)])
    run("dead-letters", "redrive")
    assert len(await committed(topics, "challenge-logs")) == 3


async def test_sigkill_in_mid_redrive_neither_loses_nor_doubles(
    topics: Settings, run: Run, child: Callable[..., subprocess.Popen[str]]
) -> None:
    values = [b'{"ownedBy":{"externalId":"m-%d"}}' % number for number in range(6000)]
    await send_all(topics, "dead-letters", [letter(value=value) for value in values])
    process = child("dead-letters", "redrive")
    async for _ in polling(0.005):
        if process.poll() is not None or await high_watermarks(topics, "challenge-logs"):
            break
    process.kill()
    process.communicate()
    assert run("dead-letters", "redrive").returncode == 0
    records = await committed(topics, "challenge-logs")
    assert Counter(record.value for record in records) == Counter(values)


async def test_one_reason_leaves_the_others_for_later(topics: Settings, run: Run) -> None:
    reasons = [Reason.INVALID, Reason.UNKNOWN_CHALLENGE, Reason.INVALID, Reason.UNKNOWN_MEMBER]
    await send(topics, "dead-letters", [letter(reason) for reason in reasons])
    some = run("dead-letters", "redrive", "--reason", "invalid")
    assert some.stdout == "2 invalid sent back to challenge-logs\n"
    assert run("dead-letters", "redrive", "--reason", "invalid").stdout == "nothing to send back\n"
    rest = run("dead-letters", "redrive")
    assert sorted(rest.stdout.splitlines()) == [
        "1 unknown_challenge sent back to challenge-logs",
        "1 unknown_member sent back to challenge-logs",
    ]
    assert len(await committed(topics, "challenge-logs")) == 4


async def test_one_project_leaves_the_others_for_later(topics: Settings, run: Run) -> None:
    await send(topics, "dead-letters", [letter(project=p) for p in ("acme", "default", None)])
    assert run("dead-letters", "redrive", "--project", "acme").stdout.startswith("1 ")
    assert run("dead-letters", "redrive").stdout.startswith("2 ")


async def test_a_dry_run_sends_nothing(topics: Settings, run: Run) -> None:
    await send(topics, "dead-letters", [letter()])
    dry = run("dead-letters", "redrive", "--dry-run")
    assert dry.stdout == "1 unknown_challenge would be sent back to challenge-logs\n"
    assert await committed(topics, "challenge-logs") == []
    assert run("dead-letters", "redrive").stdout.startswith("1 unknown_challenge sent back")


async def test_a_value_that_was_left_out_is_fetched_from_its_topic(
    topics: Settings, run: Run
) -> None:
    large = b'{"ownedBy":{"externalId":"m-1"},"x":"%s"}' % (b"x" * 1_500_000)
    (offset,) = await send(topics, "challenge-logs", [(2, b"k", large)])
    note = f"larger than 1 MiB; its {len(large)} bytes stay in the topic"
    refused = letter(Reason.TOO_LARGE, value=None, key=b"k", offset=offset, message=note)
    await send(topics, "dead-letters", [refused])
    assert run("dead-letters", "redrive").returncode == 0
    records = await committed(topics, "challenge-logs")
    assert sorted((r.partition, r.value == large) for r in records) == sorted(
        [(2, True), (HOME, True)]
    )


async def test_an_original_that_is_gone_is_named_and_the_rest_goes(
    topics: Settings, run: Run
) -> None:
    gone = letter(Reason.TOO_LARGE, value=None, offset=99)
    await send(topics, "dead-letters", [gone, letter()])
    done = run("dead-letters", "redrive")
    assert done.returncode == 1
    assert "challenge-logs/2/99: " in done.stderr
    assert len(await committed(topics, "challenge-logs")) == 1


async def test_what_could_not_be_sent_is_tried_again_and_then_sent_once(
    topics: Settings, run: Run
) -> None:
    large = b'{"ownedBy":{"externalId":"m-1"},"x":"later"}'
    gone = letter(Reason.TOO_LARGE, value=None, offset=0)
    await send(topics, "dead-letters", [letter(), gone, letter(Reason.INVALID)])
    assert run("dead-letters", "redrive").returncode == 1
    lines = run("dead-letters", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["redriven"] for line in lines] == [True, False, True]
    again = run("dead-letters", "redrive")
    assert (again.returncode, again.stdout) == (1, "")
    assert "challenge-logs/2/0: " in again.stderr
    await send(topics, "challenge-logs", [(2, b"k", large)])
    mended = run("dead-letters", "redrive", "--reason", "too_large")
    assert mended.stdout == "1 too_large sent back to challenge-logs\n"
    lines = run("dead-letters", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["redriven"] for line in lines] == [True, True, True]
    for filters in ([], ["--reason", "too_large"]):
        assert run("dead-letters", "redrive", *filters).stdout == "nothing to send back\n"
    values = Counter(record.value for record in await committed(topics, "challenge-logs"))
    assert values == {VALUE: 2, large: 2}


@pytest_asyncio.fixture
async def records(topics: Settings) -> AsyncIterator[RecordReader]:
    reader = RecordReader(topics)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def calls(
    topics: Settings, records: RecordReader, project: str, bounds: Bounds
) -> list[RedriveOutcome]:
    """Redrive a project's letters by bounded calls, as the dashboard does."""
    done: list[RedriveOutcome] = []
    while not done or done[-1].more:
        assert len(done) < 10, "it does not come to an end"
        done.append(await redrive(topics, records, Filter(None, project), bounds))
    return done


async def test_bounded_calls_come_to_an_end_whatever_cannot_be_sent(
    topics: Settings, records: RecordReader
) -> None:
    gone = [letter(Reason.TOO_LARGE, value=None, offset=99, project="acme") for _ in range(3)]
    await send(topics, "dead-letters", [*gone, letter(), letter()])
    one = Bounds(letters=1, bytes=MIB)
    done = await calls(topics, records, "acme", one)
    assert [len(each.failed) for each in done] == [1, 1, 1, 1]  # the last tries one again
    (again,) = await calls(topics, records, "acme", one)
    assert len(again.failed) == 1
    little = Bounds(letters=10, bytes=1)
    done = await calls(topics, records, "default", little)
    assert [sum(each.sent.values()) for each in done] == [0, 0, 0, 1, 1]
    assert not any(each.failed for each in done)
    assert len(await committed(topics, "challenge-logs")) == 2


async def marks(topics: Settings) -> set[str]:
    """The single letters of which something is kept."""
    return {key for key in await read_positions(topics) if key.startswith("redrive-")}


async def test_marks_of_single_letters_go_once_they_say_nothing_more(
    topics: Settings, records: RecordReader
) -> None:
    gone = letter(Reason.TOO_LARGE, value=None, offset=99)
    await send(topics, "dead-letters", [letter(), letter(), letter(Reason.INVALID), gone])
    chosen = [(1, 0), (1, 2), (1, 3)]
    for again in (0, 2):
        done = await redrive_chosen(topics, records, "default", chosen)
        assert (done.redriven, len(done.failed)) == (again, 1)
    assert await marks(topics) == {"redrive-chosen/1/0", "redrive-chosen/1/2", "redrive-failed/1/3"}
    await redrive(topics, records, Filter("unknown_challenge", "default"))
    assert (await redrive_chosen(topics, records, "default", [(1, 0)])).redriven == 1
    assert await marks(topics) == {"redrive-chosen/1/2", "redrive-failed/1/3"}
    await remove_before(topics, {(DEAD_LETTERS, 1): 4})
    await redrive(topics, records, Filter(None, "default"))
    assert await marks(topics) == set()
    assert len(await committed(topics, "challenge-logs")) == 3


async def test_a_call_whose_time_is_over_sends_what_it_has_and_goes_on_later(
    topics: Settings, records: RecordReader
) -> None:
    await send(topics, "dead-letters", [letter(), letter()])
    wanted, none = Filter(None, "default"), Bounds(letters=10, bytes=MIB, seconds=0)
    assert (await redrive(topics, records, wanted, none)).more
    whole = await redrive(topics, records, wanted, none._replace(seconds=60))
    assert (sum(whole.sent.values()), whole.more) == (2, False)


async def test_letters_are_chosen_one_by_one_up_to_a_bound(
    topics: Settings, records: RecordReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriven, "MOST_CHOSEN", 2)
    await send(topics, "dead-letters", [letter(), letter(), letter()])
    await redrive_chosen(topics, records, "default", [(1, 0), (1, 1)])
    with pytest.raises(TooManyChosen):
        await redrive_chosen(topics, records, "default", [(1, 2)])
    assert (await redrive(topics, records, Filter(None, "default"))).sent
    assert (await redrive_chosen(topics, records, "default", [(1, 2)])).redriven == 1


async def test_a_bounded_call_counts_the_originals_that_it_fetches(
    topics: Settings, records: RecordReader
) -> None:
    value = b'{"ownedBy":{"externalId":"m-1"},"x":"%s"}' % (b"x" * 50_000)
    lie = await send(topics, "challenge-logs", [(2, b"k", value)] * 3)
    large = [letter(Reason.TOO_LARGE, value=None, offset=offset) for offset in lie]
    await send(topics, "dead-letters", large)
    done = await calls(topics, records, "default", Bounds(letters=10, bytes=50_000))
    assert [sum(each.sent.values()) for each in done] == [1, 1, 1]
    assert len(await committed(topics, "challenge-logs")) == 6


async def test_letters_are_listed_as_json_with_what_became_of_them(
    topics: Settings, run: Run
) -> None:
    await send(topics, "dead-letters", [letter(Reason.INVALID), letter(project="acme")])
    run("dead-letters", "redrive", "--reason", "invalid")
    listed = [
        json.loads(line) for line in run("dead-letters", "list", "--json").stdout.splitlines()
    ]
    assert [(entry["reason"], entry["redriven"]) for entry in listed] == [
        ("invalid", True), ("unknown_challenge", False),
    ]  # fmt: skip
    assert listed[0]["deadLetter"] == {"partition": 1, "offset": 0}
    assert (listed[0]["topic"], listed[0]["partition"]) == ("challenge-logs", 2)
    only = run("dead-letters", "list", "--json", "--project", "acme").stdout
    assert len(only.splitlines()) == 1
    newest = run("dead-letters", "list", "--json", "--limit", "1").stdout
    assert json.loads(newest)["reason"] == "unknown_challenge"


async def test_letters_stand_in_the_order_in_which_they_were_refused(
    topics: Settings, run: Run
) -> None:
    # What an import of old records leads to, and a partition that was folded late.
    for number, partition in enumerate((3, 1, 1, 0, 2)):
        old = letter(at=AT - number * timedelta(days=1), offset=number, partition=partition)
        await send(topics, "dead-letters", [old])
    written = sorted(
        (record.timestamp, record.partition, record.offset)
        for record in await committed(topics, "dead-letters")
    )
    for newest, bound in ((5, ()), (5, ("--limit", "5")), (2, ("--limit", "2"))):
        lines = run("dead-letters", "list", "--json", *bound).stdout.splitlines()
        listed = [json.loads(line) for line in lines]
        places = [(e["deadLetter"]["partition"], e["deadLetter"]["offset"]) for e in listed]
        assert places == [tuple(place) for _, *place in written[-newest:]]
        times = [round(datetime.fromisoformat(e["refusedAt"]).timestamp() * 1000) for e in listed]
        assert times == [time for time, *_ in written[-newest:]]
    first, *rows = run("dead-letters", "list").stdout.splitlines()
    assert first.startswith("refused at")
    shown = [datetime.fromisoformat(" ".join(row.split()[:2])) for row in rows]
    assert shown == [from_millis(time).replace(microsecond=0) for time, *_ in written]


async def test_the_table_shows_what_a_record_says_without_obeying_it(
    topics: Settings, run: Run
) -> None:
    await send(topics, "dead-letters", [letter(message="\x1b[31m[bold]x[/nope]")])
    shown = run("dead-letters", "list")
    assert shown.returncode == 0
    assert "unknown_challenge" in shown.stdout
    assert "[bold]x[/nope]" in shown.stdout
    assert "\x1b[31m" not in shown.stdout


def test_no_letters_and_wrong_usage(run: Run) -> None:
    assert run("dead-letters", "list").returncode == 1  # no topics
    run("topics", "create")
    assert run("dead-letters", "list").stdout == "no dead letters\n"
    assert run("dead-letters", "list", "--json").stdout == ""
    assert run("dead-letters", "redrive", "--reason", "boredom").returncode == 2
    assert run("dead-letters", "list", "--limit", "0").returncode == 2


async def test_a_header_name_that_is_no_text_stops_no_command(
    topics: Settings, run: Run, tmp_path: Path
) -> None:
    positions = positions_topic(topics.application_id).name
    await poison(topics, DEFINITIONS, DEAD_LETTERS)
    await send_odd(topics, positions, [(b"\xff", b"1", [(NoText("odd"), b"v")])], 0)
    await send(topics, DEAD_LETTERS, [letter()])
    rules, logs = tmp_path / "rules.json", tmp_path / "logs.ndjson"
    rules.write_text(
        '{"kind": "challenge", "id": "' + CHALLENGE + '", "name": "n", "completionTargetValue": 5}',
        "utf-8",
    )
    logs.write_text(
        f'{{"challengeId":"{CHALLENGE}","ownedBy":{{"externalId":"m-1"}},"activityId":"a",'
        '"activityAt":"2026-11-20T08:00:00Z","uniqueIdentifier":"u-1","activityValue":1}\n'
    )
    for command in (
        ("apply", "-f", str(rules)),
        ("import", "challenge-logs", str(logs)),
        ("dead-letters", "redrive"),
    ):
        done = run(*command)
        assert done.returncode == 0, (command, done.stderr)
    assert len(await committed(topics, "challenge-logs")) == 2
