"""Signatures: the text that is signed, and what it covers."""

import base64

import pytest

from api.faces.game_mechanics.signature import agrees, base_string, encoded, expected, normalized

URL = "https://gm.example.org/gm.getActionsLog"


def test_the_signed_text_is_method_address_and_sorted_parameters() -> None:
    values = {"nonce": "7", "UID": "ann lee", "apiKey": "k", "context": "a&b=ü~", "sig": "no"}
    assert base_string("post", URL, values) == (
        "POST&https%3A%2F%2Fgm.example.org%2Fgm.getActionsLog&"
        "UID%3Dann%2520lee%26apiKey%3Dk%26context%3Da%2526b%253D%25C3%25BC~%26nonce%3D7"
    )


def test_a_signature_by_openssl_is_the_same() -> None:
    # printf '%s' "$TEXT" | openssl dgst -sha1 -mac HMAC -macopt hexkey:00ff10 -binary | base64
    secret = base64.b64encode(bytes.fromhex("00ff10")).decode()
    assert (
        base_string("GET", "http://h/p", {"b": "2", "a": "1"})
        == "GET&http%3A%2F%2Fh%2Fp&a%3D1%26b%3D2"
    )
    assert (
        expected(secret, "GET", "http://h/p", {"b": "2", "a": "1"})
        == "rmTc3GBiEIbtI9pNX23EMthOM2I="
    )


@pytest.mark.parametrize(
    ("url", "signed"),
    [
        ("http://GM.Example.org:80/gm.x", "http://gm.example.org/gm.x"),
        ("https://gm.example.org:443/gm.x", "https://gm.example.org/gm.x"),
        ("http://gm.example.org:443/gm.x", "http://gm.example.org:443/gm.x"),
        ("http://127.0.0.1:8080/gm.x", "http://127.0.0.1:8080/gm.x"),
        ("http://[::1]:8080/gm.x", "http://[::1]:8080/gm.x"),
        ("https://example.org/loyalty/gm.x", "https://example.org/loyalty/gm.x"),
    ],
)
def test_the_address_is_signed_in_one_form(url: str, signed: str) -> None:
    assert normalized(url) == signed


def test_encoding_is_that_of_rfc_3986() -> None:
    assert encoded("Az09-._~") == "Az09-._~"
    assert encoded(" !*'()/+") == "%20%21%2A%27%28%29%2F%2B"


def test_a_name_cannot_pass_for_a_name_with_a_value() -> None:
    one = base_string("GET", URL, {"a=1&b": "2"})
    assert one != base_string("GET", URL, {"a": "1", "b": "2"})


@pytest.mark.parametrize("change", ["method", "url", "value", "name", "more", "less"])
def test_any_change_makes_another_signature(change: str) -> None:
    secret = base64.b64encode(b"secret").decode()
    values = {"UID": "ann", "apiKey": "k"}
    changed = {
        "method": ("POST", URL, values),
        "url": ("GET", URL.replace("https", "http"), values),
        "value": ("GET", URL, values | {"UID": "bob"}),
        "name": ("GET", URL, {"uid": "ann", "apiKey": "k"}),
        "more": ("GET", URL, values | {"startTime": ""}),
        "less": ("GET", URL, {"apiKey": "k"}),
    }[change]
    assert expected(secret, *changed) != expected(secret, "GET", URL, values)


def test_a_signature_may_be_any_text() -> None:
    assert agrees("abc=", "abc=")
    assert not agrees("äbc=", "abc=")
    assert not agrees("", "abc=")
