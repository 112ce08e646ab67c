"""What `milestream verify` says where a member's key that it needs is damaged."""

from typing import Any

import pytest
from click.testing import CliRunner

from deploy import topics_create
from deploy.cli import load
from deploy.errors import CommandError
from processor import verification
from processor.reading import KeysUnread


async def _nothing(*_: Any) -> None:
    return None


def test_a_damaged_key_that_verify_needs_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    async def verify(*_: Any) -> None:
        raise KeysUnread("the keys of members cannot be read: the key bad of member ann")

    monkeypatch.setattr(topics_create, "check_topics", _nothing)
    monkeypatch.setattr(verification, "verify", verify)
    found = CliRunner().invoke(load("verify"), [])
    assert isinstance(found.exception, CommandError)
    assert "the key bad of member ann" in str(found.exception)
