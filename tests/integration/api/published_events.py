"""The published JSON of the events face, word for word, and how an answer is held against it."""

import json
from typing import Any

REQUEST: dict[str, Any] = json.loads("""
{
"eventId": "purchase_completed",
"userId": "user-123",
"metadata": {
"amount": 49.99,
"currency": "EUR",
"usergroup": ["default"],
"source": "web"
}
}
""")

POSTED: dict[str, Any] = json.loads("""
{ "statusCode": 200, "message": "Event erfolgreich geloggt", "data": { "userId": "user-123", "eventId": "purchase_completed", "points": 50, "type": "TRANSACTION", "title": "Purchase completed", "limit": 10, "maximumReward": 1000, "metadata": { "amount": 49.99, "currency": "EUR", "usergroup": ["default"], "source": "web" }, "conditionReached": true, "limitReached": false, "userGroupId": "default" } }
""")  # noqa: E501  # word for word

EVENT: dict[str, Any] = json.loads("""
{ "eventId": "purchase_completed", "title": "Purchase completed", "description": "Tracks completed purchases", "status": "ACTIVE", "limit": 10, "maximumReward": 1000, "reward": { "default": 2 }, "conditions": { "type": "AND", "conditions": [ { "field": "amount", "operator": "greater_than", "value": 0 } ] }, "metadataFields": [ { "key": "amount", "type": "number", "required": true } ], "type": "TRANSACTION" }
""")  # noqa: E501  # word for word

STREAK: dict[str, Any] = json.loads("""
{ "streakId": "daily_login", "totalParticipants": 1240, "activeParticipants": 830, "averageStreakLength": 6.2, "longestUserStreak": 45, "completionRate": 0.67 }
""")  # noqa: E501  # word for word

GLOBAL_STATS: dict[str, Any] = json.loads("""
{ "period": "7d", "eventId": null, "startDate": "2025-08-01", "endDate": "2025-08-07", "data": { "totalEvents": 6120, "uniqueUsers": 1420, "totalPoints": 81230, "eventBreakdown": { "purchase_completed": { "count": 4210, "users": 980, "points": 71230 }, "login": { "count": 1910, "users": 1240, "points": 10000 } }, "topEvents": ["purchase_completed", "login"], "dailyData": { "2025-08-01": { "events": 900, "users": 320, "points": 11000, "hourlyDistribution": [] } }, "_metadata": { "uniqueUsersCalculationMethod": "daily_exact", "uniqueUsersNote": null } } }
""")  # noqa: E501  # word for word

EVENT_STATS: dict[str, Any] = json.loads("""
{
"period": "30d",
"eventId": "purchase_completed",
"startDate": "2025-08-01",
"endDate": "2025-08-30",
"data": {
"totalCount": 4100,
"uniqueUsers": 950,
"pointsAwarded": 71000,
"conditionMet": 4050,
"conditionFailed": 50,
"limitReached": 20,
"dailyData": {
"2025-08-01": {
"count": 200,
"users": 120,
"points": 3400,
"hourlyDistribution": []
}
}
}
}
""")

_BY_ID = ("eventBreakdown", "dailyData", "reward", "metadata")
"""Objects whose keys are ids or dates: any number of them, each like the first."""


def assert_same_shape(answer: Any, shown: Any, path: str = "$") -> None:
    """Compare an answer with the published one: the same keys in the same order, the same types."""
    if isinstance(shown, bool) or shown is None or isinstance(shown, str):
        assert type(answer) is type(shown), path
    elif isinstance(shown, int | float):
        assert isinstance(answer, int | float), path
        assert not isinstance(answer, bool), path
    elif isinstance(shown, list):
        assert isinstance(answer, list), path
        for item in answer if shown else ():
            assert_same_shape(item, shown[0], f"{path}[]")
    elif path.rpartition(".")[2] in _BY_ID:
        assert isinstance(answer, dict), path
        assert answer, f"{path} holds nothing to compare"
        if path.endswith(("eventBreakdown", "dailyData")):
            for key, value in answer.items():
                assert_same_shape(value, next(iter(shown.values())), f"{path}.{key}")
    else:
        assert isinstance(answer, dict), path
        assert list(answer) == list(shown), path
        for key, value in shown.items():
            assert_same_shape(answer[key], value, f"{path}.{key}")
