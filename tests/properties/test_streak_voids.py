"""Voids of visits: a streak is what its reference says, told by the records that move it."""

from collections import Counter
from datetime import datetime

from hypothesis import given

from processor.domain.state_kinds import STREAK_HITS
from tests.properties.beside import Both, fold_beside
from tests.spec import Happened
from tests.strategies import Segment
from tests.strategies_voids import visit_histories


class Shown:
    """Checks what a streak shows after each record, and how often each reward was granted."""

    def __init__(self) -> None:
        self.granted: Counter[str] = Counter()

    def __call__(self, both: Both, happened: Happened) -> None:
        """Check what there is after a record."""
        for reward in happened.of("reward.granted"):
            self.granted[reward["id"]] += 1
            assert reward["version"] == self.granted[reward["id"]]
        for fact in [each for each in happened.facts if each.type.startswith("streak.")][-1:]:
            shown = fact.data
            reference = both.reference.streaks[shown["streakId"], shown["ownedById"]]
            over = not reference.hits or reference.is_broken()
            assert shown["longestLength"] == reference.longest
            assert shown["currentLength"] == (0 if over else reference.runs[-1].length)
            assert (shown["status"] == "broken") == over
            assert (shown["activeUntil"] is None) == over
            if not over:
                assert datetime.fromisoformat(shown["activeUntil"]) == reference.waits
                assert shown["freezesLeft"] == reference.runs[-1].left


@given(visit_histories())
def test_voids_of_visits_move_a_streak_as_the_reference_says(history: list[Segment]) -> None:
    both = fold_beside(history, one_by_one=Shown())
    kept = [key for key in both.partition.entries if key.startswith(STREAK_HITS.prefix)]
    reference = both.reference
    done = reference.ledger.done
    left = [e for (m, key), e in reference.events.items() if done[m, "event", key].voided < 1]
    keyed = Counter(hit for event in left for hit in event.hit)
    again = [hit for hit, times in reference.hits.items() if times > 1 or times > keyed[hit]]
    assert len(kept) <= len(again)
