"""Samples of members: how large a part of all they are, told by their ids."""

from uuid import UUID, uuid5

import pytest

from api.queries.dashboard import challenges, live, streaks
from api.queries.dashboard.samples import share_of

NAMESPACE = UUID(int=7)


def test_what_the_limit_does_not_cut_is_all() -> None:
    assert share_of(9, 10, UUID(int=1)) == 1
    assert share_of(0, 10, None) == 1


@pytest.mark.parametrize("members", [20_000, 100_000])
def test_the_share_tells_how_many_there_are(members: int) -> None:
    taken = sorted(uuid5(NAMESPACE, str(number)) for number in range(members))[:2000]
    share = share_of(2000, 2000, taken[-1])
    assert 2000 / share == pytest.approx(members, rel=0.06)


def test_a_share_is_never_nothing() -> None:
    assert share_of(1, 1, UUID(int=0)) > 0


def test_a_rate_is_that_of_the_rows_that_were_counted() -> None:
    assert live.rate_of(100, 10, 9.5) == 10
    assert live.rate_of(0, 10, None) == 0
    assert live.rate_of(live.COUNTED, 10, 0.5) == live.COUNTED * 2  # the limit cut them off
    assert live.rate_of(live.COUNTED, 10, -3.0) < 10**8  # of a clock that is ahead


def test_samples_of_many_challenges_are_small_ones() -> None:
    sizes = [challenges.size_of_sample(count) for count in (0, 1, 10, 20, 50)]
    assert sizes == [4000, 4000, 4000, 2000, 800]
    assert [streaks.size_of_sample(count) for count in (0, 20, 50)] == [2000, 2000, 800]
