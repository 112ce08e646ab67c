"""The Python client's calls: what is tried again, what is not, and what its errors name."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import milestream_client.http
import msgspec
import pytest
from milestream_client import (
    AsyncClient,
    ChallengeLog,
    Client,
    Event,
    InvalidWrite,
    Misunderstood,
    OwnedBy,
    Refused,
    SpendPoints,
    Unanswered,
    UpsertMember,
    Void,
    answers,
    writes,
)
from milestream_client.errors import refusal
from milestream_client.retrying import Ask, Conversation, Heard, Lost, Pause, conversation

from tests.documents import ROOT
from tests.plain_http import NO_TLS

SPENT = {"userId": "joe", "uniqueIdentifier": "s", "challengeGroup": "_default", "points": 3,
         "balance": 7, "held": 0, "available": 7}  # fmt: skip
LOGGED = msgspec.json.decode(
    (ROOT / "tests/golden/milestream.challenge_log.recorded.v1.json").read_bytes()
)["data"]
DUPLICATE = {"status": 409, "code": "duplicate", "detail": "was logged", "record": LOGGED}


MOMENT = datetime(2026, 11, 1, tzinfo=UTC)


def log(**given: Any) -> ChallengeLog:
    """Return a log."""
    fields = {"challenge_id": "c", "activity_id": "a", "activity_at": MOMENT, "owned_by_id": "m"}
    return ChallengeLog(**{**fields, **given})


class Clock:
    """Time that passes while a conversation asks and pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.paused: list[float] = []
        self.asked: list[float] = []

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def hold(self, talk: Conversation[Heard], heard: Iterator[Heard | Lost]) -> Heard:
        """Hold a conversation with these answers, each after a second."""
        came: Heard | Lost | None = None
        while True:
            try:
                step = talk.send(came)
            except StopIteration as end:
                result: Heard = end.value
                return result
            came = None
            if isinstance(step, Pause):
                self.paused.append(step.seconds)
                self.now += step.seconds
            else:
                assert isinstance(step, Ask)
                self.asked.append(step.seconds)
                self.now += 1
                came = next(heard)


def talk(
    clock: Clock, *, deadline: float = 30.0, repeatable: bool = True, chance: float = 1.0
) -> Conversation[Heard]:
    """Return a conversation whose result is the answer itself."""
    return conversation(
        lambda heard: heard,
        deadline,
        repeatable=repeatable,
        clock=clock,
        chance=lambda: chance,
    )


GOOD = Heard(200, b"{}")


@pytest.mark.parametrize(
    "first",
    [
        Heard(202, b'{"id":"x"}'), Heard(408, b""), Heard(429, b""), Heard(502, b""),
        Heard(503, b""), Heard(504, b""), Lost("refused", sent=False), Lost("broke", sent=True),
    ],
)  # fmt: skip
def test_what_says_not_now_is_asked_again(first: Heard | Lost) -> None:
    assert Clock().hold(talk(Clock()), iter([first, first, GOOD])) is GOOD


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 409, 412, 413, 422])
def test_what_is_an_answer_is_not(status: int) -> None:
    assert Clock().hold(talk(Clock()), iter([Heard(status, b"")])).status == status


def test_pauses_double_up_to_a_bound() -> None:
    clock = Clock()
    with pytest.raises(Unanswered):
        clock.hold(talk(clock, deadline=40), iter([Heard(503, b"")] * 20))
    assert clock.paused[:9] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5]
    assert clock.now <= 40 + 1  # the last answer takes one


def test_a_pause_has_chance_in_it() -> None:
    clock = Clock()
    clock.hold(talk(clock, chance=0.0), iter([Heard(503, b""), GOOD]))
    assert clock.paused == [0.05]


def test_a_pause_is_no_shorter_than_it_is_asked_for() -> None:
    clock = Clock()
    clock.hold(talk(clock), iter([Heard(429, b"", retry_after=7.0), GOOD]))
    assert clock.paused == [7]


def test_whoever_would_have_to_wait_beyond_the_deadline_is_told_at_once() -> None:
    clock = Clock()
    with pytest.raises(Unanswered) as told:
        clock.hold(talk(clock), iter([Heard(429, b"", retry_after=60.0)]))
    assert (told.value.taken, clock.now) == (False, 1)


def test_an_answer_is_waited_for_no_longer_than_the_deadline() -> None:
    clock = Clock()
    clock.hold(talk(clock, deadline=12.0), iter([Heard(503, b""), Heard(503, b""), GOOD]))
    assert clock.asked == pytest.approx([10, 10, 9.7])


