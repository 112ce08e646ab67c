"""The shape of a problem document (RFC 9457)."""

import json

from msgspec import Raw

from api.http.problems import Problem, invalid, response


def test_a_problem_has_the_members_of_the_rfc_and_a_code() -> None:
    answer = response(invalid("limit", "must be a number"))
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "limit: must be a number",
        "code": "invalid",
        "errors": [{"field": "limit", "message": "must be a number"}],
    }


def test_what_is_not_there_is_left_out() -> None:
    document = json.loads(bytes(response(Problem(404, "Gone.")).body))
    assert set(document) == {"type", "title", "status", "detail", "code"}


def test_a_duplicate_carries_the_first_answer_byte_by_byte() -> None:
    raw = b'{"value": 1.10}'
    body = bytes(response(Problem(409, "Seen.", code="duplicate", record=Raw(raw))).body)
    assert b'"record":' + raw in body


def test_a_401_says_how_to_log_in() -> None:
    assert response(Problem(401, "Who?")).headers["www-authenticate"].startswith("Basic ")
