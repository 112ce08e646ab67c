"""Answers that are shared: made once for all who ask, and again once they are old or failed."""

import asyncio

import pytest

from api.auth import shared_answers
from api.auth.shared_answers import SharedAnswers


class Maker:
    """Makes answers, and counts them."""

    def __init__(self, *, fails: bool = False) -> None:
        self.made = 0
        self.fails = fails

    async def __call__(self) -> bytes:
        self.made += 1
        await asyncio.sleep(0)
        if self.fails:
            raise ValueError("no")
        return b"%d" % self.made


async def test_who_asks_at_once_shares_an_answer() -> None:
    answers, make = SharedAnswers(), Maker()
    assert await asyncio.gather(*(answers.get("a", make) for _ in range(9))) == [b"1"] * 9
    assert await answers.get("a", make) == b"1"
    assert await answers.get("b", make) == b"2"


async def test_an_old_answer_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, make = SharedAnswers(), Maker()
    await answers.get("a", make)
    monkeypatch.setattr(shared_answers, "SECONDS", -1.0)
    assert await answers.get("a", make) == b"2"


async def test_a_failure_is_no_answer() -> None:
    answers, make = SharedAnswers(), Maker(fails=True)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await answers.get("a", make)
    assert make.made == 2


async def test_who_leaves_takes_no_answer_from_others() -> None:
    answers, make = SharedAnswers(), Maker()
    first = asyncio.create_task(answers.get("a", make))
    second = asyncio.create_task(answers.get("a", make))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"1"


async def test_no_more_are_kept_than_that() -> None:
    answers, make = SharedAnswers(), Maker()
    for number in range(shared_answers.KEPT + 5):
        await answers.get(str(number), make)
    assert await answers.get(str(shared_answers.KEPT + 4), make) == b"%d" % make.made
    before = make.made
    await answers.get("0", make)
    assert make.made == before + 1