@pytest.mark.parametrize(
    ("heard", "taken"),
    [
        ([Heard(429, b""), Lost("refused", sent=False)], False),
        ([Lost("refused", sent=False), Heard(503, b"")], None),
        ([Heard(408, b""), Heard(429, b"")], None),
        ([Heard(503, b""), Lost("broke", sent=True), Heard(503, b"")], None),
        ([Heard(504, b""), Heard(429, b"")], None),
        ([Lost("broke", sent=True), Heard(202, b'{"id":"x"}'), Heard(503, b"")], True),
    ],
)
def test_it_says_whether_the_write_was_taken(heard: list[Heard | Lost], taken: bool | None) -> None:
    clock = Clock()
    with pytest.raises(Unanswered) as told:
        clock.hold(talk(clock, deadline=len(heard)), iter(heard))
    assert told.value.taken is taken
    assert told.value.id == ("x" if taken else None)


@pytest.mark.parametrize(
    "first", [Heard(202, b"{}"), Heard(503, b""), Heard(504, b""), Lost("broke", sent=True)]
)
def test_what_must_not_repeat_is_not_asked_again_once_it_may_be_taken(first: Heard | Lost) -> None:
    with pytest.raises(Unanswered):
        Clock().hold(talk(Clock(), repeatable=False), iter([first]))


@pytest.mark.parametrize("first", [Heard(429, b""), Lost("refused", sent=False)])
def test_what_must_not_repeat_is_asked_again_while_it_cannot_be_taken(first: Heard | Lost) -> None:
    assert Clock().hold(talk(Clock(), repeatable=False), iter([first, GOOD])) is GOOD


@pytest.mark.parametrize(
    ("before", "taken"),
    [
        ([], False),
        ([Heard(429, b""), Lost("refused", sent=False)], False),
        ([Lost("broke", sent=True)], None),
        ([Heard(504, b""), Heard(202, b"{}")], True),
    ],
)
def test_a_refusal_says_whether_an_earlier_try_may_count(
    before: list[Heard | Lost], taken: bool | None
) -> None:
    def refuse(_: Heard) -> Heard:
        raise refusal(409, b'{"code":"insufficient_points"}')

    clock = Clock()
    talking = conversation(refuse, 30.0, repeatable=True, clock=clock)
    with pytest.raises(Refused) as refused:
        clock.hold(talking, iter([*before, Heard(409, b"")]))
    assert refused.value.taken is taken


@pytest.mark.parametrize(("before", "taken"), [([], None), ([Heard(202, b'{"id":"x"}')], True)])
def test_a_fault_does_not_say_what_came_of_it(before: list[Heard], taken: bool | None) -> None:
    with pytest.raises(Unanswered, match="500: no reason") as told:
        Clock().hold(talk(Clock()), iter([*before, Heard(500, b"")]))
    assert (told.value.taken, told.value.id) == (taken, "x" if taken else None)


def test_neither_does_a_reply_that_is_one() -> None:
    with pytest.raises(Unanswered) as told:
        answers.read(SpendPoints(user_id="joe", points=3), 500, b"{}")
    assert told.value.taken is None


# The clients.

Answers = Sequence[httpx.Response | Exception]


