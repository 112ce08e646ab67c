"""What entries say so that it can be voided: their bytes, and entries of before."""

import msgspec
import pytest

from processor.domain.aggregates.challenge import COUNTED, FED, UNCOUNTED, mark, marked
from processor.domain.fast_path import COMPILED, MakeFastPath, in_python
from processor.domain.state_kinds import LOG, PROGRESS, log_key, progress_key
from schemas import ids
from tests.event_spec import event, purchase_of
from tests.spec import (
    ANN,
    BEN,
    CHALLENGE,
    PROJECT,
    Partition,
    ann,
    challenge,
    log,
    progress,
    recorded,
)

WAYS = [in_python, *([] if COMPILED is None else [COMPILED])]
DAY = "2026-11-21"


def entry_of(partition: Partition, identifier: str) -> bytes:
    """The entry of a log of Ann's."""
    return partition.entries[log_key(ids.challenge_log_id(PROJECT, CHALLENGE, ANN, identifier))]


@pytest.mark.parametrize("way", WAYS)
def test_a_log_says_that_it_counted_and_whose_it_is(way: MakeFastPath) -> None:
    partition = Partition(fast_path=way)
    partition.define(challenge())
    partition.fold(ann, log("log-1", 60).with_headers())
    assert entry_of(partition, "log-1") == (
        b'["2026-11-21T12:00:00Z","2026-11-21T10:00:00Z","purchase","live","60","2026-11-21",'
        b'[60000000000,"in_progress","2026-11-21T10:00:00Z",null,null,"2026-11-21T12:00:00Z"],'
        b'[],null,1,"AAAAAAAAQACAAAAAAAAAAQLh7iqLFuXCw"]'
    )
    assert partition.entries[progress_key(ANN, CHALLENGE, DAY)].endswith(b",[],0]")


@pytest.mark.parametrize("way", WAYS)
def test_a_log_that_an_event_feeds_says_so(way: MakeFastPath) -> None:
    partition = Partition(fast_path=way)
    partition.define(challenge(eventIds=["purchase"]), purchase_of())
    partition.fold(
        ann, event("purchase", metadata={"amount": 3}, idempotencyKey="k").with_headers()
    )
    fed = LOG.decode(entry_of(partition, ids.event_log_id(PROJECT, ANN, "k")))
    assert (fed.did, fed.of) == (COUNTED | FED, mark(CHALLENGE, ANN))


def test_a_log_that_does_not_count_says_so() -> None:
    partition = Partition()
    partition.define(challenge())
    partition.fold(ann, log("log-1", 60, status="draft"))
    kept = LOG.decode(entry_of(partition, "log-1"))
    assert (kept.did, kept.counted, kept.fed) == (UNCOUNTED, False, False)


def test_a_mark_tells_whose_and_of_what_a_log_is() -> None:
    assert marked(mark(CHALLENGE, ANN), ANN) == CHALLENGE
    assert marked(mark(CHALLENGE, ANN), BEN) is None


def test_a_log_of_before_says_nothing() -> None:
    fields = msgspec.json.decode(
        b'["2026-11-21T12:00:00Z","2026-11-21T10:00:00Z","purchase","live","60","2026-11-21",null,[],null]'
    )
    kept = LOG.decode(msgspec.json.encode(fields))
    assert (kept.did, kept.of, kept.counted) == (0, "", False)


@pytest.mark.parametrize("end", [b"]", b",0]", b",2]"])
def test_a_progress_of_before_goes_on(end: bytes) -> None:
    """The partition compares what the fast path and Python make of it."""
    partition = Partition()
    partition.define(challenge())
    partition.fold(ann, log("log-1", 60))
    key = progress_key(ANN, CHALLENGE, DAY)
    partition.entries[key] = partition.entries[key].removesuffix(b",0]") + end
    partition.fold(log("log-2", 10)).then(recorded(progress(70)))
    assert PROGRESS.decode(partition.entries[key]).reopened == (2 if end == b",2]" else 0)
