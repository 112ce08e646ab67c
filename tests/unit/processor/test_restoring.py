"""What a restore keeps in memory is bounded in bytes, whatever size the entries have."""

from processor.restoring import ENTRY_BYTES, RECORDS_A_READ, Pending

BOUND = 1_000_000


def read(pending: Pending, value_bytes: int, first: int = 0) -> int:
    """Add as many records as the next read may bring; return how many."""
    records = pending.records_to_read
    pending.add([(b"k%07d" % n, bytes(value_bytes)) for n in range(first, first + records)])
    return records


def test_small_entries_are_read_by_the_thousand() -> None:
    pending = Pending(100 * BOUND)
    for _ in range(10):
        read(pending, 20)
    assert pending.records_to_read == RECORDS_A_READ


def test_reads_of_large_entries_are_few_and_soon_written_out() -> None:
    pending = Pending(BOUND)
    total = 0
    while not pending.full():
        total += read(pending, 100_000, total)
    assert total <= 64  # the first read knows nothing of their size
    assert pending.records_to_read == 2
    assert len(pending.take()) == total


def test_an_entry_that_is_written_again_and_again_counts_once() -> None:
    pending = Pending(BOUND)
    for _ in range(10_000):
        pending.add([(b"k", bytes(ENTRY_BYTES))])
        assert not pending.full()
    assert pending.take() == {b"k": bytes(ENTRY_BYTES)}


def test_what_is_taken_is_gone_and_there_is_room_again() -> None:
    pending = Pending(BOUND)
    pending.add([(b"k", bytes(BOUND))])
    assert pending.full()
    assert pending.take() == {b"k": bytes(BOUND)}
    assert not pending.full()
    assert pending.take() == {}
