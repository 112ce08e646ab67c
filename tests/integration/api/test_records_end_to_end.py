"""The records face with worker and projector: the published examples, and what holds after them."""

import asyncio
import json
import uuid
from typing import Any

import httpx

from api.auth.credentials import Role
from tests.integration.api.serving import Served, filters

LOGS = "/schema/challenge_log/record"


async def challenge(admin: httpx.AsyncClient, *targets: float, **fields: Any) -> str:
    """Create a challenge with milestones at these targets; return its id."""
    body = {"name": "Spend", "completionTargetValue": 500, "aggregationPeriod": "monthly", **fields}
    made = await admin.post("/schema/challenge/record", json=body)
    assert made.status_code == 201, made.text
    challenge_id = str(made.json()["id"])
    for target in targets:
        linked = {"name": f"At {target}", "linkedSchemaRecordId": challenge_id}
        milestone = {**linked, "milestoneTargetValue": target}
        answer = await admin.post("/schema/milestone/record", json=milestone)
        assert answer.status_code == 201, answer.text
    return challenge_id


def log(challenge_id: str, identifier: str, **fields: Any) -> dict[str, Any]:
    """A log of Ann's."""
    return {
        "challengeId": challenge_id,
        "ownedBy": {"externalId": "ann"},
        "activityAt": "2026-11-21T10:00:00+01:00",
        "activityId": "made_a_purchase",
        "uniqueIdentifier": identifier,
        **fields,
    }


async def test_a_sum_answers_with_the_progress_after_the_log(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 100)
    answer = await admin.post(LOGS, json=log(id_, "order-1", activityValue=87.5))
    assert answer.status_code == 201
    record = answer.json()
    assert record["challenge"]["id"] == id_
    assert record["challengeProgress"]["currentProgressValue"] == 87.5
    assert record["challengeProgress"]["challengeProgressStatus"] == "in_progress"
    assert record["challengeProgress"]["periodKey"] == "2026-11"
    assert record["achievedMilestone"] is None
    assert record["achievedMilestoneRewardLog"] is None
    assert record["nextMilestone"]["milestoneTargetValue"] == 100


async def test_the_fourth_visit_crosses_a_milestone(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 4, aggregationMethod="count", completionTargetValue=10)
    for visit in range(3):
        await admin.post(LOGS, json=log(id_, f"visit-{visit}", activityValue=99))
    record = (await admin.post(LOGS, json=log(id_, "visit-3"))).json()
    assert record["challengeProgress"]["currentProgressValue"] == 4
    assert record["achievedMilestone"]["milestoneTargetValue"] == 4
    reward = record["achievedMilestoneRewardLog"]
    assert reward["milestoneId"] == record["achievedMilestone"]["id"]
    assert reward["couponCode"] is None
    assert record["nextMilestone"] is None


async def test_the_last_steps_complete_a_week(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, aggregationPeriod="weekly", completionTargetValue=100000)
    await admin.post(LOGS, json=log(id_, "day-1", activityValue=92000))
    answer = await admin.post(LOGS, json=log(id_, "day-2", activityValue=8500))
    progress = answer.json()["challengeProgress"]
    assert progress["challengeProgressStatus"] == "completed"
    assert progress["currentProgressValue"] == 100500
    assert progress["challengeCompletedAt"] == "2026-11-21T09:00:00Z"
    assert progress["periodKey"] == "2026-W47"


async def test_a_duplicate_is_a_409_with_the_first_answer(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 100)
    first = await admin.post(LOGS, json=log(id_, "order-1", activityValue=150))
    await admin.post(LOGS, json=log(id_, "order-2", activityValue=1))
    again = await admin.post(LOGS, json=log(id_, "order-1", activityValue=150))
    assert again.status_code == 409
    problem = again.json()
    assert problem["code"] == "duplicate"
    assert problem["record"] == first.json()


