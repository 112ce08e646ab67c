"""The more look at what happens now, the more seldom each asks."""

import pytest

from api.auth.viewing_pace import (
    ASKED_A_SECOND,
    LONGEST_SECONDS,
    REMEMBERED,
    SECONDS,
    ViewingPace,
)


class Browsers:
    """Browsers that ask again when they are told to, by a clock of their own."""

    def __init__(self, count: int) -> None:
        self.at = 0.0
        self.pace = ViewingPace(lambda: self.at)
        self.due = {name: name * SECONDS / count for name in range(count)}

    def run(self, seconds: float) -> int:
        """Let so much time pass; return how often they asked."""
        end, asked = self.at + seconds, 0
        while min(self.due.values()) < end:
            name = min(self.due, key=lambda each: self.due[each])
            self.at = self.due[name]
            self.pace.came(name)
            self.due[name] = self.at + self.pace.seconds()
            asked += 1
        self.at = end
        return asked


@pytest.mark.parametrize("count", [1, 10, 40])
def test_where_few_look_each_asks_every_two_seconds(count: int) -> None:
    browsers = Browsers(count)
    assert browsers.run(60) == 30 * count
    assert browsers.pace.seconds() == SECONDS


@pytest.mark.parametrize("count", [60, 100, 300])
def test_where_many_look_they_ask_so_often_together(count: int) -> None:
    browsers = Browsers(count)
    browsers.run(60)
    assert browsers.pace.seconds() == count / ASKED_A_SECOND
    assert browsers.run(60) == pytest.approx(60 * ASKED_A_SECOND, rel=0.02)


def test_who_has_left_is_not_counted() -> None:
    browsers = Browsers(100)
    browsers.run(60)
    browsers.due = {0: browsers.at}
    browsers.run(60)
    assert browsers.pace.seconds() == SECONDS


def test_there_is_a_longest_wait_and_a_bound_on_memory() -> None:
    pace = ViewingPace(lambda: 0.0)
    for name in range(2 * REMEMBERED):
        pace.came(name)
    assert pace.seconds() == LONGEST_SECONDS
    assert len(pace._seen) == REMEMBERED
