"""Deterministic identifiers (``schemas/README.md#identity``): of what a thing is, of no clock.

Every id is ``uuid5(NS, "<project>:<kind>:<what it is>")``. They are made from raw SHA-1 because
``uuid.uuid5`` builds a UUID object on the way and costs seven times as much, and the fold makes one
for each log.
"""

import re
import uuid
from functools import lru_cache
from hashlib import sha1

NS = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")
_NS_BYTES = NS.bytes

DEFAULT_PROJECT = "default"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The variant of RFC 4122 keeps the lower two bits of its digit."""


def derive(name: str) -> str:
    """Return the text of ``uuid5(NS, name)``.

    Raises:
        UnicodeEncodeError: ``name`` holds a lone surrogate.
    """
    h = sha1(_NS_BYTES + name.encode()).hexdigest()  # noqa: S324  # UUIDs of version 5 are SHA-1
    return f"{h[:8]}-{h[8:12]}-5{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:32]}"


def is_project(text: str) -> bool:
    """Tell whether ``text`` may name a project: ``[a-z0-9][a-z0-9-]{0,62}``."""
    return _PROJECT.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a lower-case UUID in its usual spelling."""
    return _UUID.fullmatch(text) is not None


def uuid_bytes(text: str) -> bytes:
    """Return the 16 bytes of a UUID's text."""
    return bytes.fromhex(text.replace("-", ""))


def uuid_text(raw: bytes) -> str:
    """Return the text of a UUID's 16 bytes."""
    return str(uuid.UUID(bytes=raw))


@lru_cache(maxsize=65536)
def member_id(project: str, external_id: str) -> str:
    """Return a member's id; any producer can compute the same."""
    return derive(f"{project}:member:{external_id}")


def challenge_log_id(project: str, challenge_id: str, member: str, unique_identifier: str) -> str:
    """Return a challenge log's id. Equal ids are duplicates of each other."""
    return derive(f"{project}:challenge_log:{challenge_id}:{member}:{unique_identifier}")


def event_log_id(project: str, member: str, idempotency_key: str) -> str:
    """Return the id of a logged event that has a key. Equal ids are repetitions of each other."""
    return derive(f"{project}:event:{member}:{idempotency_key}")


def placed_event_log_id(project: str, topic: str, partition: int, offset: int) -> str:
    """Return the id of a logged event that has nothing of its own but where it landed first."""
    return derive(f"{project}:event:{topic}:{partition}:{offset}")


def activity_log_id(
    project: str, pathway_id: str, activity_id: str, member: str, unique_identifier: str
) -> str:
    """Return an activity log's id. Equal ids are duplicates of each other."""
    if _joins_two_ways(pathway_id, activity_id):
        named = f"{member}/{pathway_id}/{activity_id}/{unique_identifier}"
        return derive(f"{project}:activity_log/{named}")
    named = f"{pathway_id}:{activity_id}:{member}:{unique_identifier}"
    return derive(f"{project}:activity_log:{named}")


def _joins_two_ways(pathway_id: str, activity_id: str) -> bool:
    """Tell whether other ids may look the same when joined by a colon: ``a:b`` and ``c``, ``a`` and
    ``b:c``. Those are joined by a slash, which no id holds; all others keep the ids they have."""
    return ":" in pathway_id or ":" in activity_id


def clock_id(project: str, partition: int) -> str:
    """Return the id of a project's test clock on a partition."""
    return derive(f"{project}:clock:{partition}")


def tier_id(project: str, member: str, tier_set_id: str) -> str:
    """Return the id of a member's tier in a set."""
    return derive(f"{project}:tier:{member}:{tier_set_id}")


def assignment_id(project: str, member: str, unique_identifier: str) -> str:
    """Return the id of a command that assigns a tier."""
    return derive(f"{project}:tier_assignment:{member}:{unique_identifier}")


@lru_cache(maxsize=65536)
def enrolment_id(project: str, pathway_id: str, member: str) -> str:
    """Return the id of a member's enrolment in a pathway."""
    return derive(f"{project}:enrolment:{pathway_id}:{member}")


def activity_progress_id(project: str, pathway_id: str, activity_id: str, member: str) -> str:
    """Return the id of a member's progress at an activity."""
    if _joins_two_ways(pathway_id, activity_id):
        return derive(f"{project}:activity_progress/{member}/{pathway_id}/{activity_id}")
    return derive(f"{project}:activity_progress:{pathway_id}:{activity_id}:{member}")


