"""What holds for history: challenges with their milestones as they are now, all else as it was.

Whether challenge and milestone were live is not recalculated: they are as live as they were at each
chunk. One that was not there yet is as it is now, as if it had always been there; where one was
deleted for a while, it is not there either.
"""

from collections.abc import Iterable
from dataclasses import replace

from typing_extensions import override

from processor.domain.definitions import Definitions
from schemas import definitions as models
from schemas.definition_set import DefinitionKey, Stored


class ForHistory(Definitions):
    """The definitions that inputs are folded under again.

    Args:
        project: whose they are.
        challenges: the ids of those that are recalculated.
        now: the definitions in which they are as they are now.
    """

    def __init__(self, project: str, challenges: Iterable[str], now: Definitions) -> None:
        super().__init__()
        self._challenges = {(project, models.Challenge.kind, id_) for id_ in challenges}
        self._now: dict[DefinitionKey, Stored] = {}
        for key in sorted(self._challenges):
            stored = now.get(*key)
            if stored is not None:
                self._now[key] = stored
        for stored in now.of(project, models.Milestone.kind):
            if self._is_linked(stored):
                self._now[project, stored.kind, stored.id] = stored
        for key, stored in self._now.items():
            self.put(key, stored)

    def follow(self, key: DefinitionKey, was: Stored | None) -> None:
        """Take a change of what was in force: ``was`` is in force from then on."""
        now = self._now.get(key)
        if now is not None:
            self.put(key, None if was is None else _as_live_as(was, now))
        elif key in self._challenges or (was is not None and self._is_linked(was)):
            self.put(key, None)  # it is gone, or belongs to something else by now
        else:
            self.put(key, was)

    def _is_linked(self, stored: Stored) -> bool:
        """Tell whether this is a milestone of a challenge that is recalculated."""
        definition = stored.definition
        if not isinstance(definition, models.Milestone):
            return False
        slug, linked = definition.linked_schema_slug, definition.linked_schema_record_id
        return (stored.project, slug, linked) in self._challenges


class Recorded(Definitions):
    """The definitions as they were, which tell those that hold for history of each change."""

    def __init__(self, followed_by: ForHistory) -> None:
        super().__init__()
        self._followed_by = followed_by

    @override
    def changed(self, key: DefinitionKey, before: Stored | None, after: Stored | None) -> None:
        super().changed(key, before, after)
        self._followed_by.follow(key, after)


def _as_live_as(was: Stored, now: Stored) -> Stored:
    before, after = was.definition, now.definition
    assert isinstance(before, models.Challenge | models.Milestone)
    assert isinstance(after, models.Challenge | models.Milestone)
    if before.status == after.status:
        return now
    return replace(now, definition=after.model_copy(update={"status": before.status}))