def sent_by(
    use: Callable[..., Any], answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, list[httpx.Request]]:
    """Return what a client of either kind comes to where this is answered, and what it sent."""
    requests: list[httpx.Request] = []
    left = iter(answers)

    def answered(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    class Paused:
        monotonic = staticmethod(Clock())
        time = staticmethod(lambda: 0.0)
        sleep = staticmethod(lambda _: None)

    async def no_pause(_: float) -> None: ...

    monkeypatch.setattr(milestream_client.http, "time", Paused)
    monkeypatch.setattr(asyncio, "sleep", no_pause)
    return use(httpx.MockTransport(answered)), requests


def waiting(write: Any, **options: Any) -> Callable[[httpx.MockTransport], Any]:
    """Send a write by the client that waits."""

    def use(transport: httpx.MockTransport) -> Any:
        with Client("http://m", key="k", secret="s", transport=transport, verify=NO_TLS) as client:
            return client.send(write, **options)

    return use


def awaiting(write: Any, **options: Any) -> Callable[[httpx.MockTransport], Any]:
    """Send a write by the client that awaits."""

    async def send(transport: httpx.MockTransport) -> Any:
        async with AsyncClient("http://m", token="t", transport=transport, verify=NO_TLS) as client:
            return await client.send(write, **options)

    return lambda transport: asyncio.run(send(transport))


kinds = pytest.mark.parametrize("kind", [waiting, awaiting])


@kinds
def test_a_write_keeps_its_identity_whatever_happens_to_it(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SpendPoints(user_id="joe", points=3)
    answers: Answers = [
        httpx.ConnectError("no"),
        httpx.Response(503, json={"statusCode": 503, "message": "later"}),
        httpx.ReadTimeout("late"),
        httpx.Response(202, json={"id": "x"}),
        httpx.Response(200, json=SPENT, headers={"x-request-id": "r"}),
    ]
    answer, requests = sent_by(kind(write), answers, monkeypatch)
    assert len({request.content for request in requests}) == 1
    assert msgspec.json.decode(requests[0].content) == {
        "uniqueIdentifier": write.unique_identifier,
        "points": 3,
    }
    assert (answer.record.available, answer.request_id, answer.repeated) == (7, "r", False)


def test_each_write_has_an_identity_of_its_own() -> None:
    one, other = SpendPoints(user_id="joe", points=3), SpendPoints(user_id="joe", points=3)
    assert one.unique_identifier != other.unique_identifier


@pytest.mark.parametrize("kind", writes.COMMANDS.values(), ids=lambda kind: kind.__name__)
def test_only_commands_with_an_identity_may_repeat(kind: type[Any]) -> None:
    given = {
        each.name: {"user_id": "joe", "external_id": "joe"}.get(each.name)
        for each in msgspec.structs.fields(kind)
        if each.required
    }
    known_again = "unique_identifier" in kind.__struct_fields__
    assert kind(**given).may_repeat() is known_again
    assert not (hasattr(kind, "if_version") and kind(**given, if_version=3).may_repeat())


@pytest.mark.parametrize("write", [log(), Event(event_id="e", user_id="joe")])
def test_logs_and_events_may_repeat(write: Any) -> None:
    assert write.may_repeat()


@pytest.mark.parametrize(
    ("first", "taken"),
    [(202, True), (504, None), (httpx.ReadTimeout("late"), None)],
)
@kinds
def test_a_command_without_identity_is_sent_once(
    kind: Any, first: int | Exception, taken: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = first if isinstance(first, Exception) else httpx.Response(first, json={"id": "x"})
    with pytest.raises(Unanswered) as told:
        sent_by(kind(UpsertMember(external_id="joe", city="Ghent")), [answer], monkeypatch)
    assert told.value.taken is taken


class Trickling(httpx.SyncByteStream):
    """A body of spaces, one a second, and after a hundred of them an answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(100):
            self._clock.now += 1
            yield b" "
        yield msgspec.json.encode(SPENT)


def timed(clock: Clock) -> Any:
    """Return a module `time` in which only what `clock` says passes."""

    def sleep(seconds: float) -> None:
        clock.now += seconds

    return SimpleNamespace(monotonic=clock, time=lambda: 0.0, sleep=sleep)


def test_a_body_that_trickles_is_read_no_longer_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(milestream_client.http, "time", timed(clock))
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Trickling(clock)))
    with pytest.raises(Unanswered, match="no whole answer") as told:
        waiting(SpendPoints(user_id="joe", points=3))(transport)
    assert told.value.taken is None
    assert clock.now <= 30 + 1  # the last byte takes one


def test_a_phase_may_take_what_is_left_of_its_try(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, given = Clock(), []
    monkeypatch.setattr(milestream_client.http, "time", timed(clock))

    def answered(request: httpx.Request) -> httpx.Response:
        phases = request.extensions["timeout"]
        given.append((phases.get("connect"), phases.get("read")))
        clock.now += 4
        given.append((phases.get("write"), phases.get("read")))
        return httpx.Response(200, json=SPENT)

    waiting(SpendPoints(user_id="joe", points=3))(httpx.MockTransport(answered))
    assert given == [(5, 10), (6, 6)]


class Late(httpx.AsyncByteStream):
    """A body whose last part comes after 5 seconds."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b" "
        come = asyncio.Event()
        asyncio.get_running_loop().call_later(5, come.set)
        await come.wait()
        yield msgspec.json.encode(SPENT)


def test_a_whole_answer_is_awaited_no_longer_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(milestream_client.http, "time", timed(Clock()))
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Late()))
    with pytest.raises(Unanswered, match="no whole answer"):
        awaiting(SpendPoints(user_id="joe", points=3), deadline=0.01)(transport)


@kinds
def test_an_answer_that_cannot_be_unpacked_is_a_lost_one(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: Answers = [httpx.DecodingError("no gzip"), httpx.Response(200, json=SPENT)]
    answer, _ = sent_by(kind(SpendPoints(user_id="joe", points=3)), came, monkeypatch)
    assert answer.record.available == 7


@pytest.mark.parametrize(
    "url", ["m", "m:8080", "127.0.0.1:8080", "ftp://m", "http://", "http://m:x", ""]
)
def test_a_client_has_an_address(url: str) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(ValueError, match="url: "):
            client(url, token="t", verify=NO_TLS)


@kinds
def test_a_repeated_log_is_answered_by_the_first_answer(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, _ = sent_by(kind(log()), [httpx.Response(409, json=DUPLICATE)], monkeypatch)
    assert (answer.repeated, answer.record.id, answer.status) == (True, LOGGED["id"], 409)


@pytest.mark.parametrize(
    ("status", "body", "code", "field"),
    [
        (400, {"status": 400, "detail": "nope: is not a field", "code": "invalid",
               "errors": [{"field": "nope", "message": "is not a field"}]}, "invalid", "nope"),
        (400, {"statusCode": 400, "message": "metadata.x: must be a text"}, "", "metadata.x"),
        (409, {"statusCode": 409, "message": "50 points: no", "code": "insufficient_points"},
         "insufficient_points", None),
        (401, b"<html>", "", None),
        (404, [1], "", None),
        (400, {"errors": [1]}, "", None),
    ],
)  # fmt: skip
@kinds
def test_a_refusal_names_the_field(  # noqa: PLR0917  # of pytest's
    kind: Any,
    status: int,
    body: Any,
    code: str,
    field: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    with pytest.raises(Refused) as refused:
        sent_by(
            kind(SpendPoints(user_id="joe", points=50)),
            [httpx.Response(status, content=content)],
            monkeypatch,
        )
    assert (refused.value.status, refused.value.code, refused.value.field) == (status, code, field)


@kinds
def test_an_answer_of_another_shape_is_not_taken_for_one(
    kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Misunderstood):
        sent_by(
            kind(SpendPoints(user_id="joe", points=3)),
            [httpx.Response(200, json={"userId": "joe"})],
            monkeypatch,
        )


@pytest.mark.parametrize(
    ("write", "field"),
    [
        (Event(event_id="", user_id="joe"), "eventId"),
        (Event(event_id="e", user_id="x" * 257), "userId"),
        (log(activity_at=MOMENT.replace(tzinfo=None)), "activityAt"),
        (log(owned_by=OwnedBy(external_id="joe")), "ownedById"),
        (log(owned_by_id=None), "ownedById"),
        (log(owned_by_id=None, owned_by=OwnedBy(external_id="joe", groups=[""])),
         "ownedBy.groups[0]"),
        (SpendPoints(points=1), "userId"),
        (SpendPoints(user_id="joe", member_id="m", points=1), "userId"),
        (SpendPoints(member_id="m", points=1), "userId"),
        (SpendPoints(user_id="joe", points=0), "points"),
        (Void(user_id="joe", what="nothing", id="x", reason="r"), "what"),  # type: ignore[arg-type]
        (Event(event_id="e", user_id="joe", metadata={"x": object()}), ""),
        (writes.Enrol(user_id="joe", pathway_id="p"), ""),
        (SpendPoints(user_id="joe", points=3, if_version=2), "ifVersion"),
        (writes.ForgetMember(user_id="joe", if_version=0), "ifVersion"),
        (UpsertMember(external_id="joe", if_version=2), "ifVersion"),
        (UpsertMember(external_id="joe", must_exist=True), "mustExist"),
        (UpsertMember(external_id="joe", only_new=True), "onlyNew"),
        (Event(event_id="e", user_id="joe", ip="10.0.0.1"), "ip"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_not_sent(
    write: Any, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidWrite) as invalid:
        sent_by(waiting(write), [], monkeypatch)
    assert invalid.value.field == field


def test_amounts_are_exact() -> None:
    value = writes.encoded(log(activity_value=Decimal("0.100000001")))
    assert b'"activityValue":0.100000001' in value


def test_left_out_and_none_differ() -> None:
    value = writes.encoded(UpsertMember(external_id="joe", first_name=None))
    assert msgspec.json.decode(value) == {
        "type": "upsert-member",
        "externalId": "joe",
        "firstName": None,
    }


@pytest.mark.parametrize("given", [{}, {"key": "k"}, {"secret": "s"}, {"key": "k", "token": "t"}])
def test_a_client_has_one_login(given: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match="give key and secret, or token"):
        Client("http://m", **given)


def test_lists_are_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def use(transport: httpx.MockTransport) -> Any:
        client = Client("http://m", key="k", secret="s", transport=transport, verify=NO_TLS)
        return [each["n"] for each in client.definitions("challenge", page=2)]

    pages = [httpx.Response(200, json={"data": [{"n": n} for n in page]})
             for page in ([1, 2], [3, 4], [])]  # fmt: skip
    found, requests = sent_by(use, pages, monkeypatch)
    assert found == [1, 2, 3, 4]
    assert [request.url.params["offset"] for request in requests] == ["0", "2", "4"]
