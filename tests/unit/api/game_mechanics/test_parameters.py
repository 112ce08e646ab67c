"""Parameters: where they come from, and what their texts may say."""

import pytest
from fastapi import Request

from api.faces.game_mechanics.errors import BAD_VALUE, MISSING_PARAMETER, CallError
from api.faces.game_mechanics.parameters import MAX_PARAMETERS, Parameters, read

FORM = "application/x-www-form-urlencoded"


async def parsed(
    query: bytes = b"", body: bytes = b"", media_type: str | None = FORM, method: str = "POST"
) -> tuple[Parameters, CallError | None]:
    headers = [(b"content-type", media_type.encode())] if media_type else []
    scope = {"type": "http", "method": method, "query_string": query, "headers": headers}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await read(Request(scope, receive))


@pytest.mark.parametrize(
    ("query", "body", "media_type", "method"),
    [
        (b"UID=ann+lee&x=%C3%BC&e=", b"", None, "GET"),
        (b"UID=ann%20lee&x=\xc3\xbc&e=", b"", None, "GET"),
        (b"UID=ann+lee&x=%C3%BC&e=", b"", None, "POST"),
        (b"", b"UID=ann+lee&x=%C3%BC&e=", FORM, "POST"),
        (b"", b"UID=ann+lee&x=%C3%BC&e=", f"{FORM.upper()}; charset=UTF-8", "POST"),
        (b"", b"UID=ann+lee&x=%C3%BC&e=", None, "POST"),
    ],
)
async def test_they_come_from_query_or_form(
    query: bytes, body: bytes, media_type: str | None, method: str
) -> None:
    given, fault = await parsed(query, body, media_type, method)
    assert fault is None
    assert given.values == {"UID": "ann lee", "x": "ü", "e": ""}


@pytest.mark.parametrize(
    ("query", "body", "media_type"),
    [
        (b"UID=a&UID=a", b"", None),
        (b"", b"UID=a&x=1&UID=b", FORM),
        (b"UID=a", b"UID=a", FORM),
        (b"UID=a", b"startTime=1", FORM),
        (b"UID=%00", b"", None),
        (b"%00=1", b"", None),
        (b"UID=%FF", b"", None),
        (b"UID=%ED%A0%80", b"", None),
        (b"", b"\xff=1", FORM),
        (b"", b'{"UID": "a"}', "application/json"),
        (b"", b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"&".join(b"p%d=1" % n for n in range(MAX_PARAMETERS + 1)), b"", None),
    ],
)
async def test_what_cannot_be_told_for_sure_is_refused(
    query: bytes, body: bytes, media_type: str | None
) -> None:
    _, fault = await parsed(query, body, media_type)
    assert fault is not None
    assert fault.code == BAD_VALUE


async def test_what_came_once_is_known_beside_what_came_twice() -> None:
    given, fault = await parsed(b"UID=a&UID=b&context=c")
    assert fault is not None
    assert fault.message == "Invalid parameter value: UID"
    assert given.values == {"context": "c"}


@pytest.mark.parametrize(
    ("query", "body", "media_type"),
    [
        (b"context=c", b'{"UID": "a"}', "application/json"),
        (b"context=c", b"UID=%ff", FORM),
        (b"", b"UID=%ff&context=c", FORM),
        (b"context=c&UID=%ff", b"", None),
        (b"context=c&\xff=1", b"", None),
        (b"context=c" + b"".join(b"&p%d" % n for n in range(MAX_PARAMETERS)), b"", None),
    ],
)
async def test_what_can_be_read_is_known_beside_what_cannot(
    query: bytes, body: bytes, media_type: str | None
) -> None:
    given, fault = await parsed(query, body, media_type)
    assert fault is not None
    assert fault.code == BAD_VALUE
    assert given.values["context"] == "c"
    assert "UID" not in given.values


def test_a_missing_parameter_is_named_in_the_message() -> None:
    for values in ({}, {"UID": ""}):
        with pytest.raises(CallError) as caught:
            Parameters(values).required("UID")
        assert caught.value.code == MISSING_PARAMETER
        assert caught.value.message == "Missing required parameter: UID"


@pytest.mark.parametrize("text", ["-1", "1.5", "1e3", "x", " 1", "+1", "٣", "0x10", "9" * 21, "11"])
def test_a_number_is_whole_and_within_its_bounds(text: str) -> None:
    with pytest.raises(CallError) as caught:
        Parameters({"n": text}).whole("n", 0, 10)
    assert caught.value.code == BAD_VALUE


def test_a_number_that_is_good() -> None:
    given = Parameters({"n": "010", "empty": ""})
    assert given.whole("n", 0, 10) == 10
    assert given.whole("empty", 0, 10) is None
    assert given.whole("absent", 0, 10) is None


@pytest.mark.parametrize(("text", "says"), [("true", True), ("True", True), ("FALSE", False)])
def test_a_flag_is_as_languages_write_it(text: str, says: bool) -> None:
    assert Parameters({"f": text}).flag("f", not says) is says


def test_a_flag_that_is_none() -> None:
    assert Parameters({"f": ""}).flag("f", True) is True
    with pytest.raises(CallError):
        Parameters({"f": "yes"}).flag("f")


def test_a_text_has_a_length() -> None:
    assert Parameters({"UID": "x" * 256}).text("UID")
    with pytest.raises(CallError) as caught:
        Parameters({"UID": "x" * 257}).text("UID")
    assert "x" * 10 not in caught.value.details
