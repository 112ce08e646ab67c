"""Imports: exact, once, and going on after a kill."""

import asyncio
import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from schemas import ids
from schemas.records import Event
from schemas.settings import Settings
from schemas.topics import partition_for
from tests.integration.deploy.conftest import Run, committed, high_watermarks, polling

MANY = 150_000
AT = "2026-11-20T08:00:00Z"


def log(number: int) -> bytes:
    """An NDJSON line with its own spacing, so that a re-encoding would show."""
    return (
        f'{{"challengeId": "c", "ownedBy":{{"externalId":"m-{number % 977}"}}, "activityId":"a", '
        f'"activityAt":"{AT}", "uniqueIdentifier":"u-{number}","activityValue":{number}.10}}'
    ).encode()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def write_logs(path: Path, count: int, first: int = 0) -> list[bytes]:
    lines = [log(number) for number in range(first, first + count)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return lines


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "logs.ndjson"


async def test_lines_arrive_byte_for_byte_on_their_members_partitions(
    topics: Settings, run: Run, file: Path
) -> None:
    lines = write_logs(file, 5000)
    done = run("import", "challenge-logs", str(file))
    assert (done.returncode, done.stdout.split(" in ")[0]) == (0, "5,000 records")
    records = await committed(topics, "challenge-logs")
    assert sorted(record.value for record in records) == sorted(lines)
    for record in records:
        member = ids.member_id("default", json.loads(record.value)["ownedBy"]["externalId"])
        assert record.key == member.encode()
        assert record.partition == partition_for(member, topics.partitions)


async def test_lines_of_a_partition_keep_their_order(
    topics: Settings, run: Run, file: Path
) -> None:
    lines = write_logs(file, 5000)
    run("import", "challenge-logs", str(file))
    place = {line: number for number, line in enumerate(lines)}
    for partition in range(topics.partitions):
        mine = [r for r in await committed(topics, "challenge-logs") if r.partition == partition]
        order = [place[record.value] for record in mine]
        assert order == sorted(order)


async def test_a_finished_import_does_nothing_unless_told_to(
    topics: Settings, run: Run, file: Path
) -> None:
    write_logs(file, 10)
    run("import", "challenge-logs", str(file))
    again = run("import", "challenge-logs", str(file))
    assert (again.returncode, "imported before" in again.stdout) == (0, True)
    assert len(await committed(topics, "challenge-logs")) == 10
    assert run("import", "challenge-logs", str(file), "--restart").returncode == 0
    assert len(await committed(topics, "challenge-logs")) == 20


async def test_a_file_that_grew_is_gone_on_with(topics: Settings, run: Run, file: Path) -> None:
    write_logs(file, 10)
    run("import", "challenge-logs", str(file))
    lines = write_logs(file, 15)
    grown = run("import", "challenge-logs", str(file))
    assert "5 records in" in grown.stdout
    assert sorted(r.value for r in await committed(topics, "challenge-logs")) == sorted(lines)


async def test_a_file_whose_imported_part_changed_is_refused(
    topics: Settings, run: Run, file: Path
) -> None:
    write_logs(file, 10)
    run("import", "challenge-logs", str(file))
    write_logs(file, 10, first=1)
    refused = run("import", "challenge-logs", str(file))
    assert refused.returncode == 1
    assert "--restart" in refused.stderr
    assert len(await committed(topics, "challenge-logs")) == 10


async def test_nothing_is_lost_or_doubled_by_sigkill(
    topics: Settings, child: Callable[..., subprocess.Popen[str]], run: Run, file: Path
) -> None:
    lines = write_logs(file, MANY)
    chance = random.Random(7)
    for _ in range(3):
        before = await high_watermarks(topics, "challenge-logs")
        process = child("import", "challenge-logs", str(file))
        async for _ in polling(0.01):
            if (
                process.poll() is not None
                or await high_watermarks(topics, "challenge-logs") > before
            ):
                break
        await asyncio.sleep(chance.random() * 0.3)
        process.kill()
        process.communicate()
    assert run("import", "challenge-logs", str(file)).returncode == 0
    records = await committed(topics, "challenge-logs")
    assert Counter(record.value for record in records) == Counter(lines)


async def test_a_bad_line_ends_the_import_before_it_and_corrected_it_goes_on(
    topics: Settings, run: Run, file: Path
) -> None:
    write(file, log(1) + b"\n{not json}\n" + log(3) + b"\n")
    refused = run("import", "challenge-logs", str(file))
    assert refused.returncode == 1
    assert "line 2: no JSON object" in refused.stderr
    assert [r.value for r in await committed(topics, "challenge-logs")] == [log(1)]
    write(file, log(1) + b"\n" + log(2) + b"\n" + log(3) + b"\n")
    assert "2 records in" in run("import", "challenge-logs", str(file)).stdout
    values = sorted(r.value for r in await committed(topics, "challenge-logs"))
    assert values == [log(1), log(2), log(3)]


async def test_bad_lines_can_be_left_out(topics: Settings, run: Run, file: Path) -> None:
    write(file, b"[]\n" + log(1) + b'\n{"challengeId":"c"}\nnull\n' + log(2))
    done = run("import", "challenge-logs", str(file), "--skip-bad")
    assert done.returncode == 0
    assert "3 bad lines left out" in done.stdout
    assert f"{file}:3: activityAt: is required" in done.stderr
    values = sorted(r.value for r in await committed(topics, "challenge-logs"))
    assert values == [log(1), log(2)]
    assert "nothing is new" in run("import", "challenge-logs", str(file), "--skip-bad").stdout


async def test_a_project_is_written_into_lines_that_name_none(
    topics: Settings, run: Run, file: Path
) -> None:
    event = b'"eventId":"e","userId":"a"}'
    write(file, b" {" + event + b'\n{"project":"other",' + event + b"\n")
    assert run("import", "events", str(file), "--project", "acme").returncode == 0
    found = {r.value: r.key for r in await committed(topics, "events")}
    assert found == {
        b'{"project":"acme",' + event: ids.member_id("acme", "a").encode(),
        b'{"project":"other",' + event: ids.member_id("other", "a").encode(),
    }


async def test_csv_rows_arrive_as_records_with_exact_numbers(
    topics: Settings, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "logs.csv"
    file.write_text(
        "challengeId,ownedBy.externalId,activityAt,activityId,uniqueIdentifier,activityValue,status\n"
        f"c,m-1,{AT},a,00127,12345678901234567890.123456789,\n"
        f'c,m-1,{AT},a,"a,\nb",0.1,live\n,,,,,,\n'
    )
    assert run("import", "challenge-logs", str(file)).returncode == 0
    first, second = [r.value for r in await committed(topics, "challenge-logs")]
    begin = b'{"challengeId":"c","ownedBy":{"externalId":"m-1"},"activityAt":"%s",' % AT.encode()
    assert first == begin + (
        b'"activityId":"a","uniqueIdentifier":"00127",'
        b'"activityValue":12345678901234567890.123456789}'
    )
    assert second == begin + (
        b'"activityId":"a","uniqueIdentifier":"a,\\nb","activityValue":0.1,"status":"live"}'
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (f"eventId;userId;occurredAt\ne;a;{AT[:-1]}", "line 2: occurredAt: "),
        ("event_id,user_id\ne,a", "'event_id' is not a field; it is spelled 'eventId'"),
        ("event,user\ne,a", "line 2: eventId: is required"),
        ("eventId,userId,occurredAt\ne,a,20.11.2026", "line 2: occurredAt: "),
    ],
)
async def test_a_file_no_worker_would_take_ends_with_line_field_and_reason(
    topics: Settings, run: Run, tmp_path: Path, rows: str, said: str
) -> None:
    file = tmp_path / "events.csv"
    file.write_text(rows + "\n")
    refused = run("import", "events", str(file))
    assert refused.returncode == 1
    assert said in refused.stderr
    assert await committed(topics, "events") == []


async def test_a_spreadsheets_csv_arrives(topics: Settings, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    text = '\ufeff"eventId";"userId";"metadata.sku"\r\n"e";"ä";"007"\r\n;;\r\n'
    file.write_bytes(text.encode("utf-16-le"))
    done = run("import", "events", str(file), "--text", "metadata.sku")
    assert done.returncode == 0, done.stderr
    (record,) = await committed(topics, "events")
    assert json.loads(record.value) == {
        "eventId": "e",
        "userId": "ä",
        "metadata": {"sku": "007"},
    }


async def test_events_lie_on_their_members_partitions_whatever_their_metadata_name(
    topics: Settings, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "events.csv"
    rows = [f"login,user-{n},2026-11-20T08:00:00Z,key-{n},{n}.10,web" for n in range(200)]
    header = "eventId,userId,occurredAt,idempotencyKey,metadata.amount,metadata.userId"
    file.write_text("\n".join([header, *rows]) + "\n")
    assert run("import", "events", str(file)).returncode == 0
    records = await committed(topics, "events")
    assert len(records) == 200
    for record in records:
        event = msgspec.json.decode(record.value, type=Event)
        member = ids.member_id("default", event.user_id)
        assert record.key == member.encode()
        assert record.partition == partition_for(member, topics.partitions)
        number = event.user_id.removeprefix("user-")
        assert bytes(event.metadata) == b'{"amount":%s.10,"userId":"web"}' % number.encode()


async def test_standard_input_is_read(topics: Settings, run: Run) -> None:
    for _ in range(2):  # it has no position to go on from
        assert run("import", "events", "-", stdin='{"eventId":"e","userId":"a"}\n').returncode == 0
    assert len(await committed(topics, "events")) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replies", "-"), "must be one of challenge-logs"),
        (("ticks", "-"), "must be one of challenge-logs, events, activity-logs"),
        (("events", "nowhere.ndjson"), "there is no file"),
        (("events", "-", "--format", "xml"), "ndjson or csv"),
        (("events", "-", "--project", "No"), "[a-z0-9]"),
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    wrong = run("import", *arguments)
    assert wrong.returncode == 2
    assert said in wrong.stderr


def test_without_topics_it_fails_in_words(run: Run) -> None:
    failed = run("import", "events", "-", stdin='{"userId":"a"}')
    assert failed.returncode == 1
    assert "milestream topics create" in failed.stderr
    assert "Traceback" not in failed.stderr
