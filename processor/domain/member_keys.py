"""What the fold knows of members' keys: it asks for what is sealed to be opened, as it asks for
entries to be loaded."""

from collections.abc import Sequence
from typing import Protocol

from schemas.records import Profile


class MemberKeys(Protocol):
    """The keys of the members of one partition, as they were when the chunk was fetched."""

    def opened(self, member_id: str, sealed: str) -> Profile | None:
        """Return a member's sealed fields; None where they cannot be opened, as when their key is
        gone."""
        ...

    def key_ids(self, member_id: str) -> Sequence[str]:
        """Return the ids of a member's keys, in their order."""
        ...


class NoKeys:
    """Opens nothing."""

    def opened(self, member_id: str, sealed: str) -> None:
        """Open nothing."""

    def key_ids(self, member_id: str) -> Sequence[str]:  # noqa: ARG002
        """Know no key."""
        return ()


NO_KEYS = NoKeys()
