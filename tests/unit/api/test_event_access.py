"""Whose events a caller may send, and who counts as an end user."""

import pytest

from api.auth.access import Caller
from api.auth.credentials import Role, VerifiedKey
from api.auth.tokens import EndUser
from api.faces.events.access import is_end_user, require_own
from api.http.problems import Problem


def user(*, is_admin: bool) -> Caller:
    return Caller("acme", user=EndUser("acme", "ann", is_admin))


def test_a_token_is_an_end_users_unless_its_role_is_admin() -> None:
    assert is_end_user(user(is_admin=False))
    assert not is_end_user(user(is_admin=True)), "it acts for the backend, as a key does"
    assert not is_end_user(Caller("acme", key=VerifiedKey("k", "acme", Role.PRODUCER)))


def test_only_an_end_user_is_held_to_its_own() -> None:
    require_own(user(is_admin=False), "ann")
    require_own(user(is_admin=True), "bob")
    with pytest.raises(Problem) as refused:
        require_own(user(is_admin=False), "bob")
    assert refused.value.status == 403
