"""The cache of entries holds what its bound in bytes allows, whatever size entries have."""

from processor.recent import SHARE, Recent

BOUND = 1_000_000


def kept(recent: Recent, keys: int) -> list[int]:
    """Return which of ``keys`` are there, without moving any."""
    return [n for n in range(keys) if b"m%d" % n in {**recent._old, **recent._young}]


def held(recent: Recent) -> int:
    """Return the bytes of all values."""
    return sum(len(value) for value in (*recent._old.values(), *recent._young.values()))


def test_large_entries_take_no_more_than_the_bound() -> None:
    recent = Recent(BOUND)
    for number in range(1_000):
        recent.put(b"m%d" % number, bytes(BOUND // SHARE))
    assert held(recent) <= 2 * BOUND
    assert kept(recent, 1_000)[-1] == 999


def test_an_entry_that_is_larger_than_its_share_is_not_kept_and_pushes_nothing_out() -> None:
    recent = Recent(BOUND)
    recent.put(b"m1", b"x")
    recent.put(b"m2", b"before")
    recent.put(b"m2", bytes(BOUND))
    assert (recent.get(b"m1"), recent.get(b"m2")) == (b"x", None)


def test_an_entry_that_is_written_again_and_again_pushes_nothing_out() -> None:
    recent = Recent(BOUND)
    recent.put(b"m1", b"x")
    for number in range(1_000):
        recent.put(b"m2", bytes(number * 100))
        recent.drop(b"m3")
        recent.put(b"m3", bytes(1_000))
    assert recent.get(b"m1") == b"x"


def test_what_is_asked_for_stays() -> None:
    recent = Recent(BOUND)
    for number in range(100):
        recent.put(b"m%d" % number, bytes(BOUND // SHARE))
        assert recent.get(b"m0") is not None
