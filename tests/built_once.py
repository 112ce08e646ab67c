"""What builds Hypothesis's strategies, and gives those that it has where they are asked for again.

A strategy is checked when it is first drawn from, which takes longer than to draw. So what is drawn
within `@composite` costs up to eight times as much where it is built anew each time.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Concatenate, Generic, ParamSpec, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

P = ParamSpec("P")
T = TypeVar("T")

MOST = 4096
"""How many are kept of those that one function built."""


def of_values(build: Callable[P, SearchStrategy[T]]) -> Callable[P, SearchStrategy[T]]:
    """Decorate what builds a strategy of values alone, which nobody changes.

    Values are told apart as they are written: 1, True and Decimal(1) are equal, and yet others.
    """
    built: dict[str, SearchStrategy[T]] = {}

    @wraps(build)
    def once(*args: P.args, **kwargs: P.kwargs) -> SearchStrategy[T]:
        key = repr((args, kwargs))
        found = built.get(key)
        if found is None:
            if len(built) >= MOST:
                built.clear()
            found = built[key] = build(*args, **kwargs)
        return found

    return once


@of_values
def sampled_from(values: Sequence[T]) -> SearchStrategy[T]:
    """Hypothesis's own of this name."""
    return st.sampled_from(values)


class Composite(Generic[P, T]):
    """Builds a strategy, once for the same arguments.

    What has an argument that may change, such as a list, is built anew each time.
    """

    def __init__(self, draws: Callable[Concatenate[st.DrawFn, P], T]) -> None:
        self.another: Callable[P, SearchStrategy[T]] = st.composite(draws)
        """Builds one more: of two that are the same, `one_of` forgets one."""
        self._kept: Callable[..., SearchStrategy[T]] = lru_cache(MOST, typed=True)(self.another)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> SearchStrategy[T]:
        """Return the strategy of these arguments."""
        try:
            return self._kept(*args, **kwargs)
        except TypeError:  # one of them cannot be hashed
            return self.another(*args, **kwargs)


def composite(draws: Callable[Concatenate[st.DrawFn, P], T]) -> Composite[P, T]:
    """Decorate as Hypothesis's own of this name does."""
    return Composite(draws)
