"""Which web sites may write with a login that a browser remembers."""

import pytest

from api.access import is_foreign

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
