"""The definitions in force, a read model for each kind; and what they were, whoever wrote them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from projections.json_text import storable
from projections.projection import Change, Deleted, Projection, Value
from schemas import definitions as models
from schemas import ids
from schemas.definition_records import DefinitionChange


def _in_force(
    table: str,
    kind: type[models.Definition],
    fields: tuple[str, ...],
    *,
    id_column: str = "id",
    id_is_uuid: bool = False,
    computed: Mapping[str, Callable[[Any], Value]] | None = None,
) -> Projection:
    """Return the read model of a kind of definition.

    Args:
        table: its name.
        kind: the kind.
        fields: columns that have the name of the definition's attribute that they hold.
        id_column: the column of its id.
        id_is_uuid: whether that column holds nothing but UUIDs.
        computed: further columns, and how each comes from the definition.
    """
    more = {} if computed is None else computed

    def rows(change: DefinitionChange) -> Iterable[Change]:
        if change.kind != kind.kind or not _may_be_a_key(change.id, id_is_uuid):
            return
        definition = change.definition
        if definition is None:
            yield Deleted((change.project, change.id))
            return
        yield (
            change.project,
            definition.id,
            *[getattr(definition, field) for field in fields],
            *[value_of(definition) for value_of in more.values()],
            change.at,
            change.at,
            change.offset,
        )

    return Projection(
        table=table,
        columns=(
            "project",
            id_column,
            *fields,
            *more,
            "created_at",
            "updated_at",
            "version",
        ),
        key=("project", id_column),
        newest_by="version",
        kept=("created_at",),
        rows=rows,
    )


def _may_be_a_key(definition_id: str, is_uuid: bool) -> bool:
    """Tell whether a row may have this id; anyone may write a deletion that names anything."""
    return ids.is_uuid(definition_id) if is_uuid else "\x00" not in definition_id


def _json_of(field: str) -> Callable[[models.Definition], Value]:
    """Return what gives a field's JSON, null where it has none."""

    def value_of(definition: models.Definition) -> Value:
        value = models.wire_fields(definition)[field]
        return None if value is None else msgspec.json.encode(value).decode()

    return value_of


def _as_written(definition: models.Definition) -> str:
    return storable(models.encode(definition).decode())


CHALLENGES = _in_force(
    "challenges",
    models.Challenge,
    (
        "name",
        "description",
        "status",
        "aggregation_method",
        "aggregation_period",
        "completion_target_value",
        "timezone",
        "starts_at",
        "ends_at",
        "activity_ids",
        "event_ids",
        "value_field",
        "points_on_completion",
        "challenge_group",
    ),
    id_is_uuid=True,
)
MILESTONES = _in_force(
    "milestones",
    models.Milestone,
    (
        "linked_schema_slug",
        "linked_schema_record_id",
        "name",
        "description",
        "milestone_target_value",
        "status",
        "points",
    ),
    id_is_uuid=True,
)
EVENT_DEFINITIONS = _in_force(
    "event_definitions",
    models.Event,
    ("title", "description", "status", "type", "challenge_group"),
    id_column="event_id",
    computed={"definition": _as_written},
)
STREAKS = _in_force(
    "streaks",
    models.Streak,
    ("event_ids", "period", "target_length", "timezone", "freezes"),
    id_column="streak_id",
)
LEADERBOARDS = _in_force("leaderboards", models.Leaderboard, ("event_ids", "groups"))
PATHWAYS = _in_force("pathways", models.Pathway, ("name",), computed={"definition": _as_written})
"""``pathway_activities`` is a view of their definitions."""
PROJECTS = _in_force("projects", models.Project, ("name", "timezone", "member_spend", "clock"))
"""What the other tables' local days and times follow from."""
WALLETS = _in_force(
    "wallets",
    models.Wallet,
    ("name", "pending_for", "max_balance", "timezone"),
    computed={
        "expiry": _json_of("expiry"),
        "earn_cap": _json_of("earnCap"),
        "notice_days": lambda wallet: [str(days) for days in wallet.notice_days],
    },
)
BOOSTS = _in_force(
    "boosts",
    models.Boost,
    (
        "name",
        "multiplier",
        "starts_at",
        "ends_at",
        "event_ids",
        "wallets",
        "stacking",
        "max_bonus",
        "status",
    ),
    id_column="boost_id",
    computed={"definition": _as_written},
)
TIER_SETS = _in_force(
    "tier_sets",
    models.TierSet,
    ("name", "wallets"),
    id_column="tier_set_id",
    computed={
        "basis_type": lambda tier_set: tier_set.basis.type,
        "basis_wallet": lambda tier_set: tier_set.basis.wallet,
        "basis_challenge_id": lambda tier_set: tier_set.basis.challenge_id,
        "definition": _as_written,
    },
)

_LONGEST_ID = 256
"""Characters; no definition has a longer id, but a deletion may name anything."""


def _written(change: DefinitionChange) -> Iterable[Change]:
    """What one record made of a definition: null where it deleted it."""
    if len(change.id) > _LONGEST_ID or not _may_be_a_key(change.id, is_uuid=False):
        return
    yield (
        change.project,
        change.kind,
        change.id,
        change.offset,
        change.at,
        change.actor,
        None if change.definition is None else _as_written(change.definition),
    )


DEFINITION_HISTORY = Projection(
    table="definition_history",
    columns=("project", "kind", "id", "version", "at", "actor", "definition"),
    key=("project", "kind", "id", "version"),
    rows=_written,
)
"""Facts: they never change."""
