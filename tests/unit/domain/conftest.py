"""What every test of the fold sees to besides."""

import gc
from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

import pytest

from processor.domain.fold import ChunkFold


@pytest.fixture(autouse=True)
def nothing_of_a_fold_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fold that is over is in no cycle, so that nothing of it waits for the collector.

    Folds with faults are left to the worker, which drops these once it has logged them.
    """
    begin, alive = ChunkFold.__init__, WeakSet[ChunkFold]()

    def counted(fold: ChunkFold, *arguments: Any, **options: Any) -> None:
        alive.add(fold)
        begin(fold, *arguments, **options)

    monkeypatch.setattr(ChunkFold, "__init__", counted)
    gc.disable()
    yield
    left = [fold for fold in alive if not fold.effects.faults]
    gc.enable()
    assert not left
