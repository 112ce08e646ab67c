"""What a partition's fold had begun when the process died: a note a piece, in a file beside the
stores.

A record at which the process dies (killed for its memory, a fault in compiled code) raises nothing
that could be caught. The note survives the process, for the kernel has it; it need not survive the
machine, so nothing waits for a disk. What is noted is the fold alone: a worker that is killed while
it waits for the broker died of nothing that it was folding.
"""

import os
from pathlib import Path

import msgspec

NOTE_BYTES = 256


class Note(msgspec.Struct):
    """A piece that was begun, by its first record; ``topic`` without prefix."""

    topic: str
    offset: int
    count: int
    """How many records it has."""
    died: int = 0
    """How often in a row the process died in it before; alone, if it is of one record."""
    folding: bool = True
    """False once it was folded, whatever became of the writing."""
    careful: int = 0
    """So many records, from its first on, are to be folded with care."""
    singly: bool = False
    """One by one, that is."""


class Journal:
    """The notes of one partition; only the last one counts."""

    def __init__(self, directory: Path, partition: int) -> None:
        self._path = directory / f"partition-{partition}.begun"
        self._file: int | None = None

    def last(self) -> Note | None:
        """Return what the last process to have the partition noted last."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(text, type=Note)
        except msgspec.MsgspecError:
            return None  # it died as it wrote it, which no record makes it do

    def write(self, note: Note) -> None:
        """Note something in place of what was noted before: 3 µs."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.pwrite(self._file, msgspec.json.encode(note).ljust(NOTE_BYTES), 0)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
