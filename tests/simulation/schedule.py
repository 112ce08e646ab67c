"""A schedule: what happens in which order, and by which seed all else is chosen."""

import asyncio
from dataclasses import dataclass

from schemas.topics import MEMBER_COMMANDS
from tests.simulation.broker import Sent
from tests.simulation.clock import Choices, VirtualLoop
from tests.simulation.verifier import Violation, check
from tests.simulation.wire import make_task
from tests.simulation.world import MEMBERS, World, in_memory
from tests.spec import upsert

QUIET_SECONDS = 120.0
"""So long after the last item may it take until all is folded, in virtual time."""
MAY_STOP = "fenced, and no rebalance came"
"""Why a worker may stop itself that stood still or was slow."""


@dataclass(frozen=True)
class Item:
    """Something that happens ``after`` milliseconds."""

    after: int

    def happen(self, world: World) -> None:
        """Make it happen."""
        raise NotImplementedError


@dataclass(frozen=True)
class Logs(Item):
    """A producer sends logs of a member."""

    member: int
    count: int
    astray: int = 0

    def happen(self, world: World) -> None:
        world.send(MEMBERS[self.member], self.count, astray=self.astray)


@dataclass(frozen=True)
class Transactional(Item):
    """Another producer sends logs in a transaction that is open for a time."""

    member: int
    count: int
    open_for: int
    committed: bool

    def happen(self, world: World) -> None:
        place, sent = world.logs(MEMBERS[self.member], self.count)
        world.send_in_transaction(place, sent, self.open_for / 1000, committed=self.committed)


@dataclass(frozen=True)
class Told(Item):
    """A new member is told of, acknowledged, and then logs name it by its id. Where ``behind``,
    another producer has a transaction open on the commands for so many milliseconds."""

    count: int
    behind: int = 0

    def happen(self, world: World) -> None:
        member = world.new_member()
        if self.behind:
            place = world.place(MEMBER_COMMANDS, world.home(member))
            other = Sent(None, upsert("somebody").value)
            world.send_in_transaction(place, [other], self.behind / 1000, committed=False)
        world.upsert(member)
        world.send(member, self.count, inline=False)


@dataclass(frozen=True)
class Defined(Item):
    """A new challenge is published, acknowledged, and then a log names it."""

    member: int

    def happen(self, world: World) -> None:
        world.send(MEMBERS[self.member], 1, world.define())


@dataclass(frozen=True)
class Ticked(Item):
    """A tick is written."""

    partition: int

    def happen(self, world: World) -> None:
        world.tick(self.partition % world.settings.partitions)


@dataclass(frozen=True)
class Rebalance(Item):
    """The coordinator asks all members to join again."""

    def happen(self, world: World) -> None:
        world.group.rebalance()


@dataclass(frozen=True)
class Start(Item):
    """A worker is started."""

    worker: str

    def happen(self, world: World) -> None:
        world.start(self.worker)


@dataclass(frozen=True)
class Kill(Item):
    """A worker is killed."""

    worker: str

    def happen(self, world: World) -> None:
        if worker := world.worker(self.worker):
            worker.kill()


@dataclass(frozen=True)
class Freeze(Item):
    """A worker stands still for some seconds."""

    worker: str
    seconds: int

    def happen(self, world: World) -> None:
        if worker := world.worker(self.worker):
            worker.wire.freeze(float(self.seconds))


@dataclass(frozen=True)
class Slow(Item):
    """Everything between a worker and the broker takes seconds, for a time."""

    worker: str
    seconds: int

    def happen(self, world: World) -> None:
        if worker := world.worker(self.worker):
            worker.wire.slow_until = world.loop.time() + self.seconds


@dataclass(frozen=True)
class Schedule:
    """All that a run depends on."""

    seed: int
    wild: int
    partitions: int
    items: tuple[Item, ...]

    @property
    def kip_890(self) -> bool:
        """Whether the cluster has transactions of two requests; one in three has not."""
        return self.seed % 3 != 0

    @property
    def disturbs(self) -> bool:
        """Whether a worker may be fenced, and so may stop itself."""
        return any(isinstance(item, Freeze | Slow) for item in self.items)


def run(schedule: Schedule) -> World:
    """Run a schedule to its end, check what came of it, and return it.

    Raises:
        Violation: something was lost, done twice, or stands still; or a worker stopped itself
            though nothing disturbed it.
    """
    loop = VirtualLoop()
    loop.set_task_factory(make_task)
    with in_memory(loop):
        try:
            return loop.run_until_complete(_run(loop, schedule))
        finally:
            loop.end()


async def _run(loop: VirtualLoop, schedule: Schedule) -> World:
    choices = Choices(schedule.seed, schedule.wild)
    world = World(loop, choices, schedule.partitions, kip_890=schedule.kip_890)
    world.define()
    world.start("a")
    tasks = [asyncio.create_task(world.supervise()), asyncio.create_task(world.group.watch())]
    try:
        await _happen(world, schedule)
    finally:
        for task in tasks:
            task.cancel()
        world.kill_all()
    return world


async def _happen(world: World, schedule: Schedule) -> None:
    for item in schedule.items:
        await asyncio.sleep(item.after / 1000)
        item.happen(world)
    world.calm_down()
    await world.quiet(QUIET_SECONDS)
    check(world)
    for error in world.stopped:
        if not str(error):
            raise Violation(f"a worker stopped without a message: {error!r}")
        if not (schedule.disturbs and str(error).startswith(MAY_STOP)):
            raise Violation(f"a worker stopped itself: {error!r}")
    if world.loop.failures:
        raise Violation(f"nobody caught {world.loop.failures[0]}")
