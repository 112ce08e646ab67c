"""Buckets: what passes, what is refused with which headers, and that they take bounded memory."""

import contextlib
import sys

import pytest

from api.auth.quotas import BUCKET_BYTES, Quotas, caller_of
from api.http.problems import Problem

ANN = caller_of("acme", None, "ann")


def passed(quotas: Quotas, requests: int, now: float, rate: float = 20) -> int:
    """Return how many requests of Ann's pass."""
    count = 0
    for _ in range(requests):
        with contextlib.suppress(Problem):
            quotas.take(ANN, rate, 2 * rate, now)
            count += 1
    return count


def test_twice_the_rate_passes_at_once_and_the_rate_after_that() -> None:
    quotas = Quotas()
    assert passed(quotas, 100, 0.0) == 40
    assert passed(quotas, 100, 1.0) == 20
    assert passed(quotas, 100, 1.5) == 10
    assert passed(quotas, 100, 60.0) == 40


def test_callers_are_told_apart() -> None:
    names = {
        caller_of("acme", None, "ann"),
        caller_of("acme", "ann", None),
        caller_of("acme", None, "ben"),
        caller_of("other", None, "ann"),
    }
    assert len(names) == 4


def test_a_refusal_says_what_is_allowed_and_when_to_come_back() -> None:
    quotas = Quotas()
    for _ in range(10):
        quotas.take(ANN, 5, 10, 0.0)
    with pytest.raises(Problem) as refused:
        quotas.take(ANN, 5, 10, 0.0)
    assert refused.value.code == "rate_limited"
    assert refused.value.headers == {
        "retry-after": "1",
        "ratelimit-policy": '"requests";q=10;w=2',
        "ratelimit": '"requests";r=0;t=1',
        "ratelimit-limit": "10",
        "ratelimit-remaining": "0",
        "ratelimit-reset": "1",
    }


def test_what_other_processes_let_pass_counts_here() -> None:
    quotas = Quotas()
    assert passed(quotas, 40, 0.0) == 40
    (spent,) = quotas.busy()
    assert (spent.caller, spent.requests) == (ANN, 40)
    quotas.settle({ANN: -40.0})
    assert passed(quotas, 1, 2.0) == 0
    assert passed(quotas, 100, 3.0) == 20
    quotas.take(caller_of("acme", None, "ben"), 20, 40, 3.0)
    assert [each.caller for each in quotas.busy()] == [ANN]  # Ben is not busy
    assert quotas.busy() == []


def test_many_callers_take_bounded_memory() -> None:
    quotas = Quotas(max_bytes=1000 * BUCKET_BYTES)
    for number in range(5000):
        quotas.take(caller_of("acme", None, str(number)), 20, 40, 0.0)
        quotas.take(ANN, 20, 10_000, 0.0)
    assert len(quotas) == 1000
    assert passed(quotas, 10_000, 0.0, rate=5000) == 5000  # the busiest was not forgotten
    bucket = quotas._buckets[ANN]
    fields = (bucket.rate, bucket.burst, bucket.left, bucket.at, bucket.spent)
    entry = sys.getsizeof(quotas._buckets) / 1000
    size = sys.getsizeof(bucket) + sys.getsizeof(ANN) + sum(map(sys.getsizeof, fields)) + entry
    assert size <= BUCKET_BYTES
