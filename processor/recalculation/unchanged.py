"""Whether the definitions that a report was made from are those that are in force."""

from processor.recalculation.wanted import Wanted, challenges_of
from schemas import definitions as models
from schemas.definition_set import DefinitionKey, DefinitionSet, link_of


class DefinitionsChanged(Exception):
    """Definitions were changed since a report was made from them: the message names them."""


def require_unchanged(wanted: Wanted, was: DefinitionSet, now: DefinitionSet) -> None:
    """Check that what a recalculation looks at is in force as it was: its challenges, all their
    milestones, and what is put in their place. What is in force as it is wanted is no change.

    Raises:
        NotRecalculable: see ``challenges_of``.
        DefinitionsChanged: there were others.
    """
    before, after = _looked_at(wanted, was), _looked_at(wanted, now)
    given = {(wanted.project, each.kind, each.id): each for each in wanted.definitions}
    changed = [
        key
        for key in sorted(before.keys() | after.keys())
        if after.get(key) != before.get(key) and (key not in given or after.get(key) != given[key])
    ]
    if changed:
        named = ", ".join(f"{kind} {id_}" for _, kind, id_ in changed)
        raise DefinitionsChanged(named)


def _looked_at(
    wanted: Wanted, definitions: DefinitionSet
) -> dict[DefinitionKey, models.Definition]:
    challenges = {(wanted.project, models.Challenge.kind, each) for each in challenges_of(wanted)}
    keys = {*challenges, *((wanted.project, each.kind, each.id) for each in wanted.definitions)}
    found = {}
    for key in keys:
        stored = definitions.get(*key)
        if stored is not None:
            found[key] = stored.definition
    for stored in definitions.of(wanted.project, models.Milestone.kind):
        each = stored.definition
        if isinstance(each, models.Milestone) and link_of(wanted.project, each) in challenges:
            found[wanted.project, stored.kind, stored.id] = each
    return found
