"""What the fold knows of members' keys: it asks for what is sealed to be opened, as it asks for
entries to be loaded."""

from typing import Protocol

from schemas.records import Profile


class MemberKeys(Protocol):
    """The keys of the members of one partition, as they were when the chunk was fetched."""

    def opened(self, member_id: str, sealed: str, first: int = 0) -> Profile | None:
        """Return a member's sealed fields; None where they cannot be opened, as when their key is
        gone, or was written before the offset ``first``."""
        ...


class NoKeys:
    """Opens nothing."""

    def opened(self, member_id: str, sealed: str, first: int = 0) -> None:
        """Open nothing."""


NO_KEYS = NoKeys()
