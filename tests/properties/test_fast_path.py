"""Compiled code does what Python does, to the last byte, and takes the common logs.

Where nothing could be compiled, these compare Python with itself; that it is compiled wherever a C
compiler is there, a test of the unit tests holds.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from processor.domain.definitions import Definitions
from processor.domain.effects import Effects
from processor.domain.fast_path import COMPILED, Common, FastPath, Python, fastest, in_python
from processor.domain.inputs import Place, Record
from processor.domain.working_set import WorkingSet
from schemas import ids
from schemas.instants import format_instant
from schemas.records import ChallengeLog
from tests.built_once import composite, of_values
from tests.event_spec import any_of, condition, event, event_of, raw_event, streak_of
from tests.points_spec import hold, rolling, spend, wallet_of
from tests.spec import (
    PROJECT,
    Defined,
    Partition,
    Sent,
    challenge,
    log,
    milestone,
    project_settings,
    raw_log,
    upsert,
)
from tests.strategies import (
    ARRIVALS,
    CHALLENGES,
    MEMBERS,
    MILESTONES,
    MOMENTS,
    Segment,
    challenges,
    histories,
    milestones,
)
from tests.strategies_points import points_histories
from tests.tier_spec import tier_set


def both(number: int = 0, partitions: int = 1) -> tuple[Partition, Partition]:
    """Two partitions, alike but for the fast path."""
    return (
        Partition(number, partitions, fast_path=fastest),
        Partition(number, partitions, fast_path=in_python),
    )


def fold_alike(partitions: tuple[Partition, Partition], *records: Sent) -> None:
    """Fold records on both, and compare everything that it leads to, order included."""
    compiled, in_python_ = (partition.fold(*records).effects for partition in partitions)
    assert compiled == in_python_
    assert list(compiled.writes) == list(in_python_.writes)
    assert list(compiled.outputs) == list(in_python_.outputs)
    assert partitions[0].entries == partitions[1].entries


unasked: st.SearchStrategy[tuple[tuple[str, bytes | None], ...]] = st.sampled_from(
    [(), (), (), (("traceparent", b"00-ab-cd-01"),), (("kafka_note", None),)]
)


@given(histories(), st.data())
def test_histories_fold_alike(history: list[Segment], data: st.DataObject) -> None:
    partitions = both()
    for segment in history:
        for partition in partitions:
            partition.define(*segment.definitions)
        records = [replace(r, headers=data.draw(unasked)) for r in segment.records]
        cut = data.draw(st.integers(0, len(records)))
        fold_alike(partitions, *records[:cut])
        fold_alike(partitions, *records[cut:])


@of_values
def usually(usual: list[str], *others: str) -> st.SearchStrategy[str]:
    """One of the usual texts in seven of eight cases."""
    return st.integers(0, 7).flatmap(lambda n: st.sampled_from(others if n == 7 else usual))


def quoted(*texts: str) -> list[str]:
    return [f'"{text}"' for text in texts]


amounts = usually(
    ["1", "2.5", "0.000000001", "12.340", "0", "-1", "-0.5", "-0", "999999999.999999999"],
    "1.0000000001", "9999999999", "99999999999999999999", "1e2", "5E-1", "01", "1.", ".5", "-",
    "null", "NaN", '"5"', "true", "[]", "-999999999", "00", "1.2.3", "+1",
)  # fmt: skip
moments = usually(
    quoted(
        *MOMENTS, "2026-11-20T10:00:00.5Z", "2026-11-20T10:00:00.000Z", "2024-02-29T23:59:59.120Z"
    ),
    *quoted(
        "1979-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-11-20T24:00:00Z", "2026-11-20T10:60:00Z", "2026-11-20T10:00:60Z",
        "2026-11-20T10:00:00", "2026-11-20 10:00:00Z", "2026-11-20t10:00:00z",
        "2026-11-20T10:00:00.Z", "2026-11-20T10:00:00.1234567Z", "2026-11-20T10:00:00+01:00",
        "2026-11-2aT10:00:00Z", "+026-11-20T10:00:00Z", "", "Z",
    ), "null", "5",
)  # fmt: skip
identifiers = usually(
    quoted("a", "b", "c", "order-1", " ", "{", "x" * 512, "/"),
    *quoted("", "x" * 513, "\\u00e9", "é", "\\n", "\\u0000", "\x7f", "\x1f",
        "\\", '\\"', "😀"), "1", "null",
)  # fmt: skip
activities = usually(quoted("purchase", "visit"), *quoted("", "x" * 257, "walk", "Köln"), "null")
owners = usually(
    [f'"ownedBy":{{"externalId":"{name}"}}' for name in (*MEMBERS, "new", "dan", "eve", "fay")]
    + [f'"ownedById":"{ids.member_id(PROJECT, name)}"' for name in MEMBERS],
    f'"ownedById":"{ids.member_id(PROJECT, "ann").upper()}"', '"ownedById":"nobody"',
    f'"ownedById":"{ids.member_id(PROJECT, "nobody")}"', '"ownedBy":{"externalId":""}',
    '"ownedBy":{"externalId":"ann","firstName":"Ann"}', '"ownedBy":{}', '"ownedBy":null',
    '"ownedBy":{"externalId":"ann","externalId":"ben"}', '"ownedBy":{"externalId":"x\\u0000"}',
    f'"ownedBy":{{"externalId":"ann"}},"ownedById":"{ids.member_id(PROJECT, "ann")}"',
    '"ownedBy":{ "externalId" : "ann" }', '"ownedBy":{"externalId":"ann",}', '"owned":1',
)  # fmt: skip
extras = usually(
    [""], '"status":"live",', '"status":"paused",', '"project":"default",', '"project":"other",',
    '"project":"No",', '"note":{"a":[1]},', '"activityId":"twice",', '"activityValue":1,', ",",
)  # fmt: skip
named = usually(quoted(*CHALLENGES), *quoted(CHALLENGES[0].upper(), "x", ids.NS.hex), "null")


@composite
def texts(draw: st.DrawFn) -> str:
    """A log's JSON: its fields in any order, each usual or odd, with or without spaces."""
    fields = [
        f'"challengeId":{draw(named)}',
        draw(owners),
        f'"activityAt":{draw(moments)}',
        f'"activityId":{draw(activities)}',
        f'"uniqueIdentifier":{draw(identifiers)}',
        *([f'"activityValue":{draw(amounts)}'] if draw(st.integers(0, 9)) else []),
    ]
    made = "{" + draw(extras) + ",".join(draw(st.permutations(fields))) + "}"
    if draw(st.booleans()):
        made = made.replace('":', '" : ').replace(',"', ', \n\t"') + " "
    end = draw(st.integers(0, 60))
    return made[: len(made) - end] if 0 < end < 4 else made


