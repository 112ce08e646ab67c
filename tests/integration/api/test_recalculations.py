"""`/recalculations`: a report, what is applied, what is refused, two at once, and who goes on with
what was left."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil
import pytest
from psycopg import AsyncConnection

from api.auth.credentials import Role
from api.http.problems import Problem
from api.queries import recalculations as queries
from api.queries.dashboard import recalculations as dashboard
from api.queries.recalculations import Change
from api.recalculating import asking, run
from api.recalculating.asking import Asked, Begun
from api.recalculating.lease import Lease, Lost, leased
from api.recalculating.process import go_on
from api.recalculating.run import GaveWay, Run, Unfolded
from processor import recalculation as replaying
from processor.recalculation import definitions_end, present_ends
from schemas import definitions as models
from schemas.topics import PROGRESS_EVENTS
from tests.integration.api.serving import Served, served
from tests.integration.deploy.conftest import committed
from tests.stack import FreshSettings

CHALLENGE = "00000000-0000-4000-8000-0000000000c1"
MILESTONE = "00000000-0000-4000-8000-0000000000a1"
LATE = {
    "kind": "milestone", "id": MILESTONE, "linkedSchemaRecordId": CHALLENGE, "name": "Late",
    "milestoneTargetValue": 50, "points": 5,
}  # fmt: skip
WAIT_SECONDS = 120


@pytest.fixture(scope="module")
def full_stack(
    lasting_settings: FreshSettings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A stack of these tests' own: on the shared one, others remove inputs."""
    log = tmp_path_factory.mktemp("recalculations")
    with served(lasting_settings, "worker", "projector", log=log) as api:
        yield api


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    """A project of this test's own."""
    return str(request.node.name).replace("_", "-")[:63].rstrip("-")


@pytest.fixture
async def shop(full_stack: Served, project: str) -> AsyncIterator[httpx.AsyncClient]:
    """An admin of the project, whose members ann and bob spent 60 and 40."""
    async with await full_stack.client(project=project) as client:
        body = {"name": "Spend", "completionTargetValue": 100, "aggregationPeriod": "all_time"}
        answer = await client.put(f"/definitions/challenge/{CHALLENGE}", json=body)
        assert answer.status_code == 201, answer.text
        for name, value in (("ann", 60), ("bob", 40)):
            log = {
                "challengeId": CHALLENGE, "ownedBy": {"externalId": name}, "activityId": "buy",
                "activityAt": "2026-11-02T10:00:00Z", "uniqueIdentifier": "1",
                "activityValue": value,
            }  # fmt: skip
            answer = await client.post("/schema/challenge_log/record", json=log)
            assert answer.status_code == 201, answer.text
        yield client


async def until(look: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool]) -> Any:
    """Look until it holds; return what was seen."""
    for _ in range(10 * WAIT_SECONDS):
        if holds(seen := await look()):
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError("it never came to that")


