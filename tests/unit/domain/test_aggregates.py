"""Every aggregate is told in one order: its state, initial, evolve, decide."""

import ast
from pathlib import Path

import pytest

from processor.domain import aggregates
from processor.domain.aggregates.points import Balances
from processor.domain.state_kinds import POSITION, STREAK, StateKind, by_prefix

FOLDER = Path(aggregates.__file__).parent
ORDER = ("initial", "evolve", "decide")
WITH_STATE = ("challenge", "member", "pathway", "points", "reward", "streak")


def names(module: str) -> list[tuple[type[ast.stmt], str]]:
    """Return the classes and functions of a module's top level, in order."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))
    return [(type(n), n.name) for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)]


@pytest.mark.parametrize("module", WITH_STATE)
def test_an_aggregate_is_told_in_order(module: str) -> None:
    found = names(module)
    functions = [name for kind, name in found if kind is ast.FunctionDef]
    told = [name for name in functions if name in ORDER]
    assert told == [name for name in ORDER if name in told]
    assert {"initial", "evolve"} <= set(told)
    assert found[0][0] is ast.ClassDef, "the state comes first"


def test_no_aggregate_knows_the_store_or_what_is_published() -> None:
    kept_from = {
        "processor.domain.context",
        "processor.domain.effects",
        "processor.domain.state_kinds",
        "processor.domain.working_set",
    }
    known = {path.stem: imported(path) for path in FOLDER.glob("*.py")}
    assert known.keys() > set(WITH_STATE)
    assert any(known.values())
    assert {module: found & kept_from for module, found in known.items() if found & kept_from} == {}


def imported(path: Path) -> set[str]:
    """Return all that a module imports, in whatever form, by its whole name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = str(node.module)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def test_no_two_kinds_of_state_share_a_prefix() -> None:
    with pytest.raises(ValueError, match="Balances has no prefix of its own: b's'"):
        by_prefix(STREAK, StateKind(b"s", Balances))
    with pytest.raises(ValueError, match="no prefix of its own"):
        by_prefix(StateKind(POSITION, Balances))
