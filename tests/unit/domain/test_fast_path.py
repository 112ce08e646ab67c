"""The compiled part of the fold is there wherever it can be."""

import importlib
import shlex
import shutil
import sysconfig
from pathlib import Path

import pytest

from processor.domain import fast_path
from processor.domain.fast_path import contract
from processor.domain.rules import Challenge, Milestone


def test_it_is_compiled_wherever_a_c_compiler_is() -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    could_be = shutil.which(compiler) is not None and headers.exists()
    assert (fast_path.COMPILED is not None) == could_be, fast_path.UNUSED


def test_what_is_fastest_is_compiled_where_that_is_there() -> None:
    assert fast_path.fastest is (fast_path.COMPILED or fast_path.in_python)


def test_the_fast_path_knows_every_field_of_what_it_reads_and_writes() -> None:
    """A field was added, or moved: teach it to ``challenge_logs.pyx``, then to the contract."""
    assert contract.differences() == []


def test_a_field_that_the_fast_path_does_not_know_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**contract.KNOWN, Challenge: contract.KNOWN[Challenge].replace(" target", "")}
    known[Milestone] = "target id live json version points"
    monkeypatch.setattr(contract, "KNOWN", known)
    assert contract.differences() == ["Challenge.target", "Milestone.(their order)"]


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
