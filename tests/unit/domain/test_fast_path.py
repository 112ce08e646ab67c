"""The compiled part of the fold is there wherever it can be."""

import importlib
import shlex
import shutil
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from processor.domain import fast_path
from processor.domain.aggregates.points import Balances
from processor.domain.effects import Effects
from processor.domain.fast_path import contract
from processor.domain.inputs import Place
from processor.domain.rules import Challenge, Milestone
from processor.domain.working_set import WorkingSet
from tests.event_spec import event, event_of
from tests.spec import Partition, Sent


def test_it_is_compiled_wherever_a_c_compiler_is() -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    could_be = shutil.which(compiler) is not None and headers.exists()
    assert (fast_path.COMPILED is not None) == could_be, fast_path.UNUSED


def test_what_is_fastest_is_compiled_where_that_is_there() -> None:
    assert fast_path.fastest is (fast_path.COMPILED or fast_path.in_python)


def test_the_fast_path_knows_every_field_of_what_it_reads_and_writes() -> None:
    """A field was added, or moved: teach it to ``challenge_logs.pyx``, then to the contract."""
    assert contract.differences(contract.KNOWN) == []
    assert contract.differences(contract.KNOWN_OF_EVENTS) == []


def test_a_field_that_the_fast_path_does_not_know_is_named() -> None:
    known = {**contract.KNOWN, Challenge: contract.KNOWN[Challenge].replace(" target", "")}
    known[Milestone] = "target id live json version points"
    assert contract.differences(known) == ["Challenge.target", "Milestone.(their order)"]


def test_where_it_misses_a_field_python_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contract.KNOWN, Challenge, "id")
    try:
        importlib.reload(fast_path)
        assert (fast_path.COMPILED, fast_path.fastest) == (None, fast_path.in_python)
        assert fast_path.UNUSED is not None
        assert "Challenge.live" in fast_path.UNUSED
    finally:
        monkeypatch.undo()
        importlib.reload(fast_path)


def test_where_it_misses_a_field_of_events_python_folds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = replace(event(idempotencyKey="k"), headers=())
    assert takes(sent) == (fast_path.COMPILED is not None)
    monkeypatch.setitem(contract.KNOWN_OF_EVENTS, Balances, "groups holds")
    try:
        importlib.reload(fast_path)
        assert fast_path.UNUSED is not None
        assert not takes(sent)
    finally:
        monkeypatch.undo()
        importlib.reload(fast_path)


def takes(sent: Sent) -> bool:
    """Tell whether the fast path takes a record for one that may be common."""
    partition = Partition()
    partition.define(event_of())
    entries = WorkingSet(partition.load, partition.scan)
    make = fast_path.COMPILED or fast_path.in_python
    made = make(Place(0, 1, {}), partition.definitions, entries, Effects())
    return made.read(sent.topic, replace(sent, offset=0)) is not None