def points_entry_id(project: str, source: str, source_id: str) -> str:
    """Return the id of the one entry that a source (``event``, ``challenge``, …) gives."""
    return derive(f"{project}:points:{source}:{source_id}")


REDEMPTION = "redeem"
"""The source of the ledger entries that redemptions make."""


def redemption_source(member: str, unique_identifier: str) -> str:
    """Return what a redemption is told from others by: the source of its ledger entry."""
    return f"{member}:{unique_identifier}"


def redemption_id(project: str, member: str, unique_identifier: str) -> str:
    """Return the id of the one ledger entry that a redemption makes."""
    return points_entry_id(project, REDEMPTION, redemption_source(member, unique_identifier))


SPEND, CAPTURE, ADJUST, RELEASE, EXPIRE = "spend", "capture", "adjust", "release", "expire"
"""The sources of what moves points otherwise; a release makes no entry of the ledger."""

REVERSE = "reverse"
"""The source of the entries that voids make: one for each entry whose points move back."""


def command_source(member: str, unique_identifier: str) -> str:
    """Return what a command that moves points is told from others of its type by."""
    return f"{member}:{unique_identifier}"


def hold_id(project: str, member: str, hold_identifier: str) -> str:
    """Return the id of a member's hold."""
    return derive(f"{project}:hold:{member}:{hold_identifier}")


@lru_cache(maxsize=65536)
def lot_id(project: str, member: str, group: str, lot: str) -> str:
    """Return the id of one lot of a member's wallet; ``lot`` has its days and no colon."""
    return derive(f"{project}:lot:{member}:{lot}:{group}")


def time_change_id(project: str, what: str, member: str, group: str, number: int) -> str:
    """Return the id of something that time did to a member's points in a group, by the number of
    such things before."""
    return derive(f"{project}:{what}:{member}:{number}:{group}")


def placed_refusal_id(project: str, topic: str, partition: int, offset: int) -> str:
    """Return the id of a command's refusal: that of where the command landed first."""
    return derive(f"{project}:points_refused:{topic}:{partition}:{offset}")


def void_id(project: str, member: str, unique_identifier: str) -> str:
    """Return the id of a command that voids."""
    return derive(f"{project}:void:{member}:{unique_identifier}")


def correction_id(project: str, member: str, unique_identifier: str) -> str:
    """Return the id of a command that corrects a progress."""
    return derive(f"{project}:correction:{member}:{unique_identifier}")


def correction_identifier(recalculation_id: str, challenge_id: str, period_key: str) -> str:
    """Return the ``uniqueIdentifier`` of the one command that a recalculation has for a member's
    progress."""
    return f"{recalculation_id}:{challenge_id}:{period_key}"


def more_points_source(first: str, recalculation_id: str) -> str:
    """Return what the entry of points that a recalculation gives is told from others of its source
    by, given what its source's first entry is told by."""
    return f"{first}:{recalculation_id}"


def reversal_source(void_id: str, entry_id: str) -> str:
    """Return what the entry of a void is told from others by, given whose points move back."""
    return f"{void_id}:{entry_id}"


@lru_cache(maxsize=65536)
def streak_progress_id(project: str, streak_id: str, member: str) -> str:
    """Return the id of a member's streak."""
    return derive(f"{project}:streak_progress:{streak_id}:{member}")


@lru_cache(maxsize=65536)
def progress_id(project: str, challenge_id: str, member: str, period_key: str) -> str:
    """Return the id of one member's progress in one period of a challenge."""
    return derive(f"{project}:challenge_progress:{challenge_id}:{member}:{period_key}")


def milestone_reached_id(project: str, milestone_id: str, member: str, period_key: str) -> str:
    """Return the id of the fact that a member reached a milestone in a period."""
    return derive(f"{project}:milestone_reached:{milestone_id}:{member}:{period_key}")


def reward_log_id(project: str, milestone_id: str, member: str, period_key: str) -> str:
    """Return the id of the one reward log that a member gets for a milestone and period."""
    return derive(f"{project}:reward_log:{milestone_id}:{member}:{period_key}")


def event_id(project: str, event_type: str, record_id: str, version: int = 0) -> str:
    """Return a CloudEvent's id: the ``version``-th event of this type about this record."""
    return derive(f"{project}:{event_type}:{record_id}:{version}")
