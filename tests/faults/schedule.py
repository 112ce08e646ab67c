"""Schedules: what happens when, made from a seed alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

LOAD_SECONDS = 12.0


@dataclass(frozen=True)
class Step:
    """A fault, and how long after the load's beginning (in seconds) it begins."""

    at: float
    action: str


@dataclass(frozen=True)
class Schedule:
    """One run: load, and faults under it."""

    seed: int
    partitions: int
    workers: int
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, seed: int, actions: Sequence[str]) -> "Schedule":
        """Make the schedule of a seed. Seeds that follow each other begin with different faults, so
        that any ``len(actions)`` of them have each at least once."""
        rng = random.Random(f"schedule:{seed}")
        chosen = [actions[seed % len(actions)], *rng.choices(actions, k=rng.randrange(2, 5))]
        times = sorted(rng.uniform(0.5, LOAD_SECONDS - 4) for _ in chosen)
        steps = tuple(Step(round(at, 2), name) for at, name in zip(times, chosen, strict=True))
        return cls(seed, rng.choice((2, 3, 4)), rng.choice((1, 2, 2, 3)), steps)
