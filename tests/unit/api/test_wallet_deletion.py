"""A wallet goes only where it is certain that nobody has points in it."""

from collections.abc import Collection
from types import SimpleNamespace

import pytest
from fastapi import Request

from api.faces.definitions import require_empty
from api.http.problems import Problem


class Behind:
    """Read models that do not come up to date in time."""

    async def wait(self, models: Collection[str]) -> bool:
        assert models == ("points_balances",)
        return False


async def test_balances_that_are_behind_let_no_wallet_go() -> None:
    state = SimpleNamespace(resources=SimpleNamespace(barrier=Behind()))
    request = Request({"type": "http", "app": SimpleNamespace(state=state)})
    with pytest.raises(Problem) as refused:
        await require_empty(request, "acme", "vip")
    assert (refused.value.status, refused.value.headers["retry-after"]) == (503, "5")
