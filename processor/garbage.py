"""When the collector of cycles runs in a worker: right after each fold, and never within one.

The parts of a fold know one another, so what is left of it is freed by the collector alone. Left to
itself with a high threshold, the collector frees the folds of a minute at once, and all partitions
stand still for a second or more. With a low one it runs within folds, and walks over hundreds of
thousands of objects of which all live still.
"""

import gc

THRESHOLD = 1_000_000
"""Objects. A fold makes some 300,000 at most, so that the collector does not run within one."""
FULL_EVERY = 10_000
"""Collections. Hardly anything that outlives a fold is in a cycle, and a walk over all that lives
takes milliseconds."""


def set_up() -> None:
    """Take what was imported for lasting, and leave the rest to `free_fold`."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(THRESHOLD, 20, 20)


def free_fold() -> None:
    """Free what is left of a fold that is over."""
    young_ones = gc.get_count()[1]
    gc.collect(0 if young_ones < FULL_EVERY else 2)
