"""Records that wait for their member: what is kept of them. ``handlers.parking`` has the rules."""

import msgspec


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record that waits for its member, as it came (``inputs.Input``); ``field`` names it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    forwarded: bool
    field: str

    @property
    def size(self) -> int:
        """Its bytes: key, value and headers."""
        texts = [self.key, self.value, *(value for _, value in self.headers)]
        return sum(len(text or b"") for text in texts) + sum(len(name) for name, _ in self.headers)


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of the records that wait; ``until`` in milliseconds, None until a tick has seen it."""

    sequence: int
    size: int
    until: int | None = None


class Parked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What waits for a member, in order; ``due`` is when a tick looks at it, in milliseconds."""

    waiting: tuple[Waiting, ...] = ()
    due: int | None = None
