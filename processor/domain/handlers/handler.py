"""What a handler is: it folds the records of one kind, and answers them."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from processor.domain.context import RecordContext
from processor.domain.inputs import Read
from schemas import replies

Answer = Callable[[], replies.Reply]
"""Makes the answer to a record; called only where an answer is asked for."""

R_contra = TypeVar("R_contra", contravariant=True)
P = TypeVar("P")


class Handler(Protocol[R_contra, P]):
    """Folds records of type ``R_contra``; ``P`` is what it works out before the store is read."""

    def prepare(self, item: Read, record: R_contra) -> P:
        """Look up the definitions that a record names, and derive the ids that it needs."""
        ...

    def keys(self, item: Read, record: R_contra, prepared: P) -> Iterable[bytes]:
        """Name the entries to prefetch, besides the member's."""
        ...

    def step(self, context: RecordContext, record: R_contra, prepared: P) -> Answer:
        """Fold one record; return what answers it.

        Raises:
            Refused: the record cannot be taken; what was changed since ``begin`` is taken back.
            TooMuch: the record leads to more than the topics take; it is taken back as well.
        """
        ...
