"""Who writes a definition, as a request names it."""

import pytest
from fastapi import Request

from api.http.actors import named
from api.http.problems import Problem


def asking(*actors: bytes) -> Request:
    """A request with these headers."""
    return Request({"type": "http", "headers": [(b"x-actor", actor) for actor in actors]})


def test_who_is_named_is_known_and_nobody_need_be() -> None:
    assert named(asking()) is None
    assert named(asking(b"zoe@example.org")) == "zoe@example.org"
    assert named(asking(b"  zoe ")) == "zoe"
    assert named(asking("Zoë".encode())) == "Zoë"
    assert named(asking("Zoë".encode("latin-1"))) == "Zoë"
    assert named(asking(("ë" * 128).encode())) == "ë" * 128


@pytest.mark.parametrize(
    "actors", [(b"",), (b"  ",), (b"a" * 129,), (b"a", b"b"), (b"a\tb",), (b"a\x7f",)]
)
def test_what_is_no_name_is_refused(actors: tuple[bytes, ...]) -> None:
    with pytest.raises(Problem) as refused:
        named(asking(*actors))
    assert refused.value.status == 400
    assert [field for field, _ in refused.value.errors] == ["x-actor"]
