"""What ``chunk-log`` says of a chunk, and where the inputs of a place in the order lie."""

from typing import NamedTuple

import msgspec


class Range(msgspec.Struct):
    """The first and last offset that a chunk took of a topic (without prefix)."""

    topic: str
    first: int
    last: int


class Chunk(msgspec.Struct, rename="camel"):
    """One chunk: its inputs have the places from ``sequence`` on; ``definitions`` is the offset of
    the first record on ``definitions`` that it did not know."""

    sequence: int
    count: int
    inputs: list[Range]
    definitions: int

    @property
    def end(self) -> int:
        """The place after its last input's."""
        return self.sequence + self.count

    def locate(self, sequence: int) -> "Located":
        """Return where the input of one of its places lies.

        Transactions leave gaps in offsets: where there are some, only the records tell.
        """
        left = sequence - self.sequence
        is_whole = sum(each.last - each.first + 1 for each in self.inputs) == self.count
        if not is_whole:
            return Located(None, 0, left)
        for each in self.inputs:
            if left <= each.last - each.first:
                return Located(each.topic, each.first + left, 0)
            left -= each.last - each.first + 1
        raise ValueError(f"the chunk from {self.sequence} has no input {sequence}")


class Located(NamedTuple):
    """An input's topic and offset; without a topic, how many inputs of its chunk come before."""

    topic: str | None
    offset: int
    before: int


decode = msgspec.json.Decoder(Chunk).decode
"""Returns the chunk of a record's value."""
