"""The bodies of the calls that move points, as the commands have them."""

import json
from typing import Any

import pytest
from fastapi import Request

from api.faces.events import point_bodies
from api.http.problems import Problem
from schemas.records import CaptureHold, PointsCommand, ReleaseHold


async def read(type_: type[Any], **body: Any) -> PointsCommand:
    """Read a body, sent to a path that names the hold `h/1`."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    request = Request({"type": "http", "headers": []}, receive)
    named = {"user_id": "ann", "hold_identifier": "h/1"}
    return await point_bodies.read(request, type_, "acme", **named)


@pytest.mark.parametrize(
    ("type_", "command"),
    [(point_bodies.CaptureBody, CaptureHold), (point_bodies.ReleaseBody, ReleaseHold)],
)
async def test_a_body_may_name_the_hold_of_its_path_and_no_other(
    type_: type[Any], command: type[PointsCommand]
) -> None:
    for more in ({}, {"holdIdentifier": "h/1"}, {"holdIdentifier": None}):
        read_ = await read(type_, uniqueIdentifier="c-1", **more)
        assert isinstance(read_, CaptureHold | ReleaseHold)
        assert (type(read_), read_.hold_identifier) == (command, "h/1")
    for wrong in ("h/2", "", 7):
        with pytest.raises(Problem) as refused:
            await read(type_, uniqueIdentifier="c-1", holdIdentifier=wrong)
        assert refused.value.status == 400
        assert refused.value.detail.startswith("holdIdentifier: ")
