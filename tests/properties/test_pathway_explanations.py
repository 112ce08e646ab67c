"""Rewards of pathways are explained by what brought the member there: random histories, folded, and
told again from the rows that projections make of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from processor.domain.retelling.pathways import Change, Step, last_reached, retell
from schemas.event_types import REWARD_GRANTED
from schemas.topics import REWARD_EVENTS
from tests.pathway_spec import PATHWAY, activity, did, enrolled, pathway, pathway_command
from tests.properties.explained import Tables
from tests.spec import Happened, Partition, ann, milestone
from tests.void_spec import void_activity

TARGET = 2
REQUIRED = ("a", "b", "c")
OPTIONAL = "o"
TWO = milestone(TARGET, linkedSchemaSlug="pathway", linkedSchemaRecordId=PATHWAY, points=5)
WAY = pathway(*map(activity, REQUIRED), activity(OPTIONAL, required=False))
UNENROLLED = pathway_command("unenrol")

Action = tuple[str, str]
"""``do`` or ``void`` at an activity, ``enrol``, or ``unenrol``."""

actions = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("do", "void")), st.sampled_from((*REQUIRED, OPTIONAL))),
        st.sampled_from((("enrol", ""), ("unenrol", ""))),
    ),
    max_size=20,
)
ENROL = ("enrol", "")


class World:
    """Ann and the pathway; each action is a chunk of its own, so that its place is its number."""

    def __init__(self) -> None:
        self._partition = Partition()
        self._partition.define(WAY, TWO)
        self.chunks = [self._partition.fold(ann)]
        self.granted: list[int] = []
        self._standing: dict[str, list[str]] = {id_: [] for id_ in (*REQUIRED, OPTIONAL)}

    def act(self, action: Action) -> None:
        """Carry out an action; voids take rewards back."""
        what, id_ = action
        number = str(len(self.chunks))
        if what == "do":
            self._standing[id_].append(number)
            record = did(number, id_=id_)
        elif what == "void":
            if not self._standing[id_]:
                return
            log = self._standing[id_].pop()
            record = void_activity(log, f"void-{number}", id_, rewards="revoke")
        else:
            record = enrolled if what == "enrol" else UNENROLLED
        happened = self._partition.fold(record)
        self.chunks.append(happened)
        if _granted(happened):
            self.granted.append(len(self.chunks) - 1)

    def done(self) -> set[str]:
        """Return the required activities that stand completed."""
        return {id_ for id_ in REQUIRED if self._standing[id_]}


def _granted(happened: Happened) -> bool:
    return any(
        msgspec.json.decode(output.value)["type"] == REWARD_GRANTED.name
        for output in happened.outputs(REWARD_EVENTS)
    )


def changes_of(chunks: Sequence[Happened]) -> list[Change]:
    """Return the rows of ``pathway_history`` as the API reads them."""
    rows = Tables(chunks).rows("pathway_history")
    return [msgspec.convert(row | {"version": row["definition_version"]}, Change) for row in rows]


def reaching(steps: Sequence[Step]) -> dict[str, Any]:
    """Return by which activities a member stands where it does, and by how many."""
    standing: set[str] = set()
    for step in steps:
        if step.of.activity_id:
            standing ^= {step.of.activity_id}
            assert step.added == (1 if step.of.activity_id in standing else -1)
        assert step.after == len(standing)
    return {"by": standing, "enrolled": any(not step.of.activity_id for step in steps)}


@given(actions)
@example([ENROL, ("do", "a"), ("do", "b"), ("void", "b"), ("do", "o"), ("do", "c")])
@example([("do", "a"), ("do", "b"), ENROL, ("void", "a"), ("unenrol", ""), ("do", "a"), ENROL])
def test_a_reward_is_explained_by_what_was_completed_and_the_enrolment(
    history: list[Action],
) -> None:
    world = World()
    for action in history:
        before = len(world.granted)
        world.act(action)
        if len(world.granted) == before:
            continue
        changes, place = changes_of(world.chunks), world.granted[-1]
        steps = retell(changes, set(REQUIRED), place)
        assert reaching(steps) == {"by": world.done(), "enrolled": True}
        assert steps[-1].of.sequence == place
        assert sum(not step.of.activity_id for step in steps) == 1
    if not world.granted:
        return
    changes = changes_of(world.chunks)
    first, until = world.granted[0], len(world.chunks)
    given_at = last_reached(changes, set(REQUIRED), target=TARGET, first=first, until=until)
    assert given_at == world.granted[-1]
    assert [step.of.sequence for step in retell(changes, set(REQUIRED), given_at)] == [
        step.of.sequence
        for step in retell(changes_of(world.chunks[: given_at + 1]), set(REQUIRED), given_at)
    ]
