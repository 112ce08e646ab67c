"""The published table of activity types: singular, plural, label, and how each can be fulfilled.

Types and fulfilments are lower-case names. ``data`` stands for what its platform's pages call Data
Tracking, Data Checkpoint and Data Target.
"""

from collections.abc import Mapping
from typing import NamedTuple


class ActivityType(NamedTuple):
    """The words for a type, and the fulfilments that an activity of it may have."""

    singular: str
    plural: str
    label: str
    fulfilments: tuple[str, ...]


VIEW = "view"
COMPLETE = "complete"
CHECK_IN = "check-in"
QR_CODE = "qr code"
HONOR = "honor"
UPLOAD = "upload"
UPLOAD_REVIEW = "upload & review"
ENROLLMENT = "enrollment"
VISIT = "visit"
TRACKING = "tracking"
CHECKPOINT = "checkpoint"
DATA = "data"

_SCORED = (VIEW, COMPLETE)
_ATTENDED = (CHECK_IN, QR_CODE)
_CONFIRMED = (HONOR, UPLOAD, UPLOAD_REVIEW)

TYPES: Mapping[str, ActivityType] = {
    "article": ActivityType("Article", "Articles", "Article", (VIEW,)),
    "audio": ActivityType("Audio", "Audio", "Audio", (VIEW,)),
    "certificate": ActivityType("Certificate", "Certificates", "Certificate", (VIEW,)),
    "milestone": ActivityType("Milestone", "Milestones", "Milestone", (VIEW,)),
    "podcast episode": ActivityType(
        "Podcast Episode", "Podcast Episodes", "Podcast Episode", (VIEW,)
    ),
    "reward": ActivityType("Reward", "Rewards", "Reward", (VIEW,)),
    "stream snippet": ActivityType("Stream Snippet", "Stream Snippets", "Stream Snippet", (VIEW,)),
    "video": ActivityType("Video", "Videos", "Video", (VIEW,)),
    "youtube video": ActivityType("YouTube Video", "YouTube Videos", "YouTube Video", (VIEW,)),
    "assessment": ActivityType("Assessment", "Assessments", "Assessment", _SCORED),
    "story": ActivityType("Story", "Stories", "Story", _SCORED),
    "survey": ActivityType("Survey", "Surveys", "Survey", _SCORED),
    "classroom": ActivityType("Classroom", "Classrooms", "Classroom", _ATTENDED),
    "event": ActivityType("Event", "Events", "Event", _ATTENDED),
    "confirmation": ActivityType("Confirmation", "Confirmations", "Confirmation", _CONFIRMED),
    "physical activity": ActivityType(
        "Physical Activity", "Physical Activities", "Physical Activity", (*_CONFIRMED, QR_CODE)
    ),
    "connect pathway": ActivityType(
        "Connect Pathway", "Connect Pathways", "Connect Pathway", (ENROLLMENT,)
    ),
    "data": ActivityType("Data", "Data", "Data Target", (DATA, TRACKING, CHECKPOINT)),
    "data checkpoint": ActivityType(
        "Data Checkpoint", "Data Checkpoints", "Data Checkpoint", (DATA, CHECKPOINT)
    ),
    "data tracking": ActivityType(
        "Data Tracking", "Data Tracking", "Data Tracking", (DATA, TRACKING)
    ),
    "web activity": ActivityType(
        "Web Activity", "Web Activities", "Web Activity", (VISIT, TRACKING)
    ),
}
"""By the type's lower-case name."""

FULFILMENTS = frozenset(name for each in TYPES.values() for name in each.fulfilments)
"""Every way in which an activity can be fulfilled."""


MEASURED = frozenset({DATA, TRACKING, CHECKPOINT})
"""The fulfilments that measure something against a target."""


def type_named(text: str) -> str | None:
    """Return the type that a name, plural or label means, without regard to case; None: none."""
    wanted = text.strip().casefold()
    for name, words in TYPES.items():
        if wanted in (name, words.singular.casefold(), words.plural.casefold()):
            return name
    for name, words in TYPES.items():
        if wanted == words.label.casefold():
            return name
    return None
