"""What outputs come to, by definition and month: what is given, and what is taken back."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from processor.domain.definitions import Definitions
from processor.domain.fold import Part
from processor.domain.inputs import Place
from processor.domain.state_kinds import STATE_KINDS
from processor.simulation.figures import (
    ROW_PREFIX,
    Calendar,
    Counts,
    Figures,
    Row,
    refused_in_words,
)
from processor.simulation.world import World, known_member
from processor.store import PartitionStore, StateStore
from tests.event_spec import STREAK, event, event_of, streak_of
from tests.pathway_spec import PATHWAY, activity, did, enrolled, pathway
from tests.points_spec import adjust, spend
from tests.spec import (
    CHALLENGE,
    MILESTONE,
    Defined,
    Sent,
    ann,
    ben,
    challenge,
    command,
    log,
    milestone,
    upsert,
)
from tests.void_spec import void_activity, void_event, void_log, void_of

OCTOBER, NOVEMBER = "2026-10", "2026-11"
OF_CHALLENGE = Row("challenge", CHALLENGE, NOVEMBER)
OF_MILESTONE = Row("milestone", MILESTONE, NOVEMBER)


@dataclass
class Try:
    """One world, fed record by record."""

    store: PartitionStore
    definitions: Definitions = field(default_factory=Definitions)
    figures: Figures = field(default_factory=Figures)
    offsets: dict[str, int] = field(default_factory=dict)
    known: bytes | None = None
    _world: World | None = None

    def define(self, *defined: Defined) -> None:
        for each in defined:
            definitions = self.definitions
            definitions.apply(each.key, each.value, definitions.next_offset, 0)

    def fold(self, *sent: Sent) -> None:
        if self._world is None:
            calendar = Calendar("default", self.definitions)
            self._world = World(
                Place(0, 1, {}),
                self.store,
                self.definitions,
                self.figures,
                calendar,
                known=self.known,
            )
        for each in sent:
            offset = self.offsets[each.topic] = self.offsets.get(each.topic, -1) + 1
            self._world.fold([Part(each.topic, [replace(each, offset=offset)])])

    @property
    def rows(self) -> dict[Row, Counts]:
        """The rows in which something is left."""
        return {row: counts for row, counts in self.figures.rows.items() if counts != Counts()}


@pytest.fixture
def world() -> Iterator[Try]:
    with tempfile.TemporaryDirectory() as directory:
        states = StateStore(Path(directory))
        yield Try(states.open(0))
        states.close_all_but(())


def test_what_is_kept_of_rows_is_no_state() -> None:
    assert ROW_PREFIX not in STATE_KINDS


def test_a_void_takes_back_what_it_takes_back(world: Try) -> None:
    world.define(challenge(pointsOnCompletion=50), milestone(60, points=5))
    world.fold(ann, log("log-1", 50), log("log-2", 60))
    assert world.rows == {
        OF_CHALLENGE: Counts(counted=2, points=50, completions=1),
        OF_MILESTONE: Counts(points=5, rewards=1, completions=1),
    }
    world.fold(void_log("log-2", rewards="revoke"))
    assert world.rows == {OF_CHALLENGE: Counts(counted=1)}
    world.fold(log("log-3", 60))
    assert world.rows[OF_MILESTONE] == Counts(points=5, rewards=1, completions=1)


def test_a_part_of_a_log_that_is_voided_leaves_it_counted(world: Try) -> None:
    world.define(challenge())
    world.fold(ann, log("log-1", 50), void_log("log-1", portion=0.5))
    assert world.rows == {OF_CHALLENGE: Counts(counted=1)}
    world.fold(void_log("log-1", "void-2", portion=0.5))
    assert world.rows == {}


def test_points_that_were_spent_are_not_taken_back_from_the_figures(world: Try) -> None:
    world.define(event_of())
    row = Row("event", "visit", OCTOBER)
    at = "2026-10-31T12:00:00Z"
    world.fold(ann, event("visit", at, idempotencyKey="key-1"), event("visit", at), spend(8))
    assert world.rows == {row: Counts(counted=2, points=10)}
    world.fold(void_event())
    assert world.rows == {row: Counts(counted=1, points=8)}
    world.fold(void_of("spend"), adjust(100))
    assert world.rows == {row: Counts(counted=1, points=8)}


def test_logs_that_do_not_count_are_not_counted(world: Try) -> None:
    world.define(challenge())
    paused = command("update-member-status", userId="ann", status="paused")
    world.fold(ann, ben, log("1", 5), log("1", 5), log("2", 5, status="draft"), paused, log("3", 5))
    assert world.rows == {OF_CHALLENGE: Counts(counted=1)}


def test_an_event_counts_where_its_conditions_are_met(world: Try) -> None:
    wanted = {"field": "amount", "operator": "exists"}
    world.define(event_of(conditions=wanted, limit=1), streak_of(targetLength=1))
    world.fold(ann, event(), event(metadata={"amount": 1}), event(metadata={"amount": 1}))
    assert world.rows == {
        Row("event", "visit", NOVEMBER): Counts(counted=2, points=5),
        Row("streak", STREAK, NOVEMBER): Counts(counted=1, completions=1),
    }


def test_a_streak_loses_the_period_that_is_voided(world: Try) -> None:
    world.define(event_of(), streak_of())
    world.fold(ann, event(idempotencyKey="key-1"), void_event())
    assert world.rows == {}


def test_months_begin_in_the_zone_of_the_member_where_it_goes_by_that(world: Try) -> None:
    world.define(challenge(timezone="member"))
    ends = "2026-10-31T11:30:00Z"
    world.fold(upsert("ann", timezone="Pacific/Auckland"), ben, log("1", 5, activityAt=ends))
    assert world.rows == {OF_CHALLENGE: Counts(counted=1)}


def test_a_pathway_is_completed_once_a_member(world: Try) -> None:
    world.define(pathway(activity("a"), activity("b")))
    world.fold(ann, enrolled, did("1"), did("2", id_="b"))
    row = Row("pathway", PATHWAY, NOVEMBER)
    assert world.rows == {row: Counts(counted=2, completions=1)}
    world.fold(did("3", id_="b"))
    assert world.rows == {row: Counts(counted=3, completions=1)}
    world.fold(void_activity("1"))
    assert world.rows == {row: Counts(counted=3)}


def test_members_may_be_taken_as_known(world: Try) -> None:
    world.known = known_member("default")
    world.define(challenge(), event_of())
    world.fold(log("log-1", 5), event())
    assert world.rows == {
        OF_CHALLENGE: Counts(counted=1),
        Row("event", "visit", NOVEMBER): Counts(counted=1, points=5),
    }
    world.fold(command("update-member-status", userId="ann", status="paused"), log("log-2", 5))
    assert world.rows[OF_CHALLENGE] == Counts(counted=1)


def test_what_is_refused_is_counted_by_reason(world: Try) -> None:
    world.define(challenge())
    world.fold(ann, event(), event(), log("log-1"))
    assert world.figures.refused == {"unknown_event": 2, "invalid": 1}
    assert refused_in_words(world.figures.refused) == "2 unknown_event, 1 invalid"
    assert refused_in_words({}) == ""
