"""Environments of peers: made once, and a peer that has none is left out with a reason."""

from pathlib import Path

import pytest

from tests.bench.peers import PeerUnavailable
from tests.bench.peers.environments import Environment
from tests.bench.report import Report


def test_an_environment_is_made_once_for_what_its_file_says(tmp_path: Path) -> None:
    wanted = tmp_path / "nothing.txt"
    wanted.write_text("# nothing\n")
    environment = Environment(wanted, tmp_path)
    environment.make()
    made = Path(environment.python).lstat().st_ctime_ns
    environment.make()
    assert Path(environment.python).lstat().st_ctime_ns == made
    wanted.write_text("# nothing else\n")
    environment.make()
    assert Path(environment.python).lstat().st_ctime_ns > made


def test_packages_that_cannot_be_had_leave_a_peer_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wanted = tmp_path / "odd.txt"
    wanted.write_text("no-such-thing==1\n")
    with pytest.raises(PeerUnavailable, match=r"odd\.txt cannot be installed here: .*such-thing"):
        Environment(wanted, tmp_path).make()
    Report({}, left_out=["Quix, at least once: no index"]).write(tmp_path)
    assert "- left out: Quix, at least once: no index" in (tmp_path / "bench.md").read_text()
