"""The envelope, as JSON and as a script; what is echoed, and what is refused."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import Response
from fastapi.responses import StreamingResponse

from api.faces.game_mechanics.errors import (
    BAD_VALUE,
    MISSING_PARAMETER,
    PENDING,
    SERVER_ERROR,
    UNAUTHORIZED,
    CallError,
)
from api.faces.game_mechanics.parameters import Parameters
from api.faces.game_mechanics.presentation import Presentation, presentation_of


def body(response: Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(response.body))
    return found


def presented(**values: str) -> Presentation:
    presentation, fault = presentation_of(Parameters(values))
    assert fault is None
    return presentation


def test_a_success_has_the_seeds_envelope_and_no_word_of_errors() -> None:
    answer = Presentation().success({"actions": []})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    shown = body(answer)
    assert list(shown) == ["actions", "statusCode", "errorCode", "statusReason", "callId", "time"]
    assert (shown["statusCode"], shown["errorCode"], shown["statusReason"]) == (200, 0, "OK")
    assert re.fullmatch(r"[0-9a-f]{32}", shown["callId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["time"])


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        (UNAUTHORIZED, 403, "Forbidden"),
        (BAD_VALUE, 400, "Bad Request"),
        (PENDING, 202, "Accepted"),
        (SERVER_ERROR, 500, "Internal Server Error"),
    ],
)
def test_a_failure_is_a_200_unless_statuses_are_wanted(code: int, status: int, reason: str) -> None:
    for flag, http in (("false", 200), ("", 200), ("true", status)):
        answer = presented(httpStatusCodes=flag).failure(CallError(code, "Why."))
        assert answer.status_code == http
        shown = body(answer)
        assert (shown["statusCode"], shown["errorCode"]) == (status, code)
        assert shown["statusReason"] == reason
        assert shown["errorMessage"]
        assert shown["errorDetails"] == "Why."


def test_what_a_pending_call_needs_is_beside_the_error() -> None:
    error = CallError(PENDING, "Later.", fields={"uniqueIdentifier": "u"})
    assert body(Presentation().failure(error))["uniqueIdentifier"] == "u"


@pytest.mark.parametrize(
    ("given", "echoed"),
    [
        ("some text", "some text"),
        ('{"a": [1.10, "ü"]}', {"a": [1.1, "ü"]}),
        (' [1, {"b": null}] ', [1, {"b": None}]),
        ("{no json", "{no json"),
        ("[1,]", "[1,]"),
        ("123", "123"),
        ("true", "true"),
        ('"quoted"', '"quoted"'),
        ("</script>", "</script>"),
    ],
)
def test_a_context_comes_back_as_text_or_json(given: str, echoed: object) -> None:
    presentation = presented(context=given)
    assert body(presentation.success({}))["context"] == echoed
    assert body(presentation.failure(CallError(BAD_VALUE, "x")))["context"] == echoed


def test_a_context_is_not_changed() -> None:
    assert b'"context":{"n": 1.10}' in bytes(presented(context='{"n": 1.10}').success({}).body)
    assert "context" not in body(presented(context="").success({}))


@pytest.mark.parametrize("given", ['{"a":"\\u0000"}', '["\\ud800"]'])
def test_a_context_that_no_json_may_hold(given: str) -> None:
    presentation, fault = presentation_of(Parameters({"context": given, "httpStatusCodes": "true"}))
    assert fault is not None
    assert fault.code == BAD_VALUE
    assert presentation == Presentation(http_status_codes=True)


@pytest.mark.parametrize("callback", ["cb", "$._.a1", "gigya.callback", "a" * 100])
def test_a_script_calls_back(callback: str) -> None:
    answer = presented(format="jsonp", callback=callback, context="x").success({"actions": []})
    text = bytes(answer.body).decode()
    assert text.startswith(f"/**/{callback}({{")
    assert text.endswith("});")
    assert json.loads(text.removeprefix(f"/**/{callback}(")[:-2])["context"] == "x"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_in_a_script_can_end_it() -> None:
    context = "</script><!--\u2028\u2029"
    text = bytes(
        presented(format="jsonp", callback="cb", context=context).success({}).body
    ).decode()
    assert not set("<\u2028\u2029") & set(text)
    assert json.loads(text[len("/**/cb(") : -2])["context"] == context


HOSTILE = (
    "alert(1)",
    "cb;alert(1)//",
    "a" * 10_240,
    "a" * 101,
    "\\u0061lert",
    "cb\n",
    "cb.",
    ".cb",
    "a..b",
    "1a",
    "a b",
    "a[0]",
    "<script>",
    "çb",
    "cb\u2028",
    "a-b",
    "cb/**/",
    "\uff41lert",
)


@pytest.mark.parametrize("callback", HOSTILE)
def test_a_callback_that_is_no_path_of_names_is_refused_as_json(callback: str) -> None:
    given = Parameters({"format": "jsonp", "callback": callback, "context": "c"})
    presentation, fault = presentation_of(given)
    assert fault is not None
    assert fault.code == BAD_VALUE
    answer = presentation.failure(fault)
    assert answer.headers["content-type"] == "application/json"
    assert body(answer)["context"] == "c"
    assert callback not in fault.details


def test_a_script_without_a_callback_misses_it() -> None:
    for values in ({"format": "jsonp"}, {"format": "jsonp", "callback": ""}):
        presentation, fault = presentation_of(Parameters(values))
        assert fault is not None
        assert fault.code == MISSING_PARAMETER
        assert "callback" in fault.message
        assert presentation.callback is None


@pytest.mark.parametrize(
    "values", [{"format": "xml"}, {"format": "JSON"}, {"httpStatusCodes": "maybe"}]
)
def test_what_is_not_a_way_to_answer(values: dict[str, str]) -> None:
    _, fault = presentation_of(Parameters(values))
    assert fault is not None
    assert fault.code == BAD_VALUE


def test_a_callback_without_a_script_is_nobodys_business() -> None:
    assert presented(callback="alert(1)").callback is None


@pytest.mark.parametrize("callback", [None, "cb"])
async def test_a_long_list_comes_piece_by_piece(callback: str | None) -> None:
    async def items() -> AsyncIterator[bytes]:
        yield b'"<a>","b"'
        yield b'"c"'

    presentation = Presentation(callback=callback, context="<>")
    answer = presentation.stream("actions", items())
    assert isinstance(answer, StreamingResponse)
    text = b"".join([bytes(piece) async for piece in answer.body_iterator]).decode()  # type: ignore[arg-type]
    if callback is not None:
        assert "<" not in text
        assert (text[:7], text[-2:]) == ("/**/cb(", ");")
        text = text[7:-2]
    shown = json.loads(text)
    assert list(shown) == list(body(presented(context="<>").success({"actions": []})))
    assert shown["actions"] == ["<a>", "b", "c"]
    assert shown["errorCode"] == 0