giving = st.sampled_from([milestone(10, MILESTONES[4], points=3), challenge(pointsOnCompletion=5)])


@given(
    st.tuples(*(challenges([id_]) for id_ in CHALLENGES)),
    st.lists(st.one_of(milestones(), milestones.another(), giving), max_size=4),
    st.lists(
        st.tuples(texts(), unasked, st.sampled_from((*ARRIVALS, "1979-01-01T00:00:00Z"))),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([(0, 1), (0, 1), (0, 3), (1, 3), (2, 3)]),
)
def test_any_text_folds_alike(
    defined: tuple[Any, ...],
    linked: list[Any],
    sent: list[tuple[str, Any, str]],
    place: tuple[int, int],
) -> None:
    partitions = both(*place)
    for partition in partitions:
        partition.define(*defined, *linked)
        partition.fold(*(upsert(name).arriving(ARRIVALS[0]) for name in MEMBERS))
    records = [replace(raw_log(text).arriving(at), headers=headers) for text, headers, at in sent]
    fold_alike(partitions, *records[::2])
    fold_alike(partitions, *records[1::2])


class Counted:
    """Counts the records that the fast path takes."""

    def __init__(self) -> None:
        self.taken = Counter[bool]()

    def make(
        self, place: Place, definitions: Definitions, entries: WorkingSet, effects: Effects
    ) -> FastPath:
        """MakeFastPath what is counted."""
        self._made = (COMPILED or in_python)(place, definitions, entries, effects)
        return self

    def read(self, topic: str, record: Record) -> Common | None:
        """Pass it on."""
        return self._made.read(topic, record)

    def feed(
        self, record: ChallengeLog, project: str, member_id: str, timestamp: int
    ) -> Common | None:
        """Pass it on."""
        return self._made.feed(record, project, member_id, timestamp)

    def step(self, common: Common, sequence: int, python: Python | None = None) -> bool:
        """Pass it on, and count."""
        taken = self._made.step(common, sequence, python)
        self.taken[taken] += 1
        return taken


@given(st.integers(2, 30))
def test_logs_of_a_known_member_are_common_and_so_are_repeated_ones(number: int) -> None:
    counted = Counted()
    partition = Partition(fast_path=counted.make)
    partition.define(challenge(CHALLENGES[0], completionTargetValue=10**6), milestone(5))
    partition.fold(upsert("ann"))
    logs = [replace(log(f"log-{n}", 1), headers=()) for n in range(number)]
    partition.fold(*logs, *logs[:2])
    if COMPILED is not None:
        assert counted.taken == {True: number + 2}


@given(st.integers(1, 30))
def test_most_logs_that_events_feed_are_common(number: int) -> None:
    counted = Counted()
    partition = Partition(fast_path=counted.make)
    feeding: dict[str, Any] = {"eventIds": ["visit"], "completionTargetValue": 10**6}
    partition.define(event_of(), challenge(CHALLENGES[0], **feeding), milestone(5))
    partition.fold(upsert("ann"))
    partition.fold(*(event(idempotencyKey=f"visit-{n}") for n in range(number)))
    if COMPILED is not None:
        assert counted.taken == {True: number}


odd_names = st.sampled_from(["visit", "Besuch-ö", 'a"b', "a\\b", "x" * 256])
odd_amounts = st.sampled_from(
    [1, -1, 0, Decimal("0.000000001"), 10**9, 999_999_999, Decimal("1e-9"), 10**19]
)


@given(
    odd_names,
    st.lists(st.tuples(odd_amounts, st.sampled_from([*MOMENTS, "1979-12-31T23:59:59.5Z"]))),
    st.sampled_from([{}, {"valueField": "amount"}, {"aggregationMethod": "count"}]),
)
def test_any_event_feeds_alike(
    name: str, happened: list[tuple[Any, str]], fields: dict[str, Any]
) -> None:
    feeding = challenge(CHALLENGES[0], eventIds=[name], **fields)
    partitions = both()
    for partition in partitions:
        partition.define(event_of(name, title="Visit"), feeding, milestone(5))
        partition.fold(upsert("ann"))
    events = [event(name, at, metadata={"amount": amount}) for amount, at in happened]
    fold_alike(partitions, *(replace(each, headers=()) for each in events))


PURCHASE: dict[str, Any] = {
    "type": "TRANSACTION",
    "reward": {"default": 2, "gold": Decimal("2.5")},
    "rewardValueField": "amount",
    "challengeGroup": "shop",
}
BOOST = {"id": "twice", "name": "Twice", "multiplier": 2, "startsAt": "2020-01-01T00:00:00Z"}
event_names = usually(quoted("visit", "purchase"), *quoted("", "walk", "pürchase", "\\u0061"), "1")
users = usually(quoted("ann", "ben"), *quoted("", "nobody", "änn", "paused", "x" * 257), "null")
keys = usually(
    quoted("a", "b", "order-1", "x" * 512), *quoted("", "x" * 513, "é", '\\"', "\\u0000"), "null"
)
metadata = usually(
    [
        "{}", '{"amount":5}', '{"amount":12.340,"currency":"EUR"}', '{ "amount" : -1 }',
        '{"amount":0.5,"usergroup":["silver","gold"]}', '{"usergroup":"gold","amount":3}',
        '{"currency":"CHF","ort":"Köln"}', '{"deep":{"er":[{"and":[[]]}]},"amount":1}',
    ],
    "null", "[]", "5", '{"amount":"5"}', '{"amount":1e2}', '{"amount":0.0000000001}', "{", "{]}",
    '{"amount":99999999999999999999999}', '{"a":"\\u0041"}', '{"a":"}"}', '{"a":1,"a":2}', '{"a":"',
    '{"amount":1e999}', '{"a":"\\u0000"}', "[" * 130 + "]" * 130, '{"amount":1234567890}', '{"a":}',
    '{"at":12.12345678}', '{"amount":1000000000000}', '{"a":"' + "x" * 5000 + '"}', "{}{}",
)  # fmt: skip
more = usually(
    [""], '"ip":"192.0.2.1",', '"ip":"",', '"ip":null,', f'"ip":"{"1" * 65}",', '"byEndUser":true,',
    '"project":"default",', '"project":"other",', '"withApiKey":false,', '"note":{"a":[1]},', ",",
    '"eventId":"visit",',
)  # fmt: skip


@composite
def event_texts(draw: st.DrawFn) -> str:
    """An event's JSON: its fields in any order, each usual or odd, with or without spaces."""
    fields = [f'"eventId":{draw(event_names)}', f'"userId":{draw(users)}']
    if draw(st.integers(0, 3)):
        fields.append(f'"occurredAt":{draw(moments)}')
    if draw(st.integers(0, 3)):
        fields.append(f'"idempotencyKey":{draw(keys)}')
    if draw(st.integers(0, 5)):
        fields.append(f'"metadata":{draw(metadata)}')
    made = "{" + draw(more) + ",".join(draw(st.permutations(fields))) + "}"
    if draw(st.booleans()):
        made = made.replace('":', '" : ').replace(',"', ', \n\t"') + " "
    end = draw(st.integers(0, 60))
    return made[: len(made) - end] if 0 < end < 4 else made


limited: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"limit": 1}, {"limit": 2, "limitPeriod": "daily"}, {"maximumReward": 20}]
)
asking: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"conditions": condition("amount", "greater_than", 1)},
        {"conditions": any_of(condition("currency", "in", ["EUR", "CHF"]))},
        {"conditions": condition("member.groups", "contains", "vip")},
        {"metadataFields": [{"key": "amount", "type": "number", "required": True}]},
        {"status": "INACTIVE"},
        {"requiresApiKey": True},
        {"title": 'Köln, "Dom"'},
    ]
)
fed: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {},
        {"eventIds": ["purchase"], "valueField": "amount"},
        {"eventIds": ["purchase", "visit"], "pointsOnCompletion": 5},
        {"eventIds": ["visit"], "aggregationMethod": "count", "valueField": "amount"},
    ]
)
besides = st.lists(
    st.sampled_from(
        [
            streak_of(eventIds=["visit"]),
            project_settings(timezone="America/St_Johns"),
            project_settings(timezone="member"),
            project_settings(limits={"metadataBytes": 20}),
            wallet_of("shop"),
            rolling("P10D", group="shop", noticeDays=[3, 1], maxBalance=30),
            rolling("PT5H", group="shop", timezone="America/St_Johns"),
            wallet_of("shop", expiry={"type": "sliding", "after": "P3D"}),
            wallet_of("shop", pendingFor="P1D", timezone="member"),
            rolling("PT90M", group="shop", pendingFor="PT20M", timezone="Pacific/Apia"),
            rolling("P1DT6H", group="shop", timezone="member", noticeDays=[1]),
            wallet_of("spring", expiry={"type": "sliding", "after": "P3D"}),
            tier_set(0, 10),
            replace(tier_set(0, 10), project="other"),
            Defined("boost", "twice", BOOST),
        ]
    ),
    max_size=2,
)


