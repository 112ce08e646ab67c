"""Explanations with worker and projector: of records over HTTP and from any producer, which lie
anywhere, wait for their member, and are folded under rules that change."""

import json
from collections.abc import Mapping
from typing import Any, LiteralString

import httpx
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from api.auth.credentials import Role
from schemas import ids
from schemas.activity_types import UPLOAD_REVIEW
from schemas.topics import ACTIVITY_LOGS, CHALLENGE_LOGS, EVENTS, MEMBER_COMMANDS, partition_for
from tests.integration.api.serving import Served
from tests.integration.projections.driving import caught_up, query
from tests.integration.removing import remove_before

PROJECT = "explained"
LOGS = "/schema/challenge_log/record"
Place = tuple[str, int, int]


@pytest_asyncio.fixture
async def explainer(full_stack: Served) -> Any:
    """An admin of the project of these tests."""
    async with await full_stack.client(project=PROJECT) as client:
        yield client


async def put(client: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> None:
    """Put a definition in force."""
    answer = await client.put(f"/definitions/{kind}/{id_}", json=fields)
    assert answer.status_code in (200, 201), answer.text


def log(challenge_id: str, identifier: str, value: float, **fields: Any) -> dict[str, Any]:
    """A challenge log of one day."""
    known = {
        "challengeId": challenge_id,
        "activityAt": "2026-11-20T10:00:00Z",
        "activityId": "bought",
        "uniqueIdentifier": identifier,
        "activityValue": value,
    }
    return known | fields


def places(explanation: Mapping[str, Any]) -> list[Place]:
    """Return where the inputs of an explanation lie."""
    return [(each["topic"], each["partition"], each["offset"]) for each in explanation["inputs"]]


def amounts(explanation: Mapping[str, Any]) -> list[tuple[Any, Any, Any]]:
    """Return value, addition and what was there after, of each input."""
    return [(each["value"], each["added"], each["after"]) for each in explanation["inputs"]]


class Sender:
    """Sends records from any producer, onto any partition; notes where each lies."""

    def __init__(self, served: Served, producer: AIOKafkaProducer) -> None:
        self._settings = served.settings
        self._producer = producer

    def home(self, user: str) -> int:
        """Return a user's own partition."""
        return partition_for(ids.member_id(PROJECT, user), self._settings.partitions)

    async def send(self, topic: str, partition: int, **fields: Any) -> Place:
        """Send a record of the project."""
        value = json.dumps({"project": PROJECT, **fields}).encode()
        sent = await self._producer.send_and_wait(
            self._settings.topic(topic), value, partition=partition
        )
        return topic, partition, sent.offset


async def test_a_reward_is_explained_by_inputs_from_anywhere(
    full_stack: Served, explainer: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    challenge_id = "00000000-0000-4000-8000-00000000e001"
    milestone_id = "00000000-0000-4000-8000-00000000e002"
    early = {"name": "Early", "completionTargetValue": 100, "aggregationPeriod": "all_time"}
    await put(explainer, "challenge", challenge_id, **early)
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        sender = Sender(full_stack, producer)
        home = sender.home("wanda")
        other = 1 - home
        member = {"ownedById": ids.member_id(PROJECT, "wanda")}
        # It waits for its member, who comes with a log that lies on the wrong partition.
        waited = await sender.send(CHALLENGE_LOGS, other, **log(challenge_id, "a", 10, **member))
        await caught_up(settings)
        owner = {"ownedBy": {"externalId": "wanda"}}
        strayed = await sender.send(CHALLENGE_LOGS, other, **log(challenge_id, "b", 20, **owner))
        await _recorded(full_stack, challenge_id, 2)
        await sender.send(CHALLENGE_LOGS, home, **log(challenge_id, "b", 20, **owner))
        await put(explainer, "challenge", challenge_id, **early | {"name": "Late"})
        fields = {"name": "At 50", "linkedSchemaRecordId": challenge_id}
        await put(explainer, "milestone", milestone_id, **fields, milestoneTargetValue=50, points=7)
        draft = log(challenge_id, "c", 500, **member, status="draft")
        await sender.send(CHALLENGE_LOGS, home, **draft)
        void = {"what": "challenge_log", "reason": "back", "uniqueIdentifier": "v"}
        of = {"challengeId": challenge_id, "uniqueIdentifier": "a"}
        await _recorded(full_stack, challenge_id, 3)
        taken = await sender.send(
            MEMBER_COMMANDS, home, type="void", userId="wanda", portion=0.5, of=of, **void
        )
        reaching = await sender.send(CHALLENGE_LOGS, home, **log(challenge_id, "d", 25.5, **member))
        await sender.send(CHALLENGE_LOGS, home, **log(challenge_id, "e", 1, **member))
        await _recorded(full_stack, challenge_id, 5)
    await put(explainer, "milestone", milestone_id, **fields, milestoneTargetValue=60, points=8)

    progress_id = ids.progress_id(PROJECT, challenge_id, ids.member_id(PROJECT, "wanda"), "all")
    reward_id = ids.reward_log_id(PROJECT, milestone_id, ids.member_id(PROJECT, "wanda"), "all")
    found = await explainer.get(f"/explain/reward_log/{reward_id}")
    assert found.status_code == 200, found.text
    told = found.json()
    assert list(told) == ["kind", "id", "memberId", "inputs", "definitions"]
    assert (told["kind"], told["id"], told["memberId"]) == (
        "reward_log",
        reward_id,
        ids.member_id(PROJECT, "wanda"),
    )
    assert set(places(told)[:2]) == {waited, strayed}
    assert places(told)[2:] == [taken, reaching]
    assert amounts(told)[2:] == [(None, -5, 25), (25.5, 25.5, 50.5)]
    assert [(each["kind"], each["definition"]["name"]) for each in told["definitions"]] == [
        ("challenge", "Early"),
        ("challenge", "Late"),
        ("milestone", "At 50"),
    ]
    assert told["definitions"][-1]["definition"]["milestoneTargetValue"] == 50

    (entry,) = query(
        settings,
        "SELECT id FROM milestream.points_ledger WHERE project = %s AND source_id = %s",
        PROJECT,
        reward_id,
    )
    points = (await explainer.get(f"/explain/points/{entry[0]}")).json()
    assert points["inputs"] == told["inputs"]
    progress = (await explainer.get(f"/explain/progress/{progress_id}")).json()
    assert amounts(progress)[-1] == (1, 1, 51.5)
    assert progress["inputs"][:-1] == told["inputs"]

    async with await full_stack.end_user("wanda", PROJECT) as own:
        assert (await own.get(f"/explain/reward_log/{reward_id}")).json() == told
    async with await full_stack.end_user("somebody", PROJECT) as other_user:
        assert (await other_user.get(f"/explain/reward_log/{reward_id}")).status_code == 404
    async with await full_stack.client(Role.ANALYST, PROJECT) as analyst:
        assert (await analyst.get(f"/explain/progress/{progress_id}")).json() == progress
    async with await full_stack.client(Role.PRODUCER, PROJECT) as sending:
        assert (await sending.get(f"/explain/reward_log/{reward_id}")).status_code == 403
    async with await full_stack.client(project="elsewhere") as elsewhere:
        assert (await elsewhere.get(f"/explain/reward_log/{reward_id}")).status_code == 404


async def _recorded(served: Served, challenge_id: str, count: int) -> None:
    """Wait until so many logs of a challenge are recorded."""
    text = "SELECT count(*) FROM milestream.challenge_logs WHERE challenge_id = %s"
    while query(served.settings, text, challenge_id) != [(count,)]:
        await caught_up(served.settings)


async def test_a_reward_of_a_pathway_is_explained_by_what_was_completed(
    full_stack: Served, explainer: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    way, milestone_id = "EX01-ABCD-EF12", "00000000-0000-4000-8000-00000000e0a1"
    kinds = {"seen": "view", "sent": UPLOAD_REVIEW, "more": "view"}
    activities = [
        {"id": id_, "name": id_, "type": "video", "fulfilmentType": by, "required": id_ != "more"}
        for id_, by in kinds.items()
    ]
    await put(explainer, "pathway", way, name="Way", activities=activities)
    linked = {"linkedSchemaSlug": "pathway", "linkedSchemaRecordId": way}
    fields = {"name": "Two", **linked, "milestoneTargetValue": 2, "points": 3}
    await put(explainer, "milestone", milestone_id, **fields)
    member_id = ids.member_id(PROJECT, "pia")
    reward_id = ids.reward_log_id(PROJECT, milestone_id, member_id, "all")
    async with AIOKafkaProducer(**settings.kafka_options()) as producer:
        sender = Sender(full_stack, producer)
        home = sender.home("pia")

        async def did(partition: int, id_: str, identifier: str, **fulfilment: Any) -> Place:
            log = {"activityId": id_, "uniqueIdentifier": identifier, "fulfilment": fulfilment}
            at = {"occurredAt": "2026-11-20T10:00:00Z"}
            return await sender.send(
                ACTIVITY_LOGS, partition, pathwayId=way, userId="pia", **log, **at
            )

        async def told(type_: str, partition: int = home, **more: Any) -> Place:
            named = {"userId": "pia", "pathwayId": way} | more
            return await sender.send(MEMBER_COMMANDS, partition, type=type_, **named)

        waited = await did(1 - home, "seen", "1")  # for its member
        await caught_up(settings)
        await sender.send(MEMBER_COMMANDS, home, type="upsert-member", externalId="pia")
        await _counted(full_stack, "pathway_history", member_id, 1)
        await did(home, "more", "2")
        strayed = await told("enrol", 1 - home)
        await _counted(full_stack, "pathway_history", member_id, 3)
        await did(home, "seen", "3")
        await did(home, "sent", "4", upload={"url": "https://example.org/1"})
        await _counted(full_stack, "pathway_logs", member_id, 3)

        async def void(identifier: str) -> Place:
            of = {"pathwayId": way, "activityId": "seen", "uniqueIdentifier": identifier}
            named: dict[str, Any] = {"uniqueIdentifier": f"v{identifier}", "of": of}
            return await told("void", what="activity_log", reason="no", **named)

        await void("1")
        voided = await void("3")
        await _counted(full_stack, "pathway_history", member_id, 5)
        again = await did(home, "seen", "5")
        await _counted(full_stack, "pathway_history", member_id, 6)
        reviewed = await told("review-activity", activityId="sent", approved=True)
        await _counted(full_stack, "pathway_history", member_id, 7)
    found = await explainer.get(f"/explain/reward_log/{reward_id}")
    assert found.status_code == 200, found.text
    explained = found.json()
    assert places(explained) == [waited, strayed, voided, again, reviewed]
    steps = [(None, 1, 1), (None, 0, 1), (None, -1, 0), (None, 1, 1), (None, 1, 2)]
    assert amounts(explained) == steps
    assert [(each["kind"], each["id"]) for each in explained["definitions"]] == [
        ("pathway", way),
        ("milestone", milestone_id),
    ]
    (entry,) = query(
        settings,
        "SELECT id FROM milestream.points_ledger WHERE project = %s AND source_id = %s",
        PROJECT,
        reward_id,
    )
    points = (await explainer.get(f"/explain/points/{entry[0]}")).json()
    assert points["inputs"] == explained["inputs"]


async def _counted(served: Served, table: LiteralString, member_id: str, count: int) -> None:
    """Wait until a table has so many rows of a member."""
    text: LiteralString = f"SELECT count(*) FROM milestream.{table} WHERE member_id = %s"
    while query(served.settings, text, member_id) != [(count,)]:
        await caught_up(served.settings)


async def test_points_are_explained_until_their_event_is_gone(
    full_stack: Served, explainer: httpx.AsyncClient
) -> None:
    settings = full_stack.settings
    await put(explainer, "event", "visit", title="Visit", reward={"default": 5})
    await put(
        explainer,
        "boost",
        "double",
        name="Double",
        multiplier=2,
        startsAt="2026-01-01T00:00:00Z",
        wallets=["_default"],
    )
    await put(explainer, "wallet", "_default", name="Points", expiry={"type": "none"})
    await explainer.post("/schema/member/record", json={"externalId": "vic"})
    answer = await explainer.post("/event", json={"eventId": "visit", "userId": "vic"})
    assert answer.json()["data"]["points"] == 10
    spent = await explainer.post("/user/vic/spend", json={"points": 4, "uniqueIdentifier": "s"})
    assert spent.status_code == 200, spent.text
    member_id = ids.member_id(PROJECT, "vic")
    event_id = await _entry(explainer, full_stack, member_id, "visit")
    spend_id = await _entry(explainer, full_stack, member_id, "spend")

    told = (await explainer.get(f"/explain/points/{event_id}")).json()
    assert [place[:2] for place in places(told)] == [(EVENTS, _home(full_stack, member_id))]
    assert amounts(told) == [(10, 10, 10)]
    kinds = {each["kind"]: each["definition"] for each in told["definitions"]}
    assert kinds.keys() == {"event", "boost", "wallet"}
    assert kinds["boost"]["multiplier"] == 2

    spend = (await explainer.get(f"/explain/points/{spend_id}")).json()
    assert [place[0] for place in places(spend)] == [MEMBER_COMMANDS]
    assert amounts(spend) == [(-4, -4, 6)]

    _, partition, offset = places(told)[0]
    await remove_before(settings, {(EVENTS, partition): offset + 1})
    gone = await explainer.get(f"/explain/points/{event_id}")
    assert (gone.status_code, gone.json()["code"]) == (410, "inputs_gone")
    assert (await explainer.get(f"/explain/points/{spend_id}")).json() == spend
    for path in (
        "streak/%00?userId=vic",
        "points/nobody",
        "nothing/x",
        f"points/{ids.derive('nobody')}",
    ):
        assert (await explainer.get(f"/explain/{path}")).status_code == 404


def _home(served: Served, member_id: str) -> int:
    return partition_for(member_id, served.settings.partitions)


async def _entry(client: httpx.AsyncClient, served: Served, member_id: str, action_id: str) -> str:
    """Return the id of the one entry of an action, once the ledger has it."""
    await client.get("/user/vic/points")
    ((found,),) = query(
        served.settings,
        "SELECT id::text FROM milestream.points_ledger WHERE member_id = %s AND action_id = %s",
        member_id,
        action_id,
    )
    return str(found)


async def test_why_a_milestone_is_not_reached(
    full_stack: Served, explainer: httpx.AsyncClient
) -> None:
    challenge_id = "00000000-0000-4000-8000-00000000e011"
    milestone_id = "00000000-0000-4000-8000-00000000e012"
    fields = {"name": "Day", "completionTargetValue": 100, "activityIds": ["bought"]}
    ends = {"endsAt": "2026-11-20T23:00:00Z"}
    await put(explainer, "challenge", challenge_id, **fields, **ends)
    linked = {"name": "At 50", "linkedSchemaRecordId": challenge_id, "milestoneTargetValue": 50}
    await put(explainer, "milestone", milestone_id, **linked)

    async def sent(identifier: str, value: float = 10, **more: Any) -> str:
        body = log(challenge_id, identifier, value, ownedBy={"externalId": "why"}, **more)
        answer = await explainer.post(LOGS, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    await sent("counted", 30)
    back = await sent("void")
    await explainer.post(f"{LOGS}/{back}/void", json={"reason": "b", "uniqueIdentifier": "w"})
    await sent("draft", status="draft")
    await sent("walk", activityId="walked")
    await sent("late", activityAt="2026-11-20T23:00:00Z")
    await sent("yesterday", activityAt="2026-11-19T10:00:00Z")
    member = f"/schema/member/record/{ids.member_id(PROJECT, 'why')}"
    assert (await explainer.patch(member, json={"status": "paused"})).status_code == 200
    await sent("paused", activityId="walked")
    await put(explainer, "challenge", challenge_id, **fields, **ends, status="paused")
    await sent("stopped")

    path = f"/v1/user/why/why-not?milestoneId={milestone_id}&periodKey=2026-11-20"
    answer = await explainer.get(path)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {name: value for name, value in told.items() if name != "notCounted"} == {
        "milestoneId": milestone_id,
        "periodKey": "2026-11-20",
        "reached": False,
        "target": 50,
        "value": 30,
        "missing": 20,
        "counted": 1,
    }
    assert [each["why"] for each in told["notCounted"]] == [
        "void",
        "log_not_live",
        "activity_not_listed",
        "outside_dates",
        "other_period",
        "member_not_live",
        "challenge_not_live",
    ]
    assert {each["topic"] for each in told["notCounted"]} == {CHALLENGE_LOGS}
    offsets = [each["offset"] for each in told["notCounted"]]
    assert offsets == sorted(set(offsets))

    async def why(identifier: str) -> list[str]:
        found = (await explainer.get(f"{path}&uniqueIdentifier={identifier}")).json()
        return [each["why"] for each in found["notCounted"]]

    assert await why("counted") == ["duplicate"]
    assert await why("draft") == ["log_not_live"]
    assert await why("nothing") == []
    for query_, status in (
        ("", 400),
        (f"?milestoneId={milestone_id}&periodKey=2026-13", 400),
        (f"?milestoneId={challenge_id}", 404),
    ):
        assert (await explainer.get(f"/user/why/why-not{query_}")).status_code == status
    assert (
        await explainer.get(f"/user/nobody/why-not?milestoneId={milestone_id}")
    ).status_code == 404
    async with await full_stack.end_user("why", PROJECT) as own:
        assert (await own.get(path)).json() == told
        other = await own.get(f"/user/vic/why-not?milestoneId={milestone_id}")
        assert other.status_code == 403

    home = _home(full_stack, ids.member_id(PROJECT, "why"))
    await remove_before(full_stack.settings, {(CHALLENGE_LOGS, home): offsets[1]})
    left = (await explainer.get(path)).json()
    assert left == told | {"notCounted": told["notCounted"][1:]}
    gone = await explainer.get(f"{path}&uniqueIdentifier=void")
    assert (gone.status_code, gone.json()["code"]) == (410, "inputs_gone")


async def test_streaks_and_tiers_are_explained_by_what_made_them(
    full_stack: Served, explainer: httpx.AsyncClient
) -> None:
    await put(explainer, "event", "run", title="Run", reward={"default": 30}, challengeGroup="runs")
    names = {"period": "daily", "targetLength": 5}
    await put(explainer, "streak", "daily", eventIds=["walk"], **names)
    tiers = [
        {"id": "none", "name": "None", "threshold": 0},
        {"id": "gold", "name": "Gold", "threshold": 50},
    ]
    basis = {"type": "earned", "wallet": "runs"}
    window = {"type": "lifetime"}
    await put(explainer, "tier-set", "status", name="S", basis=basis, window=window, tiers=tiers)
    await explainer.post("/schema/member/record", json={"externalId": "sue"})

    async def run(day: int, key: str) -> None:
        body = {"eventId": "run", "userId": "sue", "idempotencyKey": key}
        at = f"2026-11-{day}T10:00:00Z"
        answer = await explainer.post("/event", json={**body, "occurredAt": at})
        assert answer.status_code == 200, answer.text

    await run(16, "before")  # the streak does not name it yet
    await put(explainer, "streak", "daily", eventIds=["run"], **names)
    for day in (17, 18, 18, 20, 19):
        await run(day, f"{day} {day == 18}")
    missing = await explainer.get("/explain/streak/daily")
    assert missing.status_code == 400
    assert [each["field"] for each in missing.json()["errors"]] == ["userId"]
    streak = await explainer.get("/explain/streak/daily?userId=sue")
    assert streak.status_code == 200, streak.text
    told = streak.json()
    assert (told["kind"], told["id"]) == ("streak", "daily")
    assert [each["time"][:10] for each in told["inputs"]] == [
        "2026-11-17",
        "2026-11-18",
        "2026-11-20",
        "2026-11-19",
    ]
    assert [each["after"] for each in told["inputs"]] == [1, 2, 1, 4]
    streaks = [each for each in told["definitions"] if each["kind"] == "streak"]
    assert [each["definition"]["eventIds"] for each in streaks] == [["run"]]

    tier = await explainer.get("/explain/tier/status?userId=sue")
    assert tier.status_code == 200, tier.text
    assert amounts(tier.json()) == [(30, 30, 30), (30, 30, 60)]
    assert places(tier.json())[1] == places(told)[0]
    kinds = [each["kind"] for each in tier.json()["definitions"]]
    assert kinds == ["event", "tier-set"]
    by_hand = {"tierSetId": "status", "tierId": "gold", "uniqueIdentifier": "t", "reason": "vip"}
    assert (await explainer.post("/user/sue/tier", json=by_hand)).status_code == 200
    assigned = (await explainer.get("/explain/tier/status?userId=sue")).json()
    assert [place[0] for place in places(assigned)] == [MEMBER_COMMANDS]

    async with await full_stack.end_user("sue", PROJECT) as own:
        assert (await own.get("/explain/streak/daily")).json() == told
    async with await full_stack.end_user("vic", PROJECT) as other:
        assert (await other.get("/explain/streak/daily")).status_code == 404
        assert (await other.get("/explain/streak/daily?userId=sue")).status_code == 404


async def test_a_tier_is_explained_as_its_set_was_then(explainer: httpx.AsyncClient) -> None:
    await put(explainer, "event", "ride", title="R", reward={"default": 30}, challengeGroup="rides")
    tiers = [
        {"id": "none", "name": "None", "threshold": 0},
        {"id": "gold", "name": "Gold", "threshold": 50},
    ]
    fields = {
        "name": "R",
        "basis": {"type": "earned", "wallet": "rides"},
        "window": {"type": "rolling", "length": "P1Y"},
        "tiers": tiers,
    }
    await put(explainer, "tier-set", "riders", **fields)
    await explainer.post("/schema/member/record", json={"externalId": "ria"})
    for key in ("r1", "r2"):
        body = {"eventId": "ride", "userId": "ria", "idempotencyKey": key}
        assert (await explainer.post("/event", json=body)).status_code == 200
    path = "/explain/tier/riders?userId=ria"
    told = (await explainer.get(path)).json()
    assert amounts(told) == [(30, 30, 30), (30, 30, 60)]
    assert (await explainer.delete("/definitions/tier-set/riders")).status_code == 204
    assert (await explainer.get(path)).json() == told
    await put(explainer, "tier-set", "riders", **fields)
    assert (await explainer.get(path)).json() == told


async def test_a_reward_of_a_streak_is_explained_by_the_hit_that_it_was_given_again_for(
    explainer: httpx.AsyncClient,
) -> None:
    milestone_id = "00000000-0000-4000-8000-00000000e021"
    await put(explainer, "event", "swim", title="Swim", reward={"default": 1})
    names = {"period": "daily", "targetLength": 9}
    await put(explainer, "streak", "swims", eventIds=["swim"], **names)
    linked = {"linkedSchemaSlug": "streak", "linkedSchemaRecordId": "swims"}
    fields = {"name": "Three", "milestoneTargetValue": 3, **linked}
    await put(explainer, "milestone", milestone_id, **fields)
    await explainer.post("/schema/member/record", json={"externalId": "sid"})
    member_id = ids.member_id(PROJECT, "sid")

    async def swim(day: int, key: str) -> None:
        body = {"eventId": "swim", "userId": "sid", "idempotencyKey": key}
        at = f"2026-11-{day}T10:00:00Z"
        answer = await explainer.post("/event", json={**body, "occurredAt": at})
        assert answer.status_code == 200, answer.text

    for day in (17, 18, 19):
        await swim(day, f"first {day}")
    reward_id = ids.reward_log_id(PROJECT, milestone_id, member_id, "2026-11-19")
    path = f"/explain/reward_log/{reward_id}"
    first = (await explainer.get(path)).json()
    assert [each["after"] for each in first["inputs"]] == [1, 2, 3]
    void = {"reason": "back", "uniqueIdentifier": "v", "rewards": "revoke"}
    voided = ids.event_log_id(PROJECT, member_id, "first 18")
    answer = await explainer.post(f"/event/{voided}/void", json=void)
    assert answer.status_code == 200, answer.text
    assert (await explainer.get(path)).json() == first, "it was given for that"
    await swim(18, "again")
    again = (await explainer.get(path)).json()
    assert [each["time"][:10] for each in again["inputs"]] == [
        "2026-11-17",
        "2026-11-19",
        "2026-11-18",
    ]
    assert places(again)[:2] == [places(first)[0], places(first)[2]]
    assert places(again)[2][2] > places(first)[2][2]
