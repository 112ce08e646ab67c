"""Recalculation: what challenges come to as they are now, and what brings progress there.

``wanted`` says what is recalculated and ``history`` what holds for history. ``worlds`` folds
recorded inputs as they were and by that, ``replay`` hands it what is before a cut, ``comparison``
says what the two differ by, and ``running`` does all of it from the topics. ``putting_in_force``,
``cuts`` and ``sending`` write what applying one takes, and ``folding`` tells how far workers have
folded that. Nothing here knows HTTP or SQL.
"""

from processor.reading import KeysUnread
from processor.recalculation.correction import Correction, NotGiven, Reached
from processor.recalculation.cuts import cut_places, write_cuts
from processor.recalculation.folding import folding
from processor.recalculation.inputs_left import InputsGone, present_ends, require_inputs
from processor.recalculation.putting_in_force import NotTaken, put_in_force
from processor.recalculation.running import (
    checked,
    corrections,
    definitions_at,
    definitions_end,
)
from processor.recalculation.sending import sending
from processor.recalculation.unchanged import DefinitionsChanged, require_unchanged
from processor.recalculation.wanted import Mode, NotRecalculable, UnknownChallenge, Wanted
from processor.simulation.scratch import remove_left

__all__ = [
    "Correction",
    "DefinitionsChanged",
    "InputsGone",
    "KeysUnread",
    "Mode",
    "NotGiven",
    "NotRecalculable",
    "NotTaken",
    "Reached",
    "UnknownChallenge",
    "Wanted",
    "checked",
    "corrections",
    "cut_places",
    "definitions_at",
    "definitions_end",
    "folding",
    "present_ends",
    "put_in_force",
    "remove_left",
    "require_inputs",
    "require_unchanged",
    "sending",
    "write_cuts",
]
