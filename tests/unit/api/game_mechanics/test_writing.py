"""What becomes of an action's attributes, and of the processor's refusals."""

import pytest

from api.faces.game_mechanics.errors import BAD_VALUE, SERVER_ERROR, UNAUTHORIZED, CallError
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.writing import _refused, attributes
from api.http.problems import Problem
from schemas.records import ABSENT


def test_attributes_are_the_callers_own_text() -> None:
    text = '{"amount": 1.10, "tags": ["a"]}'
    assert bytes(attributes(Parameters({"actionAttributes": f" {text} "}))) == text.encode()
    assert attributes(Parameters({})) == ABSENT
    assert attributes(Parameters({"actionAttributes": ""})) == ABSENT


@pytest.mark.parametrize(
    "text",
    ["[]", "1", "text", "{", '{"a":NaN}', '{"a":"\\u0000"}', '{"a":"\\ud800"}', "[" * 5000, "null"],
)
def test_attributes_must_be_a_json_object(text: str) -> None:
    with pytest.raises(CallError) as caught:
        attributes(Parameters({"actionAttributes": text}))
    assert caught.value.code == BAD_VALUE
    assert "actionAttributes" in caught.value.message


@pytest.mark.parametrize(
    ("problem", "code", "named"),
    [
        (Problem(404, "x", code="unknown_member", errors=[("userId", "x")]), UNAUTHORIZED, "UID"),
        (
            Problem(404, "x", code="unknown_event", errors=[("eventId", "no such event")]),
            BAD_VALUE,
            "action: no such event",
        ),
        (
            Problem(400, "x", code="inactive", errors=[("eventId", "the event is not active")]),
            BAD_VALUE,
            "action: the event is not active",
        ),
        (
            Problem(400, "x", code="invalid", errors=[("metadata.amount", "is required")]),
            BAD_VALUE,
            "actionAttributes.amount: is required",
        ),
        (Problem(412, "changed", code="version_mismatch"), BAD_VALUE, "changed"),
        (Problem(503, "away"), SERVER_ERROR, "away"),
    ],
)
def test_a_refusal_has_its_code(problem: Problem, code: int, named: str) -> None:
    error = _refused(problem)
    assert error.code == code
    assert named in error.details