async def test_what_was_posted_is_read_at_once_as_it_was_answered(
    admin: httpx.AsyncClient,
) -> None:
    id_ = await challenge(admin, 100, 120)
    for number in range(10):
        body = log(id_, f"order-{number}", activityValue=30.1)
        answered = (await admin.post(LOGS, json=body)).json()
        read = await admin.get(f"{LOGS}/{answered['id']}")
        assert read.status_code == 200
        assert read.json() == answered
        only_this = filters(
            ("uniqueIdentifier", "equals", f"order-{number}"), ("challengeId", "equals", id_)
        )
        listed = await admin.get(LOGS, params={"filters": only_this, "fetchTotalCount": "true"})
        assert listed.json() == {
            "data": [answered],
            "paging": {"offset": 0, "limit": 20, "totalCount": 1},
        }


async def test_a_reward_is_fulfilled_right_after_it_was_granted(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 10)
    answered = (await admin.post(LOGS, json=log(id_, "order-1", activityValue=10))).json()
    reward = answered["achievedMilestoneRewardLog"]
    path = f"/schema/reward_log/record/{reward['id']}"
    fulfilment = {"couponCode": "C-1", "rewardIssuedAt": "2026-11-21T12:00:00Z"}
    patched = await admin.patch(path, json=fulfilment, headers={"if-match": '"1"'})
    assert patched.status_code == 200
    assert patched.json() == {
        **reward, **fulfilment, "version": 2, "updatedAt": patched.json()["updatedAt"],
    }  # fmt: skip
    assert patched.headers["etag"] == '"2"'
    assert (await admin.get(path)).json() == patched.json()
    stale = await admin.patch(path, json={"couponCode": "C-2"}, headers={"if-match": '"1"'})
    assert stale.status_code == 412
    log_now = (await admin.get(f"{LOGS}/{answered['id']}")).json()
    assert log_now["achievedMilestoneRewardLog"]["couponCode"] == "C-1"
    assert (await admin.patch(path, json={"milestoneId": id_})).status_code == 400


async def test_amounts_stay_exact(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, completionTargetValue=1)
    for number in range(9):
        await admin.post(LOGS, json=log(id_, f"tenth-{number}", activityValue=0.1))
    answer = await admin.post(LOGS, json=log(id_, "tenth-9", activityValue=0.1))
    assert answer.json()["challengeProgress"]["challengeProgressStatus"] == "completed"
    assert b'"currentProgressValue":1,' in answer.content
    longest = "12345678901234567890.123456789"
    body = json.dumps(log(await challenge(admin), "big", activityValue=1))
    body = body.replace('"activityValue": 1', f'"activityValue": {longest}')
    answer = await admin.post(LOGS, content=body)
    assert answer.status_code == 201, answer.text
    read = await admin.get(f"{LOGS}/{answer.json()['id']}")
    assert f'"activityValue":{longest},' in read.text
    assert read.content == answer.content


