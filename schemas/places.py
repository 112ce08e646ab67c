"""Places: where a record lies on its topic, as one number that a column of a read model holds.

Of one member, whose records lie on one partition of a topic, a later output has a greater place. So
what was so at some moment is what the rows say whose places lie before an end of that partition:
see ``Barrier.at`` of the API.
"""

OFFSET_BITS = 48
"""An offset's share of the number: more than anybody writes. The partition is above it."""


def place(partition: int, offset: int) -> int:
    """Return the place of an offset of a partition."""
    return (partition << OFFSET_BITS) | offset


def partition_of(place: int) -> int:
    """Return the partition of a place."""
    return place >> OFFSET_BITS
