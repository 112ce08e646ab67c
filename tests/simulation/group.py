"""The coordinator of the consumer group.

The protocol is the eager one: a member that hears of a rebalance gives up all it has, joins, and is
given its partitions in a new generation. Members are static: one that comes back within its session
gets the same partitions in the same generation.
"""

import asyncio

from tests.simulation.clock import Choices

SESSION_SECONDS = 8.0
REBALANCE_SECONDS = 30.0
TURNS = (0, 0, 1, 2)
"""How far partitions may move on among the members with a new generation."""


class Group:
    """The coordinator of one group."""

    def __init__(self, loop: asyncio.AbstractEventLoop, choices: Choices, partitions: int) -> None:
        self._loop = loop
        self._choices = choices
        self._partitions = partitions
        self.generation = 0
        self.rebalances = 0
        self._turn = 0
        self._heard: dict[str, float] = {}
        """By member, when it was last heard of."""
        self._joining: dict[str, asyncio.Future[int]] = {}
        self._assigned: dict[str, frozenset[int]] = {}
        self._stable = True
        self._began = 0.0

    def join(self, member: str, generation: int) -> "asyncio.Future[int]":
        """Take a member in; the future gives the generation once it is complete."""
        joined: asyncio.Future[int] = self._loop.create_future()
        known = member in self._heard
        self._heard[member] = self._loop.time()
        if known and self._stable and generation < 0:
            joined.set_result(self.generation)  # a static member that came back
            return joined
        self._joining[member] = joined
        self.rebalance()
        self._complete_if_all()
        return joined

    def rebalance(self) -> None:
        """Ask every member to join again."""
        if self._stable:
            self._stable = False
            self.rebalances += 1
            self._began = self._loop.time()
            self._loop.call_later(REBALANCE_SECONDS, self._give_up_waiting, self.generation)

    def heartbeat(self, member: str, generation: int) -> str:
        """Hear of a member; tell it whether it may go on."""
        if member not in self._heard:
            return "unknown"
        self._heard[member] = self._loop.time()
        if not self._stable:
            return "rebalancing"
        return "fine" if generation == self.generation else "unknown"

    def leave(self, member: str) -> None:
        """Let a member go; its partitions go to the others."""
        if self._heard.pop(member, None) is not None:
            self._joining.pop(member, None)
            self.rebalance()
            self._complete_if_all()

    def partitions_of(self, member: str) -> frozenset[int]:
        """Return what a member has in this generation."""
        return self._assigned.get(member, frozenset())

    async def watch(self) -> None:
        """Let members go that were not heard of for a session."""
        while True:
            await asyncio.sleep(1.0)
            late = self._loop.time() - SESSION_SECONDS
            for member, heard in list(self._heard.items()):
                if heard < late and member not in self._joining:
                    self.leave(member)

    def _complete_if_all(self) -> None:
        if not self._stable and self._joining and self._joining.keys() >= self._heard.keys():
            self._complete()

    def _give_up_waiting(self, generation: int) -> None:
        if not self._stable and generation == self.generation and self._joining:
            self._heard = {m: self._heard[m] for m in self._joining}
            self._complete()

    def _complete(self) -> None:
        self.generation += 1
        self._turn += self._choices.one_of(TURNS)
        members = sorted(self._joining)
        places = range(self._partitions)
        self._assigned = {
            member: frozenset(p for p in places if (p + self._turn) % len(members) == number)
            for number, member in enumerate(members)
        }
        self._stable = True
        joining, self._joining = self._joining, {}
        for member, joined in joining.items():
            self._heard[member] = self._loop.time()
            if not joined.done():
                joined.set_result(self.generation)
