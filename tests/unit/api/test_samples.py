"""Samples of members: how large a part of all they are, told by their ids."""

from uuid import UUID, uuid5

import pytest

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
