"""When a call to move a test clock is answered as done."""

from datetime import UTC, datetime, timedelta

from api.kafka.clocks import has_arrived
from api.queries.clocks import Shown

TO = datetime(2027, 11, 21, tzinfo=UTC)
WRITTEN = datetime(2031, 5, 5, tzinfo=UTC)
EARLIER, LATER = WRITTEN - timedelta(milliseconds=1), WRITTEN + timedelta(milliseconds=1)
BEFORE = Shown(TO - timedelta(days=1), 3, EARLIER - timedelta(days=1))


def test_a_move_is_done_where_the_clock_shows_its_moment() -> None:
    assert not has_arrived(None, TO, None, WRITTEN, again=False)
    assert not has_arrived(BEFORE, TO, None, WRITTEN, again=False)
    assert has_arrived(Shown(TO, 4, LATER), TO, None, WRITTEN, again=False)


def test_the_same_moment_again_is_not_done_by_the_move_that_was_under_way() -> None:
    for before in (BEFORE, None):
        assert not has_arrived(Shown(TO, 4, EARLIER), TO, before, WRITTEN, again=True)
        for at in (WRITTEN, LATER):
            assert has_arrived(Shown(TO, 4, at), TO, before, WRITTEN, again=True)


def test_the_same_moment_again_is_not_done_by_what_was_done_before_it() -> None:
    shown = Shown(TO, 3, WRITTEN)
    assert not has_arrived(shown, TO, shown, WRITTEN, again=True)


def test_a_call_that_was_passed_by_a_later_one_waits_for_nothing() -> None:
    passed = Shown(TO + timedelta(days=1), 4, EARLIER)
    assert has_arrived(passed, TO, BEFORE, WRITTEN, again=True)
