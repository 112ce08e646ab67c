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
        """Make the schedule of a seed. Each of ``len(actions)`` seeds in a row begins with another
        fault; the others come from shuffled rounds, in which each fault comes once as well."""
        rng = random.Random(f"schedule:{seed}")
        kinds = len(actions)
        chosen = [actions[seed % kinds]]
        for number in range(rng.randrange(2, 5)):
            shuffled = random.Random(f"round:{seed // kinds}:{number}").sample(actions, kinds)
            chosen.append(shuffled[seed % kinds])
        times = sorted(rng.uniform(0.5, LOAD_SECONDS - 4) for _ in chosen)
        steps = tuple(Step(round(at, 2), name) for at, name in zip(times, chosen, strict=True))
        return cls(seed, rng.choice((2, 3, 4)), rng.choice((1, 2, 2, 3)), steps)
