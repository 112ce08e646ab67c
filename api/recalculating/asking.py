"""What is asked for: which definitions, from when on, how; and whether that can be done."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from api.http.problems import Problem, not_found
from api.kafka.definition_store import check_bytes, check_link, check_room
from api.queries import recalculations as queries
from schemas import definitions as models
from schemas.definition_set import DefinitionSet, Stored
from schemas.instants import format_instant

KINDS = (models.Challenge.kind, models.Milestone.kind)
"""What can be recalculated; milestones are those of challenges."""

MAX_DEFINITIONS = 200
MAX_TOTAL = 10**15
"""The highest maximum of points or of rewards."""

_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for.

    Attributes:
        definitions: those that history is recalculated under; empty where a challenge is named.
        challenge_id: of which challenge, under what is in force.
        since: only periods that end later; None: all.
        actor: who asks for it, for `definition_history`.
        definitions_end: the offset of `definitions` before which lies what counts as in force: of
            the report that is applied; None: the present.
    """

    project: str
    definitions: Sequence[models.Definition] = ()
    challenge_id: str | None = None
    since: datetime | None = None
    mode: queries.Mode = "additive"
    apply: bool = False
    max_points: int | None = None
    max_rewards: int | None = None
    actor: str | None = None
    definitions_end: int | None = None

    def key(self) -> bytes:
        """Return a hash of all but the last two: what is asked for twice has it in common."""
        asked = (
            self.project,
            sorted(_JSON.encode(_document(self.project, each)) for each in self.definitions),
            self.challenge_id,
            None if self.since is None else format_instant(self.since),
            *(self.mode, self.apply, self.max_points, self.max_rewards),
        )
        return sha256(msgspec.json.encode(asked)).digest()


def named_once(asked: Asked) -> None:
    """Check that definitions are given or a challenge is named, and none twice.

    Raises:
        Problem: 400 with the field.
    """
    if bool(asked.definitions) == (asked.challenge_id is not None):
        text = "give definitions or a challengeId, one of the two"
        raise Problem(400, f"definitions: {text}", errors=[("definitions", text)])
    if len(asked.definitions) > MAX_DEFINITIONS:
        text = f"must be at most {MAX_DEFINITIONS}"
        raise Problem(400, f"definitions: {text}", errors=[("definitions", text)])
    counts = Counter((each.kind, each.id) for each in asked.definitions)
    for number, each in enumerate(asked.definitions):
        if counts[each.kind, each.id] > 1:
            field = f"definitions.{number}.id"
            text = "is there twice"
            raise Problem(400, f"{field}: {text}", errors=[(field, text)])


def definitions_of(asked: Asked, in_force: DefinitionSet) -> Sequence[models.Definition]:
    """Return the definitions that are recalculated: those given, or the challenge that is named and
    its milestones.

    Raises:
        Problem: 400, they cannot be recalculated, or could not be put in force; 404, there is no
            such challenge.
    """
    named_once(asked)
    if asked.challenge_id is not None:
        return _of_challenge(asked.project, asked.challenge_id, in_force)
    for number, each in enumerate(asked.definitions):
        if each.kind not in KINDS or not _is_of_challenge(each):
            raise of_definition(number, not_recalculable())
    _check_together(asked.project, asked.definitions, in_force)
    return asked.definitions


def _of_challenge(
    project: str, challenge_id: str, in_force: DefinitionSet
) -> Sequence[models.Definition]:
    challenge = in_force.get(project, models.Challenge.kind, challenge_id)
    if challenge is None:
        raise not_found(models.Challenge.kind, challenge_id)
    milestones = (each.definition for each in in_force.of(project, models.Milestone.kind))
    return [challenge.definition, *(each for each in milestones if _links(each, challenge_id))]


def _links(definition: models.Definition, challenge_id: str) -> bool:
    return (
        isinstance(definition, models.Milestone)
        and definition.linked_schema_slug == "challenge"
        and definition.linked_schema_record_id == challenge_id
    )


def _is_of_challenge(definition: models.Definition) -> bool:
    return (
        not isinstance(definition, models.Milestone) or definition.linked_schema_slug == "challenge"
    )


def not_recalculable() -> Problem:
    """Return the refusal of what is no challenge and no milestone of one."""
    text = "only challenges and their milestones can be recalculated"
    return Problem(400, f"kind: {text}", code="not_recalculable", errors=[("kind", text)])


def of_definition(number: int, problem: Problem) -> Problem:
    """Return what is wrong with one of the definitions, with its fields named from the body's."""
    field = f"definitions.{number}"
    named = [(f"{field}.{name}", text) for name, text in problem.errors]
    errors = named or [(field, problem.detail)]
    return Problem(problem.status, f"{field}: {problem.detail}", code=problem.code, errors=errors)


