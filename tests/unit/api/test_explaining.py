"""What explanations refuse before they ask the tables."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from api.auth import shares
from api.auth.access import Caller
from api.auth.shares import Reader, Shares
from api.explaining import explaining, why_not
from api.explaining.why_not import Question
from api.faces import explanations
from api.http.problems import Problem
from api.resources import EXPLANATIONS
from schemas import ids
from schemas.definition_set import DefinitionSet
from tests.spec import MILESTONE, NOW, PROJECT, challenge, milestone, millis


class Behind:
    """What a process holds whose tables never come to the end of the outputs."""

    def __init__(self) -> None:
        self.records = self.chunks = None
        self.explaining = Shares(EXPLANATIONS)
        self.asked: list[Collection[str]] = []

    @property
    def barrier(self) -> "Behind":
        return self

    @property
    def definitions(self) -> Any:
        defined = DefinitionSet()
        for offset, each in enumerate([challenge(), milestone(50)]):
            defined.apply(each.key, each.value, offset, millis(NOW))

        async def current() -> DefinitionSet:
            return defined

        return SimpleNamespace(current=current, history=None)

    @property
    def clocks(self) -> Any:
        async def present(_definitions: DefinitionSet, _project: str) -> datetime:
            return datetime.now(UTC)

        return SimpleNamespace(present=present)

    async def wait(self, models: Collection[str]) -> bool:
        self.asked.append(models)
        return False


def asking(held: Any) -> Request:
    app = SimpleNamespace(state=SimpleNamespace(resources=held))
    return Request({"type": "http", "app": app, "headers": [], "query_string": b""})


ASKED: dict[str, Callable[[Request], Awaitable[Any]]] = {
    "a reward": lambda request: explaining.explain(
        request, Caller(PROJECT), "reward_log", ids.derive("reward")
    ),
    "a streak": lambda request: explaining.explain_of_user(
        request, Caller(PROJECT), "streak", "daily", "ann"
    ),
    "a tier": lambda request: explaining.explain_of_user(
        request, Caller(PROJECT), "tier", "status", "ann"
    ),
    "a milestone": lambda request: why_not.answer(
        request, Caller(PROJECT), "ann", Question(MILESTONE, None, None)
    ),
}


@pytest.mark.parametrize("what", ASKED)
async def test_what_tables_have_in_part_is_not_explained(what: str) -> None:
    held = Behind()
    with pytest.raises(Problem) as refused:
        await ASKED[what](asking(held))
    assert (refused.value.status, refused.value.code) == (503, "unavailable")
    assert len(held.asked) == 1


@pytest.mark.parametrize("read", [explanations.explain_streak, explanations.explain_tier])
async def test_a_key_says_whose_it_is(read: Callable[..., Awaitable[Any]]) -> None:
    with pytest.raises(Problem) as refused:
        await read(asking(Behind()), Caller(PROJECT), "daily")
    assert refused.value.status == 400
    assert [field for field, _ in refused.value.errors] == ["userId"]


async def test_one_project_leaves_room_for_the_explanations_of_others() -> None:
    held, end, begun = Behind(), asyncio.Event(), list[str]()

    async def explain(project: str) -> None:
        async with explaining.asking(asking(held), Caller(project)):
            begun.append(project)
            await end.wait()

    tasks = [asyncio.create_task(explain("many")) for _ in range(3 * EXPLANATIONS)]
    tasks += [asyncio.create_task(explain("one"))]
    for _ in range(20):
        await asyncio.sleep(0)
    assert sorted(begun) == ["many"] * (EXPLANATIONS // 2) + ["one"]
    end.set()
    await asyncio.gather(*tasks)
    assert len(begun) == len(tasks)


async def test_an_explanation_ends_with_its_client() -> None:
    held, messages = Behind(), asyncio.Queue[dict[str, str]]()
    reader = shares.READER.set(Reader(PROJECT, receive=messages.get))
    try:
        messages.put_nowait({"type": "http.disconnect"})
        async with AsyncExitStack() as stack:
            stack.enter_context(pytest.raises(ClientDisconnect))
            explanation = explaining.asking(asking(held), Caller(PROJECT))
            await stack.enter_async_context(explanation)
            assert shares.READER.get() == Reader(PROJECT), "one looks for it, not two"
            await asyncio.Event().wait()
        assert shares.READER.get().receive == messages.get
    finally:
        shares.READER.reset(reader)
    async with explaining.asking(asking(held), Caller(PROJECT)):
        pass  # its permit was given back