@composite
def what_events_meet(draw: st.DrawFn) -> list[Defined]:
    """Two events, the challenges that they may feed with milestones, and what else may act."""
    defined = [
        event_of("visit", **draw(limited), **draw(asking)),
        event_of("purchase", **PURCHASE, **draw(limited), **draw(asking)),
        *(challenge(id_, **draw(fed)) for id_ in CHALLENGES),
    ]
    linked = draw(st.lists(st.one_of(milestones(), giving), max_size=2))
    return [*defined, *linked, *draw(besides)]


@given(
    what_events_meet(),
    st.lists(
        st.tuples(event_texts(), unasked, st.sampled_from((*ARRIVALS, "1979-01-01T00:00:00Z"))),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([(0, 1), (0, 1), (0, 1), (0, 3), (1, 3)]),
)
def test_any_text_of_an_event_folds_alike(
    defined: list[Defined], sent: list[tuple[str, Any, str]], place: tuple[int, int]
) -> None:
    partitions = both(*place)
    for partition in partitions:
        partition.define(*defined)
        partition.fold(*(upsert(name).arriving(ARRIVALS[0]) for name in ("ann", "paused")))
        partition.fold(upsert("ben", timezone="Asia/Kathmandu").arriving(ARRIVALS[0]))
        partition.fold(upsert("paused", status="paused").arriving(ARRIVALS[0]))
    records = [replace(raw_event(text).arriving(at), headers=headers) for text, headers, at in sent]
    fold_alike(partitions, *records[::2])
    fold_alike(partitions, *records[1::2])


@given(st.integers(1, 30))
def test_events_of_a_live_member_are_common_and_so_are_repeated_ones(number: int) -> None:
    counted = Counted()
    partition = Partition(fast_path=counted.make)
    feeding: dict[str, Any] = {"eventIds": ["purchase"], "valueField": "amount"}
    partition.define(
        event_of("purchase", **PURCHASE, limit=10),
        challenge(CHALLENGES[0], completionTargetValue=20, pointsOnCompletion=7, **feeding),
        streak_of(eventIds=["purchase"]),
    )
    partition.fold(upsert("ann"))
    events = [
        replace(event("purchase", metadata={"amount": 3}, idempotencyKey=f"{n}"), headers=())
        for n in range(number)
    ]
    partition.fold(*events, *events[:2])
    if COMPILED is not None:
        assert counted.taken == {True: number + len(events[:2])}


@given(points_histories(), st.data())
def test_grants_into_wallets_fold_alike(history: list[Segment], data: st.DataObject) -> None:
    partitions = both()
    for segment in history:
        for partition in partitions:
            partition.define(*segment.definitions)
        records = [replace(record, headers=()) for record in segment.records]
        cut = data.draw(st.integers(0, len(records)))
        fold_alike(partitions, *records[:cut])
        fold_alike(partitions, *records[cut:])


EXPIRIES: list[dict[str, Any]] = [
    {"type": "none"},
    {"type": "rolling", "after": "P1M"},
    {"type": "rolling", "after": "P1DT6H"},
    {"type": "calendar", "dates": ["06-30", "12-31"], "after": "PT30H"},
    {"type": "sliding", "after": "P10D"},
]


@given(
    st.sampled_from(EXPIRIES),
    st.sampled_from(
        [
            {},
            {"noticeDays": [3, 1], "timezone": "America/St_Johns"},
            {"noticeDays": [1], "timezone": "member", "pendingFor": "PT5H"},
            {"maxBalance": 90, "earnCap": {"points": 7, "period": "daily"}, "timezone": "member"},
            {"maxBalance": 90, "pendingFor": "P3D"},
        ]
    ),
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
)
def test_grants_into_wallets_are_common(
    expiry: dict[str, Any], fields: dict[str, Any], hours: list[int]
) -> None:
    """Also beside holds, other groups, and the tiers of other projects, and by the members' own
    days; those into lapsed lots are not."""
    counted = Counted()
    partition = Partition(fast_path=counted.make)
    wallet = wallet_of(expiry=expiry, **fields)
    status, lucky = tier_set(0, 10), event_of("lucky", challengeGroup="spring")
    partition.define(event_of(), lucky, wallet, replace(status, project="other"))
    partition.fold(upsert("ann", timezone="Pacific/Apia").arriving("2026-11-01T00:00:00Z"))
    at, given_ = datetime(2026, 11, 20, tzinfo=UTC), 0
    for number, each in enumerate(hours):
        at += timedelta(hours=each)
        when = format_instant(at)
        grants = [event("visit", when), event("lucky", when), event("visit", when)]
        partition.fold(*(replace(grant.arriving(when), headers=()) for grant in grants))
        given_ += len(grants)
        other = {"challengeGroup": "spring"} if number % 3 else {}
        partition.fold(hold(1, f"hold-{number}", **other).arriving(when))
        partition.fold(spend(1, f"spend-{number}").arriving(when))
    if COMPILED is not None:
        assert counted.taken == {True: given_}
