"""Keeping the logs of activities in a chunk, and finding those that are kept."""

from collections.abc import Sequence

from processor.domain.aggregates import activity_history as history_of
from processor.domain.aggregates.activity_history import FULL, History, KeptLog, Recent
from processor.domain.aggregates.pathway import ActivityState
from processor.domain.rules import Activity
from processor.domain.state_kinds import (
    ACTIVITY_HISTORY,
    ACTIVITY_RECENT,
    activity_history_key,
    activity_recent_key,
)
from processor.domain.working_set import WorkingSet


class ActivityHistories:
    """The logs that are kept of one chunk's members; ``key`` is that of the state at an activity,
    ``before`` the state as it is without what comes now."""

    def __init__(self, entries: WorkingSet) -> None:
        self._entries = entries

    def keep(
        self, key: bytes, activity: Activity, before: ActivityState | None, log: KeptLog
    ) -> None:
        """Keep one log more."""
        recent_key = activity_recent_key(key)
        recent = self._entries.get(ACTIVITY_RECENT, recent_key)
        if recent is None:
            self._begin(key, before)
            recent = Recent()
        recent = Recent((*recent.logs, log))
        if len(recent.logs) >= FULL:
            history = self._entries.get(ACTIVITY_HISTORY, activity_history_key(key))
            history = history_of.evolve(history or History(), recent, activity)
            self._entries.set(ACTIVITY_HISTORY, activity_history_key(key), history)
            recent = Recent()
        self._entries.set(ACTIVITY_RECENT, recent_key, recent)

    def kept(self, key: bytes, activity: Activity, before: ActivityState | None) -> History:
        """Return all that is kept, the recent logs included."""
        recent = self._entries.get(ACTIVITY_RECENT, activity_recent_key(key))
        if recent is None:
            return history_of.initial(before)
        history = self._entries.get(ACTIVITY_HISTORY, activity_history_key(key)) or History()
        return history_of.cut(history_of.evolve(history, recent, activity), activity)

    def replace(self, key: bytes, base: ActivityState | None, logs: Sequence[KeptLog]) -> None:
        """Keep these logs instead of all that were kept."""
        history = history_of.of_logs(base, logs)
        self._entries.set(ACTIVITY_HISTORY, activity_history_key(key), history)
        self._entries.set(ACTIVITY_RECENT, activity_recent_key(key), Recent())

    def _begin(self, key: bytes, before: ActivityState | None) -> None:
        """Keep what logs came to that were not kept themselves."""
        if before is not None:
            history = history_of.initial(before)
            self._entries.set(ACTIVITY_HISTORY, activity_history_key(key), history)
