"""What folding a chunk leads to, as data: the shell writes it in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

Headers = Sequence[tuple[str, bytes | None]]


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record for an output topic, on the partition of the chunk."""

    key: bytes | None
    value: bytes


class Forward(msgspec.Struct, frozen=True, gc=False):
    """A record for ``forwarded``, on the partition of its member."""

    partition: int
    key: bytes
    value: bytes | None
    headers: Headers


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A reply: ``topic`` as the request named it, prefix included."""

    topic: str
    partition: int
    correlation_id: bytes
    value: bytes


@dataclass(slots=True)
class Effects:
    """All that one chunk leads to.

    ``writes`` are entries of the state store and so records of the changelog; None deletes one.
    ``counts`` are for metrics: ``folded``, ``duplicates``, ``forwarded``, ``skipped``, ``dues``,
    ``replies_refused`` and ``dead_letter:<reason>``.
    """

    outputs: dict[str, list[Output]] = field(default_factory=dict)
    forwards: list[Forward] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    writes: dict[bytes, bytes | None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    offsets: dict[str, int] = field(default_factory=dict)
    """By input topic, the offset up to which (exclusive) it was folded."""
    complete: bool = True
    """False where the chunk led to more than fits: fold the rest of it next."""
    more_due: bool = False
    """True where a tick left dues for the partition's next one."""
    size: int = 0
    """Bytes of the outputs."""

    def put(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Add one output."""
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        outputs.append(Output(key, value))
        self.size += len(value)
