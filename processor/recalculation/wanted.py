"""What is to be recalculated: which challenges, by what definitions, which periods, how far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from processor.domain.definitions import Definitions
from schemas import definitions as models

Mode = Literal["additive", "exact"]


class NotRecalculable(ValueError):
    """A definition is no challenge, and no milestone of one; the message says which."""


class UnknownChallenge(LookupError):
    """There is no challenge of that id; it is the only argument."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a recalculation was asked for.

    Either ``definitions`` are given, which are put in force with it, or a ``challenge_id``, which
    is recalculated as it is. ``since`` leaves out periods that ended by then. Mode ``additive``
    never lowers a progress. What is there now is the topic ``definitions`` up to (exclusive) the
    offset ``definitions_end``: so a run that goes on after a while comes to the same.
    """

    project: str
    definitions: Sequence[models.Definition] = ()
    challenge_id: str | None = None
    since: datetime | None = None
    mode: Mode = "additive"
    definitions_end: int = 0

    @property
    def exact(self) -> bool:
        """Whether a progress may be lowered."""
        return self.mode == "exact"


def put_on_top(wanted: Wanted, definitions: Definitions) -> list[str]:
    """Have the definitions that are wanted in force, on top of ``definitions``; return the ids of
    the challenges that are recalculated, each once, as they were named.

    Raises:
        NotRecalculable: one is of another kind.
        UnknownChallenge: the challenge that is named is not there.
        DefinitionError: a milestone's challenge is not there, or has no room for it.
    """
    found = challenges_of(wanted)
    for each in sorted(wanted.definitions, key=lambda each: each.kind):  # challenges first
        key = models.definition_key(wanted.project, each.kind, each.id).encode()
        definitions.apply(key, models.encode(each), definitions.next_offset, 0)
    for challenge_id in found:
        if definitions.challenge(wanted.project, challenge_id) is None:
            if challenge_id == (wanted.challenge_id or "").lower():
                raise UnknownChallenge(challenge_id)
            message = "there is no such challenge"
            raise models.DefinitionError([("linkedSchemaRecordId", message)])
    return found


def challenges_of(wanted: Wanted) -> list[str]:
    """Return the ids of the challenges that are recalculated, each once, as they were named.

    Raises:
        NotRecalculable: a definition is of another kind.
    """
    found = dict.fromkeys(_challenge_of(each) for each in wanted.definitions)
    if wanted.challenge_id is not None:
        found[wanted.challenge_id.lower()] = None
    return list(found)


def _challenge_of(definition: models.Definition) -> str:
    """Return the id of the challenge that a definition recalculates.

    Raises:
        NotRecalculable: it is none, and no milestone of one.
    """
    if isinstance(definition, models.Challenge):
        return definition.id
    if isinstance(definition, models.Milestone):
        if definition.linked_schema_slug == models.Challenge.kind:
            return definition.linked_schema_record_id
        raise NotRecalculable(f"the milestone {definition.id} is of no challenge")
    raise NotRecalculable(f"the {definition.kind} {definition.id} cannot be recalculated")
