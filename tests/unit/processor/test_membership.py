"""A worker's static group membership: kept over restarts, but not over a change of its inputs."""

import pytest

from processor import app
from schemas.topics import FETCHED_TOPICS


def test_a_worker_that_comes_back_is_the_same_member() -> None:
    assert app.membership("w-1") == app.membership("w-1")
    assert app.membership("w-1") != app.membership("w-2")


def test_a_worker_with_other_inputs_is_another_member(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker would give it its old partitions, and none of the new topic's."""
    before = app.membership("w-1")
    monkeypatch.setattr(app, "FETCHED_TOPICS", (*FETCHED_TOPICS, "one-more"))
    assert app.membership("w-1") != before
