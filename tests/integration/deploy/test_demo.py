"""The demo's flow."""

import asyncio
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.demo import MEMBERS, apply_definitions, demo_documents, send_history
from deploy.demo_examples import FIRST_ORDER, KEY_FILE, LATE, examples
from deploy.demo_people import FREE_SHIPPING, SPEND, TEN_OFF, YOU
from processor.definitions import DefinitionsReader
from schemas import ids
from schemas.definitions import parse
from schemas.records import ChallengeLog, Event
from schemas.settings import Settings
from tests.integration.api.serving import let_the_hour_begin
from tests.integration.deploy.conftest import Run, committed, polling
from tests.stack import FreshSettings


@pytest.fixture
def migrated(fresh_settings: FreshSettings) -> Settings:
    """Settings with a migrated database and a data dir."""
    made = fresh_settings.migrated()
    made.data_dir.mkdir()
    return made


async def test_definitions_are_written_once(topics: Settings) -> None:
    assert await apply_definitions(topics) == len(demo_documents()) > 20
    assert await apply_definitions(topics) == 0
    async with DefinitionsReader(topics) as reader:
        assert reader.refused == 0


async def test_each_day_of_history_is_sent_once(topics: Settings) -> None:
    stopping, today = asyncio.Event(), datetime.now(UTC).date()
    sent = await send_history(topics, today, stopping)
    assert sent > MEMBERS
    assert await send_history(topics, today, stopping) == 0
    next_day = await send_history(topics, today + timedelta(days=1), stopping)
    assert 0 < next_day < sent
    inputs = ("challenge-logs", "events", "activity-logs")
    logs, events, course = [await committed(topics, name) for name in inputs]
    assert len(logs) + len(events) + len(course) == sent + next_day
    assert len(events) > MEMBERS
    assert len(course) > MEMBERS


async def test_everybody_is_a_member_before_the_first_event(topics: Settings) -> None:
    await send_history(topics, datetime.now(UTC).date(), asyncio.Event())
    commands, events = await committed(topics, "member-commands"), await committed(topics, "events")
    known = {record.key for record in commands}
    assert len(known) == MEMBERS + 1
    assert {record.key for record in events} <= known
    assert max(r.timestamp for r in commands) <= min(r.timestamp for r in events)


async def test_it_flows_until_told_to_stop(
    topics: Settings, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child("demo-traffic", "--rate", "200")
    async for _ in polling():
        logs, events = await committed(topics, "challenge-logs"), await committed(topics, "events")
        now = sum(b'"activityAt":"' + today() in (r.value or b"") for r in logs)
        if now > 100 and sum(b"occurredAt" not in (r.value or b"") for r in events) > 100:
            break
        assert process.poll() is None
    process.terminate()
    assert await asyncio.to_thread(process.wait, 60) == 0


def today() -> bytes:
    return datetime.now(UTC).date().isoformat().encode()


def test_the_examples_can_be_pasted_and_their_key_is_kept(migrated: Settings) -> None:
    let_the_hour_begin()  # with a month, too
    calls = pasted(examples(migrated))
    log, event = (call[call.index("-d") + 1] for call in calls[:2])
    decoded = msgspec.json.decode(log, type=ChallengeLog)
    assert (decoded.challenge_id, float(bytes(decoded.activity_value))) == (SPEND, FIRST_ORDER)
    sent = msgspec.json.decode(event, type=Event)
    assert sent.user_id == YOU.external_id
    late = msgspec.json.decode(calls[-3][calls[-3].index("-d") + 1])["definitions"]
    assert [parse(each.pop("kind"), each).id for each in late] == [LATE]
    void = msgspec.json.decode(calls[-1][calls[-1].index("-d") + 1])
    assert void["of"] == {"idempotencyKey": sent.idempotency_key}
    assert sent.idempotency_key is not None
    assert sent.idempotency_key.startswith("order-")
    you, month = ids.member_id("default", YOU.external_id), datetime.now(UTC).strftime("%Y-%m")
    explained = ids.reward_log_id("default", FREE_SHIPPING, you, month)
    assert [next(word for word in call if word.startswith("http")) for call in calls] == [
        f"{migrated.public_url}{path}"
        for path in (
            "/schema/challenge_log/record", "/v1/event", "/v1/event?dryRun=true&trace=true",
            "/v1/stats/event?period=7d",
            "/v1/leaderboard?limit=3", "/v1/user/you/points", "/v1/user/you/tier",
            f"/explain/reward_log/{explained}",
            f"/v1/user/you/why-not?milestoneId={TEN_OFF}",
            "/recalculations", "/recalculations", "/v1/user/you/void",
        )
    ]  # fmt: skip
    assert pasted(examples(migrated))[3] == calls[3]
    kept = migrated.data_dir / KEY_FILE
    assert kept.stat().st_mode & 0o777 == 0o600


def test_the_events_example_has_a_token_of_the_demos_own_member(migrated: Settings) -> None:
    call = pasted(examples(migrated))[1]
    (bearer,) = [word for word in call if word.startswith("authorization: Bearer ")]
    claims = jwt.decode(bearer.split()[2], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == (YOU.external_id, "default")


def test_a_key_that_the_database_does_not_know_is_made_anew(migrated: Settings) -> None:
    (migrated.data_dir / KEY_FILE).write_text('{"keyId": "gone", "secret": "s"}')
    assert "x-api-key: gone" not in examples(migrated)


def test_where_somebody_else_signs_tokens_the_event_goes_with_the_key(
    settings: Settings, run: Run, tmp_path: Path
) -> None:
    settings.data_dir.mkdir()
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = tmp_path / "public.pem"
    pem.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert run("keys", "jwt-public", "--project", "default", "--file", str(pem)).returncode == 0
    call = pasted(examples(settings))[1]
    assert any(word.startswith("x-api-key: ") for word in call)
    assert not any("Bearer" in word for word in call)


def test_a_token_to_try_things_out(settings: Settings, run: Run) -> None:
    secret = run("keys", "jwt-secret", "--project", "acme").stdout.strip()
    options = ("--project", "acme", "--user", "joe", "--admin", "--hours", "2")
    made = run("keys", "token", *options).stdout.strip()
    claims = jwt.decode(made, secret, algorithms=["HS256"], audience="acme")
    assert (claims["sub"], claims["role"]) == ("joe", "admin")
    assert 7100 < claims["exp"] - datetime.now(UTC).timestamp() <= 7200
    assert settings.topic_prefix  # the database is this test's own


def pasted(example: str) -> list[list[str]]:
    """Return the arguments that a shell gives to each curl."""
    script = "curl() { printf '%s\\n' \"$@\"; echo ---; }\n" + example
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    calls = done.stdout.split("---\n")
    return [call.splitlines() for call in calls if call]
