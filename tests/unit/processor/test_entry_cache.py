"""The cache of entries holds what its bound in bytes allows, whatever size entries have."""

from processor.entry_cache import EntryCache

BOUND = 1_000_000


def kept(recent: EntryCache, keys: int) -> list[int]:
    """Return which of ``keys`` are there, without moving any."""
    return [n for n in range(keys) if b"m%d" % n in {**recent._old, **recent._young}]


def held(recent: EntryCache) -> int:
    """Return the bytes of all values."""
    return sum(len(value) for value in (*recent._old.values(), *recent._young.values()))


def test_large_entries_take_no_more_than_the_bound() -> None:
    recent = EntryCache(BOUND)
    for number in range(1_000):
        recent.put(b"m%d" % number, bytes(BOUND // 8))
    assert held(recent) <= 2 * (BOUND + BOUND // 8)
    assert kept(recent, 1_000)[-1] == 999


def test_an_entry_that_is_written_again_and_again_pushes_nothing_out() -> None:
    recent = EntryCache(BOUND)
    recent.put(b"m1", b"x")
    for number in range(1_000):
        recent.put(b"m2", bytes(number * 100))
        recent.drop(b"m3")
        recent.put(b"m3", bytes(1_000))
    assert recent.get(b"m1") == b"x"


def test_what_is_asked_for_stays() -> None:
    recent = EntryCache(BOUND)
    for number in range(100):
        recent.put(b"m%d" % number, bytes(BOUND // 8))
        assert recent.get(b"m0") is not None
