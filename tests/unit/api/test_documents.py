"""The OpenAPI and AsyncAPI documents: whole, and true to the structs."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.app import create_app
from api.documents import asyncapi, openapi
from schemas.settings import Settings
from schemas.topics import TOPICS

SETTINGS = Settings(topic_prefix="test.")
PUBLIC = (
    *("/healthz", "/readyz", "/metrics"),
    *("/docs", "/openapi.json", "/asyncapi", "/asyncapi.json", "/login", "/logout"),
)


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return openapi.document(create_app(SETTINGS))


@pytest.fixture(scope="module")
def topics() -> dict[str, Any]:
    return asyncapi.document(SETTINGS, "1.0")


def references(node: Any) -> Iterator[str]:
    """Yield every `$ref` in a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_leads_somewhere(api: dict[str, Any], topics: dict[str, Any]) -> None:
    for document in (api, topics):
        for reference in references(document):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                assert part in node, reference
                node = node[part]


def test_the_records_face_is_described_with_its_methods(api: dict[str, Any]) -> None:
    methods = {path: set(item) for path, item in api["paths"].items() if "/schema/" in path}
    single, many = "/schema/{}/record/{{id}}", "/schema/{}/record"
    for slug in ("challenge", "milestone", "member"):
        assert methods[single.format(slug)] == {"get", "patch", "delete"}
        assert methods[many.format(slug)] == {"get", "post"}
    assert methods[single.format("challenge_log")] == {"get"}
    assert methods[many.format("challenge_log")] == {"get", "post"}
    assert methods[single.format("reward_log")] == {"get", "patch"}
    assert methods[many.format("challenge_progress")] == {"get"}
    assert methods["/schema/challenge_log/record/{id}/void"] == {"post"}
    assert len(methods) == 13


def test_the_events_face_is_described_once_and_without_versions(api: dict[str, Any]) -> None:
    tag = "events and analytics"
    paths = {
        path: set(item)
        for path, item in api["paths"].items()
        if any(operation["tags"] == [tag] for operation in item.values())
    }
    assert paths == {
        "/event": {"get", "post"},
        "/event/{eventId}": {"get"},
        "/event/{id}/void": {"post"},
        "/analytics/streak": {"get"},
        "/stats/event": {"get"},
        "/leaderboard": {"get"},
        "/user/{id}/tier": {"get", "post"},
        "/user/{id}/export": {"get"},
        "/user/{id}/forget": {"post"},
        **{f"/user/{{id}}/{what}": {"get"} for what in ("rank", "points", "challenge", "streak")},
        "/user/{id}/why-not": {"get"},
        **{f"/user/{{id}}/{what}": {"post"} for what in ("spend", "hold", "adjust", "void")},
        **{
            f"/user/{{id}}/hold/{{holdIdentifier}}/{what}": {"post"}
            for what in ("capture", "release")
        },
    }
    for path in paths:
        for operation in api["paths"][path].values():
            assert {"bearer": []} in operation["security"]
            assert operation["responses"]["401"]["$ref"].endswith("event-401")
    schemas = api["components"]["schemas"]
    assert set(schemas["EventBody"]["required"]) == {"eventId", "userId"}
    assert schemas["EventBody"]["additionalProperties"] is False
    assert schemas["EventAnswer"]["properties"]["metadata"] == {"type": "object"}
    assert set(schemas["AdjustBody"]["required"]) == {"points", "uniqueIdentifier", "reason"}
    assert set(schemas["CaptureBody"]["required"]) == {"uniqueIdentifier"}
    assert "until" not in schemas["PointsMovedAnswer"]["required"]
    assert "_metadata" in schemas["GlobalStats"]["properties"]


def test_the_events_topics_are_described(topics: dict[str, Any]) -> None:
    messages = {name: set(channel["messages"]) for name, channel in topics["channels"].items()}
    assert messages["events"] == {"EventRecord"}
    assert messages["event-results"] == {
        "milestream.event.logged.v1",
        "milestream.event.voided.v1",
        "milestream.event.forgotten.v1",
    }
    assert messages["points-events"] == {
        f"milestream.points.{what}.v1"
        for what in (
            *("granted", "redeemed", "spent", "captured", "adjusted", "expired", "reversed"),
            *("held", "released", "refused", "activated", "expiring", "forgotten"),
        )
    }
    assert messages["member-events"] == {"milestream.member.upserted.v1", "ForgottenMember"}
    assert len(messages["streak-events"]) == 4
    record = topics["components"]["schemas"]["EventRecord"]["properties"]
    assert {"project", "eventId", "userId", "metadata", "occurredAt"} <= set(record)


def test_operations_say_who_may(api: dict[str, Any]) -> None:
    for path, item in api["paths"].items():
        public = path.startswith(("/schemas", "/assets/")) or path in PUBLIC
        for operation in item.values():
            assert bool(operation["security"]) != public
            assert "application/json" not in operation["responses"].get("422", {}).get(
                "content", {}
            )


def test_definitions_and_deletions_say_how_they_can_end(api: dict[str, Any]) -> None:
    def statuses(method: str, path: str) -> set[str]:
        return set(api["paths"][path][method]["responses"])

    single = "/definitions/{kind}/{id}"
    assert statuses("put", single) == {
        "200", "201", "400", "401", "403", "404", "408", "409", "412", "413", "415", "429", "431",
        "503",
    }  # fmt: skip
    assert {"200", "401", "403", "404"} <= statuses("get", single)
    assert {"200", "401", "403", "404"} <= statuses("get", "/definitions/{kind}")
    deleted = {"204", "400", "401", "403", "404", "408", "412", "429", "431", "503"}
    assert statuses("delete", single) == {*deleted, "409"}
    for slug in ("challenge", "milestone"):
        assert statuses("delete", f"/schema/{slug}/record/{{id}}") == deleted
    assert statuses("delete", "/schema/member/record/{id}") == {"202", *deleted}
    assert "202" in statuses("patch", "/schema/reward_log/record/{id}")
    assert {"202", "404", "409", "422"} <= statuses("post", "/recalculations")
    assert "422" in statuses("get", "/explain/{kind}/{id}")


def test_amounts_are_numbers_and_times_are_times(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]
    progress = schemas["ProgressRecord"]["properties"]
    assert progress["currentProgressValue"]["type"] == "number"
    assert progress["challengeStartedAt"] == {"type": "string", "format": "date-time"}
    assert schemas["Challenge"]["properties"]["completionTargetValue"]["type"] == "number"
    assert schemas["ChallengeLogBody"]["additionalProperties"] is False
    assert "project" not in schemas["ChallengeLogBody"]["properties"]


def test_topics_have_their_full_names_and_their_direction(topics: dict[str, Any]) -> None:
    assert topics["asyncapi"] == "3.0.0"
    assert set(topics["channels"]) == set(TOPICS)
    used = {operation["channel"]["$ref"] for operation in topics["operations"].values()}
    for name, channel in topics["channels"].items():
        assert channel["address"] == f"test.{name}"
        assert channel["messages"], name
        assert f"#/channels/{name}" in used
    listed = [name for channel in topics["channels"].values() for name in channel["messages"]]
    assert sorted(listed) == sorted(topics["components"]["messages"]), "no two share a name"
    for name in ("challenge-logs", "events", "activity-logs", "member-commands", "definitions"):
        assert topics["operations"][f"receive-{name}"]["action"] == "receive"
        assert f"send-{name}" not in topics["operations"]
    for name in ("progress-events", "streak-events", "replies", "dead-letters"):
        assert topics["operations"][f"send-{name}"]["action"] == "send"
        assert f"receive-{name}" not in topics["operations"]
