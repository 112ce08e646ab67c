"""How many records a projector takes at once, by their bytes."""

from dataclasses import dataclass

from projections.feed import BATCH_BYTES, BATCH_RECORDS, records_to_take


@dataclass(frozen=True)
class Record:
    """What is used of a record."""

    value: bytes | None


def test_small_records_are_taken_by_the_thousand() -> None:
    assert records_to_take([[Record(b"x" * 100)] * 50, [Record(None)]]) == BATCH_RECORDS


def test_of_large_records_so_many_are_taken_as_fit() -> None:
    large = Record(bytes(BATCH_BYTES // 8))
    assert records_to_take([[large] * 3, [large]]) == 8
    assert records_to_take([[Record(bytes(2 * BATCH_BYTES))]]) == 1