def _check_together(
    project: str, definitions: Sequence[models.Definition], in_force: DefinitionSet
) -> None:
    """Refuse what could not be put in force: each is held against those that are in force by then,
    challenges first, as they are put there.

    Raises:
        Problem: 400 or 409 with the field.
    """
    then = _of_project(project, in_force)
    created: Counter[str] = Counter()
    for number, each in sorted(enumerate(definitions), key=lambda numbered: numbered[1].kind):
        value = models.encode(each)
        there = in_force.get(project, each.kind, each.id)
        try:
            check_link(then, project, each)
            check_room(then, project, each)
            check_bytes(then, project, each, len(value))
            if there is None:
                created[each.kind] += 1
                _check_count(in_force, project, each.kind, created[each.kind])
        except Problem as problem:
            raise of_definition(number, problem) from None
        then.put((project, each.kind, each.id), _stored(project, each, len(value)))


def _check_count(in_force: DefinitionSet, project: str, kind: str, more: int) -> None:
    """Refuse more definitions of a kind than a project may have.

    Raises:
        Problem: 400 naming `id`.
    """
    most = in_force.limits(project).definitions_per_kind
    if in_force.count(project, kind) + more > most:
        text = f"the project may have {most} definitions of kind {kind}"
        raise Problem(400, f"id: {text}", code="too_many_definitions", errors=[("id", text)])


def _of_project(project: str, in_force: DefinitionSet) -> DefinitionSet:
    """Return a project's definitions that are in force in a set of their own."""
    copied = DefinitionSet()
    for kind in models.KINDS:
        for each in in_force.of(project, kind):
            copied.put((project, kind, each.id), each)
    return copied


def _stored(project: str, definition: models.Definition, size: int) -> Stored:
    return Stored(
        project=project,
        kind=definition.kind,
        id=definition.id,
        definition=definition,
        version=0,
        created_at=_NEVER,
        updated_at=_NEVER,
        size=size,
    )


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def documents(project: str, definitions: Sequence[models.Definition]) -> str:
    """Return definitions as a JSON list of documents, as `milestream apply` takes them."""
    return _JSON.encode([_document(project, each) for each in definitions]).decode()


def _document(project: str, definition: models.Definition) -> dict[str, Any]:
    return {"kind": definition.kind, "project": project, **models.wire_fields(definition)}


def from_documents(text: str) -> list[models.Definition]:
    """Return the definitions of such a list."""
    found = []
    for fields in models.decode_numbers(text.encode()):
        kind = fields.pop("kind")
        del fields["project"]
        found.append(models.parse(kind, fields))
    return found


@dataclass(frozen=True)
class Begun:
    """A recalculation that is this caller's to work at, under a number of its own."""

    id: UUID
    owner: UUID


async def begin(
    connection: AsyncConnection,
    asked: Asked,
    definitions: Sequence[models.Definition],
    *,
    by_command: bool,
) -> Begun:
    """Begin a recalculation, or go on with the same one, where the process that worked at it is
    gone.

    Raises:
        Problem: 409, one of the project's runs; `more` has its id.
    """
    begun = Begun(uuid4(), uuid4())
    new = queries.New(
        id=begun.id,
        project=asked.project,
        mode=asked.mode,
        challenge_id=asked.challenge_id,
        definitions=documents(asked.project, definitions),
        since=asked.since,
        apply=asked.apply,
        max_points=asked.max_points,
        max_rewards=asked.max_rewards,
        request=asked.key(),
        actor=asked.actor,
        by_command=by_command,
        owner=begun.owner,
        definitions_end=asked.definitions_end,
    )
    for _ in range(2):  # the one that runs may end meanwhile
        there = await queries.unfinished(connection, asked.project)
        if there is not None:
            if there.request == new.request and await queries.take(
                connection, there.id, begun.owner, by_command=by_command
            ):
                return Begun(there.id, begun.owner)
            raise running(there.id, asked.project)
        try:
            await queries.add(connection, new)
        except UniqueViolation:
            continue
        return begun
    raise Problem(409, "Another recalculation of the project began.", code="recalculation_running")


def running(id_: UUID, project: str) -> Problem:
    """Return the refusal of another one while one runs."""
    detail = (
        f"The recalculation {id_} of the project is not finished. Wait for it; or give its command "
        f"again, if that was ended; or cancel it: DELETE /recalculations/{id_}, or milestream "
        f"recalculate --cancel {id_} --project {project}."
    )
    return Problem(409, detail, code="recalculation_running", more={"id": str(id_)})
