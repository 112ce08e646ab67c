"""The records of voids, for tests."""

from typing import Any

from tests.spec import CHALLENGE, Sent, command


def void(what: str = "challenge_log", identifier: str = "void-1", **fields: Any) -> Sent:
    """A void of Ann's."""
    known = {"userId": "ann", "uniqueIdentifier": identifier, "reason": "sent back"}
    return command("void", what=what, **known | fields)


def void_log(log: str = "log-1", identifier: str = "void-1", **fields: Any) -> Sent:
    """A void of a challenge log by its natural key."""
    of = {"challengeId": CHALLENGE, "uniqueIdentifier": log}
    return void("challenge_log", identifier, of=of, **fields)
