"""What folding a chunk leads to, as data: the shell writes it in one transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas import outputs
from schemas.topics import MAX_VALUE_BYTES, MEMBER_EVENTS

Headers = Sequence[tuple[str, bytes | None]]

MAX_OUTPUT_BYTES = 32 * 1024 * 1024
"""A transaction must be written within its time limit; a challenge's record may be large, and each
of its logs carries it."""
MAX_INPUT_BYTES = 16 * 1024 * 1024
"""What one input may lead to in all: it is written in one transaction, within its time limit."""


class TooMuch(Exception):
    """An input leads to a record that its topic does not take, or to too many of them."""


class Output(msgspec.Struct, frozen=True, gc=False):
    """A record for an output topic, on the partition of the chunk."""

    key: bytes | None
    value: bytes
    """Empty: the record has no value, and what was published under its key is no more."""
    headers: Headers = ()
    """Beside those that all records of the topic have."""


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
    ``clock_dues``, ``dues_refused``, ``clock_refused``, ``replies_refused`` and
    ``dead_letter:<reason>``.

    What one input leads to is added between ``begin`` and the next one, and can be taken back.
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
    faults: list[Exception] = field(default_factory=list, compare=False)
    """What went wrong with records that had waited and with dues, and was no rule: for the log."""
    more_due: bool = False
    """True where a tick left dues for the partition's next one."""
    more_moves: bool = False
    """True where test clocks have not arrived: the partition's next tick goes on."""
    size: int = 0
    """Bytes of the outputs, forwards, answers (those that cannot arrive included) and writes; the
    writes are guessed until they are made."""
    forgotten: dict[str, int | None] = field(default_factory=dict)
    """By the ids of the members that were forgotten, the offset on ``member-keys`` before which the
    keys of their sealed fields are to be removed with what is written (all of them where it is
    None); their entries are to be taken out of the store's files."""
    added: list[str] = field(default_factory=list, compare=False, repr=False)
    """The topics of the outputs since ``begin``, in their order."""
    size_before: int = field(default=0, compare=False, repr=False)
    _counted: list[tuple[str, int]] = field(default_factory=list, compare=False, repr=False)
    """What was counted since ``begin``."""

    def take_faults(self) -> list[Exception]:
        """Return the faults, for whoever logs them, and keep none: their tracebacks hold the fold,
        which holds these effects, and only the collector frees a cycle."""
        faults, self.faults = self.faults, []
        return faults

    def begin(self) -> None:
        """Remember where the next input begins."""
        self.added.clear()
        self._counted.clear()
        self.size_before = self.size

    def count(self, name: str, number: int = 1) -> None:
        """Count what the input that began last leads to."""
        if number:
            self.counts[name] += number
            self._counted.append((name, number))

    def undo(self) -> None:
        """Take back what was added and counted since ``begin``."""
        for topic in reversed(self.added):
            output = self.outputs[topic].pop()
            if not output.value:
                self.forgotten.pop((output.key or b"").decode(), None)
            if not self.outputs[topic]:
                del self.outputs[topic]
        self.added.clear()
        self.size = self.size_before
        for name, number in self._counted:
            self.counts[name] -= number
            if not self.counts[name]:
                del self.counts[name]
        self._counted.clear()

    def add(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Add one output of the input that began last.

        Raises:
            TooMuch: its topic does not take it, or the input leads to too many bytes.
        """
        if len(value) > MAX_VALUE_BYTES:
            raise TooMuch(f"what it leads to is larger than {MAX_VALUE_BYTES} bytes")
        if self.size - self.size_before + len(value) > MAX_INPUT_BYTES:
            raise TooMuch(f"all that it leads to is larger than {MAX_INPUT_BYTES} bytes")
        self.added.append(topic)
        self.put(topic, key, value)

    def forget(self, member_id: str, project: str, keys_before: int | None = None) -> None:
        """Take back what was published under a member's key of ``member-events``, and whatever else
        tells who it is."""
        headers = ((outputs.PROJECT, project.encode()),)
        self.added.append(MEMBER_EVENTS)
        published = self.outputs.setdefault(MEMBER_EVENTS, [])
        published.append(Output(member_id.encode(), b"", headers))
        self.forgotten[member_id] = keys_before

    def forward(self, forward: Forward) -> None:
        """Add a record for another partition; it is not taken back."""
        self.forwards.append(forward)
        self.size += len(forward.key) + len(forward.value or b"")

    def put(self, topic: str, key: bytes | None, value: bytes) -> None:
        """Add one output that is known to be small enough; it is not taken back."""
        outputs = self.outputs.get(topic)
        if outputs is None:
            outputs = self.outputs[topic] = []
        outputs.append(Output(key, value))
        self.size += len(value)
