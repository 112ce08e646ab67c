"""What API processes know of each other."""

import os
import time

import pytest

from api.siblings import Siblings


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """The moment of all that happens: no time passes by itself."""
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    return 1000.0


def test_a_process_serves_from_its_first_beat_until_it_is_forgotten() -> None:
    known = Siblings(2)
    assert known.silent() == [0, 1]
    known.number = 1
    known.beat()
    assert known.silent() == [0]
    assert known.has_served(1)
    known.forget(1)
    assert known.silent() == [0, 1]
    assert not known.has_served(1)


def test_one_that_stands_still_does_not_serve(monkeypatch: pytest.MonkeyPatch, now: float) -> None:
    known = Siblings(1)
    known.beat()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    assert known.silent() == [0]


def test_what_one_process_says_the_others_know() -> None:
    known = Siblings(2)
    pid = os.fork()
    if pid == 0:
        known.number = 1
        known.beat()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert known.silent() == [0]


def test_each_process_has_another_share_as_far_as_they_suffice() -> None:
    known = Siblings(4)
    shares = []
    for number in range(4):
        known.number = number
        shares.append((known.share_of(4), known.share_of(2)))
    assert sorted(of_four for of_four, _ in shares) == [0, 1, 2, 3]
    assert sorted(of_two for _, of_two in shares) == [0, 0, 1, 1]
