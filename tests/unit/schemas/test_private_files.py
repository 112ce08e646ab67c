"""Files of a data dir are their owner's alone, whatever modes they had before."""

import os
import stat
from pathlib import Path

from processor.instance import take_instance
from schemas.private_files import private_umask, tighten
from schemas.settings import Settings


def mode(place: Path) -> int:
    return stat.S_IMODE(place.stat().st_mode)


def test_a_tree_is_tightened_and_what_it_points_to_is_not(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    place = tmp_path / "data"
    inner = place / "inner"
    inner.mkdir(parents=True)
    secret, program, link = inner / "secret", inner / "program", inner / "link"
    for file in (secret, program):
        file.write_text("x")
    link.symlink_to(outside)
    for found, rights in ((place, 0o777), (inner, 0o755), (secret, 0o644), (program, 0o755)):
        found.chmod(rights)
    tighten(place)
    assert [mode(p) for p in (place, inner, secret, program)] == [0o700, 0o700, 0o600, 0o700]
    assert mode(outside) == 0o644


def test_what_is_made_is_private_whatever_the_umask_was(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with private_umask():
            (tmp_path / "file").write_text("x")
        (tmp_path / "other").write_text("x")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "file"), mode(tmp_path / "other")) == (0o600, 0o666)


def test_a_workers_place_is_its_owners_alone_whatever_it_was(tmp_path: Path) -> None:
    settings = Settings.of({"data_dir": tmp_path / "data"})
    state = settings.data_dir / "worker-1" / "milestream" / "0"
    state.mkdir(parents=True)
    lock, file = settings.data_dir / "worker-1.lock", state / "000012.sst"
    for made in (lock, file):
        made.write_bytes(b"")
    for found in (settings.data_dir, *settings.data_dir.rglob("*")):
        found.chmod(0o755 if found.is_dir() else 0o644)
    with take_instance(settings).lock:
        places = (settings.data_dir, *settings.data_dir.rglob("*"))
        assert {found for found in places if mode(found) & 0o077} == set()
