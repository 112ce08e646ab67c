"""What tests of the worker share."""

import gc
from collections.abc import Callable, Iterator

import pytest

from processor.domain.fold import ChunkFold


@pytest.fixture
def folds_left() -> Iterator[Callable[[], int]]:
    """How many folds are in memory that were not at first, with a collector that nobody but the
    worker calls."""
    gc.disable()
    before = _folds()  # other tests' that something still holds
    known = {id(each) for each in before}
    yield lambda: sum(id(each) not in known for each in _folds())
    gc.enable()


def _folds() -> list[ChunkFold]:
    return [each for each in gc.get_objects() if issubclass(type(each), ChunkFold)]
