"""Hypothesis strategies for schedules, from narrow to wide."""

from typing import Any

from hypothesis import strategies as st

from tests.simulation import schedule as s
from tests.simulation.world import MEMBERS

AFTER = st.one_of(st.integers(0, 30), st.integers(0, 500), st.integers(0, 6_000))
"""Milliseconds between two items: within a request, a fetch, or a rebalance."""
_MEMBER = st.integers(0, len(MEMBERS) - 1)
_COUNT = st.integers(1, 6)
_SEED = st.integers(0, 2**32 - 1)
_WILD = st.integers(0, 3_000)
_TWO = st.sampled_from("ab")

LOGS = st.builds(s.Logs, AFTER, _MEMBER, _COUNT)
ASTRAY = st.builds(s.Logs, AFTER, _MEMBER, _COUNT, st.just(1))
TRANSACTIONAL = st.builds(
    s.Transactional, AFTER, _MEMBER, _COUNT, st.integers(0, 3_000), st.booleans()
)
TOLD = st.builds(s.Told, AFTER, _COUNT, st.one_of(st.just(0), st.integers(1, 3_000)))
DEFINED = st.builds(s.Defined, AFTER, _MEMBER)
TICKED = st.builds(s.Ticked, AFTER, st.integers(0, 1))
REBALANCE = st.builds(s.Rebalance, AFTER)


def start(workers: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Starts of workers."""
    return st.builds(s.Start, AFTER, workers)


def kill(workers: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Kills of workers."""
    return st.builds(s.Kill, AFTER, workers)


_SOON = st.integers(0, 150)
_SOON_LOGS = st.builds(s.Logs, _SOON, _MEMBER, _COUNT)
BURST = st.tuples(
    REBALANCE,
    st.lists(st.one_of(_SOON_LOGS, st.builds(s.Defined, _SOON, _MEMBER)), min_size=6, max_size=12),
).map(lambda burst: (burst[0], *burst[1]))
"""Chunks that wait for each other, one of them for definitions, as partitions are revoked."""
RETURN = st.tuples(
    REBALANCE,
    st.builds(s.Logs, st.integers(0, 600), _MEMBER, _COUNT),
    _SOON_LOGS,
)
"""Records that are there when the partitions come back."""
NARROW = (LOGS, RETURN, TRANSACTIONAL, REBALANCE)
"""One worker, revocations."""
RETURNS = (RETURN,)
"""One worker whose partitions go and come back, with records waiting."""
DELIVERY = (BURST, LOGS, REBALANCE)
"""One worker whose chunks wait for definitions as partitions are revoked."""
CAUGHT = st.tuples(
    _SOON_LOGS,
    st.builds(s.Kill, st.integers(0, 60), st.just("a")),
    st.builds(s.Start, _SOON, st.just("a")),
)
"""A worker that is killed while it folds or writes; a transaction of two requests is soon over."""
RESTARTS = (LOGS, kill(st.just("a")), start(st.just("a")), CAUGHT)
"""One worker that is killed and started."""
CRASHES = (*NARROW, kill(_TWO), start(_TWO), start(_TWO))
"""Two workers that are killed and started."""
COMMANDS = (LOGS, TOLD, TRANSACTIONAL, REBALANCE)
"""Members that are told of behind open transactions."""
ORDERED = (LOGS, TRANSACTIONAL, TOLD, DEFINED, TICKED, ASTRAY, REBALANCE)
"""Commands, definitions and ticks, and records on another partition than their member's."""
STOPS = (
    *CRASHES,
    TOLD,
    DEFINED,
    TICKED,
    st.builds(s.Freeze, AFTER, _TWO, st.integers(1, 30)),
    st.builds(s.Slow, AFTER, _TWO, st.integers(1, 30)),
)
"""Workers that stand still, or whose requests take seconds."""

HANDED_OVER = (
    LOGS,
    LOGS,
    LOGS,
    REBALANCE,
    start(_TWO),
    st.builds(s.Freeze, AFTER, _TWO, st.integers(9, 30)),
)
"""Two workers, of which one stands still past its session, and goes on."""

EVERYTHING = (
    s.Start(500, "b"),
    s.Logs(2_000, 0, 3),
    s.Logs(50, 1, 2, 1),
    s.Transactional(50, 2, 3, 700, committed=True),
    s.Transactional(50, 3, 3, 900, committed=False),
    s.Told(100, 2, 1_500),
    s.Defined(100, 4),
    s.Ticked(100, 0),
    s.Rebalance(100),
    s.Logs(100, 0, 2),
    s.Kill(800, "a"),
    s.Logs(100, 1, 2),
    s.Start(400, "a"),
    s.Freeze(500, "b", 12),
    s.Logs(500, 5, 4),
    s.Slow(13_000, "b", 5),
    s.Logs(500, 5, 4),
)
"""Each kind of item once at least."""


def schedules(
    items: tuple[st.SearchStrategy[Any], ...], partitions: int, most: int = 25
) -> st.SearchStrategy[s.Schedule]:
    """Schedules of such items."""
    chosen = st.lists(st.one_of(*items), min_size=3, max_size=most).map(_flat)
    return st.builds(s.Schedule, _SEED, _WILD, st.just(partitions), chosen)


def _flat(chosen: list[Any]) -> tuple[s.Item, ...]:
    """Make one row of items and bursts of items."""
    bursts = (item if isinstance(item, tuple) else (item,) for item in chosen)
    return tuple(item for burst in bursts for item in burst)
