"""Examples of requests and answers in `/openapi.json`, most of them from the products' documents
that the faces follow."""

from collections.abc import Mapping
from typing import Any

Examples = Mapping[str, Any]
"""By a few words on what each shows."""

_CHALLENGE = "5d8a1f0e-3a54-4b7e-9a32-0f5f1b1c7a10"
_PATHWAY = "Become A Store Owner"

BODIES: Mapping[str, Examples] = {
    "post /schema/challenge/record": {
        "monthly spend": {
            "name": "Monthly spend",
            "aggregationMethod": "sum",
            "aggregationPeriod": "monthly",
            "completionTargetValue": 500,
        },
        "monthly visits": {
            "name": "Café visits",
            "aggregationMethod": "count",
            "aggregationPeriod": "monthly",
            "completionTargetValue": 10,
        },
    },
    "post /schema/milestone/record": {
        "a free coffee": {
            "name": "Free coffee",
            "milestoneTargetValue": 4,
            "linkedSchemaRecordId": _CHALLENGE,
        },
    },
    "post /schema/challenge_log/record": {
        "an order, and who made it": {
            "challengeId": _CHALLENGE,
            "ownedBy": {
                "externalId": "user-123",
                "firstName": "Joe",
                "lastName": "Soap",
                "email": "joe.soap@example.com",
            },
            "activityAt": "2026-11-21T09:30:00Z",
            "activityId": "made_a_purchase",
            "uniqueIdentifier": "order-1001",
            "activityValue": 87.5,
        },
        "a visit of a member that is there": {
            "challengeId": _CHALLENGE,
            "ownedById": "0b9f3c1e-7c1d-4f0a-8a51-6a5f1b1c7a11",
            "activityAt": "2026-11-21T09:30:00Z",
            "activityId": "visited_cafe",
            "uniqueIdentifier": "visit-4",
        },
    },
    "post /schema/member/record": {
        "a member": {
            "externalId": "user-123",
            "firstName": "Joe",
            "lastName": "Soap",
            "email": "joe.soap@example.com",
            "phoneNumber": "+14155552671",
        },
    },
    "patch /schema/reward_log/record/{id}": {
        "the coupon was issued": {
            "couponCode": "COFFEE-7F3K",
            "rewardIssuedAt": "2026-11-21T09:30:05Z",
            "rewardExpiryAt": "2027-02-21T00:00:00Z",
        },
    },
    "post /schema/challenge_log/record/{id}/void": {
        "the order came back": {"reason": "order was returned", "uniqueIdentifier": "return-1001"},
    },
    "post /event": {
        "a purchase": {
            "eventId": "purchase_completed",
            "userId": "user-123",
            "metadata": {
                "amount": 49.99,
                "currency": "EUR",
                "usergroup": ["default"],
                "source": "web",
            },
        },
    },
    "post /event/{id}/void": {
        "half of it came back": {
            "reason": "one of two items returned",
            "uniqueIdentifier": "return-1",
            "portion": 0.5,
        },
    },
    "post /user/{id}/spend": {"a voucher": {"points": 300, "uniqueIdentifier": "voucher-1"}},
    "post /user/{id}/hold": {
        "while the checkout is open": {"points": 300, "uniqueIdentifier": "checkout-1"},
    },
    "post /user/{id}/hold/{holdIdentifier}/capture": {
        "most of what was held": {"points": 250, "uniqueIdentifier": "checkout-1-paid"},
    },
    "post /user/{id}/hold/{holdIdentifier}/release": {
        "the checkout was left": {"uniqueIdentifier": "checkout-1-left"},
    },
    "post /user/{id}/adjust": {
        "for a complaint": {
            "points": 100,
            "reason": "late delivery",
            "actor": "service desk",
            "uniqueIdentifier": "complaint-1",
        },
    },
    "post /v1/logs/pathway-logs": {
        "all of a pathway": {"pathway": _PATHWAY},
        "some types": {"pathway": _PATHWAY, "types": ["Data Target", "Certificates", "Stories"]},
        "one user": {"pathway": _PATHWAY, "users": ["joe.soap@example.com"]},
        "some activities": {"pathway": _PATHWAY, "activities": ["Story A", "Video A"]},
    },
    "post /clock": {"the end of the month": {"now": "2026-11-30T23:00:00Z"}},
}
"""By operation: bodies that can be sent as they stand, where what they name is there."""

ANSWERS: Mapping[str, Any] = {
    "post /event": {
        "statusCode": 200,
        "message": "Event erfolgreich geloggt",
        "data": {
            "userId": "user-123",
            "eventId": "purchase_completed",
            "points": 50,
            "type": "TRANSACTION",
            "title": "Purchase completed",
            "limit": 10,
            "maximumReward": 1000,
            "metadata": {
                "amount": 49.99,
                "currency": "EUR",
                "usergroup": ["default"],
                "source": "web",
            },
            "conditionReached": True,
            "limitReached": False,
            "userGroupId": "default",
        },
    },
    "get /gm.getActionsLog": {
        "actions": [
            {
                "time": "2012-04-16 09:17:00Z",
                "actionID": "1",
                "points": 10,
                "challengeID": "_default",
                "operation": "grant",
            },
            {
                "time": "2012-04-16 09:16:45Z",
                "actionID": "_siteLogin",
                "points": 10,
                "challengeID": "books",
                "operation": "grant",
            },
        ],
        "statusCode": 200,
        "errorCode": 0,
        "statusReason": "OK",
        "callId": "dd62d65ba14d4352ac239fc1f37a53c3",
        "time": "2012-04-16T09:18:25.943Z",
    },
}
"""By operation: what it answers with 200."""


def add(operation: dict[str, Any], verb: str, path: str) -> None:
    """Add to an operation the examples that there are of it."""
    name = f"{verb} {path}"
    if name in BODIES:
        for content in operation["requestBody"]["content"].values():
            content["examples"] = {
                words.replace(" ", "_"): {"summary": words, "value": value}
                for words, value in BODIES[name].items()
            }
    if name in ANSWERS:
        operation["responses"]["200"]["content"]["application/json"]["example"] = ANSWERS[name]
