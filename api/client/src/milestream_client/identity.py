"""Ids that anybody can compute."""

import uuid

DEFAULT_PROJECT = "default"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "milestream")


def member_id(external_id: str, project: str = DEFAULT_PROJECT) -> str:
    """Return the id of the member that a project calls `external_id`."""
    return str(uuid.uuid5(NAMESPACE, f"{project}:member:{external_id}"))


def new_identifier() -> str:
    """Return an identifier for a new intent: of one that is tried again, keep the first."""
    return str(uuid.uuid4())
