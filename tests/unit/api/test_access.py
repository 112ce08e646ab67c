"""Which web sites may write with a login that a browser remembers."""

import pytest
from fastapi import Request

from api.auth.access import _api_key_of, _token_of, is_foreign

PUBLIC = "https://milestream.example.org"


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        ("http://10.0.0.5:8080", "10.0.0.5:8080", False),
        ("http://Intern:80", "intern", False),
        ("https://intern", "intern:443", False),
        ("http://[::1]:8080", "[::1]:8080", False),
        (PUBLIC, "127.0.0.1:8080", False),
        ("https://evil.example.org", "127.0.0.1:8080", True),
        ("http://10.0.0.5:9090", "10.0.0.5:8080", True),
        ("http://10.0.0.5", "10.0.0.5:8080", True),
        ("https://milestream.example.org.evil.org", "127.0.0.1:8080", True),
        ("null", "127.0.0.1:8080", True),
        ("null", "", True),
        ("", "", True),
        ("http://", "", True),
        ("http://a:b", "a:b", True),
        ("http://[", "[", True),
    ],
)
def test_an_origin_is_the_apis_own_or_foreign(origin: str, host: str, foreign: bool) -> None:
    assert is_foreign(origin, host, PUBLIC) is foreign


@pytest.mark.parametrize("between", [" ", "   ", "\t", " \t "])
@pytest.mark.parametrize("spelled", ["{}", "{} "])
def test_a_scheme_may_be_spelt_in_any_way(between: str, spelled: str) -> None:
    def request(text: str) -> Request:
        headers = [(b"authorization", spelled.format(text).encode())]
        return Request({"type": "http", "headers": headers})

    for scheme in ("basic", "Basic", "BASIC"):
        assert _api_key_of(request(f"{scheme}{between}azpzOnQ=")) == ("k", "s:t")
    for scheme in ("bearer", "Bearer", "BEARER"):
        assert _token_of(request(f"{scheme}{between}a.b.c")) == "a.b.c"