async def ended(client: httpx.AsyncClient, id_: str) -> Any:
    """Wait for the end of a recalculation; return it."""

    async def look() -> Any:
        answer = await client.get(f"/recalculations/{id_}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return await until(look, lambda found: found["status"] != "running")


async def recalculated(client: httpx.AsyncClient, **body: Any) -> Any:
    """Recalculate, and return what it came to."""
    answer = await client.post("/recalculations", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/recalculations/{answer.json()['id']}"
    return await ended(client, answer.json()["id"])


async def test_a_report_then_a_maximum_then_it_is_applied(shop: httpx.AsyncClient) -> None:
    totals = {"members": 1, "completions": 0, "rewards": 1, "points": 5}
    report = await recalculated(shop, definitions=[LATE])
    assert (report["status"], report["totals"], report["notGiven"]) == ("reported", totals, [])
    assert [each["id"] for each in report["definitions"]] == [MILESTONE]
    assert (await shop.get(f"/definitions/milestone/{MILESTONE}")).status_code == 404

    refused = await recalculated(shop, definitions=[LATE], apply=True, maxPoints=4)
    assert (refused["status"], refused["code"]) == ("refused", "above_maximum")
    assert (await shop.get(f"/definitions/milestone/{MILESTONE}")).status_code == 404

    applied = await recalculated(shop, definitions=[LATE], apply=True, maxPoints=5, maxRewards=1)
    assert (applied["status"], applied["totals"]) == ("applied", totals)
    assert (await shop.get(f"/definitions/milestone/{MILESTONE}")).status_code == 200

    async def points() -> Any:
        return (await shop.get("/user/ann/points")).json()["points"]

    await until(points, lambda found: found == 5)
    rewards = (await shop.get("/schema/reward_log/record")).json()["data"]
    assert [each["milestoneId"] for each in rewards] == [MILESTONE]
    assert (await shop.get("/user/bob/points")).json()["points"] == 0

    again = await recalculated(shop, challengeId=CHALLENGE, apply=True)
    assert (again["status"], set(again["totals"].values())) == ("applied", {0})
    listed = (await shop.get("/recalculations")).json()["data"]
    assert [each["id"] for each in listed] == [
        each["id"] for each in (again, applied, refused, report)
    ]
    answer = await shop.delete(f"/recalculations/{again['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "recalculation_ended")


async def test_what_cannot_be_is_refused_at_once(shop: httpx.AsyncClient) -> None:
    event = {"kind": "event", "id": "visit", "title": "Visit", "reward": {"default": 1}}
    streak = {**LATE, "linkedSchemaSlug": "streak", "linkedSchemaRecordId": "daily"}
    for body, status, code in (
        ({}, 400, "invalid"),
        ({"definitions": [LATE], "challengeId": CHALLENGE}, 400, "invalid"),
        ({"definitions": [], "challengeId": CHALLENGE}, 400, "invalid"),
        ({"definitions": [LATE, LATE]}, 400, "invalid"),
        ({"definitions": [{**LATE, "milestoneTargetValue": 0}]}, 400, "invalid"),
        ({"definitions": [{**LATE, "linkedSchemaRecordId": MILESTONE}]}, 400, "invalid"),
        ({"definitions": [{**LATE, "project": "other"}]}, 400, "invalid"),
        ({"definitions": [event]}, 400, "not_recalculable"),
        ({"definitions": [streak]}, 400, "not_recalculable"),
        ({"definitions": ["all"]}, 400, "invalid"),
        ({"challengeId": MILESTONE}, 404, "not_found"),
        ({"challengeId": "spend"}, 400, "invalid"),
        ({"challengeId": CHALLENGE, "since": "2026-11-01"}, 400, "invalid"),
        ({"challengeId": CHALLENGE, "mode": "subtractive"}, 400, "invalid"),
        ({"challengeId": CHALLENGE, "maxPoints": -1}, 400, "invalid"),
        ({"challengeId": CHALLENGE, "dryRun": True}, 400, "invalid"),
    ):
        answer = await shop.post("/recalculations", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body, answer.text)
    for id_ in (str(uuid4()), "x"):
        assert (await shop.get(f"/recalculations/{id_}")).status_code == 404
        assert (await shop.delete(f"/recalculations/{id_}")).status_code == 404
    assert (await shop.get("/recalculations")).json() == {"data": []}


async def test_only_an_admin_recalculates(full_stack: Served) -> None:
    body, id_ = {"challengeId": CHALLENGE}, uuid4()
    for role, reads in ((Role.PRODUCER, 403), (Role.ANALYST, 200)):
        async with await full_stack.client(role, project="roles") as client:
            assert (await client.post("/recalculations", json=body)).status_code == 403
            assert (await client.delete(f"/recalculations/{id_}")).status_code == 403
            assert (await client.get("/recalculations")).status_code == reads
    async with await full_stack.end_user("ann", "roles") as user:
        assert (await user.get("/recalculations")).status_code in {401, 403}


WANTED = models.parse("challenge", {"id": CHALLENGE, "name": "A", "completionTargetValue": 9})


async def begun(
    connection: AsyncConnection, project: str, *, by_command: bool = True, **fields: Any
) -> Begun:
    """Begin a recalculation that nobody works at; its process is taken to live until it is left."""
    asked = Asked(project=project, definitions=[WANTED], **fields)
    its = await asking.begin(connection, asked, [WANTED], by_command=by_command)
    await connection.execute(
        "UPDATE milestream_private.recalculation_work SET lease_until = now() + interval '1 h'"
        " WHERE id = %s",
        (its.id,),
    )
    return its


async def leave(connection: AsyncConnection, id_: UUID) -> None:
    """Let a recalculation's process be taken to be gone."""
    await connection.execute(
        "UPDATE milestream_private.recalculation_work SET lease_until = now() - interval '1 s'"
        " WHERE id = %s",
        (id_,),
    )


@pytest.fixture
async def connection(full_stack: Served) -> AsyncIterator[AsyncConnection]:
    """A connection of the owner."""
    url = full_stack.settings.database_url
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def test_one_runs_at_a_time(full_stack: Served, connection: AsyncConnection) -> None:
    first = await begun(connection, "one", apply=True)
    body = {"definitions": [{"kind": "challenge", **models.wire_fields(WANTED)}]}
    async with await full_stack.client(project="one") as client:
        for same in (True, False):  # the same one as well: its process lives
            answer = await client.post("/recalculations", json=_json({**body, "apply": same}))
            assert (answer.status_code, answer.json()["code"]) == (409, "recalculation_running")
            assert answer.json()["id"] == str(first.id)
        await begun(connection, "another")

        await leave(connection, first.id)
        with pytest.raises(Problem):  # another request does not go on with it
            await begun(connection, "one", apply=False)
        again = await begun(connection, "one", apply=True)
        assert (again.id, again.owner) == (first.id, again.owner)
        assert again.owner != first.owner

        assert (await client.delete(f"/recalculations/{first.id}")).status_code == 204
        assert (await client.delete(f"/recalculations/{first.id}")).status_code == 204
        found = (await client.get(f"/recalculations/{first.id}")).json()
        assert found["status"] == "cancelled"
        assert (await begun(connection, "one")).id != first.id


def _json(body: dict[str, Any]) -> Any:
    return json.loads(json.dumps(body, default=float))


async def test_what_is_lost_is_not_worked_at(
    full_stack: Served, connection: AsyncConnection
) -> None:
    first = await begun(connection, "lost")
    async with leased(full_stack.settings, first.id, first.owner) as lease:
        async with lease.held() as work:
            assert (work.project, work.step) == ("lost", "report")
            cancelling = asyncio.create_task(queries.cancel(connection, "lost", first.id))
            done, _ = await asyncio.wait([cancelling], timeout=0.2)
            assert not done  # it waits for what is being done
        assert await cancelling == "cancelled"
        with pytest.raises(Lost):
            async with lease.held():
                pass
        with pytest.raises(Lost):
            await lease.while_held(asyncio.sleep(WAIT_SECONDS))


async def test_one_gives_way_to_another_that_waits_for_room(
    full_stack: Served, connection: AsyncConnection
) -> None:
    async with connection.transaction(force_rollback=True):  # no API process sees it
        long = await begun(connection, "long", by_command=False)
        waits = await begun(connection, "waits", by_command=False)
        lease = Lease(long.id, long.owner, connection, connection)
        run = Run(full_stack.settings, lease, lambda _step, _done, _total: None, gives_way=True)
        await connection.execute(
            "UPDATE milestream_private.recalculation_work"
            " SET lease_until = now() - interval '1 min' WHERE id = %s",
            (waits.id,),
        )
        with pytest.raises(GaveWay):
            await run.to_the_end()
        work = await queries.work(connection, long.id, long.owner)
        assert work is not None
        assert (work.step, work.next_partition) == ("report", 1)
        await lease.let_go()
        assert await queries.take_left(connection, uuid4()) == waits.id


async def test_what_old_reports_change_is_forgotten_and_what_was_applied_is_not(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "KEPT_REPORTS", 1)
    change = Change("challenge", CHALLENGE, MILESTONE, "all_time", None, None, 0, None)
    statuses = ("applied", "reported", "refused", "reported")
    ids = []
    for status in statuses:
        of = await begun(connection, "reports")
        await queries.record(connection, "reports", of.id, [change])
        await queries.end(connection, of.id, status, None)
        await queries.forget_old_changes(connection, of.id)
        ids.append(of.id)
    cursor = await connection.execute(
        "SELECT recalculation_id FROM milestream.recalculation_changes WHERE project = 'reports'"
    )
    assert {id_ async for (id_,) in cursor} == {ids[0], ids[-1]}


async def test_what_changes_by_definition_is_added_up_once(connection: AsyncConnection) -> None:
    of = await begun(connection, "sums")
    changes = [
        Change("challenge", CHALLENGE, MILESTONE, "2026-W46", Decimal(1), Decimal("2.5"), 0, None),
        Change("challenge", CHALLENGE, MILESTONE, "2026-W47", Decimal(0), Decimal(2), 0, None),
        Change("milestone", MILESTONE, MILESTONE, "2026-W47", None, Decimal(2), 10**18, str(of.id)),
    ]
    await queries.record(connection, "sums", of.id, changes)
    ended = {"id": of.id, "status": "cancelled"}
    assert (await dashboard.changes(connection, "sums", ended, 10))["sums"] == []
    (first,) = (await dashboard.changes(connection, "sums", ended, 1))["changes"]
    assert first["kind"] == "milestone"  # for progress is listed where it stays as it is, too
    await queries.add_up(connection, of.id)
    # However many there were, they are not looked at again.
    await connection.execute(
        "DELETE FROM milestream.recalculation_changes WHERE recalculation_id = %s", (of.id,)
    )
    found = await dashboard.changes(connection, "sums", ended, 10)
    assert found == {
        "sums": [
            {
                "kind": "challenge",
                "id": UUID(CHALLENGE),
                "name": "A",
                "members": 1,  # of two weeks
                "points": 0,
                "before": 1,
                "after": Decimal("4.5"),
            },
            {
                "kind": "milestone",
                "id": UUID(MILESTONE),
                "name": None,
                "members": 1,
                "points": 10**18,
                "before": None,
                "after": 2,
            },
        ],
        "changes": [],
    }
    await queries.end(connection, of.id, "cancelled", None)


def works_at(id_: str) -> "psutil.Process | None":
    """Return the process that works at a recalculation."""
    for process in psutil.process_iter(["cmdline"]):
        if id_ in (process.info["cmdline"] or ()):
            return process
    return None


async def test_a_process_that_is_killed_is_followed_by_another(
    shop: httpx.AsyncClient, full_stack: Served
) -> None:
    worker = full_stack.processes["worker"]
    worker.send_signal(signal.SIGSTOP)  # so that it does not come to an end before it is seen
    try:
        answer = await shop.post("/recalculations", json={"definitions": [LATE], "apply": True})
        id_ = answer.json()["id"]

        async def look() -> Any:
            return works_at(id_)

        (await until(look, lambda found: found is not None)).kill()
    finally:
        worker.send_signal(signal.SIGCONT)
    applied = await ended(shop, id_)
    assert (applied["status"], applied["totals"]["rewards"]) == ("applied", 1)

    async def rewards() -> Any:
        return (await shop.get("/schema/reward_log/record")).json()["data"]

    (reward,) = await until(rewards, bool)
    assert reward["milestoneId"] == MILESTONE


async def test_it_is_applied_when_workers_have_folded_it(
    shop: httpx.AsyncClient,
    project: str,
    full_stack: Served,
    connection: AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worker = full_stack.processes["worker"]
    asked = Asked(project=project, definitions=[wanted(LATE)], apply=True)
    its = await asking.begin(connection, asked, asked.definitions, by_command=True)
    seen: list[tuple[str, int, int]] = []

    def told(*progress: Any) -> None:
        seen.append(progress)
        if progress[0] == "corrections":
            worker.send_signal(signal.SIGSTOP)

    async with leased(full_stack.settings, its.id, its.owner) as lease:
        monkeypatch.setattr(run, "FOLD_SECONDS", 0)
        try:
            with pytest.raises(Unfolded, match="the corrections"):
                await Run(full_stack.settings, lease, told).to_the_end()
        finally:
            worker.send_signal(signal.SIGCONT)
        assert seen[-1][0] == "folding"
        found = (await shop.get(f"/recalculations/{its.id}")).json()
        assert (found["status"], found["totals"]["rewards"]) == ("running", 1)

        monkeypatch.setattr(run, "FOLD_SECONDS", WAIT_SECONDS)
        await Run(full_stack.settings, lease, told).to_the_end()
    outputs = await committed(full_stack.settings, PROGRESS_EVENTS)
    assert [each for each in outputs if str(its.id).encode() in each.value]
    step, done, total = seen[-1]
    assert (step, done) == ("folding", total)
    assert (await shop.get(f"/recalculations/{its.id}")).json()["status"] == "applied"


class _Broken(Exception):
    """A recalculation's process is to end here."""


async def test_no_report_is_shown_as_what_was_corrected(
    shop: httpx.AsyncClient, project: str, full_stack: Served, connection: AsyncConnection
) -> None:
    asked = Asked(project=project, definitions=[wanted(LATE)], apply=True)

    def told(step: str, *_: int) -> None:
        if step == "corrections":
            raise _Broken

    async def broken_off(status: str) -> None:
        """Break one off before it has corrected anything."""
        its = await asking.begin(connection, asked, asked.definitions, by_command=True)
        async with leased(full_stack.settings, its.id, its.owner) as lease:
            if status == "failed":
                await go_on(full_stack.settings, lease, told)
            else:
                with pytest.raises(_Broken):
                    await Run(full_stack.settings, lease, told).to_the_end()
                found = (await shop.get(f"/recalculations/{its.id}")).json()
                assert (found["status"], found["totals"]["rewards"]) == ("running", 1)
                assert (await shop.delete(f"/recalculations/{its.id}")).status_code == 204
        found = (await shop.get(f"/recalculations/{its.id}")).json()
        assert (found["status"], set(found["totals"].values())) == (status, {0})
        shown = (await shop.get(f"/dashboard/recalculations/{its.id}")).json()
        assert (shown["status"], shown["sums"], shown["members"]) == (status, [], 0)

    await broken_off("cancelled")
    await broken_off("failed")


def wanted(document: dict[str, Any]) -> models.Definition:
    """Return the definition of a document."""
    return models.parse(
        document["kind"], {name: value for name, value in document.items() if name != "kind"}
    )


async def test_what_others_changed_since_the_report_is_not_overwritten(
    shop: httpx.AsyncClient, project: str, full_stack: Served, connection: AsyncConnection
) -> None:
    asked = Asked(project=project, definitions=[wanted(LATE)], apply=True)

    async def put_in_force(change: dict[str, Any] | None) -> Any:
        """Go on after a report, with the challenge changed since, or the milestone there."""
        its = await asking.begin(connection, asked, asked.definitions, by_command=True)
        end = await definitions_end(full_stack.settings)
        ends = await present_ends(full_stack.settings)
        await queries.begin_step(connection, its.id, "in_force", end, ends)
        if change is not None:
            of = f"/definitions/{change['kind']}/{change['id']}"
            body = {name: value for name, value in change.items() if name not in ("kind", "id")}
            assert (await shop.put(of, json=body)).status_code in (200, 201)
        async with leased(full_stack.settings, its.id, its.owner) as lease:
            await Run(full_stack.settings, lease, lambda *_: None).to_the_end()
        return (await shop.get(f"/recalculations/{its.id}")).json()

    spend = {
        "kind": "challenge", "id": CHALLENGE, "name": "Spend more", "aggregationPeriod": "all_time",
        "completionTargetValue": 200,
    }  # fmt: skip
    refused = await put_in_force(spend)
    assert (refused["status"], refused["code"]) == ("refused", "definitions_changed")
    assert (await shop.get(f"/definitions/milestone/{MILESTONE}")).status_code == 404
    assert (await put_in_force(LATE))["status"] == "applied"  # it was killed, and has written it
    answer = await shop.get(f"/definitions/challenge/{CHALLENGE}")
    assert answer.json()["name"] == "Spend more"


async def test_what_others_define_meanwhile_is_counted(
    shop: httpx.AsyncClient,
    project: str,
    full_stack: Served,
    connection: AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = {"limits": {"definitionsPerKind": 1}}
    assert (await shop.put(f"/definitions/project/{project}", json=limits)).status_code == 201
    asked = Asked(project=project, definitions=[wanted(LATE)], apply=True)
    other = {name: LATE[name] for name in ("linkedSchemaRecordId", "name", "milestoneTargetValue")}
    puts: list[asyncio.Task[httpx.Response]] = []

    async def put_in_force(*given: Any) -> int:
        puts.append(asyncio.create_task(shop.put(f"/definitions/milestone/{uuid4()}", json=other)))
        await asyncio.wait(puts, timeout=1)
        return await putting_in_force(*given)

    putting_in_force = replaying.put_in_force
    monkeypatch.setattr(replaying, "put_in_force", put_in_force)
    its = await asking.begin(connection, asked, asked.definitions, by_command=True)
    async with leased(full_stack.settings, its.id, its.owner) as lease:
        await go_on(full_stack.settings, lease, lambda *_: None)
    answer = await puts[0]
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_definitions")
    assert (await shop.get(f"/recalculations/{its.id}")).json()["status"] == "applied"


async def test_an_api_process_goes_on_with_what_another_left(
    full_stack: Served, connection: AsyncConnection
) -> None:
    left = await begun(connection, "left", by_command=False)
    await leave(connection, left.id)
    async with await full_stack.client(project="left") as client:
        assert (await ended(client, str(left.id)))["status"] == "reported"