async def test_concurrent_repeats_count_once(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 5)
    body = log(id_, "once", activityValue=5)
    answers = await asyncio.gather(*(admin.post(LOGS, json=body) for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [201, *[409] * 19]
    wanted = {"filters": filters(("challengeId", "equals", id_))}
    page = (await admin.get("/schema/challenge_progress/record", params=wanted)).json()
    assert [p["currentProgressValue"] for p in page["data"]] == [5]


async def test_what_the_processor_refuses_names_the_field(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin)
    later = "2126-01-01T00:00:00Z"
    nobody = {"ownedBy": None, "ownedById": str(uuid.uuid4())}
    cases = [
        (log(id_, "x"), 400, "invalid", "activityValue"),
        (log(str(uuid.uuid4()), "x", activityValue=1), 404, "unknown_challenge", "challengeId"),
        (log(id_, "x", activityValue=1, **nobody), 404, "unknown_member", "ownedById"),
        (log(id_, "x", activityValue=1, activityAt=later), 400, "invalid", "activityAt"),
    ]
    for body, status, code, field in cases:
        answer = await admin.post(LOGS, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    # An identifier in a record that was refused stays free.
    assert (await admin.post(LOGS, json=log(id_, "x", activityValue=1))).status_code == 201


async def test_members_live_from_post_to_delete(admin: httpx.AsyncClient) -> None:
    external_id = f"ben-{uuid.uuid4()}"
    attributes = {"plan": "plus", "a.b": 1.5, "likes": ["tea"]}
    body = {
        "externalId": external_id,
        "firstName": "Ben",
        "groups": ["vip"],
        "attributes": attributes,
    }
    made = await admin.post("/schema/member/record", json=body)
    assert made.status_code == 201
    assert made.json()["attributes"] == attributes
    path = made.headers["location"]
    assert (await admin.post("/schema/member/record", json=body)).status_code == 200
    patch = {"city": "Oslo", "firstName": None, "status": "paused"}
    changed = await admin.patch(path, json=patch, headers={"if-match": made.headers["etag"]})
    assert changed.status_code == 200
    assert {name: changed.json()[name] for name in patch} == patch
    read = await admin.get(path)
    assert read.json() == changed.json()
    assert read.headers["etag"] == changed.headers["etag"]
    stale = {"if-match": made.headers["etag"]}
    assert (await admin.patch(path, json=patch, headers=stale)).status_code == 412
    assert (await admin.patch(path, json={"externalId": "other"})).status_code == 400
    for bad, field in (({"x": {}}, "attributes.x"), ({"x": "y" * 17_000}, "attributes")):
        refusal = await admin.patch(path, json={"attributes": bad})
        assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (400, field)
    merged = await admin.patch(path, json={"attributes": {"plan": None, "new": True}})
    assert merged.json()["attributes"] == {"a.b": 1.5, "likes": ["tea"], "new": True}
    found = await admin.get(
        "/schema/member/record", params={"filters": filters(("groups", "contains", "vip"))}
    )
    assert external_id in [member["externalId"] for member in found.json()["data"]]
    assert (await admin.delete(path)).status_code == 204
    assert (await admin.get(path)).status_code == 404
    assert (await admin.patch(path, json=patch)).status_code == 404
    assert (await admin.delete(path)).status_code == 404


async def test_a_producer_neither_reads_nor_changes_a_member_that_is_there(
    full_stack: Served, admin: httpx.AsyncClient
) -> None:
    members = "/schema/member/record"
    known = {"externalId": f"eve-{uuid.uuid4()}", "email": "eve@example.org", "city": "Oslo"}
    path = (await admin.post(members, json=known)).headers["location"]
    before = (await admin.get(path)).json()
    async with await full_stack.client(Role.PRODUCER) as producer:
        again = await producer.post(members, json=known | {"city": "Bonn", "email": None})
        assert again.status_code == 200
        assert again.json() == {"id": before["id"], "version": before["version"]}
        for status in ("paused", "live"):
            refused = await producer.post(members, json=known | {"status": status})
            assert refused.status_code == 403
            assert refused.json()["errors"][0]["field"] == "status"
        assert (await admin.get(path)).json() == before
        new = known | {"externalId": f"fay-{uuid.uuid4()}"}
        assert (await producer.post(members, json=new | {"status": "live"})).status_code == 403
        made = await producer.post(members, json=new)
        assert made.status_code == 201
        assert {name: made.json()[name] for name in new} == new
        assert (await producer.patch(path, json={"city": "Bonn"})).status_code == 403
    changed = await admin.patch(made.headers["location"], json={"city": "Bonn"})
    assert changed.json()["version"] == 2
    async with await full_stack.client(Role.PRODUCER) as producer:
        later = await producer.post(members, json=new)
    assert later.json() == {"id": made.json()["id"], "version": 2}


async def test_a_challenge_changes_for_the_log_sent_next(admin: httpx.AsyncClient) -> None:
    id_ = await challenge(admin, 100)
    await admin.post(LOGS, json=log(id_, "one", activityValue=50))
    paused = await admin.patch(f"/schema/challenge/record/{id_}", json={"status": "paused"})
    assert paused.json()["status"] == "paused"
    assert (await admin.get(f"/schema/challenge/record/{id_}")).json() == paused.json()
    while_paused = await admin.post(LOGS, json=log(id_, "two", activityValue=50))
    assert while_paused.json()["challengeProgress"]["currentProgressValue"] == 50
    assert (await admin.delete(f"/schema/challenge/record/{id_}")).status_code == 204
    assert (await admin.get(f"/schema/challenge/record/{id_}")).status_code == 404
    gone = await admin.post(LOGS, json=log(id_, "three", activityValue=50))
    assert gone.status_code == 404
