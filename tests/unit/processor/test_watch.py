"""The watch over a worker: what has ended, and what stands still for too many looks."""

import pytest

from processor.membership import NotWorking, Signs, Watch


def test_what_has_ended_is_told_at_once() -> None:
    with pytest.raises(NotWorking, match="the fetcher has ended"):
        Watch().judge(Signs("the fetcher has ended"))


def test_what_moves_may_move_slowly_for_ever() -> None:
    watch = Watch(still_looks=3)
    for look in range(100):
        watch.judge(Signs(life={"heart": look // 3}))


def test_what_stands_still_for_too_long_is_named() -> None:
    watch = Watch(still_looks=3)
    for look in range(3):
        watch.judge(Signs(life={"heart": 1, "other": look}))
    with pytest.raises(NotWorking, match="heart stood still for 3 s"):
        watch.judge(Signs(life={"heart": 1, "other": 3}))


def test_what_need_not_live_for_a_while_begins_anew() -> None:
    watch = Watch(still_looks=3)
    for _ in range(5):
        watch.judge(Signs(life={"heart": 1}))
        watch.judge(Signs(life={"heart": 1}))
        watch.judge(Signs(life={}))
