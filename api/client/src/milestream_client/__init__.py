"""A client of Milestream: send what members do, and read what it led to.

`Client` and `AsyncClient` go over HTTP; `Publisher`, `AsyncPublisher` and `Subscriber` over Kafka
(in `milestream_client.publishing` and `.subscribing`, with the extra `kafka`).
"""

from milestream_client.answers import Answer, Misunderstood
from milestream_client.errors import (
    FieldError,
    InvalidWrite,
    MilestreamError,
    Refused,
    Unanswered,
    UndecodableEvent,
)
from milestream_client.http import AsyncClient, Client
from milestream_client.identity import member_id
from milestream_client.writes import (
    ActivityLog,
    AdjustPoints,
    AssignTier,
    CaptureHold,
    ChallengeLog,
    CheckIn,
    DeleteMember,
    Enrol,
    Event,
    ForgetMember,
    Fulfilment,
    HoldPoints,
    NaturalKey,
    OwnedBy,
    RedeemPoints,
    ReleaseHold,
    ReviewActivity,
    SpendPoints,
    Unenrol,
    UpdateMemberStatus,
    UpdateRewardLog,
    Upload,
    UpsertMember,
    Void,
    Write,
)

__version__ = "0.5.0"

__all__ = [
    "ActivityLog",
    "AdjustPoints",
    "Answer",
    "AssignTier",
    "AsyncClient",
    "CaptureHold",
    "ChallengeLog",
    "CheckIn",
    "Client",
    "DeleteMember",
    "Enrol",
    "Event",
    "FieldError",
    "ForgetMember",
    "Fulfilment",
    "HoldPoints",
    "InvalidWrite",
    "MilestreamError",
    "Misunderstood",
    "NaturalKey",
    "OwnedBy",
    "RedeemPoints",
    "Refused",
    "ReleaseHold",
    "ReviewActivity",
    "SpendPoints",
    "Unanswered",
    "UndecodableEvent",
    "Unenrol",
    "UpdateMemberStatus",
    "UpdateRewardLog",
    "Upload",
    "UpsertMember",
    "Void",
    "Write",
    "member_id",
]
