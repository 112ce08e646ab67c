"""Ids come from what a thing is; these values must never change."""

import uuid

import pytest

from schemas import ids

NS = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")


def five(name: str) -> str:
    return str(uuid.uuid5(NS, name))


def test_every_id_is_a_uuid5_of_project_kind_and_what_it_is() -> None:
    assert ids.member_id("acme", "ann") == five("acme:member:ann")
    assert ids.challenge_log_id("acme", "c", "m", "u:1") == five("acme:challenge_log:c:m:u:1")
    assert ids.progress_id("acme", "c", "m", "2026") == five("acme:challenge_progress:c:m:2026")
    assert ids.reward_log_id("acme", "s", "m", "all") == five("acme:reward_log:s:m:all")
    reached = five("acme:milestone_reached:s:m:all")
    assert ids.milestone_reached_id("acme", "s", "m", "all") == reached
    assert ids.event_id("acme", "reward.updated", "r", 2) == five("acme:reward.updated:r:2")


def test_a_producer_in_any_language_computes_these() -> None:
    assert ids.member_id("default", "ann") == "2e1ee2a8-b16e-5c2c-9197-d1f995d8c5cc"
    assert ids.member_id("default", "Ünï-😀") == five("default:member:Ünï-😀")


@pytest.mark.parametrize("project", ["default", "a", "0", "a-b-", "a" * 63])
def test_a_project_s_name_is_short_and_plain(project: str) -> None:
    assert ids.is_project(project)


@pytest.mark.parametrize("project", ["", "-a", "A", "a_b", "a.b", "a:b", "ä", "a" * 64, "a\n"])
def test_other_names_are_no_projects(project: str) -> None:
    assert not ids.is_project(project)


def test_a_uuid_is_lower_case_with_hyphens() -> None:
    good = five("x")
    assert ids.is_uuid(good)
    assert uuid.UUID(bytes=ids.uuid_bytes(good)) == uuid.UUID(good)
    for bad in (good.upper(), good.replace("-", ""), f"{{{good}}}", good + "\n", good[:-1], ""):
        assert not ids.is_uuid(bad)
