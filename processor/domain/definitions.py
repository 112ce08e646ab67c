"""The definitions in force: what the fold looks up, compiled once when a definition is read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import Any, cast

from processor.domain.rules import (
    NO_BOOSTS,
    Boosts,
    Challenge,
    Event,
    Milestone,
    Pathway,
    Streak,
    Subscriptions,
    TierSet,
    Wallet,
    Zone,
    compile_boost,
    compile_challenge,
    compile_event,
    compile_milestone,
    compile_pathway,
    compile_streak,
    compile_tier_set,
    compile_wallet,
)
from schemas import definitions as models
from schemas.definition_set import DefinitionKey, DefinitionSet, Stored, link_of

_COMPILE: Mapping[str, Callable[[Stored, Zone], Any]] = {
    "challenge": compile_challenge,
    "event": compile_event,
    "streak": compile_streak,
    "pathway": compile_pathway,
    "boost": compile_boost,
    "wallet": compile_wallet,
    "tier-set": compile_tier_set,
}


class Definitions(DefinitionSet):
    """All definitions in force up to an offset, and the rules that they compile to."""

    def __init__(self) -> None:
        super().__init__()
        self._rules: dict[DefinitionKey, Any] = {}
        """The compiled definitions of the kinds in ``_COMPILE``."""
        self.with_wallets: set[str] = set()
        """The projects that have wallets."""
        self._milestones: dict[DefinitionKey, dict[str, Milestone]] = {}
        """By what they are linked to."""
        self._subscriptions: dict[tuple[str, str], Subscriptions] = {}
        """By event; made when first asked for, forgotten with every change."""
        self._tier_sets: dict[str, tuple[TierSet, ...]] = {}
        """By project; likewise."""
        self._tiered: set[str] = set()
        """The projects that have tier sets."""

    def challenge(self, project: str, challenge_id: str) -> Challenge | None:
        """Return a project's challenge with its milestones, None where it has no such one."""
        return cast("Challenge | None", self._rules.get((project, "challenge", challenge_id)))

    def milestone(self, project: str, milestone_id: str) -> Milestone | None:
        """Return a project's milestone of any challenge."""
        stored = self.get(project, "milestone", milestone_id)
        if stored is None:
            return None
        return self._milestones.get(_linked(stored), {}).get(milestone_id)

    def owner_of_milestone(self, project: str, milestone_id: str) -> tuple[str, str] | None:
        """Return the kind and the id of what a milestone belongs to, None where there is none."""
        stored = self.get(project, "milestone", milestone_id)
        return None if stored is None else _linked(stored)[1:]

    def event(self, project: str, event_id: str) -> Event | None:
        """Return a project's event, None where it has no such one."""
        return cast("Event | None", self._rules.get((project, "event", event_id)))

    def streak(self, project: str, streak_id: str) -> Streak | None:
        """Return a project's streak with its milestones, None where it has no such one."""
        return cast("Streak | None", self._rules.get((project, "streak", streak_id)))

    def pathway(self, project: str, pathway_id: str) -> Pathway | None:
        """Return a project's pathway with its milestones, None where it has no such one."""
        return cast("Pathway | None", self._rules.get((project, "pathway", pathway_id)))

    def wallet(self, project: str, group: str) -> Wallet | None:
        """Return the wallet of a challenge group, None where it has none."""
        return cast("Wallet | None", self._rules.get((project, "wallet", group)))

    def tier_set(self, project: str, tier_set_id: str) -> TierSet | None:
        """Return a project's tier set, None where it has no such one."""
        return cast("TierSet | None", self._rules.get((project, "tier-set", tier_set_id)))

    def tier_sets(self, project: str) -> tuple[TierSet, ...]:
        """Return all tier sets of a project, in the order of their ids."""
        found = self._tier_sets.get(project)
        if found is None:
            ids = sorted(each.id for each in self.of(project, "tier-set"))
            found = tuple(self._rules[project, "tier-set", id_] for id_ in ids)
            self._tier_sets[project] = found
        return found

    def has_tiers(self) -> bool:
        """Tell whether any project has a tier set: where none has, nobody keeps what tiers need."""
        return bool(self._tiered)

    def judges(self, project: str, challenge_id: str) -> bool:
        """Tell whether a tier goes by the progress of a challenge."""
        return any(each.challenge_id == challenge_id for each in self.tier_sets(project))

    def subscribers_of(self, project: str, event_id: str) -> Subscriptions:
        """Return what an event moves: the challenges and streaks that name it."""
        found = self._subscriptions.get((project, event_id))
        if found is None:
            found = self._subscriptions[project, event_id] = Subscriptions(
                self._naming(project, "challenge", event_id),
                self._naming(project, "streak", event_id),
                self._boosts(project, event_id),
                self._multiplying(project, event_id),
            )
        return found

    def _boosts(self, project: str, event_id: str) -> Boosts:
        """Return the boosts that may act on points of an event."""
        event = self.event(project, event_id)
        if event is None:
            return NO_BOOSTS
        boosts = (self._rules[project, "boost", each.id] for each in self.of(project, "boost"))
        return Boosts(sorted((each for each in boosts if each.is_for(event)), key=attrgetter("id")))

    def _multiplying(self, project: str, event_id: str) -> tuple[TierSet, ...]:
        """Return the tier sets that act on points of an event."""
        event = self.event(project, event_id)
        tier_sets = () if event is None else self.tier_sets(project)
        return tuple(each for each in tier_sets if event is not None and each.acts_on(event.group))

    def _naming(self, project: str, kind: str, event_id: str) -> tuple[Any, ...]:
        """Return the rules of a kind that name an event, as they were first written."""
        named = self.named_by(project, kind, event_id)
        return tuple(self._rules[project, kind, stored.id] for stored in named)

    def changed(self, key: DefinitionKey, before: Stored | None, after: Stored | None) -> None:
        """Compile what depends on a definition that has changed."""
        project, kind, id_ = key
        for place in [place for place in self._subscriptions if place[0] == project]:
            del self._subscriptions[place]
        self._tier_sets.pop(project, None)
        if kind == "tier-set":
            self._tiered.discard(project)
            if self.count(project, kind):
                self._tiered.add(project)
        if kind in _COMPILE:
            self._compile_one(project, kind, id_)
        elif kind == "milestone":
            for stored in (before, after):
                if stored is not None:
                    linked = _linked(stored)
                    self._milestones.get(linked, {}).pop(id_, None)
                    if stored is after:
                        self._milestones.setdefault(linked, {})[id_] = compile_milestone(stored)
                    self._attach_milestones(linked)
        elif kind == "project":  # its time zone is that of what has none of its own
            for dependent in _COMPILE:
                for stored in list(self.of(project, dependent)):
                    self._compile_one(project, dependent, stored.id)

    def _compile_one(self, project: str, kind: str, id_: str) -> None:
        stored = self.get(project, kind, id_)
        if kind == "wallet":
            have = self.with_wallets.add if self.count(project, kind) else self.with_wallets.discard
            have(project)
        if stored is None:
            self._rules.pop((project, kind, id_), None)
            return
        zone = Zone(self.timezone(project), self.goes_by_member(project))
        self._rules[project, kind, id_] = _COMPILE[kind](stored, zone)
        self._attach_milestones((project, kind, id_))

    def _attach_milestones(self, linked: DefinitionKey) -> None:
        rule, milestones = self._rules.get(linked), self._milestones.get(linked)
        if rule is not None and milestones is not None:
            rising = sorted(milestones.values(), key=lambda m: (m.target, m.id))
            self._rules[linked] = replace(rule, milestones=tuple(rising))


def _linked(stored: Stored) -> DefinitionKey:
    assert isinstance(stored.definition, models.Milestone)
    return link_of(stored.project, stored.definition)
